/**
 * Reads the contents of pages, decoded: rows as they are, and means of spans. Also computes means of spans of any
 * matrix's rows.
 */
import { decodeKeys, decodeValues } from '../kv/quantise';
import { PAGE_TOKENS, addressOf, formatOf } from '../kv/layout';
import { parallel } from './pool';
import { KERNEL_CACHED, KERNEL_ROW_MEANS, KERNEL_SPAN_MEANS } from './kernels';

/** Columns of a tile of `rowMeans`. */
const COLUMNS: usize = 256;

/**
 * | pool | out | pages | firstBlock | blocks | kvHeads | headDim | values (0: keys) | start | end |
 * | spans: u32 [count][2] | count |
 * `pages` holds page table entries (address | format) [kvHeads][blocks], 0 where there is no page; the first is for
 * block `firstBlock` of the sequence. `cached` reads start and end, `spanMeans` reads the spans.
 */
@unmanaged
export class Cached {
  pool: usize;
  out: usize;
  pages: usize;
  firstBlock: usize;
  blocks: usize;
  kvHeads: usize;
  headDim: usize;
  values: u32;
  start: usize;
  end: usize;
  spans: usize;
  count: usize;
}

/** | pool | out | x | cols | spans: u32 [count][2] | count | */
@unmanaged
export class RowMeans {
  pool: usize;
  out: usize;
  x: usize;
  cols: usize;
  spans: usize;
  count: usize;
}

/** Returns the scratch bytes that one thread needs. */
export function spanMeansScratchBytes(headDim: usize): usize {
  return (PAGE_TOKENS * headDim) << 2;
}

/** Writes out [end - start][kvHeads * headDim]. Returns 0, or 1 when a worker was lost. */
export function cached(args: usize): u32 {
  const a = changetype<Cached>(args);
  return parallel(a.pool, KERNEL_CACHED, args, <u32>a.blocks);
}

/** Writes out [count][kvHeads * headDim]. Returns 0, or 1 when a worker was lost. */
export function spanMeans(args: usize): u32 {
  const a = changetype<Cached>(args);
  return parallel(a.pool, KERNEL_SPAN_MEANS, args, <u32>(a.count * a.kvHeads));
}

/** Writes out [count][cols]. Returns 0, or 1 when a worker was lost. */
export function rowMeans(args: usize): u32 {
  const a = changetype<RowMeans>(args);
  return parallel(a.pool, KERNEL_ROW_MEANS, args, <u32>(a.count * ((a.cols + COLUMNS - 1) / COLUMNS)));
}

/** Decodes rows [first, first + count) of a page to f32, `stride` bytes apart; zeros where there is no page. */
function decode(y: usize, stride: usize, a: Cached, head: usize, block: usize, first: usize, count: usize): void {
  const entry = <usize>load<u32>(a.pages + ((head * a.blocks + block) << 2));
  if (entry == 0) {
    for (let t: usize = 0; t < count; t++) memory.fill(y + t * stride, 0, a.headDim << 2);
  } else if (a.values != 0) decodeValues(y, stride, addressOf(entry), formatOf(entry), a.headDim, first, count);
  else decodeKeys(y, stride, addressOf(entry), formatOf(entry), a.headDim, first, count);
}

export function cachedTile(a: Cached, tile: usize): void {
  const at = (a.firstBlock + tile) * PAGE_TOKENS;
  const from = max<usize>(at, a.start);
  const to = min<usize>(at + PAGE_TOKENS, a.end);
  const stride = (a.kvHeads * a.headDim) << 2;
  const out = a.out + (from - a.start) * stride;
  for (let head: usize = 0; head < a.kvHeads; head++) {
    decode(out + ((head * a.headDim) << 2), stride, a, head, tile, from - at, to - from);
  }
}

/** y [n] += the sum of `count` rows [n] at x, which are `stride` bytes apart. */
function addRows(y: usize, x: usize, stride: usize, count: usize, n: usize): void {
  let c: usize = 0;
  if (ASC_FEATURE_SIMD) {
    for (; c + 4 <= n; c += 4) {
      let sum = f32x4.splat(0);
      for (let t: usize = 0, at = x + (c << 2); t < count; t++, at += stride) sum = f32x4.add(sum, v128.load(at));
      v128.store(y + (c << 2), f32x4.add(v128.load(y + (c << 2)), sum));
    }
  }
  for (; c < n; c++) {
    let sum: f32 = 0;
    for (let t: usize = 0; t < count; t++) sum += load<f32>(x + t * stride + (c << 2));
    store<f32>(y + (c << 2), load<f32>(y + (c << 2)) + sum);
  }
}

function divide(y: usize, n: usize, by: f32): void {
  for (let c: usize = 0; c < n; c++) store<f32>(y + (c << 2), load<f32>(y + (c << 2)) / by);
}

export function spanMeansTile(a: Cached, tile: usize, scratch: usize): void {
  const head = tile % a.kvHeads;
  const span = tile / a.kvHeads;
  const d = a.headDim;
  const start = <usize>load<u32>(a.spans + (span << 3));
  const end = <usize>load<u32>(a.spans + (span << 3), 4);
  const out = a.out + (((span * a.kvHeads + head) * d) << 2);
  memory.fill(out, 0, d << 2);
  if (start == end) return;
  for (let key = start; key < end;) {
    const first = key % PAGE_TOKENS;
    const count = min<usize>(end - key, PAGE_TOKENS - first);
    decode(scratch, d << 2, a, head, key / PAGE_TOKENS - a.firstBlock, first, count);
    addRows(out, scratch, d << 2, count, d);
    key += count;
  }
  divide(out, d, <f32>(end - start));
}

export function rowMeansTile(a: RowMeans, tile: usize): void {
  const chunks = (a.cols + COLUMNS - 1) / COLUMNS;
  const column = (tile % chunks) * COLUMNS;
  const span = tile / chunks;
  const n = min<usize>(COLUMNS, a.cols - column);
  const start = <usize>load<u32>(a.spans + (span << 3));
  const end = <usize>load<u32>(a.spans + (span << 3), 4);
  const out = a.out + ((span * a.cols + column) << 2);
  memory.fill(out, 0, n << 2);
  if (start == end) return;
  // Sums each page first and then adds the page sums, so that long spans lose no precision.
  for (let row = start; row < end; row += PAGE_TOKENS) {
    addRows(out, a.x + ((row * a.cols + column) << 2), a.cols << 2, min<usize>(PAGE_TOKENS, end - row), n);
  }
  divide(out, n, <f32>(end - start));
}
