/** The second sequence of a contrasted answer (contrast.ts): the same prompt with outlier tokens of its pictures only. */
import type { Tensor } from '../backend/backend.ts';
import { denseCausal } from '../kv/ranges.ts';
import type { SessionModel } from './session-cache.ts';
import type { Contrast } from './contrast.ts';
import { prefill } from './generate.ts';
import { freeDeviceSequence, type Contrasting, type DeviceSequence } from './device-sequence.ts';
import type { SeenPicture } from '../see/pictures.ts';
import type { Prompt } from '../chat/prompt.ts';
import { placeNext } from './slots.ts';

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

/** The second sequence of one answer. */
export class ContrastSequence implements Contrasting {
  readonly #onDevice: DeviceSequence;
  /** Slots of the first sequence that this one lacks. */
  readonly #fewer: number;
  /** [1, vocabulary] of -a / (1 + a) */
  readonly #weight: Tensor;

  private constructor(onDevice: DeviceSequence, fewer: number, weight: Tensor) {
    this.#onDevice = onDevice;
    this.#fewer = fewer;
    this.#weight = weight;
  }

  /** Reads all of the prompt but its last id, with outliers only. Undefined where there is no picture to contrast. Its owner frees it. */
  static async open(
    model: SessionModel,
    prompt: Prompt,
    contrast: Contrast,
    { window, signal }: { readonly window: number; readonly signal?: AbortSignal | undefined },
  ): Promise<ContrastSequence | undefined> {
    const { sight } = model;
    if (prompt.pictures.length === 0 || sight.outliers === undefined) return undefined;
    const less = withSights(prompt, (picture) => sight.outliers?.(picture, contrast.tokens) ?? picture);
    const onDevice = await model.deviceSequence(window, {});
    try {
      await prefill(onDevice, {
        ids: less.ids.subarray(0, -1),
        pictures: less.pictures,
        cached: 0,
        chunk: model.chunk,
        signal,
      });
      const { backend, config } = onDevice.model;
      const weight = backend.keep(
        backend.upload(new Float32Array(config.vocabulary).fill(-contrast.strength / (1 + contrast.strength)), [
          1,
          config.vocabulary,
        ]),
      );
      return new ContrastSequence(onDevice, prompt.ids.length - less.ids.length, weight);
    } catch (error) {
      freeDeviceSequence(onDevice);
      throw error;
    }
  }

  against(ring: Tensor, slot: number, logits: Tensor): Tensor {
    const { model, sequence } = this.#onDevice;
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
      this.#onDevice.model.backend.free(this.#weight);
    } catch {
      // The device is lost: there is nothing left to free on it.
    }
    freeDeviceSequence(this.#onDevice);
  }
}
