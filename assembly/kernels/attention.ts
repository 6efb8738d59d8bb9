/**
 * Ranged attention over pages (contract 4): softmax with running maximum and sum (Milakov & Gimelshein 2018; FlashAttention, Dao 2022), in f32.
 *
 * A tile is one KV head, one block of queries and, for decoding, one SPLIT of keys. All query heads of the KV group times the block's queries are
 * its R rows, so a page is read, and decoded where it is not f32, once for all of them (cursor.ts). Per batch of at most 32 keys: scores, their
 * exponentials, then sums; scores never exist for more than one batch. Many rows go in panels of eight (panel.ts), few of them row by row (page.ts),
 * and then straight on the bits of whole quantised pages (bits.ts).
 * Splits depend on the number of keys alone, so every number of threads gives the same bits.
 *
 *   scratch of a thread:  | cursor | panels (panel.ts) | S [32][8] of each |
 *                     or  | cursor | Q [R][D], times scale | O [R][D] | S [R][32] | maximum [R] | sum [R] | own position [R]: u32 | room of bits.ts |
 *   partial results:      [split][query * heads + head] of | O [D] | maximum | sum |
 */
import { PAGE_TOKENS, addressOf, formatOf } from '../kv/layout';
import { bitGather, bitScores, bitsRoomBytes, readsBits } from './bits';
import { Cursor, cursorBytes, nextBatch, openCursor, seek } from './cursor';
import { exp1 } from './math';
import { addScaled, gather, hide, LOWEST, scaleInto, scores, soften } from './page';
import { clearPanel, LANES, panelBytes, panelGather, panelHide, panelHighest, panelRow, PANEL_SCORES, panelScores, panelSoften, panelSums, panelTotal } from './panel';
import { parallel } from './pool';
import { KERNEL_ATTENTION } from './kernels';

/** Rows of a tile: what a page costs to fetch and decode is shared by so many. */
const ROWS: usize = 64;
/** Without SIMD: values of Q per tile, so that with O and a page they fit a first-level cache. */
const ROW_VALUES: usize = 2048;
/** From so many rows on, empty lanes cost less than steps across lanes. */
const PANEL_ROWS: usize = 9;
/** Keys of one split, whole pages. */
const SPLIT: usize = 512;
/** Calls of at most this many queries are split over keys. */
const SPLIT_QUERIES: usize = 4;

/**
 * | pool | out | q | pages | blocks | count | position | heads | kvHeads | headDim | added (0, or f32 [runs]) | scale: f32 |
 * | queryBlock | lists (kvHeads, or 1 when shared) | causal | offsets | runs | keys (end of the furthest run) | partials |
 * `pages`: page table entries (address | format) [kvHeads][blocks]; 0 where there is no page (the host has checked that no run reaches it).
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
}

@inline
function group(a: Attention): usize {
  return a.heads / a.kvHeads;
}

/** Queries of a tile. */
@inline
function queries(a: Attention): usize {
  const rows: usize = ASC_FEATURE_SIMD ? ROWS : ROW_VALUES / a.headDim;
  return min<usize>(max<usize>(1, rows / group(a)), min<usize>(a.queryBlock, a.count));
}

@inline
function splits(a: Attention): usize {
  return a.count <= SPLIT_QUERIES ? max<usize>(1, (a.keys + SPLIT - 1) / SPLIT) : 1;
}

/** Scratch bytes of one thread. */
export function attentionScratchBytes(args: usize): usize {
  const a = changetype<Attention>(args);
  const rows = queries(a) * group(a);
  const d = a.headDim;
  // A shorter last tile may go row by row.
  const single = ((2 * rows * d + rows * (PAGE_TOKENS + 3)) << 2) + 64 + (ASC_FEATURE_SIMD ? bitsRoomBytes(rows, d) : 0);
  return cursorBytes(d, true) + max<usize>(single, ((rows + LANES - 1) / LANES) * (panelBytes(d) + PANEL_SCORES));
}

/** Bytes of `partials`; 0 when the call is not split. */
export function attentionPartialBytes(args: usize): usize {
  const a = changetype<Attention>(args);
  const n = splits(a);
  return n < 2 ? 0 : (n * a.count * a.heads * (a.headDim + 2)) << 2;
}

/** 0, or 1 when a worker was lost. */
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
  // The last blocks see the most keys when causal: they go first, so that threads end together.
  const blocks = (a.count + a.queryBlock - 1) / a.queryBlock;
  tile = blocks * perBlock - 1 - tile;
  const block = tile / perBlock;
  const start = block * a.queryBlock + (tile % perBlock) * queries(a);
  const end = min<usize>(min<usize>(start + queries(a), (block + 1) * a.queryBlock), a.count);
  if (start >= end) return;

  const d = a.headDim;
  const cursor = openCursor(scratch, a.pages + ((kvHead * a.blocks) << 2), a.runs, a.added, d, true);
  const from: usize = n < 2 ? 0 : split * SPLIT;
  let to: usize = n < 2 ? a.keys : min<usize>(from + SPLIT, a.keys);
  if (a.causal != 0) to = min<usize>(to, a.position + end);
  const list = a.offsets + ((block * a.lists + (a.lists == 1 ? 0 : kvHead)) << 2);
  seek(cursor, <usize>load<u32>(list), <usize>load<u32>(list, 4), from, to);
  const rows = (end - start) * group(a);
  if (ASC_FEATURE_SIMD && rows >= PANEL_ROWS) panelTile(a, cursor, kvHead, start, rows, split);
  else rowTile(a, cursor, kvHead, start, rows, split);
}

/** Whether a row of a tile that begins with query `start` may not see all of the batch. */
@inline
function hides(a: Attention, cursor: Cursor, count: usize, start: usize): bool {
  return a.causal != 0 && <usize>load<u32>(cursor.positions + ((count - 1) << 2)) > a.position + start;
}

/** Row r of a tile is query start + r / g, head kvHead * g + r % g: its place in q and out, in heads. */
@inline
function placeOf(a: Attention, kvHead: usize, start: usize, r: usize): usize {
  const g = group(a);
  return (start + r / g) * a.heads + kvHead * g + r % g;
}

@inline
function partialOf(a: Attention, split: usize, place: usize): usize {
  return a.partials + (((split * a.count * a.heads + place) * (a.headDim + 2)) << 2);
}

/** 1 / sum; 0 where no key was seen. */
@inline
function shareOf(total: f32): f32 {
  return total > 0 || total != total ? 1 / total : 0;
}

function panelTile(a: Attention, cursor: Cursor, kvHead: usize, start: usize, rows: usize, split: usize): void {
  const d = a.headDim;
  const g = group(a);
  const bytes = panelBytes(d);
  const first = changetype<usize>(cursor) + cursorBytes(d, true);
  const end = first + ((rows + LANES - 1) / LANES) * bytes;
  for (let panel = first; panel < end; panel += bytes) clearPanel(panel, d);
  for (let r: usize = 0; r < rows; r++) {
    panelRow(first + (r / LANES) * bytes, r % LANES, a.q + ((placeOf(a, kvHead, start, r) * d) << 2), d, a.scale, a.position + start + r / g);
  }
  while (true) {
    const count = nextBatch(cursor);
    if (count == 0) break;
    const hidden = hides(a, cursor, count, start);
    // Keys first and then values, so that a first-level cache need hold only either.
    for (let panel = first, s = end; panel < end; panel += bytes, s += PANEL_SCORES) panelScores(s, panel, cursor.keys, cursor.biases, count, d);
    for (let panel = first, s = end; panel < end; panel += bytes, s += PANEL_SCORES) {
      if (hidden) panelHide(s, panel, cursor.positions, count, d);
      panelSoften(s, panel, count, d);
      panelGather(panel, s, cursor.values, count, d);
    }
  }
  for (let r: usize = 0; r < rows; r++) {
    const panel = first + (r / LANES) * bytes;
    const lane = r % LANES;
    const place = placeOf(a, kvHead, start, r);
    const total = panelTotal(panel, lane, d);
    if (a.partials == 0) panelSums(a.out + ((place * d) << 2), panel, lane, d, shareOf(total));
    else {
      const at = partialOf(a, split, place);
      panelSums(at, panel, lane, d, 1);
      store<f32>(at + (d << 2), panelHighest(panel, lane, d));
      store<f32>(at + (d << 2), total, 4);
    }
  }
}

function rowTile(a: Attention, cursor: Cursor, kvHead: usize, start: usize, rows: usize, split: usize): void {
  const d = a.headDim;
  const g = group(a);
  const q = changetype<usize>(cursor) + cursorBytes(d, true);
  const o = q + ((rows * d) << 2);
  const s = o + ((rows * d) << 2);
  const highest = s + ((rows * PAGE_TOKENS) << 2);
  const sum = highest + (rows << 2);
  const own = sum + (rows << 2);
  const room = (own + (rows << 2) + 63) & ~63;
  if (ASC_FEATURE_SIMD) cursor.raw = readsBits(d) ? 1 : 0;
  memory.fill(o, 0, (rows * d) << 2);
  for (let r: usize = 0; r < rows; r++) {
    scaleInto(q + ((r * d) << 2), a.q + ((placeOf(a, kvHead, start, r) * d) << 2), d, a.scale);
    store<f32>(highest + (r << 2), LOWEST);
    store<f32>(sum + (r << 2), 0);
    store<u32>(own + (r << 2), <u32>(a.position + start + r / g));
  }
  while (true) {
    const count = nextBatch(cursor);
    if (count == 0) break;
    if (ASC_FEATURE_SIMD && cursor.page != 0) bitScores(s, q, addressOf(cursor.page), formatOf(cursor.page), cursor.biases, rows, d, room);
    else scores(s, q, cursor.keys, cursor.biases, rows, count, d);
    if (hides(a, cursor, count, start)) hide(s, rows, own, cursor.positions, count);
    for (let r: usize = 0; r < rows; r++) soften(s + ((r * PAGE_TOKENS) << 2), count, o + ((r * d) << 2), d, highest + (r << 2), sum + (r << 2));
    if (ASC_FEATURE_SIMD && cursor.page != 0) bitGather(o, s, addressOf(cursor.page), formatOf(cursor.page), rows, d, room);
    else gather(o, s, cursor.values, rows, count, d);
  }
  for (let r: usize = 0; r < rows; r++) {
    const place = placeOf(a, kvHead, start, r);
    const total = load<f32>(sum + (r << 2));
    if (a.partials == 0) scaleInto(a.out + ((place * d) << 2), o + ((r * d) << 2), d, shareOf(total));
    else {
      const at = partialOf(a, split, place);
      memory.copy(at, o + ((r * d) << 2), d << 2);
      store<f32>(at + (d << 2), load<f32>(highest + (r << 2)));
      store<f32>(at + (d << 2), total, 4);
    }
  }
}

/** Joins the splits of each row. */
function merge(a: Attention, n: usize): void {
  const d = a.headDim;
  const stride = (a.count * a.heads * (d + 2)) << 2;
  for (let row: usize = 0; row < a.count * a.heads; row++) {
    const at = a.partials + ((row * (d + 2)) << 2);
    let highest = LOWEST;
    for (let i: usize = 0; i < n; i++) highest = max<f32>(highest, load<f32>(at + i * stride + (d << 2)));
    const out = a.out + ((row * d) << 2);
    memory.fill(out, 0, d << 2);
    if (highest == LOWEST) continue;
    let total: f32 = 0;
    for (let i: usize = 0; i < n; i++) {
      const p = at + i * stride;
      const weight = exp1(load<f32>(p + (d << 2)) - highest);
      if (weight == 0) continue;
      total += weight * load<f32>(p + (d << 2), 4);
      addScaled(out, p, d, weight);
    }
    scaleInto(out, out, d, 1 / total);
  }
}
