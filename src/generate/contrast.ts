/**
 * DAMRO (2410.04514): what a model says of a picture, contrasted with what it says when it sees a few outlier tokens of it only, so that what those
 * alone make it say is held back: logits (1 + a) l - a l', a = 2, 10 tokens. The paper takes the tokens that the vision tower's class token looks
 * at most; towers without one are asked for the tokens of the largest norm, which are the same kind (Darcet et al. 2023).
 *
 * It costs a second, short prefill a prompt (all of the text, the outliers of every picture) and a second pass of the layers a token.
 */
import type { SampleSpec, Tensor } from '../backend/backend.ts';
import { denseCausal } from '../context/ranges.ts';
import { InputError } from '../errors.ts';
import type { SessionModel } from './context.ts';
import { prefill } from './generate.ts';
import { freeLane, type Contrasting, type Lane } from './lane.ts';
import type { SeenPicture } from './pictures.ts';
import type { Prompt } from './prompt.ts';
import { placeNext } from './slots.ts';

export interface ContrastOptions {
  /** a; default 2. */
  readonly strength?: number | undefined;
  /** Outlier tokens of a picture; default 10. */
  readonly tokens?: number | undefined;
}

export interface Contrast {
  readonly strength: number;
  readonly tokens: number;
}

/** Throws `InputError('argument')` for what cannot be. */
export function readContrast(asked: boolean | ContrastOptions | undefined): Contrast | undefined {
  if (asked === undefined || asked === false) return undefined;
  if (asked !== true && (typeof asked !== 'object' || asked === null)) throw new InputError('argument', `contrast: ${String(asked)} cannot be; use true or {strength, tokens}`);
  const { strength = 2, tokens = 10 } = asked === true ? {} : asked;
  if (!(typeof strength === 'number' && strength > 0 && strength <= 100)) throw new InputError('argument', `contrast.strength: ${String(strength)} is not above 0 and at most 100`, { strength });
  if (!(Number.isInteger(tokens) && tokens >= 1)) throw new InputError('argument', `contrast.tokens: ${String(tokens)} is not a whole number from 1`, { tokens });
  return { strength, tokens };
}

/** The same draw from logits that are (1 + a) times smaller. */
export function contrastedSpec(spec: SampleSpec, { strength }: Contrast): SampleSpec {
  const scale = 1 + strength;
  return { ...spec, temperature: spec.temperature / scale, presencePenalty: spec.presencePenalty / scale };
}

/** The prompt with other sights of its pictures. */
export function withSights({ ids, pictures }: Prompt, other: (picture: SeenPicture) => SeenPicture): Prompt {
  const [placeholder = 0] = pictures.map(({ at }) => ids[at] ?? 0);
  const parts: Int32Array[] = [];
  const placed: { at: number; picture: SeenPicture }[] = [];
  let done = 0;
  let length = 0;
  const add = (part: Int32Array): void => {
    parts.push(part);
    length += part.length;
  };
  for (const { at, picture } of pictures) {
    add(ids.subarray(done, at));
    const seen = other(picture);
    placed.push({ at: length, picture: seen });
    add(new Int32Array(seen.tokens).fill(placeholder));
    done = at + picture.tokens;
  }
  add(ids.subarray(done));
  const all = new Int32Array(length);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return { ids: all, pictures: placed };
}

/** The second lane of one answer. */
export class ContrastLane implements Contrasting {
  readonly #lane: Lane;
  /** Slots of the first lane that this one has not. */
  readonly #fewer: number;
  /** [1, vocabulary] of -a / (1 + a) */
  readonly #weight: Tensor;

  private constructor(lane: Lane, fewer: number, weight: Tensor) {
    this.#lane = lane;
    this.#fewer = fewer;
    this.#weight = weight;
  }

  /** Reads all of the prompt but its last id, with outliers only. Undefined where there is no picture to contrast. Its owner frees it. */
  static async open(model: SessionModel, prompt: Prompt, contrast: Contrast, { window, signal }: { readonly window: number; readonly signal?: AbortSignal | undefined }): Promise<ContrastLane | undefined> {
    const { sight } = model;
    if (prompt.pictures.length === 0 || sight.outliers === undefined) return undefined;
    const less = withSights(prompt, (picture) => sight.outliers?.(picture, contrast.tokens) ?? picture);
    const lane = await model.lane(window, {});
    try {
      await prefill(lane, { ids: less.ids.subarray(0, -1), pictures: less.pictures, cached: 0, chunk: model.chunk, signal });
      const { backend, config } = lane.model;
      const weight = backend.keep(backend.upload(new Float32Array(config.vocabulary).fill(-contrast.strength / (1 + contrast.strength)), [1, config.vocabulary]));
      return new ContrastLane(lane, prompt.ids.length - less.ids.length, weight);
    } catch (error) {
      freeLane(lane);
      throw error;
    }
  }

  against(ring: Tensor, slot: number, logits: Tensor): Tensor {
    const { model, sequence } = this.#lane;
    const { backend } = model;
    const own = slot - this.#fewer;
    sequence.truncate(own);
    sequence.ensure(own + 1);
    placeNext(sequence, own);
    const hidden = model.forward(model.embed(ring, slot, 1), sequence, own, denseCausal(1, own + 1));
    return backend.gatedAdd(logits, model.logits(hidden), this.#weight, 0);
  }

  free(): void {
    try {
      this.#lane.model.backend.free(this.#weight);
    } catch {
      // The device is lost: there is nothing left to free on it.
    }
    freeLane(this.#lane);
  }
}
