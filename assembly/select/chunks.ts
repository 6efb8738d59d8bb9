/**
 * Chooses the keys that blocks of queries may see, from the means of chunks of keys (DHSA 2510.24606, sections 3.2 and
 * 3.3; with chunks of 32 keys it is the paper's baseline, block top-k).
 *
 * The score of chunk c for query block b and KV head h is `q . k sqrt(n) sqrt(m)`, where q is the mean query of the
 * block's m queries, averaged over the query heads of h, and k is the mean key of the chunk's n keys. Every key has the
 * score of its chunk. The keys before `sinks` and from `local` on are always visible; of the others, those with the
 * highest scores fill the budget, lower positions first among equals. Scores are summed in f64 and rounded to f32. NaN
 * counts as the highest score, so that faulty values stay visible.
 *
 * The k-th highest score is found by three histograms of the scores' bits (11, 11 and 10), weighted by the lengths of
 * the chunks; this takes linear time and no sort.
 */

/** Entries of a histogram. */
const BUCKETS: usize = 2048;

/**
 * | q | vectors | bounds | table | blocks | heads | kvHeads | dim | chunks | sinks | whole | scratch | offsets | runs |
 *
 *   q         f32 [rows][heads * dim]: mean queries
 *   vectors   f32 [chunks][kvHeads * dim]: mean keys
 *   bounds    u32 [chunks + 1]: first position of each chunk, ascending from 0, and the end of the last
 *   table     u32 [blocks] of | row | queries | local | end | budget |: a list for the mean query `row`, which is the
 *             mean of `queries` queries; keys `[local, end)` are always visible, and `budget` counts all visible keys;
 *             where the budget is below `end`, the chunks reach at least up to `local`
 *   whole     not 0: chunks are taken whole or not at all; the first that does not fit ends the choice
 *   scratch   choiceScratchBytes(chunks, kvHeads, dim)
 *   offsets   u32 [blocks * kvHeads + 1], out
 *   runs      u32 pairs, out: at most chunks + 2 a list
 */
@unmanaged
export class Choice {
  q: usize;
  vectors: usize;
  bounds: usize;
  table: usize;
  blocks: usize;
  heads: usize;
  kvHeads: usize;
  dim: usize;
  chunks: usize;
  sinks: usize;
  whole: u32;
  scratch: usize;
  offsets: usize;
  runs: usize;
}

/** Words of a row of the table. */
const ROW: usize = 5;

/** | query f64 [dim] | keys of scores u32 [kvHeads][chunks] | histogram u32 [BUCKETS] | */
export function choiceScratchBytes(chunks: usize, kvHeads: usize, dim: usize): usize {
  return (dim << 3) + ((kvHeads * chunks) << 2) + (BUCKETS << 2);
}

/** Writes the lists of all blocks and heads. Returns the number of runs. */
export function chooseChunks(args: usize): u32 {
  const a = changetype<Choice>(args);
  const keys = a.scratch + (a.dim << 3);
  const histogram = keys + ((a.kvHeads * a.chunks) << 2);
  let run: usize = 0;
  let scored: i32 = -1;
  store<u32>(a.offsets, 0);
  for (let block: usize = 0; block < a.blocks; block++) {
    const entry = a.table + ((block * ROW) << 2);
    const row = load<i32>(entry);
    const local = <usize>load<u32>(entry, 8);
    const end = <usize>load<u32>(entry, 12);
    const budget = <usize>load<u32>(entry, 16);
    const sinks = min<usize>(a.sinks, local);
    const forced = sinks + end - local;
    if (budget < end && row != scored) {
      scoreRow(a, <usize>row, load<u32>(entry, 4), keys);
      scored = row;
    }
    const candidates = before(a.bounds, a.chunks, local);
    for (let head: usize = 0; head < a.kvHeads; head++) {
      const out = a.runs + (run << 3);
      if (budget >= end) run += emit(out, 0, 0, end);
      else {
        const left = budget > forced ? budget - forced : 0;
        run += choose(
          out, keys + ((head * a.chunks) << 2), a.bounds, candidates, sinks, local, end, left, a.whole, histogram,
        );
      }
      store<u32>(a.offsets + ((block * a.kvHeads + head + 1) << 2), <u32>run);
    }
  }
  return <u32>run;
}

/** Computes the scores of all chunks for one mean query and each KV head. */
function scoreRow(a: Choice, row: usize, queries: u32, keys: usize): void {
  const group = a.heads / a.kvHeads;
  const factor = sqrt<f64>(<f64>queries) / <f64>group;
  for (let head: usize = 0; head < a.kvHeads; head++) {
    sumRows(a.scratch, a.q + (((row * a.heads + head * group) * a.dim) << 2), group, a.dim);
    scoreKeys(
      keys + ((head * a.chunks) << 2), a.scratch, a.vectors + ((head * a.dim) << 2), a.kvHeads * a.dim, a.bounds,
      a.chunks, a.dim, factor,
    );
  }
}

/** Returns the number of chunks that begin before `position`. */
@inline
function before(bounds: usize, chunks: usize, position: usize): usize {
  let low: usize = 0;
  let high = chunks;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (<usize>load<u32>(bounds + (middle << 2)) < position) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** out f64 [dim]: the sum of `count` rows of `dim` values. */
function sumRows(out: usize, rows: usize, count: usize, dim: usize): void {
  for (let i: usize = 0; i < dim; i++) {
    let sum: f64 = 0;
    for (let g: usize = 0; g < count; g++) sum += <f64>load<f32>(rows + ((g * dim + i) << 2));
    store<f64>(out + (i << 3), sum);
  }
}

/** query f64 [dim] . vector f32 [dim] */
export function dot64(query: usize, vector: usize, dim: usize): f64 {
  let i: usize = 0;
  let sum: f64 = 0;
  if (ASC_FEATURE_SIMD) {
    let a = f64x2.splat(0);
    let b = f64x2.splat(0);
    for (; i + 4 <= dim; i += 4) {
      const at = vector + (i << 2);
      a = f64x2.add(a, f64x2.mul(v128.load(query + (i << 3)), f64x2.promote_low_f32x4(v128.load64_zero(at))));
      b = f64x2.add(b, f64x2.mul(v128.load(query + (i << 3), 16), f64x2.promote_low_f32x4(v128.load64_zero(at, 8))));
    }
    a = f64x2.add(a, b);
    sum = f64x2.extract_lane(a, 0) + f64x2.extract_lane(a, 1);
  }
  for (; i < dim; i++) sum += load<f64>(query + (i << 3)) * <f64>load<f32>(vector + (i << 2));
  return sum;
}

function scoreKeys(
  out: usize, query: usize, vectors: usize, stride: usize, bounds: usize, count: usize, dim: usize, factor: f64,
): void {
  for (let c: usize = 0; c < count; c++) {
    const length = load<u32>(bounds + (c << 2), 4) - load<u32>(bounds + (c << 2));
    const score = <f32>(dot64(query, vectors + ((c * stride) << 2), dim) * (factor * sqrt<f64>(<f64>length)));
    store<u32>(out + (c << 2), orderOf(score));
  }
}

/** Maps a score to bits with the same order: -0 equals 0, and NaN is above all numbers. */
@inline
export function orderOf(score: f32): u32 {
  if (score != score) return 0xffffffff;
  const bits = reinterpret<u32>(score + 0);
  return bits & 0x80000000 ? ~bits : bits | 0x80000000;
}

/** Returns the number of keys of chunk c in `[sinks, local)`. */
@inline
function available(bounds: usize, c: usize, sinks: usize, local: usize): usize {
  const start = max<usize>(load<u32>(bounds + (c << 2)), sinks);
  const end = min<usize>(load<u32>(bounds + (c << 2), 4), local);
  return end > start ? end - start : 0;
}

/**
 * Writes the runs of one list and returns their number. `left` keys are chosen in addition to `[0, sinks)` and `[local,
 * end)`.
 */
function choose(
  out: usize, keys: usize, bounds: usize, count: usize, sinks: usize, local: usize, end: usize, left: usize, whole: u32,
  histogram: usize,
): usize {
  // Finds the bits of the threshold from the top. `known` are the bits found so far, and `rest` is how many keys remain
  // to be taken from scores that begin with them.
  let known: u32 = 0;
  let rest = left;
  let shift: u32 = 32;
  while (shift > 0) {
    const bits: u32 = shift == 10 ? 10 : 11;
    const over: u32 = shift;
    shift -= bits;
    memory.fill(histogram, 0, BUCKETS << 2);
    for (let c: usize = 0; c < count; c++) {
      const key = load<u32>(keys + (c << 2));
      if (over < 32 && key >>> over != known >>> over) continue;
      const at = histogram + (<usize>((key >>> shift) & ((1 << bits) - 1)) << 2);
      store<u32>(at, load<u32>(at) + <u32>available(bounds, c, sinks, local));
    }
    let bucket: u32 = (<u32>1 << bits) - 1;
    while (bucket > 0) {
      const weight = <usize>load<u32>(histogram + (<usize>bucket << 2));
      if (weight >= rest && weight > 0) break;
      rest -= weight;
      bucket--;
    }
    known |= bucket << shift;
  }
  let n: usize = 0;
  let from: usize = 0;
  let to = sinks;
  for (let c: usize = 0; c < count; c++) {
    const key = load<u32>(keys + (c << 2));
    if (key < known) continue;
    let take = available(bounds, c, sinks, local);
    if (key == known) {
      if (take > rest) {
        take = whole != 0 ? 0 : rest;
        rest = take;
      }
      rest -= take;
    }
    if (take == 0) continue;
    const start = max<usize>(load<u32>(bounds + (c << 2)), sinks);
    if (start > to) {
      n = emit(out, n, from, to);
      from = start;
    }
    to = start + take;
  }
  if (local > to) {
    n = emit(out, n, from, to);
    from = local;
  }
  return emit(out, n, from, end);
}

@inline
function emit(out: usize, n: usize, from: usize, to: usize): usize {
  if (to <= from) return n;
  store<u32>(out + (n << 3), <u32>from);
  store<u32>(out + (n << 3), <u32>to, 4);
  return n + 1;
}
