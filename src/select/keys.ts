/** Choosing keys and pages: the bridge to assembly/select/{tokens,evict}.ts, and helpers of its callers. */
import type { Wasm } from '../wasm.ts';
import type { RunList } from '../kv/runs.ts';
import { withScratch } from './prefill/dhsa-scratch.ts';

/** Returns the tokens of a budget: at most 1 is a share of `length`, above 1 a number. */
export function tokensOf(budget: number, length: number): number {
  return budget <= 1 ? Math.ceil(budget * length) : budget;
}

/** Computes f64 sums of rows `from` of x [.., cols], in order, at `out`. */
function sumRows(wasm: Wasm, out: number, x: Float32Array, rows: readonly number[], cols: number, row: number): void {
  wasm.bytes(out, 8 * cols).fill(0);
  for (const from of rows) {
    wasm.f32(row, cols).set(x.subarray(from * cols, (from + 1) * cols));
    wasm.exports.addRows(out, row, 1, cols, cols);
  }
}

/**
 * Returns the `budget` keys of `[start, end)` with the most mass, summed over heads, as sorted runs. masses [heads,
 * keys], or their address in `wasm`. Ties: the lower position.
 */
export function topKeys(
  wasm: Wasm,
  masses: Float32Array | number,
  [heads, keys]: readonly [heads: number, keys: number],
  { start, end, budget }: { readonly start: number; readonly end: number; readonly budget: number },
): Uint32Array {
  const { addRows, bestOf, bestScratchBytes, markedRuns } = wasm.exports;
  const count = Math.max(0, end - start);
  const bytes = typeof masses === 'number' ? 0 : masses.byteLength;
  return withScratch(
    wasm,
    [8 * count, bytes, count, bestScratchBytes(), 4 * (count + 1)],
    (sums = 0, copy = 0, marks = 0, counts = 0, runs = 0) => {
      if (typeof masses !== 'number') wasm.f32(copy, masses.length).set(masses);
      wasm.bytes(sums, 8 * count).fill(0);
      addRows(sums, (typeof masses === 'number' ? masses : copy) + 4 * start, heads, count, keys);
      bestOf(marks, sums, count, budget, counts);
      return wasm.u32(runs, 2 * markedRuns(runs, marks, count, start)).slice();
    },
  );
}

/** Vectors among which the nearest to a query are chosen. */
export interface Candidates {
  /** [count, stride], one after the other. */
  readonly vectors: Float32Array;
  readonly stride: number;
  /** The first column that is compared, and the number of columns, which is that of the query. */
  readonly column: number;
  readonly query: Float32Array;
  /** The number of tokens that each represents, [count]. */
  readonly lengths: Uint32Array;
}

/**
 * Returns 1 for each chosen candidate: from the highest dot product down, as long as they fit into `budget` tokens.
 * Ties: the lower index.
 */
export function nearest(
  wasm: Wasm,
  { vectors, stride, column, query, lengths }: Candidates,
  budget: number,
): Uint8Array {
  const count = lengths.length;
  const cols = query.length;
  return withScratch(
    wasm,
    [4 * vectors.length, 4 * cols, 8 * count, 4 * count, 4 * count, count],
    (rows = 0, q = 0, scores = 0, sizes = 0, heap = 0, marks = 0) => {
      wasm.f32(rows, vectors.length).set(vectors);
      wasm.f32(q, cols).set(query);
      wasm.u32(sizes, count).set(lengths);
      wasm.exports.dotRows(scores, rows + 4 * column, q, count, cols, stride);
      wasm.exports.fillBest(marks, scores, sizes, count, budget, heap);
      return wasm.bytes(marks, count).slice();
    },
  );
}

export interface Pooling {
  readonly kind: 'max' | 'mean';
  /** The number of neighbours, including the key itself; odd. */
  readonly width: number;
}

/** Mass on each page of 32 keys: masses [.., keys] summed over `rows`, pooled over neighbours, summed over the page. */
export function pageMasses(
  wasm: Wasm,
  masses: Float32Array,
  keys: number,
  rows: readonly number[],
  pooling: Pooling,
): Float64Array {
  const pages = Math.ceil(keys / 32);
  return withScratch(wasm, [8 * keys, 4 * keys, 8 * keys, 8 * pages], (sums = 0, row = 0, pooled = 0, out = 0) => {
    sumRows(wasm, sums, masses, rows, keys, row);
    const { poolMax, poolMean } = wasm.exports;
    (pooling.kind === 'max' ? poolMax : poolMean)(pooled, sums, keys, pooling.width);
    wasm.exports.pageSums(out, pooled, keys);
    return new Float64Array(wasm.bytes(out, 8 * pages).slice().buffer);
  });
}

/**
 * 1 for each of the `budget` keys of `[0, end)` with the most mass: masses [.., keys] summed over `rows`, pooled over
 * neighbours below `end`. Ties: the lower position.
 */
export function pooledBest(
  wasm: Wasm,
  masses: Float32Array,
  keys: number,
  rows: readonly number[],
  { pooling, end, budget }: { readonly pooling: Pooling; readonly end: number; readonly budget: number },
): Uint8Array {
  const { poolMax, poolMean, bestOf, bestScratchBytes } = wasm.exports;
  const sizes = [8 * keys, 4 * keys, 8 * keys, keys, bestScratchBytes()];
  return withScratch(wasm, sizes, (sums = 0, row = 0, pooled = 0, marks = 0, counts = 0) => {
    sumRows(wasm, sums, masses, rows, keys, row);
    (pooling.kind === 'max' ? poolMax : poolMean)(pooled, sums, end, pooling.width);
    bestOf(marks, pooled, end, budget, counts);
    return wasm.bytes(marks, end).slice();
  });
}

/** 1 for each of the k highest scores. Ties: the lower index. */
export function highest(wasm: Wasm, scores: Float64Array, k: number): Uint8Array {
  const count = scores.length;
  return withScratch(wasm, [8 * count, count, wasm.exports.bestScratchBytes()], (from = 0, marks = 0, counts = 0) => {
    wasm.bytes(from, 8 * count).set(new Uint8Array(scores.buffer, scores.byteOffset, 8 * count));
    wasm.exports.bestOf(marks, from, count, k, counts);
    return wasm.bytes(marks, count).slice();
  });
}

/** ||full - kept||^2 / ||full||^2 */
export function relativeError(wasm: Wasm, full: Float32Array, kept: Float32Array): number {
  return withScratch(wasm, [full.byteLength, kept.byteLength], (a = 0, b = 0) => {
    wasm.f32(a, full.length).set(full);
    wasm.f32(b, kept.length).set(kept);
    return wasm.exports.relativeError(a, b, full.length);
  });
}

/** `[0, sinks)`, `middle`, and `[local, end)` as one list; the parts may overlap, `middle` is sorted. */
export function framed(sinks: number, middle: Uint32Array, local: number, end: number): RunList {
  const runs: number[] = [];
  const push = (start: number, stop: number): void => {
    const last = runs.at(-1);
    if (stop <= Math.max(start, last ?? 0)) return;
    if (last !== undefined && start <= last) runs[runs.length - 1] = stop;
    else runs.push(start, stop);
  };
  push(0, Math.min(sinks, end));
  for (let i = 0; i < middle.length; i += 2) push(middle[i] ?? 0, Math.min(middle[i + 1] ?? 0, end));
  push(Math.max(0, Math.min(local, end)), end);
  return { runs: Uint32Array.from(runs) };
}

/** Makes ranges of one list for each KV head, or one for all, for `count` queries. */
export function listsOf(
  lists: readonly RunList[],
  count: number,
): { queryBlock: number; shared: boolean; causal: true; offsets: Uint32Array; runs: Uint32Array } {
  const offsets = Uint32Array.from([0, ...lists.map(({ runs }) => runs.length / 2)]);
  for (let i = 1; i < offsets.length; i++) offsets[i] = (offsets[i] ?? 0) + (offsets[i - 1] ?? 0);
  const runs = new Uint32Array(2 * (offsets.at(-1) ?? 0));
  lists.forEach((list, i) => runs.set(list.runs, 2 * (offsets[i] ?? 0)));
  return { queryBlock: count, shared: lists.length === 1, causal: true, offsets, runs };
}
