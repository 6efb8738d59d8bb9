/**
 * Integer products of one token. Every weight byte is read once, in order, so that memory bandwidth is the limit. The
 * 16 sums of a tile stay in registers while k advances; one row group of one block at a time is decoded and multiplied.
 * Additions happen in the order of gemm.ts, so that both give the same bits.
 */
import {
  FORMAT_Q2_K, FORMAT_Q3_K, FORMAT_Q4_0, FORMAT_Q4_1, FORMAT_Q4_K, FORMAT_Q5_0, FORMAT_Q5_1, FORMAT_Q5_K, FORMAT_Q6_K,
  FORMAT_Q8_0, TILE, bitsAt, blockBytes, hasBits, hasNibbles, hasPairs, headerBytes, isAffine, isPer16, nibblesAt,
  offsetShift, pairsAt, tileBytes,
} from './layout';
import { NEGATED, NEGATED_HIGH, NEGATED_LOW, NOTHING, RECORD, SCALE, SUM, SUM_HIGH, SUM_LOW } from './activations';
import {
  GROUP, SEVEN_BITS, SIGNED, dotMagnitude, dotSemantics, dotSignedVector, dotVector, even, multiplyAdd, odd,
} from './dot';
import { halfMask, halfPower, halves, halvesBy, highScales, lanes, scales, unknownZero, vector } from './vectors';
import { writeSums } from './gemm';

/** A constant that stays in a register (vectors.ts). */
@inline
function bytes(zero: i32, value: i32): v128 {
  return i8x16.splat(<i8>(zero + value));
}

/** Shifts every byte to the right, or to the left where `right` is negative, and masks the result. */
@inline
function field(v: v128, right: i32, mask: v128): v128 {
  return v128.and(right > 0 ? i16x8.shr_u(v, right) : right < 0 ? i16x8.shl(v, -right) : v, mask);
}

/**
 * Returns acc + q times k-group g of the record at x. On relaxed builds `k` holds the half of the record's values to
 * which g belongs.
 */
@inline
function step(acc: v128, q: v128, k: v128, x: usize, g: i32): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return dotVector(acc, q, lanes(k, g & 3), k);
  const two = vector(x, g >> 1);
  return dotVector(acc, q, lanes(two, 2 * (g & 1)), lanes(two, 2 * (g & 1) + 1));
}

/** Adds k-groups p (low nibbles) and p + 4 (high nibbles) of row group v to `start`. */
@inline
function nibblePair(
  format: i32, start: v128, block: usize, x: usize, v: i32, p: i32, bits: v128, k: v128, kHigh: v128, m: v128,
  bit: v128,
): v128 {
  const both = vector(block + nibblesAt(format) + 16 * v, p * 4);
  let low = v128.and(both, m);
  let high = v128.and(i16x8.shr_u(both, 4), m);
  if (hasBits(format)) {
    low = v128.or(low, field(bits, p - 4, bit));
    high = v128.or(high, field(bits, p, bit));
  }
  return step(step(start, low, k, x, p), high, kHigh, x, p + 4);
}

/**
 * Returns start + Q . x over the 32 values of row group v, for the formats with nibbles and one scale a block. There
 * are four short chains of dots, because a single chain would be reordered so that all its operands are live at once.
 */
@inline
function nibbles32(format: i32, start: v128, block: usize, x: usize, v: i32, m: v128, bit: v128): v128 {
  const none = i32x4.splat(0);
  const bits = hasBits(format) ? v128.load(block + bitsAt(format) + 16 * v) : start;
  const k = ASC_FEATURE_RELAXED_SIMD ? v128.load(x) : none;
  const h = ASC_FEATURE_RELAXED_SIMD ? v128.load(x, 16) : none;
  const a = nibblePair(format, start, block, x, v, 0, bits, k, h, m, bit);
  const b = nibblePair(format, none, block, x, v, 1, bits, k, h, m, bit);
  const c = nibblePair(format, none, block, x, v, 2, bits, k, h, m, bit);
  const d = nibblePair(format, none, block, x, v, 3, bits, k, h, m, bit);
  return i32x4.add(i32x4.add(a, b), i32x4.add(c, d));
}

@inline
function pairsQuant(
  format: i32, block: usize, v: i32, e: i32, f: i32, four: v128, bits: v128, m: v128, bit: v128, pair: v128,
): v128 {
  let q = field(four, hasNibbles(format) ? 2 * f - 4 : 2 * f, pair);
  if (hasBits(format)) q = v128.or(q, field(bits, 4 * e + f - 2, bit));
  if (hasNibbles(format)) q = v128.or(q, field(vector(block + nibblesAt(format) + 16 * v, f * 4), 4 * e, m));
  return q;
}

/** Returns start + Q . x over values [16 e, 16 e + 16) of row group v, for the formats with pairs. */
@inline
function pairs16(
  format: i32, start: v128, block: usize, x: usize, v: i32, e: i32, m: v128, bit: v128, pair: v128,
): v128 {
  const none = i32x4.splat(0);
  const four = vector(block + pairsAt(format) + 16 * v, e * 4);
  const bits = hasBits(format) ? v128.load(block + bitsAt(format) + 16 * v) : start;
  const k = ASC_FEATURE_RELAXED_SIMD ? (e == 0 ? v128.load(x) : v128.load(x, 16)) : none;
  let a = step(start, pairsQuant(format, block, v, e, 0, four, bits, m, bit, pair), k, x, 4 * e);
  a = step(a, pairsQuant(format, block, v, e, 1, four, bits, m, bit, pair), k, x, 4 * e + 1);
  let b = step(none, pairsQuant(format, block, v, e, 2, four, bits, m, bit, pair), k, x, 4 * e + 2);
  b = step(b, pairsQuant(format, block, v, e, 3, four, bits, m, bit, pair), k, x, 4 * e + 3);
  return i32x4.add(a, b);
}

/**
 * Returns sum + the product with this block for row group v, with one scale, and for affine formats one minimum, for
 * the 32 values.
 */
@inline
function add32(
  format: i32, sum: v128, block: usize, x: usize, v: i32, scale: v128, minimum: v128, m: v128, bit: v128,
): v128 {
  const start = isAffine(format) ? i32x4.splat(0) : i32x4.shl(v128.load32_splat(x, NEGATED), offsetShift(format));
  const acc = f32x4.convert_i32x4_s(nibbles32(format, start, block, x, v, m, bit));
  if (isAffine(format)) sum = multiplyAdd(minimum, v128.load32_splat(x, SUM), sum);
  return multiplyAdd(acc, f32x4.mul(scale, v128.load32_splat(x, SCALE)), sum);
}

@inline
function rowGroup(
  format: i32, sum: v128, block: usize, x: usize, v: i32, m: v128, bit: v128, mask: v128, power: v128,
): v128 {
  const minimum = isAffine(format) ? halvesBy(block + 32 + 8 * v, mask, power) : sum;
  return add32(format, sum, block, x, v, halvesBy(block + 8 * v, mask, power), minimum, m, bit);
}

/**
 * Returns sum + the product with this block for row group v, with a scale, and for affine formats a minimum, for every
 * 16 values.
 */
@inline
function add16(
  format: i32, sum: v128, block: usize, x: usize, v: i32, d: v128, dmin: v128, m: v128, bit: v128, pair: v128,
): v128 {
  const none = i32x4.splat(0);
  const a = pairs16(
    format, isAffine(format) ? none : i32x4.shl(v128.load32_splat(x, NEGATED_LOW), offsetShift(format)), block, x, v, 0,
    m, bit, pair,
  );
  const low = f32x4.mul(f32x4.convert_i32x4_s(a), f32x4.mul(d, scales(format, block, v)));
  const c = pairs16(
    format, isAffine(format) ? none : i32x4.shl(v128.load32_splat(x, NEGATED_HIGH), offsetShift(format)), block, x, v,
    1, m, bit, pair,
  );
  const both = multiplyAdd(f32x4.convert_i32x4_s(c), f32x4.mul(d, scales(format, block + 16, v)), low);
  if (isAffine(format)) {
    sum = multiplyAdd(f32x4.mul(dmin, highScales(block + 16, v)), v128.load32_splat(x, SUM_HIGH), sum);
    sum = multiplyAdd(f32x4.mul(dmin, highScales(block, v)), v128.load32_splat(x, SUM_LOW), sum);
  }
  return multiplyAdd(both, v128.load32_splat(x, SCALE), sum);
}

/** Returns sum + the product with a whole superblock for row group v. */
@inline
function superGroup(format: i32, sum: v128, header: usize, x: usize, v: i32, m: v128, bit: v128, pair: v128): v128 {
  const d = halves(header + 8 * v);
  const dmin = isAffine(format) ? f32x4.neg(halves(header + 32 + 8 * v)) : d;
  let block = header + headerBytes(format);
  for (let b = 0; b < 8; b++, block += blockBytes(format), x += RECORD) {
    if (isPer16(format)) sum = add16(format, sum, block, x, v, d, dmin, m, bit, pair);
    else sum = add32(
      format, sum, block, x, v, f32x4.mul(d, scales(format, block, v)), f32x4.mul(dmin, scales(format, block + 16, v)),
      m, bit,
    );
  }
  return sum;
}

@inline
function storeSums(sums: usize, s0: v128, s1: v128, s2: v128, s3: v128): void {
  v128.store(sums, s0);
  v128.store(sums, s1, 16);
  v128.store(sums, s2, 32);
  v128.store(sums, s3, 48);
}

/** Computes the 16 sums of a tile. */
@inline
function tile32(format: i32, sums: usize, block: usize, x: usize, blocks: usize): void {
  let s0 = f32x4.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  const zero = unknownZero();
  const m = bytes(zero, 15);
  const bit = bytes(zero, 16);
  const mask = halfMask(zero);
  const power = halfPower(zero);
  for (const end = x + blocks * RECORD; x < end; x += RECORD, block += blockBytes(format)) {
    s0 = rowGroup(format, s0, block, x, 0, m, bit, mask, power);
    s1 = rowGroup(format, s1, block, x, 1, m, bit, mask, power);
    s2 = rowGroup(format, s2, block, x, 2, m, bit, mask, power);
    s3 = rowGroup(format, s3, block, x, 3, m, bit, mask, power);
  }
  storeSums(sums, s0, s1, s2, s3);
}

@inline
function tileK(format: i32, sums: usize, header: usize, x: usize, blocks: usize): void {
  const zero = unknownZero();
  const m = bytes(zero, 15);
  const bit = bytes(zero, hasNibbles(format) ? 16 : 4);
  const pair = bytes(zero, hasNibbles(format) ? 48 : 3);
  storeSums(sums, f32x4.splat(0), f32x4.splat(0), f32x4.splat(0), f32x4.splat(0));
  const end = x + blocks * RECORD;
  for (; x < end; x += 8 * RECORD, header += headerBytes(format) + 8 * blockBytes(format)) {
    for (let v = 0; v < 4; v++) {
      v128.store(sums + 16 * v, superGroup(format, v128.load(sums + 16 * v), header, x, v, m, bit, pair));
    }
  }
}

/**
 * Q8_0, k-group by k-group over all 16 rows. `flip` makes the bytes unsigned; `correction` is the field of the record
 * that undoes it.
 */
function tileQ80(sums: usize, block: usize, x: usize, blocks: usize): void {
  const kind = dotSemantics();
  const flip = i8x16.splat(kind == SIGNED ? 0 : -128);
  const correction = kind == SIGNED ? NOTHING : NEGATED;
  let s0 = f32x4.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  for (const end = x + blocks * RECORD; x < end; x += RECORD, block += 544) {
    let a0 = i32x4.shl(v128.load32_splat(x + correction), 7);
    let a1 = a0;
    let a2 = a0;
    let a3 = a0;
    for (let g: usize = 0; g < 8; g++) {
      const w = block + 32 + g * 64;
      const k = even(x + g * GROUP);
      const o = odd(x + g * GROUP, k);
      a0 = dotVector(a0, v128.xor(v128.load(w), flip), k, o);
      a1 = dotVector(a1, v128.xor(v128.load(w, 16), flip), k, o);
      a2 = dotVector(a2, v128.xor(v128.load(w, 32), flip), k, o);
      a3 = dotVector(a3, v128.xor(v128.load(w, 48), flip), k, o);
    }
    const scale = v128.load32_splat(x, SCALE);
    s0 = multiplyAdd(f32x4.convert_i32x4_s(a0), f32x4.mul(halves(block), scale), s0);
    s1 = multiplyAdd(f32x4.convert_i32x4_s(a1), f32x4.mul(halves(block + 8), scale), s1);
    s2 = multiplyAdd(f32x4.convert_i32x4_s(a2), f32x4.mul(halves(block + 16), scale), s2);
    s3 = multiplyAdd(f32x4.convert_i32x4_s(a3), f32x4.mul(halves(block + 24), scale), s3);
  }
  storeSums(sums, s0, s1, s2, s3);
}

@inline
function signedStep(acc: v128, w: v128, k: v128, o: v128): v128 {
  if (!ASC_FEATURE_RELAXED_SIMD) return dotSignedVector(acc, w, k, o);
  return dotMagnitude(acc, i8x16.abs(w), i8x16.lt_s(w, i8x16.splat(0)), k);
}

/** Q8_0 with signed bytes, for plain SIMD builds, and for relaxed ones on machines where only 0..127 is safe. */
function tileQ80Signed(sums: usize, block: usize, x: usize, blocks: usize): void {
  let s0 = f32x4.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  for (const end = x + blocks * RECORD; x < end; x += RECORD, block += 544) {
    let a0 = i32x4.splat(0);
    let a1 = a0;
    let a2 = a0;
    let a3 = a0;
    for (let g: usize = 0; g < 8; g++) {
      const w = block + 32 + g * 64;
      const k = even(x + g * GROUP);
      const o = odd(x + g * GROUP, k);
      a0 = signedStep(a0, v128.load(w), k, o);
      a1 = signedStep(a1, v128.load(w, 16), k, o);
      a2 = signedStep(a2, v128.load(w, 32), k, o);
      a3 = signedStep(a3, v128.load(w, 48), k, o);
    }
    const scale = v128.load32_splat(x, SCALE);
    s0 = multiplyAdd(f32x4.convert_i32x4_s(a0), f32x4.mul(halves(block), scale), s0);
    s1 = multiplyAdd(f32x4.convert_i32x4_s(a1), f32x4.mul(halves(block + 8), scale), s1);
    s2 = multiplyAdd(f32x4.convert_i32x4_s(a2), f32x4.mul(halves(block + 16), scale), s2);
    s3 = multiplyAdd(f32x4.convert_i32x4_s(a3), f32x4.mul(halves(block + 24), scale), s3);
  }
  storeSums(sums, s0, s1, s2, s3);
}

function tileQ40(sums: usize, block: usize, x: usize, blocks: usize): void {
  tile32(FORMAT_Q4_0, sums, block, x, blocks);
}
function tileQ41(sums: usize, block: usize, x: usize, blocks: usize): void {
  tile32(FORMAT_Q4_1, sums, block, x, blocks);
}
function tileQ50(sums: usize, block: usize, x: usize, blocks: usize): void {
  tile32(FORMAT_Q5_0, sums, block, x, blocks);
}
function tileQ51(sums: usize, block: usize, x: usize, blocks: usize): void {
  tile32(FORMAT_Q5_1, sums, block, x, blocks);
}
function tileQ2K(sums: usize, block: usize, x: usize, blocks: usize): void {
  tileK(FORMAT_Q2_K, sums, block, x, blocks);
}
function tileQ3K(sums: usize, block: usize, x: usize, blocks: usize): void {
  tileK(FORMAT_Q3_K, sums, block, x, blocks);
}
function tileQ4K(sums: usize, block: usize, x: usize, blocks: usize): void {
  tileK(FORMAT_Q4_K, sums, block, x, blocks);
}
function tileQ5K(sums: usize, block: usize, x: usize, blocks: usize): void {
  tileK(FORMAT_Q5_K, sums, block, x, blocks);
}
function tileQ6K(sums: usize, block: usize, x: usize, blocks: usize): void {
  tileK(FORMAT_Q6_K, sums, block, x, blocks);
}

@inline
function runTile(format: i32, sums: usize, block: usize, x: usize, blocks: usize): void {
  switch (format) {
    case FORMAT_Q4_0: return tileQ40(sums, block, x, blocks);
    case FORMAT_Q4_1: return tileQ41(sums, block, x, blocks);
    case FORMAT_Q5_0: return tileQ50(sums, block, x, blocks);
    case FORMAT_Q5_1: return tileQ51(sums, block, x, blocks);
    case FORMAT_Q8_0: {
      if (!ASC_FEATURE_RELAXED_SIMD || dotSemantics() == SEVEN_BITS) return tileQ80Signed(sums, block, x, blocks);
      return tileQ80(sums, block, x, blocks);
    }
    case FORMAT_Q2_K: return tileQ2K(sums, block, x, blocks);
    case FORMAT_Q3_K: return tileQ3K(sums, block, x, blocks);
    case FORMAT_Q4_K: return tileQ4K(sums, block, x, blocks);
    case FORMAT_Q5_K: return tileQ5K(sums, block, x, blocks);
    default: return tileQ6K(sums, block, x, blocks);
  }
}

export function gemv(
  out: usize, activations: usize, weight: usize, format: i32, rowStart: usize, rowEnd: usize, cols: usize,
  scratch: usize,
): void {
  const blocks = cols >> 5;
  const stride = tileBytes(format, cols);
  for (let row = rowStart; row < rowEnd; row += TILE) {
    const tile = weight + (row / TILE) * stride;
    if (row + TILE <= rowEnd) runTile(format, out + row * 4, tile, activations, blocks);
    else {
      runTile(format, scratch, tile, activations, blocks);
      writeSums(out + row * 4, 0, scratch, 1, rowEnd - row);
    }
  }
}
