/**
 * Keys at 7 bits, kept beside the pages for the choice of keys alone (TokenSelect), and their products with one query in
 * integers, on relaxed builds. With f of the query's factors and u of the keys' codes:
 *
 *   k_tc ~ centre_c + spread_c step_t (u_tc - 64)
 *   q . k_t ~ sum_c q_c centre_c + step_t unit (sum_c f_c u_tc - 64 sum_c f_c),   f_c = q_c spread_c / unit, rounded
 *
 * centre and spread are mean and standard deviation of a channel over a sample of the blocks that are known when the
 * first of them is coded, since the keys of some models have channels that are far from zero, or far larger than the
 * others; step is one of each token. Codes are 1 to 127, so the relaxed dot is exact on all machines. Its products of
 * pairs are added in 16 bits over RUN channels, which needs half the multiplications of sums in 32 bits where a machine
 * has no instruction for these. So that no sum overflows, the factors of channels that share a 16-bit lane add up to
 * MOST at most before they are rounded, those above zero and those below each on their own.
 *
 *   a layer:  | centre f32 [kvHeads][D] | spread f32 [kvHeads][D] | blocks [block][kvHeads] |
 *   a block:  | codes u8 [2][D / 4][16][4], by halves of the tokens | steps f32 [32], NaN where the page was missing |
 *   factors:  | f i8 [R][D] | unit, offset, base: f32 [R][4] | f32 [D] |
 */
import { decodeKeys } from '../kv/quantise';
import { PAGE_TOKENS, addressOf, formatOf } from '../kv/layout';
import { lanes, madd } from './math';
import { ROUNDING } from './bits';

/** Channels whose products are added in 16 bits. */
const RUN: usize = 32;
/** What factors above zero, or below, that share a lane may add up to before they are rounded, each by a half at most. */
const MOST: f32 = 249;
const LARGEST: f32 = 127;
const MIDDLE: f32 = 64;
const LEVELS: f32 = 63;
/** The low bytes of words. */
// prettier-ignore
const LOW: usize = memory.data<u8>([0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12], 16);
/** Blocks of a sample. */
const SAMPLE: usize = 64;
/** Tokens of a half, and bytes between the codes of four channels of them and of the next four. */
const HALF: usize = PAGE_TOKENS / 2;
const LINE: usize = HALF * 4;
/** Bytes of a row's unit, offset and base. */
const FACTS: usize = 16;

/** Returns the highest of the lanes. */
function highestOf(x: v128): f32 {
  x = f32x4.max(x, v128.shuffle<f32>(x, x, 2, 3, 0, 1));
  return max<f32>(f32x4.extract_lane(x, 0), f32x4.extract_lane(x, 1));
}

/** Stores the low bytes of four words. */
function putBytes(to: usize, x: v128): void {
  store<i32>(to, i32x4.extract_lane(v128.swizzle(x, v128.load(LOW)), 0));
}

@inline
function blockBytes(d: usize): usize {
  return PAGE_TOKENS * (d + 4);
}

@inline
function blockAt(layer: usize, kvHeads: usize, d: usize, block: usize, kvHead: usize): usize {
  return layer + ((kvHeads * d) << 3) + (block * kvHeads + kvHead) * blockBytes(d);
}

/** Returns the bytes of a layer of `blocks` blocks, 0 where this build does not multiply codes. */
export function coarseBytes(kvHeads: usize, d: usize, blocks: usize): usize {
  if (!ASC_FEATURE_RELAXED_SIMD || (d & 15) != 0) return 0;
  return ((kvHeads * d) << 3) + blocks * kvHeads * blockBytes(d);
}

/** Returns the bytes of factors. */
export function coarseRoomBytes(rows: usize, d: usize): usize {
  return ASC_FEATURE_RELAXED_SIMD ? rows * (d + FACTS) + (d << 2) : 0;
}

/**
 * Computes centre and spread of a head from at most SAMPLE of its `whole` blocks. pages: its page table entries;
 * room: f32 [32][D].
 */
export function coarseSpread(
  layer: usize, pages: usize, kvHeads: usize, kvHead: usize, d: usize, whole: usize, room: usize,
): void {
  const centre = layer + ((kvHead * d) << 2);
  const spread = centre + ((kvHeads * d) << 2);
  memory.fill(centre, 0, d << 2);
  memory.fill(spread, 0, d << 2);
  const stride = (whole + SAMPLE - 1) / SAMPLE;
  let found: usize = 0;
  for (let block: usize = 0; block < whole; block += stride) {
    const entry = <usize>load<u32>(pages + (block << 2));
    if (entry == 0) continue;
    found += PAGE_TOKENS;
    decodeKeys(room, d << 2, addressOf(entry), formatOf(entry), d, 0, PAGE_TOKENS);
    for (let t: usize = 0; t < PAGE_TOKENS; t++) {
      for (let c: usize = 0; c < d << 2; c += 4) {
        const k = load<f32>(room + t * (d << 2) + c);
        store<f32>(centre + c, load<f32>(centre + c) + k);
        store<f32>(spread + c, load<f32>(spread + c) + k * k);
      }
    }
  }
  const share: f32 = 1 / <f32>max<usize>(1, found);
  for (let c: usize = 0; c < d << 2; c += 4) {
    const mean = load<f32>(centre + c) * share;
    const variance = load<f32>(spread + c) * share - mean * mean;
    store<f32>(centre + c, mean);
    // Channels that are the same in all of the sample are coded by themselves.
    store<f32>(spread + c, variance > 0 ? sqrt<f32>(variance) : 1);
  }
}

/** Codes the keys of one block; room: f32 [32][D]. */
export function coarseBlock(
  layer: usize, entry: usize, kvHeads: usize, kvHead: usize, d: usize, block: usize, room: usize,
): void {
  const codes = blockAt(layer, kvHeads, d, block, kvHead);
  const steps = codes + PAGE_TOKENS * d;
  const centre = layer + ((kvHead * d) << 2);
  const spread = centre + ((kvHeads * d) << 2);
  if (entry != 0) decodeKeys(room, d << 2, addressOf(entry), formatOf(entry), d, 0, PAGE_TOKENS);
  for (let t: usize = 0; t < PAGE_TOKENS; t++) {
    const row = room + t * (d << 2);
    let largest = f32x4.splat(0);
    for (let c: usize = 0; c < d << 2; c += 16) {
      const x = f32x4.div(f32x4.sub(v128.load(row + c), v128.load(centre + c)), v128.load(spread + c));
      v128.store(row + c, x);
      largest = f32x4.max(largest, f32x4.abs(x));
    }
    const top = highestOf(largest);
    store<f32>(steps + (t << 2), entry == 0 ? NaN : top / LEVELS);
    const by = f32x4.splat(top > 0 ? LEVELS / top : 0);
    const middle = f32x4.splat(ROUNDING + MIDDLE);
    const to = codes + (t / HALF) * (HALF * d) + ((t % HALF) << 2);
    for (let c: usize = 0; c < d; c += 4) {
      // The low byte of each word is a code.
      const u = f32x4.add(f32x4.mul(v128.load(row + (c << 2)), by), middle);
      putBytes(to + (c >> 2) * LINE, u);
    }
  }
}

/** Tells whether a block was coded; a page that was missing then is missing here. */
@inline
export function coarseKnown(layer: usize, kvHeads: usize, kvHead: usize, d: usize, block: usize): bool {
  const step = load<f32>(blockAt(layer, kvHeads, d, block, kvHead) + PAGE_TOKENS * d);
  return step == step;
}

/** Makes the factors of a row of q [D]. */
export function coarseFactors(
  room: usize, layer: usize, q: usize, kvHeads: usize, kvHead: usize, d: usize, rows: usize, row: usize,
): void {
  const factors = room + row * d;
  const facts = room + rows * d + row * FACTS;
  const x = room + rows * (d + FACTS);
  const centre = layer + ((kvHead * d) << 2);
  const spread = centre + ((kvHeads * d) << 2);
  const zero = f32x4.splat(0);
  let base = zero;
  let largest = zero;
  let most = zero;
  for (let from: usize = 0; from < d; from += RUN) {
    let above = zero;
    let below = zero;
    for (let c = from << 2, end = min<usize>(from + RUN, d) << 2; c < end; c += 16) {
      const v = f32x4.mul(v128.load(q + c), v128.load(spread + c));
      v128.store(x + c, v);
      base = madd(v128.load(q + c), v128.load(centre + c), base);
      largest = f32x4.max(largest, f32x4.abs(v));
      above = f32x4.add(above, f32x4.max(v, zero));
      below = f32x4.add(below, f32x4.max(f32x4.neg(v), zero));
    }
    // Neighbours share a lane.
    above = f32x4.add(above, v128.shuffle<f32>(above, above, 1, 0, 3, 2));
    below = f32x4.add(below, v128.shuffle<f32>(below, below, 1, 0, 3, 2));
    most = f32x4.max(most, f32x4.max(above, below));
  }
  largest = f32x4.max(largest, f32x4.mul(most, f32x4.splat(LARGEST / MOST)));
  const unit: f32 = highestOf(largest) / LARGEST;
  const by = f32x4.splat(unit > 0 ? 1 / unit : 0);
  const magic = f32x4.splat(ROUNDING);
  let total = zero;
  for (let c: usize = 0; c < d; c += 4) {
    const shifted = f32x4.add(f32x4.mul(v128.load(x + (c << 2)), by), magic);
    putBytes(factors + c, shifted);
    total = f32x4.add(total, f32x4.sub(shifted, magic));
  }
  store<f32>(facts, unit);
  store<f32>(facts, MIDDLE * lanes(total), 4);
  store<f32>(facts, lanes(base), 8);
}

@inline
function pairs(factors: v128, codes: v128, sum: v128): v128 {
  return i16x8.add(sum, i16x8.relaxed_dot_i8x16_i7x16_s(factors, codes));
}

/** Adds the sums in 16 bits to those in s. */
@inline
function addSums(s: usize, sum: v128, ones: v128): void {
  v128.store(s, f32x4.add(v128.load(s), f32x4.convert_i32x4_s(i32x4.dot_i16x8_s(sum, ones))));
}

/** Computes s [rows][32] = the sums of factors [rows][D] times codes, two rows by sixteen tokens at a time. */
function sums(s: usize, factors: usize, codes: usize, d: usize, rows: usize): void {
  const ones = i16x8.splat(1);
  memory.fill(s, 0, (rows * PAGE_TOKENS) << 2);
  for (let half: usize = 0; half < 2; half++) {
    const first = codes + half * (HALF * d);
    const to = s + half * (HALF << 2);
    for (let row: usize = 0; row < rows; row += 2) {
      // When the number of rows is odd, the last row is computed twice.
      const next: usize = row + 1 < rows ? 1 : 0;
      const f = factors + row * d;
      const g = f + next * d;
      const s0 = to + ((row * PAGE_TOKENS) << 2);
      const s1 = s0 + ((next * PAGE_TOKENS) << 2);
      let at = first;
      for (let from: usize = 0; from < d; from += RUN) {
        let a0 = i16x8.splat(0);
        let a1 = a0;
        let a2 = a0;
        let a3 = a0;
        let b0 = a0;
        let b1 = a0;
        let b2 = a0;
        let b3 = a0;
        for (let c = from, end = min<usize>(from + RUN, d); c < end; c += 4) {
          const x = v128.load32_splat(f + c);
          const y = v128.load32_splat(g + c);
          let k = v128.load(at);
          a0 = pairs(x, k, a0);
          b0 = pairs(y, k, b0);
          k = v128.load(at, 16);
          a1 = pairs(x, k, a1);
          b1 = pairs(y, k, b1);
          k = v128.load(at, 32);
          a2 = pairs(x, k, a2);
          b2 = pairs(y, k, b2);
          k = v128.load(at, 48);
          a3 = pairs(x, k, a3);
          b3 = pairs(y, k, b3);
          at += LINE;
        }
        addSums(s0, a0, ones);
        addSums(s0 + 16, a1, ones);
        addSums(s0 + 32, a2, ones);
        addSums(s0 + 48, a3, ones);
        if (next == 0) continue;
        addSums(s1, b0, ones);
        addSums(s1 + 16, b1, ones);
        addSums(s1 + 32, b2, ones);
        addSums(s1 + 48, b3, ones);
      }
    }
  }
}

/** Computes s [rows][32] = the scores of a block from the factors at `room`. */
export function coarseScores(
  s: usize, room: usize, layer: usize, kvHeads: usize, kvHead: usize, d: usize, rows: usize, block: usize,
): void {
  const codes = blockAt(layer, kvHeads, d, block, kvHead);
  const steps = codes + PAGE_TOKENS * d;
  sums(s, room, codes, d, rows);
  for (let row: usize = 0; row < rows; row++) {
    const facts = room + rows * d + row * FACTS;
    const unit = v128.load32_splat(facts);
    const offset = v128.load32_splat(facts, 4);
    const base = v128.load32_splat(facts, 8);
    const at = s + ((row * PAGE_TOKENS) << 2);
    for (let t: usize = 0; t < PAGE_TOKENS << 2; t += 16) {
      const sum = f32x4.sub(v128.load(at + t), offset);
      v128.store(at + t, madd(f32x4.mul(sum, v128.load(steps + t)), unit, base));
    }
  }
}
