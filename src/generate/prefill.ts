/** Prefills a prompt into a sequence, chunk by chunk. */
import type { Backend } from '../backend/backend.ts';
import type { PlacedSpan } from '../chat/prompt.ts';
import { InputError } from '../errors.ts';
import { CLOSED_TOKENS, wholeGroups } from '../kv/precision.ts';
import { TimeSlice } from '../layers/yield.ts';
import type { LanguageModel } from '../models/model.ts';
import { advance, type Take } from './advance.ts';
import { cut, type DeviceSequence } from './device-sequence.ts';
import type { GenerateOptions } from './generate.ts';

/**
 * Multiply-adds of the weights in one prefill chunk: 1 to 2 seconds on one WASM thread with relaxed SIMD, and well below
 * the limit of a phone's GPU watchdog. A chunk reads all weights once, so small ones are slower.
 */
const CHUNK_WORK = { wasm: 2 ** 37, reference: 2 ** 28, webgpu: 2 ** 37 } as const;

/**
 * Tokens of a prefill chunk for a model with so many multiply-adds a token: fixed for a model and device, so that runs
 * are bit-reproducible.
 */
export function prefillChunk(backend: Pick<Backend, 'kind'>, multiplyAdds: number): number {
  const tokens = CHUNK_WORK[backend.kind] / Math.max(1, multiplyAdds);
  return Math.min(512, Math.max(32, 2 ** Math.floor(Math.log2(Math.max(1, tokens)))));
}

/** Returns the spans that chunk `[start, end)` is the first to reach. */
function firstReached(spans: readonly PlacedSpan[], start: number, end: number, cached: number): readonly PlacedSpan[] {
  return spans.filter(({ at, tokens }) => at < end && at + tokens > start && (at >= start || start === cached));
}

/** Tokens of a chunk for which a call of its own for the last one is worth its reading of the weights. */
const READERS_CHUNK = 16;

/**
 * Returns where a chunk from `start` ends. It does not end inside a span: it ends before a span that would be cut, or
 * behind it if the chunk begins with it and the span is bidirectional. Only a causal span that is longer than a chunk
 * is cut, for the sake of aborts and the watchdog.
 */
function chunkEnd(spans: readonly PlacedSpan[], start: number, chunk: number, length: number): number {
  const end = Math.min(length, start + chunk);
  const cut = spans.find(({ at, tokens }) => at < end && at + tokens > end);
  if (cut === undefined) return end;
  if (cut.at > start) return cut.at;
  return cut.image.bidirectional ? cut.at + cut.tokens : end;
}

/** Returns the largest number of positions, at most `length`, that does not end inside a bidirectional span. */
function outsideSpans(spans: readonly PlacedSpan[], length: number): number {
  const inside = spans.find(({ at, tokens, image }) => image.bidirectional && at < length && at + tokens > length);
  return inside?.at ?? length;
}

/**
 * Where layers at the end of a model only read what others cached (Gemma 4), only the last position of a prompt has to
 * pass them: the rest of the last chunk is a chunk of its own, which ends before them.
 */
function behindReaders({ layers, ownLayers }: LanguageModel, start: number, end: number): number {
  return ownLayers < layers.length && end - start >= READERS_CHUNK ? end - 1 : end;
}

/**
 * Prefills the prompt into the sequence from `cached` on, chunk by chunk, one chunk ahead of the device. With `take`,
 * which receives the hidden states of the last chunk, an answer follows: the planner then releases what it does not
 * need for that.
 */
export async function prefill(
  onDevice: DeviceSequence,
  options: Pick<GenerateOptions, 'ids' | 'spans' | 'cached' | 'chunk' | 'signal' | 'onPrefill' | 'mark'>,
  take?: Take,
): Promise<void> {
  const { ids, spans, chunk, signal, onPrefill, mark } = options;
  const { planner } = onDevice;
  const { backend } = onDevice.model;
  const slice = new TimeSlice();
  const group = (onDevice.kvBits ?? 16) === 16 ? Infinity : CLOSED_TOKENS;
  checkIds(ids, options.cached, onDevice.model.config.vocabulary);
  let cached = cut(onDevice, options.cached);
  // Truncating may leave less than requested, and that may end inside an earlier span.
  for (let left = -1; left !== cached;) {
    left = cached;
    cached = cut(onDevice, outsideSpans(spans, left));
  }
  backend.writeIds(onDevice.ring, cached, ids.subarray(cached));
  let before = Promise.resolve();
  try {
    for (let start = cached, end = start; start < ids.length; start = end) {
      signal?.throwIfAborted();
      const toMark = (mark?.at ?? 0) - start;
      const most = Math.min(chunk, wholeGroups(start) + group - start, toMark > 0 ? toMark : Infinity);
      end = chunkEnd(spans, start, most, ids.length);
      const { state } = onDevice.sequence;
      if (state !== undefined) {
        const stop = state.stop(start, end, end === ids.length);
        end = chunkEnd(spans, start, stop - start, ids.length);
      }
      if (end === ids.length && take !== undefined && planner === undefined)
        end = chunkEnd(spans, start, behindReaders(onDevice.model, start, end) - start, ids.length);
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
      if (end === mark?.at) mark.reached();
      backend.flush();
      await before;
      before = backend.idle();
      before.catch(() => undefined);
      onPrefill?.(end - cached, ids.length - cached);
      await slice.yield();
    }
    onDevice.sequence.state?.mark();
    if (take !== undefined) await onDevice.planner?.prefilled?.();
    await before;
    signal?.throwIfAborted();
  } catch (error) {
    // Completed chunks are kept: they are valid, and the next prompt reuses them. A chunk that failed is not kept.
    if (!signal?.aborted) cut(onDevice, cached);
    throw error;
  }
}

/** Throws `InputError('argument')` for an id without an embedding. */
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
