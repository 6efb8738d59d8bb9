/**
 * Ids and pictures in, ids out: prefill in chunks, then a decode loop that runs ahead of the host.
 *
 * The id ring holds the id of position p at index p. Prompt ids are written there; `sample` writes the next one on the device, and the
 * next step's `embed` reads it from there, so that a step is issued before the host knows the id of the one before. The host
 * reads ids some steps behind, and what was issued beyond the end is undone by truncating the sequence.
 */
import type { Backend, Sampler, SampleSpec, Tensor } from '../backend/backend.ts';
import type { Sequence } from '../context/pages.ts';
import { denseCausal } from '../context/ranges.ts';
import { InputError, ModelError } from '../errors.ts';
import type { LanguageModel } from '../models/model.ts';
import type { SeenPicture } from './pictures.ts';
import type { Placed, Prompt } from './prompt.ts';
import { TimeSlice } from './yield.ts';

/** What one sequence needs on the device. Owned by the session. */
export interface Lane {
  readonly model: LanguageModel;
  readonly sequence: Sequence;
  /** [window + 1] ids */
  readonly ring: Tensor;
  readonly sampler: Sampler;
  /** Ids that stand for text, where the head has more (padded to a round number): the others are never drawn. */
  readonly drawable?: Uint32Array | undefined;
  readonly visual: Visual;
}

/** Pictures as what the language model reads. */
export interface Visual {
  /** Computes a picture's embeddings where they are not kept from an earlier call, in steps that an abort ends. */
  look(picture: SeenPicture, signal?: AbortSignal): Promise<void>;
  /** The embeddings [picture.tokens, hidden], good until the next call; computed at once where they are not there. */
  see(picture: SeenPicture): Tensor;
}

/** Which ids may come next, given those generated so far: bit i of word i >> 5. `undefined` allows all. Turns the run-ahead off. */
export type TokenMask = (ids: readonly number[]) => Uint32Array | undefined;

export interface GenerateOptions extends Prompt {
  /** Ids at the front that are in the sequence already; the prompt is the whole context. */
  readonly cached: number;
  readonly spec: SampleSpec;
  /** Ids that end the answer. */
  readonly stopIds: ReadonlySet<number>;
  /** Most ids to generate; at least 1. */
  readonly maxTokens: number;
  readonly chunk: number;
  readonly mask?: TokenMask | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onPrefill?: ((done: number, total: number) => void) | undefined;
  /** Hears every id but a stop id, in order; returning true ends the answer. Waiting on its promise is the back-pressure. */
  readonly onId: (id: number) => boolean | Promise<boolean>;
}

export interface Generated {
  readonly ids: readonly number[];
  readonly reason: 'stop' | 'length';
  /** Milliseconds. */
  readonly prefill: number;
  readonly decode: number;
}

/** Steps issued beyond the last id read. On WASM an operation is done when it returns, so running ahead would only waste work. */
function runAhead(backend: Backend, options: GenerateOptions): number {
  return backend.kind === 'webgpu' && options.mask === undefined ? 4 : 1;
}

/** Multiply-adds of weights in one prefill chunk: 1 to 2 seconds on one WASM thread, and well below the watchdog of a phone's GPU. */
const CHUNK_WORK = { wasm: 2 ** 36, reference: 2 ** 28, webgpu: 2 ** 37 } as const;

/** Tokens of a prefill chunk for a model of so many weights: fixed for a model and device, so that runs repeat to the bit. */
export function prefillChunk(backend: Backend, parameters: number): number {
  const tokens = CHUNK_WORK[backend.kind] / Math.max(1, parameters);
  return Math.min(512, Math.max(32, 2 ** Math.floor(Math.log2(Math.max(1, tokens)))));
}

/** What positions `[start, start + count)` begin with: pictures' embeddings where pictures stand, ids' elsewhere. [count, hidden] */
function embed({ model, ring, visual }: Lane, start: number, count: number, pictures: readonly Placed[]): Tensor {
  const { backend } = model;
  const end = start + count;
  const parts: Tensor[] = [];
  let done = start;
  for (const { at, picture } of pictures) {
    const from = Math.max(done, at);
    const to = Math.min(end, at + picture.tokens);
    if (from >= to) continue;
    if (from > done) parts.push(model.embed(ring, done, from - done));
    parts.push(backend.rows(visual.see(picture), from - at, to - from));
    done = to;
  }
  if (done < end) parts.push(model.embed(ring, done, end - done));
  const [only] = parts;
  return parts.length === 1 && only !== undefined ? only : backend.stack(parts);
}

/** Runs positions `[start, start + count)`; with `spec`, draws the id of the next position. */
function advance(lane: Lane, start: number, count: number, spec?: SampleSpec, pictures: readonly Placed[] = []): void {
  const { model, sequence, ring, sampler } = lane;
  const { backend } = model;
  sequence.ensure(start + count);
  backend.scope(() => {
    const hidden = model.forward(embed(lane, start, count, pictures), sequence, start, denseCausal(count, start + count));
    if (spec === undefined) return;
    const last = count === 1 ? hidden : backend.rows(hidden, count - 1, 1);
    backend.sample(model.logits(last), sampler, spec, ring, start + count);
  });
}

/** The pictures that come into view with chunk `[start, end)`: none of their positions was run before. */
function comingIntoView(pictures: readonly Placed[], start: number, end: number, cached: number): readonly Placed[] {
  return pictures.filter(({ at, picture }) => at < end && at + picture.tokens > start && (at >= start || start === cached));
}

/** Puts the prompt into the sequence from `cached` on, chunk by chunk, one chunk ahead of the device; with `spec`, draws the id after the last. */
export async function prefill(
  lane: Lane,
  options: Pick<GenerateOptions, 'ids' | 'pictures' | 'cached' | 'chunk' | 'signal' | 'onPrefill'>,
  spec?: SampleSpec,
): Promise<void> {
  const { ids, pictures, cached, chunk, signal, onPrefill } = options;
  const { backend } = lane.model;
  const slice = new TimeSlice();
  checkIds(ids, cached, lane.model.config.vocabulary);
  lane.sequence.truncate(cached);
  backend.writeIds(lane.ring, cached, ids.subarray(cached));
  let before = Promise.resolve();
  try {
    for (let start = cached; start < ids.length; start += chunk) {
      signal?.throwIfAborted();
      const end = Math.min(ids.length, start + chunk);
      for (const { picture } of comingIntoView(pictures, start, end, cached)) await lane.visual.look(picture, signal);
      advance(lane, start, end - start, end === ids.length ? spec : undefined, pictures);
      backend.flush();
      await before;
      before = backend.idle();
      before.catch(() => undefined);
      onPrefill?.(end - cached, ids.length - cached);
      await slice.yield();
    }
    await before;
    signal?.throwIfAborted();
  } catch (error) {
    // What was issued stays: a chunk that was written is good, and the next prompt reuses it. What failed half way does not.
    if (!signal?.aborted) lane.sequence.truncate(cached);
    throw error;
  }
}

/** One answer. On an error or abort the sequence keeps only positions that were computed for known ids. */
export async function generate(lane: Lane, options: GenerateOptions): Promise<Generated> {
  const { ids: prompt, spec, mask, signal, stopIds } = options;
  const { model, sequence, ring, sampler } = lane;
  const { backend } = model;
  if (options.maxTokens < 1) throw new InputError('argument', `maxTokens: ${options.maxTokens} is below 1`);

  const begun = performance.now();
  const penalised = spec.repetitionPenalty !== 1 || spec.presencePenalty !== 0;
  sampler.reset(penalised ? prompt : new Int32Array(0));
  sampler.mask(allowed(lane, mask, []));
  await prefill(lane, options, spec);
  const prefilled = performance.now();

  const ahead = runAhead(backend, options);
  const end = prompt.length + options.maxTokens;
  const slice = new TimeSlice();
  const generated: number[] = [];
  const reads: Promise<Int32Array>[] = [];
  const read = (index: number): void => {
    const ids = backend.readIds(ring, index, index + 1);
    ids.catch(() => undefined);
    reads.push(ids);
  };
  /** Ring indices below it have been drawn; positions below `issued - 1` have been run. */
  let issued = prompt.length + 1;
  let reason: Generated['reason'] = 'length';
  try {
    read(prompt.length);
    while (generated.length < options.maxTokens) {
      signal?.throwIfAborted();
      while (issued < end && reads.length < ahead) {
        if (mask !== undefined) sampler.mask(allowed(lane, mask, generated));
        advance(lane, issued - 1, 1, spec);
        read(issued++);
      }
      const [id = -1] = (await reads.shift()) ?? [];
      if (id < 0) throw noId(mask !== undefined);
      if (stopIds.has(id)) {
        reason = 'stop';
        break;
      }
      generated.push(id);
      if (await options.onId(id)) {
        reason = 'stop';
        break;
      }
      await slice.yield();
    }
  } finally {
    sequence.truncate(Math.min(prompt.length + generated.length, issued - 1));
  }
  return { ids: generated, reason, prefill: prefilled - begun, decode: performance.now() - prefilled };
}

/** What both the mask and the vocabulary allow. */
function allowed({ drawable }: Lane, mask: TokenMask | undefined, generated: readonly number[]): Uint32Array | undefined {
  const bits = mask?.(generated);
  if (bits === undefined || drawable === undefined) return bits ?? drawable;
  return bits.map((word, i) => word & (drawable[i] ?? 0));
}

/** Throws `InputError('argument')` for an id that the model has no embedding for. */
function checkIds(ids: Int32Array, start: number, vocabulary: number): void {
  for (let i = start; i < ids.length; i++) {
    const id = ids[i] ?? -1;
    if (id >= 0 && id < vocabulary) continue;
    throw new InputError('argument', `token ${i} of the prompt is ${id}, the model's vocabulary has the ids 0 to ${vocabulary - 1}; use ids of this model's own tokenizer`, { id, vocabulary });
  }
}

function noId(masked: boolean): ModelError {
  const masking = masked ? ', or the token mask allows no token' : '';
  return new ModelError(
    'non-finite',
    `the model computed logits that are not numbers${masking}; the file may be damaged, or the device computes wrongly: ` +
      "compare its SHA-256 with the publisher's and try device: 'wasm'",
    { masked },
  );
}
