/**
 * The attention mass that each key receives (contract 8), from queries over ranges and pages as in attention. The
 * matrix [queries, keys] is never made. Scores are computed twice: the first pass keeps the maximum and the sum of each
 * row, the second adds exp(score - maximum) / sum to the keys.
 * A call of one query is that of probe-one.ts.
 *
 * A tile is one KV head and one split of the keys, and processes all queries in order. So no two tiles write the same
 * mass, and any number of threads gives the same bits. There are at most SPLITS splits, so memory is linear in keys and
 * in queries.
 *
 *   states:  first pass [splits][count * heads] of (maximum, sum);
 *            joined [count * heads] of (maximum, 1 / (sum * count)), 0 for rows that see no key; for one query
 *            [splits][heads] of the factor of the split's masses
 *   masses:  f32 [heads][keys]
 *   scratch of a thread:  | cursor | Q [R][D], times scale | S [R][32] | maximum [R] | sum [R] |
 *                         | own position [R]: u32 |
 */
import { PAGE_TOKENS } from '../kv/layout';
import { codeKeys, probeOneBytes, probeOneMassTile, probeOneSumTile } from './probe-one';
import { Cursor, cursorBytes, nextBatch, openCursor, seek } from './cursor';
import { exp1, exp4, lanes } from './math';
import { hide, LOWEST, scaleInto, scores, soften } from './page';
import { parallel } from './pool';
import { KERNEL_PROBE_JOIN, KERNEL_PROBE_MASS, KERNEL_PROBE_SPANS, KERNEL_PROBE_SUM } from './kernels';

/** Rows that share a page. */
const ROWS: usize = 64;
/** The least number of keys in a split, and the largest number of splits. */
const SPLIT: usize = 512;
const SPLITS: usize = 32;
/** Rows of one tile of the join. */
const JOINED: usize = 256;

/**
 * | pool | out | q | pages | blocks | count | position | heads | kvHeads | headDim | added (0, or f32 [runs]) |
 * | scale: f32 | queryBlock | lists (kvHeads, or 1 when shared) | causal | offsets | runs | keys | states |
 * | masses (out, where there are no spans) | spans: u32 [spanCount][2] | spanCount |
 * | coarse (0, or a layer of coarse.ts with room for all whole blocks of `keys`) | coded (its blocks that are coded) |
 * The first eighteen fields are those of Attention.
 */
@unmanaged
export class Probe {
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
  states: usize;
  masses: usize;
  spans: usize;
  spanCount: usize;
  coarse: usize;
  coded: usize;
}

@inline
export function group(a: Probe): usize {
  return a.heads / a.kvHeads;
}

/** Returns the number of queries whose rows share a page. */
@inline
function queries(a: Probe): usize {
  return min<usize>(max<usize>(1, ROWS / group(a)), min<usize>(a.queryBlock, a.count));
}

/** Returns the keys of a split, a multiple of a page. */
@inline
export function splitKeys(a: Probe): usize {
  const least = (a.keys + SPLITS - 1) / SPLITS;
  return max<usize>(a.count == 1 ? 2 * SPLIT : SPLIT, (least + PAGE_TOKENS - 1) & ~(PAGE_TOKENS - 1));
}

@inline
function splits(a: Probe): usize {
  return (a.keys + splitKeys(a) - 1) / splitKeys(a);
}

/** Returns the scratch bytes that one thread needs. */
export function probeScratchBytes(args: usize): usize {
  const a = changetype<Probe>(args);
  const rows = queries(a) * group(a);
  return cursorBytes(a.headDim, false) + (
    a.count == 1 ? probeOneBytes(a) : ((rows * (a.headDim + PAGE_TOKENS + 3)) << 2) + 64
  );
}

/** Returns the bytes of `states`. */
export function probeStateBytes(args: usize): usize {
  const a = changetype<Probe>(args);
  return (max<usize>(1, splits(a)) * a.count * a.heads) << 3;
}

/** Returns 0, or 1 when a worker was lost. */
export function probe(args: usize): u32 {
  const a = changetype<Probe>(args);
  if (a.count == 1 && codeKeys(args) != 0) return 1;
  const tiles = <u32>(splits(a) * (a.count == 1 ? 1 : a.kvHeads));
  if (parallel(a.pool, KERNEL_PROBE_SUM, args, tiles) != 0) return 1;
  if (parallel(a.pool, KERNEL_PROBE_JOIN, args, <u32>((a.count * a.heads + JOINED - 1) / JOINED)) != 0) return 1;
  if (parallel(a.pool, KERNEL_PROBE_MASS, args, tiles) != 0) return 1;
  return a.masses == a.out ? 0 : parallel(a.pool, KERNEL_PROBE_SPANS, args, <u32>a.heads);
}

/**
 * Row r of the queries from `start` on is query start + r / g and head kvHead * g + r % g. Returns its index among all
 * rows.
 */
@inline
function placeOf(a: Probe, kvHead: usize, start: usize, r: usize): usize {
  const g = group(a);
  return (start + r / g) * a.heads + kvHead * g + r % g;
}

@inline
export function stateOf(a: Probe, split: usize, place: usize): usize {
  return a.states + ((split * a.count * a.heads + place) << 3);
}

export function probeSumTile(a: Probe, tile: usize, scratch: usize): void {
  if (a.count == 1) probeOneSumTile(a, tile, scratch);
  else passOver(a, tile, scratch, false);
}

export function probeMassTile(a: Probe, tile: usize, scratch: usize): void {
  if (a.count == 1) return probeOneMassTile(a, tile);
  const from = (tile / a.kvHeads) * splitKeys(a);
  const size = min<usize>(splitKeys(a), a.keys - from);
  const first = (tile % a.kvHeads) * group(a);
  for (let h = first; h < first + group(a); h++) memory.fill(a.masses + ((h * a.keys + from) << 2), 0, size << 2);
  passOver(a, tile, scratch, true);
}

/** Computes one pass of all queries over the keys of one split: sums, or masses. */
function passOver(a: Probe, tile: usize, scratch: usize, masses: bool): void {
  const kvHead = tile % a.kvHeads;
  const split = tile / a.kvHeads;
  const d = a.headDim;
  const g = group(a);
  const cursor = openCursor(scratch, a.pages + ((kvHead * a.blocks) << 2), a.runs, a.added, d, false);
  const q = scratch + cursorBytes(d, false);
  const from = split * splitKeys(a);
  const stop = min<usize>(from + splitKeys(a), a.keys);
  const step = queries(a);
  for (let block: usize = 0; block * a.queryBlock < a.count; block++) {
    const list = a.offsets + ((block * a.lists + (a.lists == 1 ? 0 : kvHead)) << 2);
    const blockEnd = min<usize>((block + 1) * a.queryBlock, a.count);
    for (let start = block * a.queryBlock; start < blockEnd; start += step) {
      const end = min<usize>(start + step, blockEnd);
      const rows = (end - start) * g;
      const s = q + ((rows * d) << 2);
      const highest = s + ((rows * PAGE_TOKENS) << 2);
      const sum = highest + (rows << 2);
      const own = sum + (rows << 2);
      const to = a.causal != 0 ? min<usize>(stop, a.position + end) : stop;
      seek(cursor, <usize>load<u32>(list), <usize>load<u32>(list, 4), from, to);
      for (let r: usize = 0; r < rows; r++) {
        const place = placeOf(a, kvHead, start, r);
        scaleInto(q + ((r * d) << 2), a.q + ((place * d) << 2), d, a.scale);
        store<f32>(highest + (r << 2), masses ? load<f32>(stateOf(a, 0, place)) : LOWEST);
        store<f32>(sum + (r << 2), masses ? load<f32>(stateOf(a, 0, place), 4) : 0);
        store<u32>(own + (r << 2), <u32>(a.position + start + r / g));
      }
      while (true) {
        const count = nextBatch(cursor);
        if (count == 0) break;
        scores(s, q, cursor.keys, cursor.biases, rows, count, d);
        const last = <usize>load<u32>(cursor.positions + ((count - 1) << 2));
        if (a.causal != 0 && last > a.position + start) hide(s, rows, own, cursor.positions, count);
        for (let r: usize = 0; r < rows; r++) {
          const row = s + ((r * PAGE_TOKENS) << 2);
          if (masses) {
            give(
              a.masses + (((kvHead * g + r % g) * a.keys) << 2), cursor, row, count, load<f32>(highest + (r << 2)),
              load<f32>(sum + (r << 2)),
            );
          } else soften(row, count, 0, 0, highest + (r << 2), sum + (r << 2));
        }
      }
      if (!masses) {
        for (let r: usize = 0; r < rows; r++) {
          const state = stateOf(a, split, placeOf(a, kvHead, start, r));
          store<f32>(state, load<f32>(highest + (r << 2)));
          store<f32>(state, load<f32>(sum + (r << 2)), 4);
        }
      }
    }
  }
}

/** Tells whether the keys of a batch follow each other. */
@inline
function adjacent(cursor: Cursor, count: usize): bool {
  return load<u32>(cursor.positions + ((count - 1) << 2)) - load<u32>(cursor.positions) == <u32>(count - 1);
}

/** masses[position] += exp(s - highest) * weight for the keys of a batch. */
function give(masses: usize, cursor: Cursor, s: usize, count: usize, highest: f32, weight: f32): void {
  if (weight == 0) return;
  let i: usize = 0;
  if (ASC_FEATURE_SIMD && adjacent(cursor, count)) {
    const m = f32x4.splat(highest);
    const w = f32x4.splat(weight);
    const to = masses + (<usize>load<u32>(cursor.positions) << 2);
    for (; i + 4 <= count; i += 4) {
      const e = exp4(f32x4.sub(v128.load(s + (i << 2)), m));
      v128.store(to + (i << 2), f32x4.add(v128.load(to + (i << 2)), f32x4.mul(e, w)));
    }
  }
  for (; i < count; i++) {
    const at = masses + (<usize>load<u32>(cursor.positions + (i << 2)) << 2);
    store<f32>(at, load<f32>(at) + exp1(load<f32>(s + (i << 2)) - highest) * weight);
  }
}

/** Joins the states of all splits, for the rows of one tile. */
export function probeJoinTile(a: Probe, tile: usize): void {
  const n = splits(a);
  const end = min<usize>((tile + 1) * JOINED, a.count * a.heads);
  for (let place = tile * JOINED; place < end; place++) {
    let highest: f32 = LOWEST;
    for (let i: usize = 0; i < n; i++) highest = max<f32>(highest, load<f32>(stateOf(a, i, place)));
    let total: f32 = 0;
    if (highest != LOWEST) {
      for (let i: usize = 0; i < n; i++) {
        total += exp1(load<f32>(stateOf(a, i, place)) - highest) * load<f32>(stateOf(a, i, place), 4);
      }
    }
    if (a.count == 1) {
      for (let i: usize = 0; i < n; i++) {
        const state = stateOf(a, i, place);
        store<f32>(state, total == 0 ? 0 : exp1(load<f32>(state) - highest) / total);
      }
      continue;
    }
    store<f32>(stateOf(a, 0, place), total == 0 ? 0 : highest);
    store<f32>(stateOf(a, 0, place), total == 0 ? 0 : 1 / (total * <f32>a.count), 4);
  }
}

/** Sums the masses of one head over each span. */
export function probeSpansTile(a: Probe, head: usize): void {
  const masses = a.masses + ((head * a.keys) << 2);
  for (let span: usize = 0; span < a.spanCount; span++) {
    let key = <usize>load<u32>(a.spans + (span << 3));
    const end = min<usize>(load<u32>(a.spans + (span << 3), 4), a.keys);
    let total: f32 = 0;
    if (ASC_FEATURE_SIMD) {
      let sum = f32x4.splat(0);
      for (; key + 4 <= end; key += 4) sum = f32x4.add(sum, v128.load(masses + (key << 2)));
      total = lanes(sum);
    }
    for (; key < end; key++) total += load<f32>(masses + (key << 2));
    store<f32>(a.out + ((head * a.spanCount + span) << 2), total);
  }
}
