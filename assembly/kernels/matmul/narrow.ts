/**
 * Products of one token without VNNI, where a dot into 32 bits is five instructions and one into 16 bits two: the dots of
 * a block, or of a half with a scale of its own, are summed in 16 bits and widened once. Such a sum fits because an
 * offset is subtracted first: quants of 5 bits become -16 to 15, and 16 of them times 127 are at most 32,512, as are 8
 * of 6 bits. Overflow before the last addition does no harm. The integers, and so the results, are those of gemv.ts.
 *
 * Block by block, one function writes the integers of all tiles to scratch (L1) as i32 and another adds them to the sums,
 * so that formats share both. The former write the sums of 16 rows to `to`, of the block at `at` and of those `stride`
 * bytes further, up to `end`; with two scales a block, those of its first and of its second 16 values.
 */
import {
  FORMAT_Q2_K, FORMAT_Q3_K, FORMAT_Q4_0, FORMAT_Q4_1, FORMAT_Q4_K, FORMAT_Q6_K, FORMAT_Q8_0, bitsAt, blockBytes,
  hasBits, headerBytes, isAffine, isK, nibblesAt, offsetShift, pairsAt,
} from './layout';
import { NEGATED, NEGATED_HIGH, NEGATED_LOW, NOTHING, RECORD } from './activations';
import { GROUP, dotPairs } from './dot';
import { halfMask, halfPower, unknownZero, vector } from './vectors';
import { FACTORS, STREAMS, SUMS, finishHalves, finishNibbles, pairsQuant, writeFactors } from './gemv';

/** acc + the products of nibbles, the low ones times x, the high ones times y; `bits` has their fifth bits. */
@inline
function nibbles(five: bool, acc: v128, both: v128, x: v128, y: v128, bits: v128, m: v128, bit: v128): v128 {
  let low = v128.and(both, m);
  let high = v128.and(i16x8.shr_u(both, 4), m);
  if (five) {
    low = v128.or(low, v128.and(i16x8.shl(bits, 4), bit));
    high = v128.or(high, v128.and(bits, bit));
  }
  return i16x8.add(acc, i16x8.add(dotPairs(x, low), dotPairs(y, high)));
}

/** The sums begin at `start`, in 16 bits, and `undo` is subtracted from them in 32. */
@inline
function sumNibbles(
  five: bool, to: usize, at: usize, end: usize, stride: usize, x: usize, start: v128, undo: v128,
): void {
  const zero = unknownZero();
  const m = i8x16.splat(<i8>(zero + 15));
  const bit = i8x16.splat(<i8>(zero + 16));
  for (; at < end; at += stride, to += 64) {
    let a0 = start;
    let a1 = a0;
    let a2 = a0;
    let a3 = a0;
    let b0 = a0;
    let b1 = a0;
    let b2 = a0;
    let b3 = a0;
    let w = at;
    if (five) {
      b0 = v128.load(w);
      b1 = v128.load(w, 16);
      b2 = v128.load(w, 32);
      b3 = v128.load(w, 48);
      w += 64;
    }
    // Steps as turns of a loop: in one expression, WASM's optimiser would order the dots sum by sum, with all operands
    // live at once.
    let k = x;
    const stop = x + 4 * GROUP;
    do {
      const low = v128.load32_splat(k);
      const high = v128.load32_splat(k, 4 * GROUP);
      a0 = nibbles(five, a0, v128.load(w), low, high, b0, m, bit);
      a1 = nibbles(five, a1, v128.load(w, 16), low, high, b1, m, bit);
      a2 = nibbles(five, a2, v128.load(w, 32), low, high, b2, m, bit);
      a3 = nibbles(five, a3, v128.load(w, 48), low, high, b3, m, bit);
      if (five) {
        b0 = i16x8.shr_u(b0, 1);
        b1 = i16x8.shr_u(b1, 1);
        b2 = i16x8.shr_u(b2, 1);
        b3 = i16x8.shr_u(b3, 1);
      }
      k += GROUP;
      w += 64;
    } while (k < stop);
    v128.store(to, i32x4.sub(i32x4.extadd_pairwise_i16x8_s(a0), undo));
    v128.store(to, i32x4.sub(i32x4.extadd_pairwise_i16x8_s(a1), undo), 16);
    v128.store(to, i32x4.sub(i32x4.extadd_pairwise_i16x8_s(a2), undo), 32);
    v128.store(to, i32x4.sub(i32x4.extadd_pairwise_i16x8_s(a3), undo), 48);
  }
}

/** The formats with 4 bits; `at` is where their nibbles are, `correction` the field of the record that they begin at. */
function narrowFour(to: usize, at: usize, end: usize, stride: usize, x: usize, correction: usize): void {
  const start = i16x8.shl(v128.load32_splat(x + correction), 3);
  sumNibbles(false, to, at, end, stride, x, start, i32x4.splat(0));
}

/** The formats with 5 bits; `at` is where their bits are, before the nibbles; affine ones give the offset back: `undo`. */
function narrowFive(to: usize, at: usize, end: usize, stride: usize, x: usize, undo: usize): void {
  const back = i32x4.shl(i32x4.extadd_pairwise_i16x8_s(v128.load32_splat(x + undo)), 4);
  sumNibbles(true, to, at, end, stride, x, i16x8.shl(v128.load32_splat(x, NEGATED), 4), back);
}

/** Returns start + Q . x over values [16 e, 16 e + 16) of one row group of Q6_K. */
@inline
function half(start: v128, block: usize, x: usize, e: i32, m: v128, pair: v128): v128 {
  const four = vector(block + pairsAt(FORMAT_Q6_K), e * 4);
  const k = x + <usize>e * 4 * GROUP;
  let a = dotPairs(v128.load32_splat(k), pairsQuant(FORMAT_Q6_K, block, e, 0, four, m, m, m, pair));
  let b = dotPairs(v128.load32_splat(k, GROUP), pairsQuant(FORMAT_Q6_K, block, e, 1, four, m, m, m, pair));
  a = i16x8.add(a, dotPairs(v128.load32_splat(k, 2 * GROUP), pairsQuant(FORMAT_Q6_K, block, e, 2, four, m, m, m, pair)));
  b = i16x8.add(b, dotPairs(v128.load32_splat(k, 3 * GROUP), pairsQuant(FORMAT_Q6_K, block, e, 3, four, m, m, m, pair)));
  return i32x4.extadd_pairwise_i16x8_s(i16x8.add(start, i16x8.add(a, b)));
}

/** Q6_K, which has two scales a block. */
function narrowSix(to: usize, at: usize, end: usize, stride: usize, x: usize): void {
  const zero = unknownZero();
  const m = i8x16.splat(<i8>(zero + 15));
  const pair = i8x16.splat(<i8>(zero + 48));
  const low = i16x8.shl(v128.load32_splat(x, NEGATED_LOW), offsetShift(FORMAT_Q6_K));
  const high = i16x8.shl(v128.load32_splat(x, NEGATED_HIGH), offsetShift(FORMAT_Q6_K));
  for (; at < end; at += stride, to += 64) {
    let block = at;
    for (const stop = to + 64; to < stop; to += 16, block += 16) {
      v128.store(to, half(low, block, x, 0, m, pair));
      v128.store(to, half(high, block, x, 1, m, pair), 64);
    }
  }
}

/** Writes the integers of a block. */
@inline
function writeTotals(format: i32, to: usize, block: usize, end: usize, stride: usize, x: usize): void {
  if (format == FORMAT_Q6_K) narrowSix(to, block, end, stride, x);
  else if (hasBits(format)) narrowFive(to, block + bitsAt(format), end, stride, x, isAffine(format) ? NEGATED : NOTHING);
  else narrowFour(to, block + nibblesAt(format), end, stride, x, isAffine(format) ? NOTHING : NEGATED);
}

/** Adds the integers at `from` to the sums; `format` stands for all with such scales. */
@inline
function addNibbles(
  format: i32, sums: usize, end: usize, from: usize, at: usize, stride: usize, factors: usize, x: usize,
): void {
  const zero = unknownZero();
  const mask = halfMask(zero);
  const power = halfPower(zero);
  for (; sums < end; sums += SUMS, from += SUMS, at += stride, factors += FACTORS) {
    const a = v128.load(from);
    const b = v128.load(from, 16);
    const c = v128.load(from, 32);
    finishNibbles(format, sums, a, b, c, v128.load(from, 48), at, factors, x, mask, power);
  }
}
function addSymmetric(
  sums: usize, end: usize, from: usize, at: usize, stride: usize, factors: usize, x: usize,
): void {
  addNibbles(FORMAT_Q4_0, sums, end, from, at, stride, factors, x);
}
function addAffine(sums: usize, end: usize, from: usize, at: usize, stride: usize, factors: usize, x: usize): void {
  addNibbles(FORMAT_Q4_1, sums, end, from, at, stride, factors, x);
}
function addK(sums: usize, end: usize, from: usize, at: usize, stride: usize, factors: usize, x: usize): void {
  addNibbles(FORMAT_Q4_K, sums, end, from, at, stride, factors, x);
}

function addHalves(sums: usize, end: usize, from: usize, at: usize, stride: usize, factors: usize, x: usize): void {
  for (; sums < end; at += stride, from += 64, factors += FACTORS - 64) {
    let s = v128.load(at);
    let t = v128.load(at, 16);
    for (const stop = sums + SUMS; sums < stop; sums += 16, from += 16, factors += 16) {
      finishHalves(FORMAT_Q6_K, sums, v128.load(from), v128.load(from, 64), s, t, factors, x);
      s = i32x4.shr_u(s, 8);
      t = i32x4.shr_u(t, 8);
    }
  }
}

/** Tells whether the format is summed here; the others are computed in 32 bits, Q8_0 in a way of its own. */
@inline
export function inNarrow(format: i32): bool {
  return format != FORMAT_Q8_0 && format != FORMAT_Q2_K && format != FORMAT_Q3_K;
}

/** As `tiles` in gemv.ts. */
export function tilesNarrow(
  format: i32, sums: usize, end: usize, block: usize, stride: usize, x: usize, blocks: usize, factors: usize,
): void {
  const totals = factors + STREAMS * FACTORS;
  const step = blockBytes(format);
  const all = ((end - sums) / SUMS) * stride;
  for (let b: usize = 0; b < blocks; b++, x += RECORD, block += step) {
    if (isK(format) && (b & 7) == 0) {
      const zero = unknownZero();
      let at = block;
      let to = factors;
      for (let s = sums; s < end; s += SUMS, at += stride, to += FACTORS) {
        writeFactors(format, to, at, halfMask(zero), halfPower(zero));
      }
      block += headerBytes(format);
    }
    writeTotals(format, totals, block, block + all, stride, x);
    if (format == FORMAT_Q6_K) addHalves(sums, end, totals, block, stride, factors, x);
    else if (isK(format)) addK(sums, end, totals, block, stride, factors, x);
    else if (isAffine(format)) addAffine(sums, end, totals, block, stride, factors, x);
    else addSymmetric(sums, end, totals, block, stride, factors, x);
  }
}
