/**
 * Packs several texts into the rows of one call, and computes the ranges that restrict each row's attention to its own
 * text.
 */
import type { Ranges } from '../../backend/backend.ts';
import { ListWriter } from '../../kv/runs.ts';

/**
 * Text i has rows `[i * stride, i * stride + lengths[i])`. The rows from there to the next text are padding, to which
 * nothing attends.
 */
export interface Packed {
  /** [texts * stride] */
  readonly ids: Int32Array;
  /** [texts * stride]: 0, or 1 for the second text of a pair; undefined: all 0. */
  readonly segments?: Int32Array | undefined;
  readonly stride: number;
  readonly lengths: Int32Array;
  /** [texts]: the row of each text that stands for what is behind it (encoder/causal.ts); undefined: texts have none. */
  readonly placeholders?: Int32Array | undefined;
}

/** Rows `[start, start + count)`: whole texts, or a part of a single one. */
export interface Part {
  readonly start: number;
  readonly count: number;
}

/** Returns the position of each row in its text, counted from `first`; padding has the position of the beginning. */
export function places({ ids, stride, lengths }: Packed, first: number): Int32Array {
  return Int32Array.from(ids, (_, row) => {
    const place = row % stride;
    return first + (place < (lengths[Math.floor(row / stride)] ?? 0) ? place : 0);
  });
}

/** Divides all rows of a call into parts of at most `most`. */
export function partsOf(rows: number, most: number): readonly Part[] {
  return Array.from({ length: Math.ceil(rows / most) }, (_, i) => ({
    start: i * most,
    count: Math.min(most, rows - i * most),
  }));
}

/** Every token attends to its own text; with `causal`, up to itself. */
export function wholeTexts({ lengths, stride }: Packed, { start, count }: Part, causal = false): Ranges {
  const lists = new ListWriter();
  const first = Math.floor(start / stride);
  const texts = Math.ceil((start + count) / stride) - first;
  for (let text = first; text < first + texts; text++) {
    lists.push(text * stride, text * stride + Math.min(lengths[text] ?? 0, causal ? start + count : stride));
    lists.next();
  }
  return lists.build({ queryBlock: texts === 1 ? count : stride, shared: true, causal });
}

/** Every token attends to `reach` tokens before and after it. */
export function nearby(packed: Packed, part: Part, reach: number): Ranges {
  const { lengths, stride } = packed;
  if (Math.max(...lengths) <= reach + 1) return wholeTexts(packed, part);
  const lists = new ListWriter();
  for (let row = part.start; row < part.start + part.count; row++) {
    const text = Math.floor(row / stride);
    const end = text * stride + (lengths[text] ?? 0);
    lists.push(Math.max(text * stride, row - reach), Math.min(end, row + reach + 1));
    lists.next();
  }
  return lists.build({ queryBlock: 1, shared: true, causal: false });
}

/** The largest distance that T5's buckets distinguish from larger ones. */
const FARTHEST = 128;
const { fround, log } = Math;

/**
 * Returns T5's bucket of a key that is `distance` after the query. Each side has half of the buckets; half of those are
 * for exact distances, the rest are logarithmic.
 */
export function bucketOf(distance: number, buckets: number): number {
  const half = Math.floor(buckets / 2);
  const exact = Math.floor(half / 2);
  const far = Math.abs(distance);
  const side = distance > 0 ? half : 0;
  if (far < exact) return side + far;
  // Computed in f32 as upstream does, because rounding decides at powers of two.
  const place = fround(fround(fround(log(fround(far / exact))) / log(FARTHEST / exact)) * (half - exact));
  return side + Math.min(half - 1, exact + Math.trunc(place));
}

/** Every token attends to its own text, with a bias for each key's distance: `biases` [buckets, heads]. */
export function withDistances(
  { lengths, stride }: Packed,
  { start, count }: Part,
  biases: Float32Array,
  buckets: number,
): Ranges {
  const heads = biases.length / buckets;
  const longest = Math.max(...lengths);
  const bucket = Int32Array.from({ length: 2 * longest + 1 }, (_, i) => bucketOf(i - longest, buckets));
  const lists = new ListWriter();
  for (let row = start; row < start + count; row++) {
    const first = Math.floor(row / stride) * stride;
    const end = first + (lengths[first / stride] ?? 0);
    // Padding attends to nothing, so it has no distances.
    const runs = row < end ? equalBuckets(first, end, (key) => bucket[key - row + longest] ?? 0) : [];
    for (let head = 0; head < heads; head++) {
      for (const [from, to, which] of runs) lists.push(from, to, biases[which * heads + head]);
      lists.next();
    }
  }
  return lists.build({ queryBlock: 1, shared: false, causal: false });
}

function equalBuckets(
  first: number,
  end: number,
  bucketAt: (key: number) => number,
): readonly (readonly [from: number, to: number, bucket: number])[] {
  const runs: [number, number, number][] = [];
  for (let key = first; key < end; key++) {
    const bucket = bucketAt(key);
    const last = runs.at(-1);
    if (last !== undefined && last[2] === bucket) last[1] = key + 1;
    else runs.push([key, key + 1, bucket]);
  }
  return runs;
}
