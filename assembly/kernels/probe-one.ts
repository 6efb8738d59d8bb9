/**
 * A probe of one query (contract 8), whose scores are computed once and kept where the masses will be, since there are no
 * more of them. On relaxed builds it may take the scores of whole blocks from keys at 7 bits that are kept beside the
 * pages (coarse.ts); blocks that are not coded yet are coded first.
 *
 * A tile is one split of the keys, for all heads, so that blocks of codes are read in the order in which they lie. The
 * first pass leaves exp(score - maximum of the split), and the second multiplies by what remains.
 *
 *   scratch of a thread:  | cursor | Q [heads][D], times scale | S [heads][32] | factors of coarse.ts |
 */
import { PAGE_TOKENS } from '../kv/layout';
import { coarseBlock, coarseFactors, coarseKnown, coarseRoomBytes, coarseScores, coarseSpread } from './coarse';
import { cursorBytes, nextBatch, openCursor, seek } from './cursor';
import { KERNEL_COARSE_CODE, KERNEL_COARSE_SPREAD } from './kernels';
import { exp1, exp4, lanes, madd } from './math';
import { LOWEST, scaleInto, scores } from './page';
import { parallel } from './pool';
import { Probe, group, splitKeys, stateOf } from './probe';

/**
 * Constants of `quick4`, four times each, as in math.ts: the least x, below which e^x counts as e^-87, which no mass
 * shows; log2 e; 1.5 * 2^23, which rounds to integers; and the coefficients of 2^x on [-0.5, 0.5], with a relative error
 * of 4e-6.
 */
// prettier-ignore
const QUICK: usize = memory.data<f32>([
  -87, -87, -87, -87, 1.44269504, 1.44269504, 1.44269504, 1.44269504, 12582912, 12582912, 12582912, 12582912,
  0.009570102, 0.009570102, 0.009570102, 0.009570102, 0.055917860, 0.055917860, 0.055917860, 0.055917860,
  0.240247448, 0.240247448, 0.240247448, 0.240247448, 0.693121815, 0.693121815, 0.693121815, 0.693121815,
  0.999999261, 0.999999261, 0.999999261, 0.999999261, 1, 1, 1, 1,
], 16);

@inline
function readsCoarse(a: Probe): bool {
  return a.coarse != 0;
}

/** Returns the scratch bytes behind the cursor. */
export function probeOneBytes(a: Probe): usize {
  return ((a.heads * (a.headDim + PAGE_TOKENS)) << 2) + coarseRoomBytes(a.heads, a.headDim);
}

/** Codes the blocks that are not coded yet. Returns 0, or 1 when a worker was lost. */
export function codeKeys(args: usize): u32 {
  const a = changetype<Probe>(args);
  if (!ASC_FEATURE_RELAXED_SIMD || !readsCoarse(a)) return 0;
  if (a.coded == 0 && parallel(a.pool, KERNEL_COARSE_SPREAD, args, <u32>a.kvHeads) != 0) return 1;
  const whole = a.keys / PAGE_TOKENS;
  return whole > a.coded ? parallel(a.pool, KERNEL_COARSE_CODE, args, <u32>((whole - a.coded) * a.kvHeads)) : 0;
}

export function coarseSpreadTile(a: Probe, kvHead: usize, scratch: usize): void {
  if (!ASC_FEATURE_RELAXED_SIMD) return;
  coarseSpread(
    a.coarse, a.pages + ((kvHead * a.blocks) << 2), a.kvHeads, kvHead, a.headDim, a.keys / PAGE_TOKENS, scratch,
  );
}

export function coarseCodeTile(a: Probe, tile: usize, scratch: usize): void {
  if (!ASC_FEATURE_RELAXED_SIMD) return;
  const block = a.coded + tile / a.kvHeads;
  const kvHead = tile % a.kvHeads;
  const entry = <usize>load<u32>(a.pages + ((kvHead * a.blocks + block) << 2));
  coarseBlock(a.coarse, entry, a.kvHeads, kvHead, a.headDim, block, scratch);
}

/** Scores the keys of [from, stop) in one list, for KV heads [first, last). */
function scoreList(a: Probe, scratch: usize, list: usize, from: usize, stop: usize, first: usize, last: usize): void {
  const d = a.headDim;
  const g = group(a);
  const stride = a.keys << 2;
  const splitEnd = min<usize>(from + splitKeys(a), a.keys);
  const q = scratch + cursorBytes(d, false);
  const s = q + ((a.heads * d) << 2);
  const room = s + ((a.heads * PAGE_TOKENS) << 2);
  // Up to here the rows are written.
  let done = from;
  let run = <usize>load<u32>(list);
  for (const end = <usize>load<u32>(list, 4); done < splitEnd; run++) {
    let key = splitEnd;
    let to = splitEnd;
    if (run < end) {
      key = max<usize>(load<u32>(a.runs + (run << 3)), from);
      to = min<usize>(load<u32>(a.runs + (run << 3), 4), stop);
      if (key >= to) continue;
    }
    // Keys before the run, and at last those behind all runs, are hidden.
    for (; done < key; done++) {
      for (let h = first * g; h < last * g; h++) store<f32>(a.masses + ((h * a.keys + done) << 2), LOWEST);
    }
    for (; key < to; key = done) {
      const block = key / PAGE_TOKENS;
      done = min<usize>(to, (block + 1) * PAGE_TOKENS);
      for (let kvHead = first; kvHead < last; kvHead++) {
        const out = a.masses + ((kvHead * g * a.keys + key) << 2);
        if (
          ASC_FEATURE_RELAXED_SIMD && readsCoarse(a) && done - key == PAGE_TOKENS &&
          coarseKnown(a.coarse, a.kvHeads, kvHead, d, block)
        ) {
          coarseScores(out, stride, room, a.coarse, a.kvHeads, kvHead, d, a.heads, block);
          continue;
        }
        const cursor = openCursor(scratch, a.pages + ((kvHead * a.blocks) << 2), a.runs, a.added, d, false);
        seek(cursor, run, run + 1, key, done);
        const count = nextBatch(cursor);
        scores(s, q + ((kvHead * g * d) << 2), cursor.keys, cursor.biases, g, count, d);
        for (let r: usize = 0; r < g; r++) memory.copy(out + r * stride, s + ((r * PAGE_TOKENS) << 2), count << 2);
      }
    }
  }
}

/** Four exponentials of x <= 0, on relaxed builds by fewer instructions than `exp4`. */
@inline
function quick4(x: v128): v128 {
  if (!ASC_FEATURE_RELAXED_SIMD) return exp4(x);
  const c = f32x4.pmax(x, v128.load(QUICK));
  const t = madd(c, v128.load(QUICK, 16), v128.load(QUICK, 32));
  const r = madd(c, v128.load(QUICK, 16), f32x4.sub(v128.load(QUICK, 32), t));
  let p = madd(v128.load(QUICK, 48), r, v128.load(QUICK, 64));
  p = madd(p, r, v128.load(QUICK, 80));
  p = madd(p, r, v128.load(QUICK, 96));
  p = madd(p, r, v128.load(QUICK, 112));
  // The bits of 1 are those of the exponent 0. A NaN stays one.
  return f32x4.mul(p, i32x4.add(i32x4.shl(t, 23), v128.load(QUICK, 128)));
}

/** Replaces s [count] by exp(s - maximum) and writes maximum and sum to `state`. */
function exponentials(s: usize, count: usize, state: usize): void {
  const end = s + (count << 2);
  let highest: f32 = LOWEST;
  let at = s;
  if (ASC_FEATURE_SIMD) {
    // pmax may pass over a NaN, but then the sum is NaN.
    let m = f32x4.splat(LOWEST);
    for (; at + 16 <= end; at += 16) m = f32x4.pmax(m, v128.load(at));
    m = f32x4.pmax(m, v128.shuffle<f32>(m, m, 2, 3, 0, 1));
    highest = f32x4.extract_lane(f32x4.pmax(m, v128.shuffle<f32>(m, m, 1, 0, 3, 2)), 0);
  }
  for (; at < end; at += 4) {
    const x = load<f32>(at);
    if (x > highest) highest = x;
  }
  store<f32>(state, highest);
  // Where no key is visible, -Infinity minus itself would be NaN.
  if (highest == LOWEST) highest = 0;
  let sum: f32 = 0;
  at = s;
  if (ASC_FEATURE_SIMD) {
    const m = f32x4.splat(highest);
    let n = f32x4.splat(0);
    for (; at + 16 <= end; at += 16) {
      const e = quick4(f32x4.sub(v128.load(at), m));
      v128.store(at, e);
      n = f32x4.add(n, e);
    }
    sum = lanes(n);
  }
  for (; at < end; at += 4) {
    const e = exp1(load<f32>(at) - highest);
    store<f32>(at, e);
    sum += e;
  }
  store<f32>(state, sum, 4);
}

export function probeOneSumTile(a: Probe, split: usize, scratch: usize): void {
  const d = a.headDim;
  const q = scratch + cursorBytes(d, false);
  const s = q + ((a.heads * d) << 2);
  const room = s + ((a.heads * PAGE_TOKENS) << 2);
  scaleInto(q, a.q, a.heads * d, a.scale);
  if (ASC_FEATURE_RELAXED_SIMD && readsCoarse(a)) {
    for (let h: usize = 0; h < a.heads; h++) {
      coarseFactors(room, a.coarse, q + ((h * d) << 2), a.kvHeads, h / group(a), d, a.heads, h);
    }
  }
  const from = split * splitKeys(a);
  const size = min<usize>(splitKeys(a), a.keys - from);
  const stop = a.causal != 0 ? min<usize>(from + size, a.position + 1) : from + size;
  for (let list: usize = 0; list < a.lists; list++) {
    const last = a.lists == 1 ? a.kvHeads : list + 1;
    scoreList(a, scratch, a.offsets + (list << 2), from, stop, list, last);
  }
  for (let h: usize = 0; h < a.heads; h++) {
    exponentials(a.masses + ((h * a.keys + from) << 2), size, stateOf(a, split, h));
  }
}

export function probeOneMassTile(a: Probe, split: usize): void {
  const from = split * splitKeys(a);
  const size = min<usize>(splitKeys(a), a.keys - from);
  for (let h: usize = 0; h < a.heads; h++) {
    const row = a.masses + ((h * a.keys + from) << 2);
    scaleInto(row, row, size, load<f32>(stateOf(a, split, h)));
  }
}
