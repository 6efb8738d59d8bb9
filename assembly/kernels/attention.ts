/**
 * Ranged attention over pages (contract 4): softmax with running maximum and sum (Milakov & Gimelshein 2018; FlashAttention, Dao 2022), in f32.
 *
 * A tile is one KV head, one block of queries and, for decoding, one SPLIT of keys. All query heads of the KV group times the block's queries are
 * its R rows, so a page is read (and an f16 page decoded) once for all of them. Per page: R x 32 scores, their exponentials, then R x headDim sums;
 * scores never exist for more than one page. Splits depend on the number of keys alone, so every number of threads gives the same bits.
 *
 *   scratch of a thread:  | Q [R][D], times scale | O [R][D] | S [R][32] | maximum [R] | sum [R] | keys [32][D] | values [32][D] (f16 pages only) |
 *   partial results:      [head split][query * heads + head] of | O [D] | maximum | sum |
 */
import { KV_F32, PAGE_TOKENS, keyAt, valueAt } from '../kv/layout';
import { widen } from '../kv/half';
import { exp1 } from './math';
import { addScaled, gather, hide, LOWEST, scaleInto, scores, soften } from './page';
import { parallel } from './pool';
import { KERNEL_ATTENTION } from './kernels';

/** Values of Q per tile: with O and a page they fit a first-level cache. */
const ROW_VALUES: usize = 2048;
/** Keys of one split, whole pages. */
const SPLIT: usize = 512;
/** Calls of at most this many queries are split over keys. */
const SPLIT_QUERIES: usize = 4;

/**
 * | pool | out | q | pages | blocks | count | position | heads | kvHeads | headDim | format | scale: f32 |
 * | queryBlock | lists (kvHeads, or 1 when shared) | causal | offsets | runs | keys (end of the furthest run) | partials |
 * `pages`: u32 addresses [kvHeads][blocks]; 0 where there is no page (the host has checked that no run reaches it).
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
  format: u32;
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
  const most = max<usize>(1, ROW_VALUES / (group(a) * a.headDim));
  return min<usize>(most, min<usize>(a.queryBlock, a.count));
}

@inline
function splits(a: Attention): usize {
  return a.count <= SPLIT_QUERIES ? max<usize>(1, (a.keys + SPLIT - 1) / SPLIT) : 1;
}

/** Scratch bytes of one thread. */
export function attentionScratchBytes(args: usize): usize {
  const a = changetype<Attention>(args);
  const rows = queries(a) * group(a);
  return (2 * rows * a.headDim + rows * 34 + 2 * PAGE_TOKENS * a.headDim + 64) << 2;
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
  const g = group(a);
  const rows = (end - start) * g;
  const q = scratch;
  const o = q + ((rows * d) << 2);
  const s = o + ((rows * d) << 2);
  const highest = s + ((rows * PAGE_TOKENS) << 2);
  const sum = highest + (rows << 2);
  const keys = (sum + (rows << 2) + 63) & ~(<usize>63);
  const values = keys + ((PAGE_TOKENS * d) << 2);

  // Row r is query start + r / g, head kvHead * g + r % g.
  for (let t = start; t < end; t++) {
    scaleInto(q + (((t - start) * g * d) << 2), a.q + (((t * a.heads + kvHead * g) * d) << 2), g * d, a.scale);
  }
  memory.fill(o, 0, (rows * d) << 2);
  for (let r: usize = 0; r < rows; r++) {
    store<f32>(highest + (r << 2), LOWEST);
    store<f32>(sum + (r << 2), 0);
  }

  const from: usize = n < 2 ? 0 : split * SPLIT;
  let to: usize = n < 2 ? a.keys : min<usize>(from + SPLIT, a.keys);
  if (a.causal != 0) to = min<usize>(to, a.position + end);
  const list = a.offsets + ((block * a.lists + (a.lists == 1 ? 0 : kvHead)) << 2);
  const last = <usize>load<u32>(list, 4);
  for (let run = <usize>load<u32>(list); run < last; run++) {
    let key = max<usize>(load<u32>(a.runs + (run << 3)), from);
    const stop = min<usize>(load<u32>(a.runs + (run << 3), 4), to);
    while (key < stop) {
      const first = key % PAGE_TOKENS;
      const count = min<usize>(stop - key, PAGE_TOKENS - first);
      const page = <usize>load<u32>(a.pages + ((kvHead * a.blocks + key / PAGE_TOKENS) << 2));
      let k = keyAt(page, a.format, d, first);
      let v = valueAt(page, a.format, d, first);
      if (a.format != KV_F32) {
        widen(keys, k, count * d);
        widen(values, v, count * d);
        k = keys;
        v = values;
      }
      scores(s, q, k, rows, count, d);
      if (a.causal != 0 && key + count > a.position + start + 1) hide(s, rows, g, key, count, a.position + start);
      for (let r: usize = 0; r < rows; r++) soften(s + ((r * PAGE_TOKENS) << 2), count, o + ((r * d) << 2), d, highest + (r << 2), sum + (r << 2));
      gather(o, s, v, rows, count, d);
      key += count;
    }
  }

  if (n < 2) {
    for (let r: usize = 0; r < rows; r++) {
      const total = load<f32>(sum + (r << 2));
      const t = start + r / g;
      scaleInto(a.out + (((t * a.heads + kvHead * g + r % g) * d) << 2), o + ((r * d) << 2), d, total > 0 || total != total ? 1 / total : 0);
    }
  } else {
    for (let r: usize = 0; r < rows; r++) {
      const t = start + r / g;
      const at = a.partials + (((split * a.count * a.heads + t * a.heads + kvHead * g + r % g) * (d + 2)) << 2);
      memory.copy(at, o + ((r * d) << 2), d << 2);
      store<f32>(at + (d << 2), load<f32>(highest + (r << 2)));
      store<f32>(at + (d << 2), load<f32>(sum + (r << 2)), 4);
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
