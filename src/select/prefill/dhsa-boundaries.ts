/**
 * Where DHSA's chunks begin (2510.24606, section 3.1), determined while the prompt is read: each call scores the gaps
 * that its keys complete, and boundaries that were found are kept. Of the peaks of a call, or of each 512 gaps of a
 * longer one, greedy non-maximum suppression keeps the highest, at most one for every 16 keys.
 */
import type { RopeSpec, SlotPositions } from '../../backend/backend.ts';
import type { PlannedCall } from '../../kv/plan.ts';
import type { Wasm } from '../../wasm.ts';
import { writeAngles } from '../angles.ts';
import { readBack, withScratch } from './dhsa-scratch.ts';

/** Gives every gap a score from the keys on either side. */
export interface GapScorer {
  /** The layer whose keys it uses, before RoPE, KV heads side by side. */
  readonly layer: number;
  /** Keys on either side. */
  readonly window: number;
  /** A boundary must score higher than this. */
  readonly threshold: number;
  /** Writes f32 [count] to `out`: the scores of the gaps before rows `window + i` of keys f32 [count + 2 window - 1][width]; all WASM addresses. */
  score(wasm: Wasm, out: number, keys: number, count: number, width: number): void;
}

/**
 * `1 - cos(mean of the 4 keys before, mean of the 4 after)`. Every peak counts: the level of scores differs from model
 * to model, and the limit of one boundary for 16 keys keeps the highest.
 */
export const similarityScorer: GapScorer = {
  layer: 0,
  window: 4,
  threshold: 0,
  score: (wasm, out, keys, count, width) => wasm.exports.gapScores(out, keys, count, width, 4),
};

/** Gaps closer to a boundary than this cannot be boundaries. */
const RADIUS = 8;
/** The least number of keys for each boundary, over everything that was read. */
const KEYS_PER_BOUNDARY = 16;
/** The prompt's last chunk, of which the question is a part, has this many tokens. */
const LAST_CHUNK = 64;
/** Gaps scored at once, which bounds the memory and, since peaks are found one by one, the time. */
const SEGMENT = 512;

export interface Gaps {
  /** Scores of the gaps at positions `first + i`. */
  readonly scores: Float32Array;
  readonly first: number;
  readonly threshold: number;
  /** The most boundaries. */
  readonly most: number;
  /** The nearest boundary before them; -1 for none. */
  readonly last: number;
  /** A position that must be a boundary, wherever it is; -1 for none. */
  readonly forced: number;
}

/** Returns the kept positions, ascending. */
export function keepPeaks(wasm: Wasm, { scores, first, threshold, most, last, forced }: Gaps): number[] {
  const count = scores.length;
  return withScratch(wasm, [4 * Math.max(1, most), 4 * count, count], (out = 0, values = 0, marks = 0) => {
    wasm.f32(values, count).set(scores);
    const kept = wasm.exports.keepPeaks(out, values, marks, count, first, threshold, RADIUS, most, last, forced);
    return [...wasm.u32(out, kept >>> 0)];
  });
}

/** Rotates the keys f32 [rows, kvHeads * headDim] of slots `from ..` back by their positions, then scores them. */
export function scoreGaps(
  wasm: Wasm,
  scorer: GapScorer,
  keys: Float32Array,
  {
    kvHeads,
    headDim,
    rope,
    from,
    positions,
  }: {
    readonly kvHeads: number;
    readonly headDim: number;
    readonly rope: RopeSpec;
    readonly from: number;
    readonly positions?: SlotPositions | undefined;
  },
): Float32Array {
  const width = kvHeads * headDim;
  const rows = keys.length / width;
  const count = rows - 2 * scorer.window + 1;
  const half = rope.inverseFrequency.length;
  return withScratch(
    wasm,
    [4 * keys.length, 4 * rows * half, 4 * rows * half, 4 * count],
    (at = 0, cos = 0, sin = 0, out = 0) => {
      wasm.f32(at, keys.length).set(keys);
      writeAngles(wasm.f32(cos, rows * half), wasm.f32(sin, rows * half), rope, positions, from);
      wasm.exports.unrotate(at, cos, sin, rows, kvHeads, headDim, half, rope.style === 'interleaved' ? 1 : 0);
      scorer.score(wasm, out, at, count, width);
      return wasm.f32(out, count).slice();
    },
  );
}

/** How a sequence is divided into chunks. */
export interface Chunking {
  /** The layer whose keys `extend` reads; -1 for none. From this layer on, the chunks are known. */
  readonly layer: number;
  /** First positions of chunks, ascending from 0; all but the last are closed. */
  readonly starts: readonly number[];
  /** Divides the positions up to `end` that are not divided yet; their keys of `layer` are available. */
  extend(call: PlannedCall, end: number): Promise<void> | void;
  truncated(length: number): void;
  fork(): Chunking;
}

/** Chunks between boundaries. */
export class Boundaries implements Chunking {
  readonly #wasm: Wasm;
  readonly #scorer: GapScorer;
  readonly #starts: number[];
  /** The next gap to be scored. */
  #next: number;

  constructor(wasm: Wasm, scorer: GapScorer, starts: readonly number[] = [0], next = scorer.window) {
    this.#wasm = wasm;
    this.#scorer = scorer;
    this.#starts = [...starts];
    this.#next = next;
  }

  get layer(): number {
    return this.#scorer.layer;
  }
  get starts(): readonly number[] {
    return this.#starts;
  }

  async extend(call: PlannedCall, end: number): Promise<void> {
    const { layer, window, threshold } = this.#scorer;
    const { backend, kv, promptEnd } = call;
    const rope = call.rope(layer);
    const { kvHeads, headDim } = kv.pool.spec;
    const stop = end - window + 1;
    const forced = promptEnd - LAST_CHUNK;
    while (this.#next < stop) {
      const first = this.#next;
      const next = Math.min(stop, first + SEGMENT);
      const from = first - window;
      const [keys] = await readBack(backend, () => [backend.cached(kv, layer, 'keys', from, next + window - 1)]);
      if (keys === undefined) return;
      const scores = scoreGaps(this.#wasm, this.#scorer, keys, {
        kvHeads,
        headDim,
        rope,
        from,
        positions: kv.positions,
      });
      const room = Math.max(0, Math.floor(next / KEYS_PER_BOUNDARY) - (this.#starts.length - 1));
      const most = forced >= first && forced < next ? Math.max(1, room) : room;
      this.#starts.push(
        ...keepPeaks(this.#wasm, { scores, first, threshold, most, last: this.#starts.at(-1) ?? 0, forced }),
      );
      this.#next = next;
    }
  }

  truncated(length: number): void {
    const { window } = this.#scorer;
    while ((this.#starts.at(-1) ?? 0) > Math.max(0, length - window)) this.#starts.pop();
    this.#next = Math.max(window, Math.min(this.#next, length - window + 1));
  }

  fork(): Boundaries {
    return new Boundaries(this.#wasm, this.#scorer, this.#starts, this.#next);
  }
}
