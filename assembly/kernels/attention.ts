/**
 * Ranged attention over pages (contract 4): softmax with a running maximum and sum (Milakov & Gimelshein 2018;
 * FlashAttention, Dao 2022), in f32.
 *
 * A tile is one KV head and one block of queries. When a call has few queries, its keys are also cut into SEGMENTs, so
 * that there are enough tiles for all threads. The R rows of a tile are all query heads of the KV group times the
 * queries of the block, so a page is read, and decoded where it is not f32, once for all of them (cursor.ts). Each
 * batch of at most 32 keys goes through scores, their exponentials and weighted sums (page.ts; bits.ts and
 * bytes.ts for whole quantised pages); scores are never kept for more than one batch.
 *
 * The result of a row has the same bits whatever rows share its tile, and however calls and threads divide the work:
 * batches and segments lie at fixed positions, each segment begins with an empty state, segments are joined in order,
 * and a key that a row may not see adds zeros only.
 *
 *   scratch of a thread:  | cursor | Q [R][D], times scale | S [R][32] | own position [R]: u32 |
 *                         | state of the segment | state of all before | workspace of bits.ts or bytes.ts |
 *   a state:              | O [R][D] | maximum [R] | sum [R] |
 *   partial results:      [segment][query * heads + head] of | O [D] | maximum | sum |
 */
import { KV_Q8, PAGE_TOKENS, addressOf, formatOf } from '../kv/layout';
import { bitGather, bitScores, bitsRoomBytes, readsBits } from './bits';
import { byteGather, byteScores, bytesRoomBytes, readsBytes } from './bytes';
import { Cursor, cursorBytes, nextBatch, openCursor, seek, touch } from './cursor';
import { exp1 } from './math';
import { gather, hide, join, LOWEST, scaleInto, scores, soften } from './page';
import { parallel } from './pool';
import { KERNEL_ATTENTION } from './kernels';

/** Rows of a tile, which share the cost of reading and decoding a page. */
const ROWS: usize = 64;
/** Without SIMD: values of Q in a tile, so few that Q, O and a page fit into a first-level cache. */
const ROW_VALUES: usize = 2048;
/**
 * Keys of a segment, whose sums are computed separately and then joined with those of earlier segments. A multiple of a
 * page.
 */
const SEGMENT: usize = 512;
/** In calls of at most this many queries, every segment is a tile of its own. */
const SPLIT_QUERIES: usize = 4;

/**
 * | pool | out | q | pages | blocks | count | position | heads | kvHeads | headDim | added (0, or f32 [runs]) |
 * | scale: f32 | queryBlock | lists (kvHeads, or 1 when shared) | causal | offsets | runs |
 * | keys (end of the furthest run) | partials | width |
 * The first `width` values of a head are written to out.
 * `pages` holds page table entries (address | format) [kvHeads][blocks], 0 where there is no page. The host has checked
 * that no run reaches a missing page.
 */
@unmanaged
export class Attention {
  pool: usize;
  out: usize;
  q: usize;
  pages: usize;
  blocks: usize;
  count: usize;
  position: usize;
  heads: usize;
  kvHeads: usize;
  headDim: usize;
  added: usize;
  scale: f32;
  queryBlock: usize;
  lists: usize;
  causal: u32;
  offsets: usize;
  runs: usize;
  keys: usize;
  partials: usize;
  width: usize;
}

@inline
function group(a: Attention): usize {
  return a.heads / a.kvHeads;
}

/** Returns the number of queries of a tile. */
@inline
function queries(a: Attention): usize {
  const rows: usize = ASC_FEATURE_SIMD ? ROWS : ROW_VALUES / a.headDim;
  return min<usize>(max<usize>(1, rows / group(a)), min<usize>(a.queryBlock, a.count));
}

@inline
function splits(a: Attention): usize {
  return a.count <= SPLIT_QUERIES ? max<usize>(1, (a.keys + SEGMENT - 1) / SEGMENT) : 1;
}

/** Returns the bytes of a state. */
@inline
function stateBytes(rows: usize, d: usize): usize {
  return (rows * (d + 2)) << 2;
}

/** Returns the scratch bytes that one thread needs. */
export function attentionScratchBytes(args: usize): usize {
  const a = changetype<Attention>(args);
  const rows = queries(a) * group(a);
  const d = a.headDim;
  return cursorBytes(d, true) + ((rows * (d + PAGE_TOKENS + 1)) << 2) + 2 * stateBytes(rows, d) + 64 +
    (ASC_FEATURE_RELAXED_SIMD ? bytesRoomBytes(rows, d) : ASC_FEATURE_SIMD ? bitsRoomBytes(rows, d) : 0);
}

/** Returns the bytes of `partials`, 0 when the call is not split. */
export function attentionPartialBytes(args: usize): usize {
  const a = changetype<Attention>(args);
  const n = splits(a);
  return n < 2 ? 0 : (n * a.count * a.heads * (a.headDim + 2)) << 2;
}

/** Returns 0, or 1 when a worker was lost. */
export function attention(args: usize): u32 {
  const a = changetype<Attention>(args);
  const perBlock = (min<usize>(a.queryBlock, a.count) + queries(a) - 1) / queries(a);
  const blocks = (a.count + a.queryBlock - 1) / a.queryBlock;
  const n = splits(a);
  if (parallel(a.pool, KERNEL_ATTENTION, args, <u32>(blocks * perBlock * a.kvHeads * n)) != 0) return 1;
  if (n > 1) merge(a, n);
  return 0;
}

export function attentionTile(a: Attention, tile: usize, scratch: usize): void {
  const n = splits(a);
  const split = tile % n;
  tile /= n;
  const kvHead = tile % a.kvHeads;
  tile /= a.kvHeads;
  const perBlock = (min<usize>(a.queryBlock, a.count) + queries(a) - 1) / queries(a);
  // Under a causal mask the last blocks see the most keys. They go first, so that all threads end at about the same
  // time.
  const blocks = (a.count + a.queryBlock - 1) / a.queryBlock;
  tile = blocks * perBlock - 1 - tile;
  const block = tile / perBlock;
  const start = block * a.queryBlock + (tile % perBlock) * queries(a);
  const end = min<usize>(min<usize>(start + queries(a), (block + 1) * a.queryBlock), a.count);
  if (start >= end) return;

  const cursor = openCursor(scratch, a.pages + ((kvHead * a.blocks) << 2), a.runs, a.added, a.headDim, true);
  const from: usize = n < 2 ? 0 : split * SEGMENT;
  let to: usize = n < 2 ? a.keys : min<usize>(from + SEGMENT, a.keys);
  if (a.causal != 0) to = min<usize>(to, a.position + end);
  const list = a.offsets + ((block * a.lists + (a.lists == 1 ? 0 : kvHead)) << 2);
  seek(cursor, <usize>load<u32>(list), <usize>load<u32>(list, 4), from, to);
  if (n > 1) touch(cursor);
  rowTile(a, cursor, kvHead, start, (end - start) * group(a), split);
}

/** Tells whether the batch holds a key that some row of a tile whose first query is `start` may not see. */
@inline
function hides(a: Attention, cursor: Cursor, count: usize, start: usize): bool {
  return a.causal != 0 && <usize>load<u32>(cursor.positions + ((count - 1) << 2)) > a.position + start;
}

/**
 * Row r of a tile is query start + r / g and head kvHead * g + r % g. Returns its index among the heads of all queries,
 * for q and out.
 */
@inline
function placeOf(a: Attention, kvHead: usize, start: usize, r: usize): usize {
  const g = group(a);
  return (start + r / g) * a.heads + kvHead * g + r % g;
}

/** Returns 1 / total, or 0 when the row saw no key. */
@inline
function shareOf(total: f32): f32 {
  return total > 0 || total != total ? 1 / total : 0;
}

/** Computes attention over the cursor's keys up to `cursor.to`, starting from an empty state. */
function addKeys(
  a: Attention, cursor: Cursor, start: usize, rows: usize, q: usize, s: usize, own: usize, state: usize, room: usize,
): void {
  const d = a.headDim;
  const highest = state + ((rows * d) << 2);
  const sum = highest + (rows << 2);
  memory.fill(state, 0, stateBytes(rows, d));
  for (let r: usize = 0; r < rows; r++) store<f32>(highest + (r << 2), LOWEST);
  while (true) {
    const count = nextBatch(cursor);
    if (count == 0) return;
    if (ASC_FEATURE_SIMD && cursor.page != 0) {
      const page = addressOf(cursor.page);
      const format = formatOf(cursor.page);
      if (ASC_FEATURE_RELAXED_SIMD) byteScores(s, q, page, format, cursor.biases, rows, d, room);
      else bitScores(s, q, page, format, cursor.biases, rows, d, room);
    } else scores(s, q, cursor.keys, cursor.biases, rows, count, d);
    if (hides(a, cursor, count, start)) hide(s, rows, own, cursor.positions, count);
    for (let r: usize = 0; r < rows; r++) {
      soften(s + ((r * PAGE_TOKENS) << 2), count, state + ((r * d) << 2), d, highest + (r << 2), sum + (r << 2));
    }
    if (ASC_FEATURE_SIMD && cursor.page != 0) {
      const page = addressOf(cursor.page);
      const format = formatOf(cursor.page);
      if (ASC_FEATURE_RELAXED_SIMD) byteGather(state, s, page, format, rows, d, room);
      else bitGather(state, s, page, format, rows, d, room);
    } else gather(state, s, cursor.values, rows, count, d);
  }
}

function rowTile(a: Attention, cursor: Cursor, kvHead: usize, start: usize, rows: usize, split: usize): void {
  const d = a.headDim;
  const g = group(a);
  const q = changetype<usize>(cursor) + cursorBytes(d, true);
  const s = q + ((rows * d) << 2);
  const own = s + ((rows * PAGE_TOKENS) << 2);
  const all = own + (rows << 2);
  const segment = all + stateBytes(rows, d);
  const room = (segment + stateBytes(rows, d) + 63) & ~63;
  if (ASC_FEATURE_SIMD) cursor.raw = (ASC_FEATURE_RELAXED_SIMD ? readsBytes(d) : readsBits(d)) ? KV_Q8 : 0;
  for (let r: usize = 0; r < rows; r++) {
    scaleInto(q + ((r * d) << 2), a.q + ((placeOf(a, kvHead, start, r) * d) << 2), d, a.scale);
    store<u32>(own + (r << 2), <u32>(a.position + start + r / g));
  }
  const to = cursor.to;
  const highest = (rows * d) << 2;
  const sum = highest + (rows << 2);
  // Segments before the first run are empty and are skipped.
  const first: usize = cursor.run < cursor.last ? <usize>load<u32>(a.runs + (cursor.run << 3)) : 0;
  let end = (max<usize>(cursor.from, first) & ~(SEGMENT - 1)) + SEGMENT;
  cursor.to = min<usize>(to, end);
  addKeys(a, cursor, start, rows, q, s, own, all, room);
  while (end < to) {
    end += SEGMENT;
    cursor.to = min<usize>(to, end);
    addKeys(a, cursor, start, rows, q, s, own, segment, room);
    for (let r: usize = 0; r < rows; r++) {
      const o = (r * d) << 2;
      const i = r << 2;
      join(
        all + o, all + highest + i, all + sum + i, segment + o, load<f32>(segment + highest + i),
        load<f32>(segment + sum + i), d,
      );
    }
  }
  for (let r: usize = 0; r < rows; r++) {
    const place = placeOf(a, kvHead, start, r);
    const o = all + ((r * d) << 2);
    const total = load<f32>(all + sum + (r << 2));
    if (a.partials == 0) scaleInto(a.out + ((place * a.width) << 2), o, a.width, shareOf(total));
    else {
      const at = a.partials + (((split * a.count * a.heads + place) * (d + 2)) << 2);
      memory.copy(at, o, d << 2);
      store<f32>(at + (d << 2), load<f32>(all + highest + (r << 2)));
      store<f32>(at + (d << 2), total, 4);
    }
  }
}

/** Joins the segments of each row that were computed as tiles of their own. */
function merge(a: Attention, n: usize): void {
  const d = a.headDim;
  const stride = (a.count * a.heads * (d + 2)) << 2;
  for (let row: usize = 0; row < a.count * a.heads; row++) {
    const all = a.partials + ((row * (d + 2)) << 2);
    const highest = all + (d << 2);
    for (let i: usize = 1, at = all + stride; i < n; i++, at += stride) {
      join(all, highest, highest + 4, at, load<f32>(at + (d << 2)), load<f32>(at + (d << 2), 4), d);
    }
    scaleInto(a.out + ((row * a.width) << 2), all, a.width, shareOf(load<f32>(highest, 4)));
  }
}
