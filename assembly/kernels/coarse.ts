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
 *   a block:  | steps f32 [32], NaN where the page was missing | codes u8 [2][D / 4][16][4], by halves of the tokens |
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
const ONES: usize = memory.data<i16>([1, 1, 1, 1, 1, 1, 1, 1], 16);
/** Bytes of a block's steps. */
const STEPS: usize = PAGE_TOKENS * 4;
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
  const steps = blockAt(layer, kvHeads, d, block, kvHead);
  const codes = steps + STEPS;
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
  const step = load<f32>(blockAt(layer, kvHeads, d, block, kvHead));
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

/**
 * Adds the sums of a run in 16 bits to those of the runs before it, kept at `to` in 32 bits. The last run makes scores of
 * them; facts: unit, offset and base of the row.
 */
@inline
function putSums(to: usize, sum: v128, first: bool, last: bool, steps: usize, facts: usize): void {
  let x = i32x4.dot_i16x8_s(sum, v128.load(ONES));
  if (!first) x = i32x4.add(x, v128.load(to));
  if (last) {
    x = f32x4.mul(f32x4.sub(f32x4.convert_i32x4_s(x), v128.load32_splat(facts, 4)), v128.load(steps));
    x = madd(x, v128.load32_splat(facts), v128.load32_splat(facts, 8));
  }
  v128.store(to, x);
}

/**
 * Computes the scores of the heads of a KV head with a block's keys, two heads by sixteen tokens at a time: rows of s,
 * `stride` bytes apart. room: the factors of `heads` rows.
 */
export function coarseScores(
  s: usize, stride: usize, room: usize, layer: usize, kvHeads: usize, kvHead: usize, d: usize, heads: usize, block: usize,
): void {
  const steps = blockAt(layer, kvHeads, d, block, kvHead);
  const codes = steps + STEPS;
  const rows = heads / kvHeads;
  const all = room + heads * d;
  for (let half: usize = 0; half < 2; half++) {
    const by = steps + half * (HALF << 2);
    for (let row: usize = 0; row < rows; row += 2) {
      // When the number of rows is odd, the last row is computed twice.
      const next: usize = row + 1 < rows ? 1 : 0;
      const s0 = s + row * stride + half * (HALF << 2);
      const s1 = s0 + next * stride;
      const h = kvHead * rows + row;
      const f = room + h * d;
      const g = f + next * d;
      const facts0 = all + h * FACTS;
      const facts1 = facts0 + next * FACTS;
      let at = codes + half * (HALF * d);
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
        const first = from == 0;
        const last = from + RUN >= d;
        putSums(s0, a0, first, last, by, facts0);
        putSums(s0 + 16, a1, first, last, by + 16, facts0);
        putSums(s0 + 32, a2, first, last, by + 32, facts0);
        putSums(s0 + 48, a3, first, last, by + 48, facts0);
        if (next == 0) continue;
        putSums(s1, b0, first, last, by, facts1);
        putSums(s1 + 16, b1, first, last, by + 16, facts1);
        putSums(s1 + 32, b2, first, last, by + 32, facts1);
        putSums(s1 + 48, b3, first, last, by + 48, facts1);
      }
    }
  }
}
