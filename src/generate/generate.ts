/**
 * Ids and pictures in, ids out: prefill in chunks, then a decode loop that runs ahead of the host.
 *
 * The id ring holds the id of position p at index p. Prompt ids are written there; `sample` writes the next one on the device, and the
 * next step's `embed` reads it from there, so that a step is issued before the host knows the id of the one before. The host
 * reads ids some steps behind, and what was issued beyond the end is undone by truncating the sequence.
 */
import type { Backend, Ranges, SampleSpec, Tensor } from '../backend/backend.ts';
import { isPlan, type Plan } from '../kv/plan.ts';
import { denseCausal } from '../kv/ranges.ts';
import { InputError, ModelError } from '../errors.ts';
import { Held } from '../layers/held.ts';
import type { LanguageModel } from '../models/model.ts';
import { cut, type DeviceSequence } from './device-sequence.ts';
import { placeNext, placePrompt } from './slots.ts';
import type { PlacedSpan, Prompt } from '../chat/prompt.ts';
import { TimeSlice } from '../layers/yield.ts';

/** Which ids may come next, given those generated so far: bit i of word i >> 5. `undefined` allows all. Turns the run-ahead off. */
export type TokenMask = (ids: readonly number[]) => Uint32Array | undefined;

export interface GenerateOptions extends Prompt {
  /** Ids at the front that are in the sequence already; the prompt is the whole context. */
  readonly cached: number;
  readonly spec: SampleSpec;
  /** Ids that penalties take for seen before the answer; default: the prompt's. */
  readonly seen?: Int32Array | undefined;
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
  /** The id that ended the answer, of `stopIds`. */
  readonly end?: number | undefined;
  /** Milliseconds. */
  readonly prefill: number;
  readonly decode: number;
}

/**
 * Steps issued beyond the last id read. On WASM an operation is done when it returns, so running ahead would only waste work; whoever plans
 * what a token looks at is told its id.
 */
function runAhead({ model, planner }: DeviceSequence, options: GenerateOptions): number {
  return model.backend.kind === 'webgpu' && options.mask === undefined && planner === undefined ? 4 : 1;
}

/** Multiply-adds of weights in one prefill chunk: 1 to 2 seconds on one WASM thread, and well below the watchdog of a phone's GPU. */
const CHUNK_WORK = { wasm: 2 ** 36, reference: 2 ** 28, webgpu: 2 ** 37 } as const;

/** Tokens of a prefill chunk for a model of so many weights: fixed for a model and device, so that runs repeat to the bit. */
export function prefillChunk(backend: Backend, parameters: number): number {
  const tokens = CHUNK_WORK[backend.kind] / Math.max(1, parameters);
  return Math.min(512, Math.max(32, 2 ** Math.floor(Math.log2(Math.max(1, tokens)))));
}

/** What positions `[start, start + count)` begin with: images' embeddings where their spans stand, ids' elsewhere. [count, hidden] */
function embed(
  { model, ring, images }: DeviceSequence,
  start: number,
  count: number,
  spans: readonly PlacedSpan[],
): Tensor {
  const { backend } = model;
  const end = start + count;
  const parts: Tensor[] = [];
  let done = start;
  for (const { at, tokens, image, row } of spans) {
    const from = Math.max(done, at);
    const to = Math.min(end, at + tokens);
    if (from >= to) continue;
    if (from > done) parts.push(model.embed(ring, done, from - done));
    parts.push(backend.rows(images.embeddings(image).embeddings, row + from - at, to - from));
    done = to;
  }
  if (done < end) parts.push(model.embed(ring, done, end - done));
  const [only] = parts;
  return parts.length === 1 && only !== undefined ? only : backend.stack(parts);
}

/** One forward call. */
interface Step {
  readonly start: number;
  readonly count: number;
  /** Up to the step's end at least. */
  readonly ids: Int32Array;
  readonly promptEnd: number;
  readonly phase: 'prefill' | 'decode';
  readonly take?: Take | undefined;
  readonly spans: readonly PlacedSpan[];
}

/** Gets the hidden states [count, hidden] of positions `[start, start + count)`, in a scope. */
type Take = (hidden: Tensor, start: number, count: number) => void;

/** Runs positions `[start, start + count)`. At once, unless a plan has to be asked; when that fails the sequence ends before the step. */
export function advance(onDevice: DeviceSequence, step: Step): void | Promise<void> {
  const { model, sequence, planner, kvBits = 16 } = onDevice;
  const { start, count, spans } = step;
  const { backend, attention, rope } = model;
  sequence.ensure(start + count);
  if (step.phase === 'prefill') placePrompt(sequence, start, start + count, spans);
  else placeNext(sequence, start);
  const call = {
    backend,
    kv: sequence,
    position: start,
    count,
    ...attention,
    rope,
    ids: step.ids.subarray(0, start + count),
    phase: step.phase,
    promptEnd: step.promptEnd,
  };
  const chosen: Ranges | Plan = planner?.plan(call) ?? denseCausal(count, start + count);
  const asked = onDevice.tiers?.guard(sequence, chosen) ?? chosen;
  if (isPlan(asked)) return advancePlanned(onDevice, step, asked);
  backend.scope(() => {
    const x = embed(onDevice, start, count, spans);
    const hidden = model.forward(x, { kv: sequence, position: start, ranges: asked });
    step.take?.(hidden, start, count);
  });
  sequence.settle(kvBits);
  return undefined;
}

/** No scope is open while the plan is waited for: other sessions compute meanwhile. */
async function advancePlanned(onDevice: DeviceSequence, step: Step, plan: Plan): Promise<void> {
  const { model, sequence, kvBits = 16 } = onDevice;
  const { backend } = model;
  const { start, count, spans } = step;
  const held = new Held(backend);
  try {
    const x = held.step(() => embed(onDevice, start, count, spans));
    const hidden = await model.forwardPlanned(x, { kv: sequence, position: start, plan });
    try {
      backend.scope(() => step.take?.(hidden, start, count));
    } finally {
      backend.free(hidden);
    }
    sequence.settle(kvBits);
  } catch (error) {
    // Its pages are written in some layers only.
    cut(onDevice, start);
    throw error;
  } finally {
    held.free();
  }
}

/** Draws the id behind the last position. */
function drawing({ model, ring, sampler, contrast }: DeviceSequence, spec: SampleSpec): Take {
  const { backend } = model;
  return (hidden, start, count) => {
    const logits = lastLogits(model, hidden, count);
    backend.sample(contrast?.against(ring, start + count - 1, logits) ?? logits, sampler, spec, ring, start + count);
  };
}

/** The logits [1, vocabulary] behind the last of `count` hidden states; in the caller's scope. */
export function lastLogits(model: LanguageModel, hidden: Tensor, count: number): Tensor {
  return model.logits(count === 1 ? hidden : model.backend.rows(hidden, count - 1, 1));
}

/** The spans that chunk `[start, end)` is the first to reach. */
function firstReached(spans: readonly PlacedSpan[], start: number, end: number, cached: number): readonly PlacedSpan[] {
  return spans.filter(({ at, tokens }) => at < end && at + tokens > start && (at >= start || start === cached));
}

/**
 * Where a chunk from `start` ends. It does not end inside a span: it ends before one that would be cut, or behind it where the chunk begins
 * with it and the span is bidirectional. Only a causal span that is longer than a chunk is cut, so that aborts and the watchdog are served.
 */
function chunkEnd(spans: readonly PlacedSpan[], start: number, chunk: number, length: number): number {
  const end = Math.min(length, start + chunk);
  const cut = spans.find(({ at, tokens }) => at < end && at + tokens > end);
  if (cut === undefined) return end;
  if (cut.at > start) return cut.at;
  return cut.image.bidirectional ? cut.at + cut.tokens : end;
}

/** The most positions, `length` or fewer, that do not end inside a bidirectional span. */
function outsideSpans(spans: readonly PlacedSpan[], length: number): number {
  const inside = spans.find(({ at, tokens, image }) => image.bidirectional && at < length && at + tokens > length);
  return inside?.at ?? length;
}

/**
 * Puts the prompt into the sequence from `cached` on, chunk by chunk, one chunk ahead of the device. With `take`, which gets the last chunk's
 * hidden states, an answer follows: the planner drops what it does not need for that.
 */
export async function prefill(
  onDevice: DeviceSequence,
  options: Pick<GenerateOptions, 'ids' | 'spans' | 'cached' | 'chunk' | 'signal' | 'onPrefill'>,
  take?: Take,
): Promise<void> {
  const { ids, spans, chunk, signal, onPrefill } = options;
  const { backend } = onDevice.model;
  const slice = new TimeSlice();
  checkIds(ids, options.cached, onDevice.model.config.vocabulary);
  const cached = cut(onDevice, outsideSpans(spans, options.cached));
  backend.writeIds(onDevice.ring, cached, ids.subarray(cached));
  let before = Promise.resolve();
  try {
    for (let start = cached, end = start; start < ids.length; start = end) {
      signal?.throwIfAborted();
      end = chunkEnd(spans, start, chunk, ids.length);
      for (const { image } of firstReached(spans, start, end, cached)) await onDevice.images.encode(image, signal);
      const room = onDevice.tiers?.room(onDevice.sequence, end);
      if (room !== undefined) await room;
      const done = advance(onDevice, {
        start,
        count: end - start,
        ids,
        promptEnd: ids.length,
        phase: 'prefill',
        take: end === ids.length ? take : undefined,
        spans,
      });
      if (done !== undefined) await done;
      backend.flush();
      await before;
      before = backend.idle();
      before.catch(() => undefined);
      onPrefill?.(end - cached, ids.length - cached);
      await slice.yield();
    }
    if (take !== undefined) await onDevice.planner?.prefilled?.();
    await before;
    signal?.throwIfAborted();
  } catch (error) {
    // What was issued stays: a chunk that was written is good, and the next prompt reuses it. What failed half way does not.
    if (!signal?.aborted) cut(onDevice, cached);
    throw error;
  }
}

/** One answer. On an error or abort the sequence keeps only positions that were computed for known ids. */
export async function generate(onDevice: DeviceSequence, options: GenerateOptions): Promise<Generated> {
  const { ids: prompt, spec, mask, signal, stopIds } = options;
  const { model, ring, sampler } = onDevice;
  const { backend } = model;
  if (options.maxTokens < 1) throw new InputError('argument', `maxTokens: ${options.maxTokens} is below 1`);

  const begun = performance.now();
  const penalised = spec.repetitionPenalty !== 1 || spec.presencePenalty !== 0;
  sampler.reset(penalised ? (options.seen ?? prompt) : new Int32Array(0));
  sampler.mask(allowed(onDevice, mask, []));
  const take = drawing(onDevice, spec);
  await prefill(onDevice, options, take);
  const prefilled = performance.now();

  const ahead = runAhead(onDevice, options);
  const end = prompt.length + options.maxTokens;
  const ids = new Int32Array(end);
  ids.set(prompt);
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
  let last: number | undefined;
  try {
    read(prompt.length);
    while (generated.length < options.maxTokens) {
      signal?.throwIfAborted();
      while (issued < end && reads.length < ahead) {
        if (mask !== undefined) sampler.mask(allowed(onDevice, mask, generated));
        const room = onDevice.tiers?.room(onDevice.sequence, issued);
        if (room !== undefined) await room;
        const done = advance(onDevice, {
          start: issued - 1,
          count: 1,
          ids,
          promptEnd: prompt.length,
          phase: 'decode',
          take,
          spans: [],
        });
        if (done !== undefined) await done;
        read(issued++);
      }
      const [id = -1] = (await reads.shift()) ?? [];
      if (id < 0) throw notNumbers(mask !== undefined);
      if (stopIds.has(id)) {
        reason = 'stop';
        last = id;
        break;
      }
      ids[prompt.length + generated.length] = id;
      generated.push(id);
      if (await options.onId(id)) {
        reason = 'stop';
        break;
      }
      await slice.yield();
    }
  } finally {
    cut(onDevice, Math.min(prompt.length + generated.length, issued - 1));
  }
  return { ids: generated, reason, end: last, prefill: prefilled - begun, decode: performance.now() - prefilled };
}

/** What both the mask and the vocabulary allow. */
function allowed(
  { drawable }: DeviceSequence,
  mask: TokenMask | undefined,
  generated: readonly number[],
): Uint32Array | undefined {
  const bits = mask?.(generated);
  if (bits === undefined || drawable === undefined) return bits ?? drawable;
  return bits.map((word, i) => word & (drawable[i] ?? 0));
}

/** Throws `InputError('argument')` for an id that the model has no embedding for. */
export function checkIds(ids: Int32Array, start: number, vocabulary: number): void {
  for (let i = start; i < ids.length; i++) {
    const id = ids[i] ?? -1;
    if (id >= 0 && id < vocabulary) continue;
    throw new InputError(
      'argument',
      `token ${i} of the prompt is ${id}, the model's vocabulary has the ids 0 to ${vocabulary - 1}; use ids of this model's own tokenizer`,
      { id, vocabulary },
    );
  }
}

export function notNumbers(masked: boolean): ModelError {
  const masking = masked ? ', or the token mask allows no token' : '';
  return new ModelError(
    'non-finite',
    `the model computed logits that are not numbers${masking}; the file may be damaged, or the device computes wrongly: ` +
      "compare its SHA-256 with the publisher's and try device: 'wasm'",
    { masked },
  );
}
