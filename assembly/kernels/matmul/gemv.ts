/**
 * Integer products of one token. Every weight byte is read once, and memory bandwidth is the limit. Some cores read
 * faster from several places at once than from one, others several times more slowly: so up to four tiles are
 * multiplied side by side, block by block, or one after the other, as the host asks. Their sums lie in memory (L1). The fewer instructions a block takes, the more of its loads are under way at once.
 * Additions happen in the order of gemm.ts, so that both give the same bits. The file is long because all formats share
 * these sums and their order.
 *
 * Without VNNI a dot into 32 bits is three instructions and one into 16 bits two, so there (`narrow`, known at compile
 * time) the dots of a block, or of a half with a scale of its own, are summed in 16 bits and widened once. Such a sum
 * fits because an offset is subtracted first: quants of 5 bits become -16 to 15, and 16 of them times 127 are at most
 * 32,512, as are 8 of 6 bits. Overflow before the last addition does no harm. The integers are the same.
 *
 * Where the dot takes weights as unsigned bytes (`whole`), high nibbles are multiplied in place, as 16 times their
 * value, into sums of their own, which are shifted once a block instead of each vector of weights. Their sum is at most
 * 16 * 15 * 127 * 16, and a multiple of 16. The integers are the same.
 *
 *   scratch: | sums of the last rows, where they fill no tile f32 [16] | d f32 [16] | -dmin f32 [16] | of tile 1 ... |
 */
import {
  FORMAT_Q2_K, FORMAT_Q3_K, FORMAT_Q4_0, FORMAT_Q4_1, FORMAT_Q4_K, FORMAT_Q5_0, FORMAT_Q5_1, FORMAT_Q5_K, FORMAT_Q6_K,
  FORMAT_Q8_0, TILE, bitsAt, blockBytes, hasBits, hasNibbles, headerBytes, isAffine, isK, isPer16, nibblesAt,
  offsetShift, pairsAt, tileBytes,
} from './layout';
import { NEGATED, NEGATED_HIGH, NEGATED_LOW, NOTHING, RECORD, SCALE, SUM, SUM_HIGH, SUM_LOW } from './activations';
import {
  GROUP, SEVEN_BITS, SIGNED, UNSIGNED, dotMagnitude, dotPairs, dotSemantics, dotSignedVector, dotVector, even,
  multiplyAdd, odd,
} from './dot';
import { halfMask, halfPower, halves, halvesBy, unknownZero, vector } from './vectors';
import { writeSums } from './gemm';

/** Tiles that are multiplied side by side, where the host does not say how many. */
const STREAMS: usize = 4;
/** Bytes of the sums of a tile, and of its d and -dmin in scratch. */
const SUMS: usize = 64;
const FACTORS: usize = 128;
/** The distance from a k-group in a record to the one whose quants are the high halves of the same bytes. */
const HIGH: usize = 4 * GROUP;

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

/** Adds a block's integers for one row group to the sum; `scale` and `total` are those of the record. */
@inline
function finish(format: i32, sum: usize, acc: v128, d: v128, minimum: v128, scale: v128, total: v128): void {
  let s = v128.load(sum);
  if (isAffine(format)) s = multiplyAdd(minimum, total, s);
  v128.store(sum, multiplyAdd(f32x4.convert_i32x4_s(acc), f32x4.mul(d, scale), s));
}

/** Adds the products of a vector of nibbles: the low ones times the k-group x, the high ones times y. */
@inline
function nibbles(
  format: i32, narrow: bool, acc: v128, both: v128, x: v128, xOdd: v128, y: v128, yOdd: v128, bits: v128, m: v128,
  bit: v128, evens: v128,
): v128 {
  let low = v128.and(both, m);
  let high = v128.and(i16x8.shr_u(both, 4), m);
  if (hasBits(format)) {
    low = v128.or(low, v128.and(i16x8.shl(bits, 4), bit));
    high = v128.or(high, v128.and(bits, bit));
  } else if (!ASC_FEATURE_RELAXED_SIMD) {
    // `m` has only the low nibble of each i16: the even k.
    const a = i32x4.add(i32x4.dot_i16x8_s(low, x), i32x4.dot_i16x8_s(high, y));
    const lowOdd = v128.and(i16x8.shr_u(both, 8), m);
    const b = i32x4.add(i32x4.dot_i16x8_s(lowOdd, xOdd), i32x4.dot_i16x8_s(i16x8.shr_u(both, 12), yOdd));
    return i32x4.add(acc, i32x4.add(a, b));
  }
  if (narrow) return i16x8.add(acc, i16x8.add(dotPairs(x, low), dotPairs(y, high)));
  return dotVector(dotVector(acc, low, x, xOdd, evens), high, y, yOdd, evens);
}

/**
 * Adds a block to the sums of a tile, for the formats with nibbles and one scale for 32 values. The integers begin at
 * `start`, and without VNNI `undo` is subtracted from them. `mask` is that of f16 numbers, or of K formats' scales. With
 * `whole`, `bit` is the mask of high nibbles, and `b0` to `b3` are their sums.
 */
@inline
function nibbleBlock(
  format: i32, narrow: bool, whole: bool, sums: usize, block: usize, factors: usize, x: usize, start: v128,
  undo: v128, scale: v128, total: v128, m: v128, bit: v128, evens: v128, ones: v128, mask: v128, power: v128,
): void {
  let a0 = start;
  let a1 = a0;
  let a2 = a0;
  let a3 = a0;
  let b0 = a0;
  let b1 = a0;
  let b2 = a0;
  let b3 = a0;
  if (hasBits(format)) {
    const bits = block + bitsAt(format);
    b0 = v128.load(bits);
    b1 = v128.load(bits, 16);
    b2 = v128.load(bits, 32);
    b3 = v128.load(bits, 48);
  }
  if (whole) {
    b0 = i32x4.splat(0);
    b1 = b0;
    b2 = b0;
    b3 = b0;
  }
  let w = block + nibblesAt(format);
  let k = x;
  // Steps as turns of a loop: in one expression, WASM's optimiser would order the dots sum by sum, with all operands
  // live at once.
  const stop = k + HIGH;
  do {
    const low = even(k);
    const lowOdd = odd(k, low);
    const high = v128.load32_splat(k, HIGH);
    const highOdd = ASC_FEATURE_RELAXED_SIMD ? high : v128.load32_splat(k, HIGH + 4);
    if (whole) {
      let both = v128.load(w);
      a0 = dotVector(a0, v128.and(both, m), low, low, low);
      b0 = dotVector(b0, v128.and(both, bit), high, high, high);
      both = v128.load(w, 16);
      a1 = dotVector(a1, v128.and(both, m), low, low, low);
      b1 = dotVector(b1, v128.and(both, bit), high, high, high);
      both = v128.load(w, 32);
      a2 = dotVector(a2, v128.and(both, m), low, low, low);
      b2 = dotVector(b2, v128.and(both, bit), high, high, high);
      both = v128.load(w, 48);
      a3 = dotVector(a3, v128.and(both, m), low, low, low);
      b3 = dotVector(b3, v128.and(both, bit), high, high, high);
      k += GROUP;
      w += 64;
      continue;
    }
    a0 = nibbles(format, narrow, a0, v128.load(w), low, lowOdd, high, highOdd, b0, m, bit, evens);
    a1 = nibbles(format, narrow, a1, v128.load(w, 16), low, lowOdd, high, highOdd, b1, m, bit, evens);
    a2 = nibbles(format, narrow, a2, v128.load(w, 32), low, lowOdd, high, highOdd, b2, m, bit, evens);
    a3 = nibbles(format, narrow, a3, v128.load(w, 48), low, lowOdd, high, highOdd, b3, m, bit, evens);
    if (hasBits(format)) {
      b0 = i16x8.shr_u(b0, 1);
      b1 = i16x8.shr_u(b1, 1);
      b2 = i16x8.shr_u(b2, 1);
      b3 = i16x8.shr_u(b3, 1);
    }
    k += GROUP;
    w += 64;
  } while (k < stop);
  if (whole) {
    a0 = i32x4.add(a0, i32x4.shr_s(b0, 4));
    a1 = i32x4.add(a1, i32x4.shr_s(b1, 4));
    a2 = i32x4.add(a2, i32x4.shr_s(b2, 4));
    a3 = i32x4.add(a3, i32x4.shr_s(b3, 4));
  }
  nibbleFinish(format, 0, sums, widened(format, narrow, a0, ones, undo), block, factors, scale, total, mask, power);
  nibbleFinish(format, 1, sums, widened(format, narrow, a1, ones, undo), block, factors, scale, total, mask, power);
  nibbleFinish(format, 2, sums, widened(format, narrow, a2, ones, undo), block, factors, scale, total, mask, power);
  nibbleFinish(format, 3, sums, widened(format, narrow, a3, ones, undo), block, factors, scale, total, mask, power);
}

/** Returns the integers of 4 rows, of which those without VNNI are sums of 16 bits yet. */
@inline
function widened(format: i32, narrow: bool, acc: v128, ones: v128, undo: v128): v128 {
  if (!narrow) return acc;
  const integers = i32x4.dot_i16x8_s(acc, ones);
  return hasBits(format) && isAffine(format) ? i32x4.sub(integers, undo) : integers;
}

/** Returns scale v of every lane, an unsigned byte. */
@inline
function byteOf(scales: v128, v: i32, mask: v128): v128 {
  const moved = v == 0 ? scales : i32x4.shr_u(scales, 8 * v);
  return f32x4.convert_i32x4_s(v == 3 ? moved : v128.and(moved, mask));
}

/** `finish` for row group v. */
@inline
function nibbleFinish(
  format: i32, v: i32, sums: usize, acc: v128, block: usize, factors: usize, scale: v128, total: v128, mask: v128,
  power: v128,
): void {
  const sum = sums + 16 * v;
  if (isK(format)) {
    const d = f32x4.mul(vector(factors, v), byteOf(v128.load(block), v, mask));
    finish(format, sum, acc, d, f32x4.mul(vector(factors, v + 4), byteOf(v128.load(block, 16), v, mask)), scale, total);
  } else {
    const minimum = isAffine(format) ? halvesBy(block + 32 + 8 * v, mask, power) : acc;
    finish(format, sum, acc, halvesBy(block + 8 * v, mask, power), minimum, scale, total);
  }
}

/** Returns 4 k of the record at x, the n-th (0..15, known at compile time), in every lane, with a constant offset. */
@inline
function group(x: usize, n: i32): v128 {
  if (n == 0) return v128.load32_splat(x, 0);
  if (n == 1) return v128.load32_splat(x, 4);
  if (n == 2) return v128.load32_splat(x, 8);
  if (n == 3) return v128.load32_splat(x, 12);
  if (n == 4) return v128.load32_splat(x, 16);
  if (n == 5) return v128.load32_splat(x, 20);
  if (n == 6) return v128.load32_splat(x, 24);
  if (n == 7) return v128.load32_splat(x, 28);
  if (n == 8) return v128.load32_splat(x, 32);
  if (n == 9) return v128.load32_splat(x, 36);
  if (n == 10) return v128.load32_splat(x, 40);
  if (n == 11) return v128.load32_splat(x, 44);
  if (n == 12) return v128.load32_splat(x, 48);
  if (n == 13) return v128.load32_splat(x, 52);
  if (n == 14) return v128.load32_splat(x, 56);
  return v128.load32_splat(x, 60);
}

/** acc + q times k-group g of the record at x. */
@inline
function step(acc: v128, q: v128, x: usize, g: i32, evens: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return dotVector(acc, q, group(x, g), q, evens);
  return dotVector(acc, q, group(x, 2 * g), group(x, 2 * g + 1), evens);
}

@inline
function pairsQuant(
  format: i32, block: usize, e: i32, f: i32, four: v128, bits: v128, m: v128, bit: v128, pair: v128,
): v128 {
  let q = field(four, hasNibbles(format) ? 2 * f - 4 : 2 * f, pair);
  if (hasBits(format)) q = v128.or(q, field(bits, 4 * e + f - 2, bit));
  if (hasNibbles(format)) q = v128.or(q, field(vector(block + nibblesAt(format), f * 4), 4 * e, m));
  return q;
}

/** Returns start + Q . x over values [16 e, 16 e + 16) of one row group, for the formats with pairs. */
@inline
function pairs16(
  format: i32, narrow: bool, start: v128, block: usize, x: usize, e: i32, m: v128, bit: v128, pair: v128, evens: v128,
  ones: v128,
): v128 {
  const four = vector(block + pairsAt(format), e * 4);
  const bits = hasBits(format) ? v128.load(block + bitsAt(format)) : start;
  const q = pairsQuant(format, block, e, 0, four, bits, m, bit, pair);
  const r = pairsQuant(format, block, e, 1, four, bits, m, bit, pair);
  if (narrow) {
    const p = pairsQuant(format, block, e, 2, four, bits, m, bit, pair);
    const o = pairsQuant(format, block, e, 3, four, bits, m, bit, pair);
    const a = i16x8.add(i16x8.add(start, dotPairs(group(x, 4 * e), q)), dotPairs(group(x, 4 * e + 1), r));
    const b = i16x8.add(dotPairs(group(x, 4 * e + 2), p), dotPairs(group(x, 4 * e + 3), o));
    return i32x4.dot_i16x8_s(i16x8.add(a, b), ones);
  }
  const a = step(step(start, q, x, 4 * e, evens), r, x, 4 * e + 1, evens);
  let b = step(i32x4.splat(0), pairsQuant(format, block, e, 2, four, bits, m, bit, pair), x, 4 * e + 2, evens);
  b = step(b, pairsQuant(format, block, e, 3, four, bits, m, bit, pair), x, 4 * e + 3, evens);
  return i32x4.add(a, b);
}

/** Returns the scale in the low byte of every lane: unsigned 4 bits in Q2_K, else signed. */
@inline
function lowByte(format: i32, scales: v128, mask: v128): v128 {
  if (format == FORMAT_Q2_K) return f32x4.convert_i32x4_s(v128.and(scales, mask));
  return f32x4.convert_i32x4_s(i32x4.shr_s(i32x4.shl(scales, 24), 24));
}

/** Returns Q2_K's minimums, which are the high halves of its scales. */
@inline
function highHalf(scales: v128, mask: v128): v128 {
  return f32x4.convert_i32x4_s(v128.and(i32x4.shr_u(scales, 4), mask));
}

/** Adds the integers of the two halves of a block, for one row group, to the sum; scales are in the low bytes. */
@inline
function finishHalves(
  format: i32, sum: usize, a: v128, c: v128, s: v128, t: v128, factors: usize, x: usize, mask: v128,
): void {
  const d = v128.load(factors);
  const low = f32x4.mul(f32x4.convert_i32x4_s(a), f32x4.mul(d, lowByte(format, s, mask)));
  const both = multiplyAdd(f32x4.convert_i32x4_s(c), f32x4.mul(d, lowByte(format, t, mask)), low);
  let result = v128.load(sum);
  if (isAffine(format)) {
    const dmin = v128.load(factors, 64);
    result = multiplyAdd(f32x4.mul(dmin, highHalf(t, mask)), v128.load32_splat(x, SUM_HIGH), result);
    result = multiplyAdd(f32x4.mul(dmin, highHalf(s, mask)), v128.load32_splat(x, SUM_LOW), result);
  }
  v128.store(sum, multiplyAdd(both, v128.load32_splat(x, SCALE), result));
}

/** Returns what integers begin with, sums of 16 bits where they are narrow; `negated` is where the record has the sum. */
@inline
function startOf(format: i32, narrow: bool, negated: usize): v128 {
  // Without VNNI an offset is subtracted from 5 bits, too, whose sums would else be too large.
  if (isAffine(format) && !(narrow && hasBits(format) && !isPer16(format))) return i32x4.splat(0);
  const pairs = v128.load32_splat(negated);
  const shift = isAffine(format) ? 4 : offsetShift(format);
  return narrow ? i16x8.shl(pairs, shift) : i32x4.shl(i32x4.extadd_pairwise_i16x8_s(pairs), shift);
}

/** Adds a block to the sums of a tile, for the formats with a scale for 16 values. */
@inline
function pairBlock(
  format: i32, narrow: bool, sums: usize, block: usize, factors: usize, x: usize, m: v128, bit: v128, pair: v128,
  evens: v128, ones: v128, mask: v128,
): void {
  let s = v128.load(block);
  let t = v128.load(block, 16);
  const low = startOf(format, narrow, x + NEGATED_LOW);
  const high = startOf(format, narrow, x + NEGATED_HIGH);
  for (const end = sums + SUMS; sums < end; sums += 16, block += 16, factors += 16) {
    const a = pairs16(format, narrow, low, block, x, 0, m, bit, pair, evens, ones);
    const c = pairs16(format, narrow, high, block, x, 1, m, bit, pair, evens, ones);
    finishHalves(format, sums, a, c, s, t, factors, x, mask);
    s = i32x4.shr_u(s, 8);
    t = i32x4.shr_u(t, 8);
  }
}

/** Writes d and -dmin of a tile's superblock as f32. */
@inline
function writeFactors(format: i32, factors: usize, header: usize, mask: v128, power: v128): void {
  for (const end = factors + 64; factors < end; factors += 16, header += 8) {
    v128.store(factors, halvesBy(header, mask, power));
    if (isAffine(format)) v128.store(factors, f32x4.neg(halvesBy(header + 32, mask, power)), 64);
  }
}

/**
 * Adds the products with tiles that lie `stride` bytes apart, the first of which is at `block`, to their sums, which
 * end at `end`.
 */
@inline
function tiles(
  format: i32, narrow: bool, whole: bool, sums: usize, end: usize, block: usize, stride: usize, x: usize, blocks: usize,
  factors: usize,
): void {
  const zero = unknownZero();
  // Plain SIMD builds take the nibbles of the even and of the odd k one after the other.
  const wide = !ASC_FEATURE_RELAXED_SIMD && !isPer16(format) && !hasBits(format);
  const m = wide ? i16x8.splat(<i16>(zero + 15)) : bytes(zero, 15);
  const bit = bytes(zero, whole ? 240 : hasNibbles(format) ? 16 : 4);
  const pair = bytes(zero, hasNibbles(format) ? 48 : 3);
  const evens = i16x8.splat(<i16>(zero + 255));
  const ones = i16x8.splat(<i16>(zero + 1));
  const mask = isK(format) ? i32x4.splat(zero + (format == FORMAT_Q2_K ? 15 : 255)) : halfMask(zero);
  const power = halfPower(zero);
  const step = blockBytes(format);
  for (let b: usize = 0; b < blocks; b++, x += RECORD, block += step) {
    if (isK(format) && (b & 7) == 0) {
      let at = block;
      let to = factors;
      for (let s = sums; s < end; s += SUMS, at += stride, to += FACTORS) {
        writeFactors(format, to, at, halfMask(zero), power);
      }
      block += headerBytes(format);
    }
    const scale = v128.load32_splat(x, SCALE);
    const total = v128.load32_splat(x, SUM);
    const start = startOf(format, narrow, x + NEGATED);
    const undo = i32x4.extadd_pairwise_i16x8_s(start);
    let at = block;
    let from = factors;
    for (let s = sums; s < end; s += SUMS, at += stride) {
      if (isPer16(format)) pairBlock(format, narrow, s, at, from, x, m, bit, pair, evens, ones, mask);
      else {
        nibbleBlock(
          format, narrow, whole, s, at, from, x, start, undo, scale, total, m, bit, evens, ones, mask, power,
        );
      }
      if (isK(format)) from += FACTORS;
    }
  }
}

/** Returns, in every lane, the sum of the magnitudes of those of 32 bytes that are negative. */
@inline
function negativeMagnitudes(x: usize): v128 {
  const zero = i8x16.splat(0);
  const a = i16x8.extadd_pairwise_i8x16_s(i8x16.min_s(v128.load(x), zero));
  const b = i16x8.extadd_pairwise_i8x16_s(i8x16.min_s(v128.load(x, 16), zero));
  let s = i32x4.extadd_pairwise_i16x8_s(i16x8.add(a, b));
  s = i32x4.add(s, v128.shuffle<i32>(s, s, 2, 3, 0, 1));
  return i32x4.neg(i32x4.add(s, v128.shuffle<i32>(s, s, 1, 0, 3, 2)));
}

/** Where `k` is multiplied by signed bytes: `negative` and `magnitude` are its signs and magnitudes, on relaxed builds. */
@inline
function signedStep(acc: v128, w: v128, k: v128, o: v128, negative: v128, magnitude: v128): v128 {
  if (!ASC_FEATURE_RELAXED_SIMD) return dotSignedVector(acc, w, k, o);
  return dotMagnitude(acc, w, negative, magnitude);
}

/**
 * `tiles` for Q8_0. With `signed`, the bytes are multiplied as they are: on plain SIMD builds, and on relaxed ones on
 * machines where only 0..127 is safe in the dot. Else `flip` makes the bytes unsigned where the dot takes them so, and
 * `correction` is the field of the record that undoes it.
 */
@inline
function tilesOfBytes(
  signed: bool, sums: usize, end: usize, block: usize, stride: usize, x: usize, blocks: usize,
): void {
  const same = dotSemantics() == SIGNED;
  const flip = i8x16.splat(same ? 0 : -128);
  const correction = signed || same ? NOTHING : NEGATED;
  for (const last = x + blocks * RECORD; x < last; x += RECORD, block += 544) {
    let at = block;
    const scale = v128.load32_splat(x, SCALE);
    let start = i32x4.splat(0);
    if (ASC_FEATURE_RELAXED_SIMD) {
      start = signed ? negativeMagnitudes(x)
        : i32x4.shl(i32x4.extadd_pairwise_i16x8_s(v128.load32_splat(x + correction)), 7);
    }
    for (let s = sums; s < end; s += SUMS, at += stride) {
      let a0 = start;
      let a1 = a0;
      let a2 = a0;
      let a3 = a0;
      let w = at + 32;
      for (let g = x, stop = x + 8 * GROUP; g < stop; g += GROUP, w += 64) {
        const k = even(g);
        const o = odd(g, k);
        if (signed) {
          const negative = ASC_FEATURE_RELAXED_SIMD ? i8x16.lt_s(k, i8x16.splat(0)) : k;
          const magnitude = ASC_FEATURE_RELAXED_SIMD ? i8x16.abs(k) : k;
          a0 = signedStep(a0, v128.load(w), k, o, negative, magnitude);
          a1 = signedStep(a1, v128.load(w, 16), k, o, negative, magnitude);
          a2 = signedStep(a2, v128.load(w, 32), k, o, negative, magnitude);
          a3 = signedStep(a3, v128.load(w, 48), k, o, negative, magnitude);
        } else {
          a0 = dotVector(a0, v128.xor(v128.load(w), flip), k, o, k);
          a1 = dotVector(a1, v128.xor(v128.load(w, 16), flip), k, o, k);
          a2 = dotVector(a2, v128.xor(v128.load(w, 32), flip), k, o, k);
          a3 = dotVector(a3, v128.xor(v128.load(w, 48), flip), k, o, k);
        }
      }
      finish(FORMAT_Q8_0, s, a0, halves(at), a0, scale, scale);
      finish(FORMAT_Q8_0, s + 16, a1, halves(at + 8), a1, scale, scale);
      finish(FORMAT_Q8_0, s + 32, a2, halves(at + 16), a2, scale, scale);
      finish(FORMAT_Q8_0, s + 48, a3, halves(at + 24), a3, scale, scale);
    }
  }
}

// One function a format, which the compiler specialises: only there is `format` a constant.

function tilesQ40(
  sums: usize, end: usize, block: usize, stride: usize, x: usize, blocks: usize, factors: usize,
): void {
  tiles(FORMAT_Q4_0, false, false, sums, end, block, stride, x, blocks, factors);
}
function tilesQ41(
  sums: usize, end: usize, block: usize, stride: usize, x: usize, blocks: usize, factors: usize,
): void {
  tiles(FORMAT_Q4_1, false, false, sums, end, block, stride, x, blocks, factors);
}
function tilesQ50(
  sums: usize, end: usize, block: usize, stride: usize, x: usize, blocks: usize, factors: usize,
): void {
  tiles(FORMAT_Q5_0, false, false, sums, end, block, stride, x, blocks, factors);
}
function tilesQ51(
  sums: usize, end: usize, block: usize, stride: usize, x: usize, blocks: usize, factors: usize,
): void {
  tiles(FORMAT_Q5_1, false, false, sums, end, block, stride, x, blocks, factors);
}
function tilesQ2K(
  sums: usize, end: usize, block: usize, stride: usize, x: usize, blocks: usize, factors: usize,
): void {
  tiles(FORMAT_Q2_K, false, false, sums, end, block, stride, x, blocks, factors);
}
function tilesQ3K(
  sums: usize, end: usize, block: usize, stride: usize, x: usize, blocks: usize, factors: usize,
): void {
  tiles(FORMAT_Q3_K, false, false, sums, end, block, stride, x, blocks, factors);
}
function tilesQ4K(
  sums: usize, end: usize, block: usize, stride: usize, x: usize, blocks: usize, factors: usize,
): void {
  tiles(FORMAT_Q4_K, false, false, sums, end, block, stride, x, blocks, factors);
}
function tilesQ5K(
  sums: usize, end: usize, block: usize, stride: usize, x: usize, blocks: usize, factors: usize,
): void {
  tiles(FORMAT_Q5_K, false, false, sums, end, block, stride, x, blocks, factors);
}
function tilesQ6K(
  sums: usize, end: usize, block: usize, stride: usize, x: usize, blocks: usize, factors: usize,
): void {
  tiles(FORMAT_Q6_K, false, false, sums, end, block, stride, x, blocks, factors);
}
function wholeQ40(
  sums: usize, end: usize, block: usize, stride: usize, x: usize, blocks: usize, factors: usize,
): void {
  tiles(FORMAT_Q4_0, false, true, sums, end, block, stride, x, blocks, factors);
}
function narrowQ40(
  sums: usize, end: usize, block: usize, stride: usize, x: usize, blocks: usize, factors: usize,
): void {
  tiles(FORMAT_Q4_0, true, false, sums, end, block, stride, x, blocks, factors);
}
function wholeQ41(
  sums: usize, end: usize, block: usize, stride: usize, x: usize, blocks: usize, factors: usize,
): void {
  tiles(FORMAT_Q4_1, false, true, sums, end, block, stride, x, blocks, factors);
}
function narrowQ41(
  sums: usize, end: usize, block: usize, stride: usize, x: usize, blocks: usize, factors: usize,
): void {
  tiles(FORMAT_Q4_1, true, false, sums, end, block, stride, x, blocks, factors);
}
function narrowQ50(
  sums: usize, end: usize, block: usize, stride: usize, x: usize, blocks: usize, factors: usize,
): void {
  tiles(FORMAT_Q5_0, true, false, sums, end, block, stride, x, blocks, factors);
}
function narrowQ51(
  sums: usize, end: usize, block: usize, stride: usize, x: usize, blocks: usize, factors: usize,
): void {
  tiles(FORMAT_Q5_1, true, false, sums, end, block, stride, x, blocks, factors);
}
function wholeQ4K(
  sums: usize, end: usize, block: usize, stride: usize, x: usize, blocks: usize, factors: usize,
): void {
  tiles(FORMAT_Q4_K, false, true, sums, end, block, stride, x, blocks, factors);
}
function narrowQ4K(
  sums: usize, end: usize, block: usize, stride: usize, x: usize, blocks: usize, factors: usize,
): void {
  tiles(FORMAT_Q4_K, true, false, sums, end, block, stride, x, blocks, factors);
}
function narrowQ5K(
  sums: usize, end: usize, block: usize, stride: usize, x: usize, blocks: usize, factors: usize,
): void {
  tiles(FORMAT_Q5_K, true, false, sums, end, block, stride, x, blocks, factors);
}
function narrowQ6K(
  sums: usize, end: usize, block: usize, stride: usize, x: usize, blocks: usize, factors: usize,
): void {
  tiles(FORMAT_Q6_K, true, false, sums, end, block, stride, x, blocks, factors);
}
function tilesQ80(sums: usize, end: usize, block: usize, stride: usize, x: usize, blocks: usize): void {
  tilesOfBytes(false, sums, end, block, stride, x, blocks);
}
function tilesQ80Signed(sums: usize, end: usize, block: usize, stride: usize, x: usize, blocks: usize): void {
  tilesOfBytes(true, sums, end, block, stride, x, blocks);
}

/** Computes the sums [sums, end) of the tiles at `block`. */
@inline
function runTiles(
  format: i32, sums: usize, end: usize, block: usize, stride: usize, x: usize, blocks: usize, factors: usize,
): void {
  memory.fill(sums, 0, end - sums);
  const narrow = ASC_FEATURE_RELAXED_SIMD && dotSemantics() == SEVEN_BITS;
  const whole = ASC_FEATURE_RELAXED_SIMD && dotSemantics() == UNSIGNED;
  switch (format) {
    case FORMAT_Q4_0: {
      if (narrow) return narrowQ40(sums, end, block, stride, x, blocks, factors);
      if (whole) return wholeQ40(sums, end, block, stride, x, blocks, factors);
      return tilesQ40(sums, end, block, stride, x, blocks, factors);
    }
    case FORMAT_Q4_1: {
      if (narrow) return narrowQ41(sums, end, block, stride, x, blocks, factors);
      if (whole) return wholeQ41(sums, end, block, stride, x, blocks, factors);
      return tilesQ41(sums, end, block, stride, x, blocks, factors);
    }
    case FORMAT_Q5_0: {
      if (narrow) return narrowQ50(sums, end, block, stride, x, blocks, factors);
      return tilesQ50(sums, end, block, stride, x, blocks, factors);
    }
    case FORMAT_Q5_1: {
      if (narrow) return narrowQ51(sums, end, block, stride, x, blocks, factors);
      return tilesQ51(sums, end, block, stride, x, blocks, factors);
    }
    case FORMAT_Q2_K: return tilesQ2K(sums, end, block, stride, x, blocks, factors);
    case FORMAT_Q3_K: return tilesQ3K(sums, end, block, stride, x, blocks, factors);
    case FORMAT_Q4_K: {
      if (narrow) return narrowQ4K(sums, end, block, stride, x, blocks, factors);
      if (whole) return wholeQ4K(sums, end, block, stride, x, blocks, factors);
      return tilesQ4K(sums, end, block, stride, x, blocks, factors);
    }
    case FORMAT_Q5_K: {
      if (narrow) return narrowQ5K(sums, end, block, stride, x, blocks, factors);
      return tilesQ5K(sums, end, block, stride, x, blocks, factors);
    }
    case FORMAT_Q8_0: {
      if (ASC_FEATURE_RELAXED_SIMD && !narrow) return tilesQ80(sums, end, block, stride, x, blocks);
      return tilesQ80Signed(sums, end, block, stride, x, blocks);
    }
    default: {
      if (narrow) return narrowQ6K(sums, end, block, stride, x, blocks, factors);
      return tilesQ6K(sums, end, block, stride, x, blocks, factors);
    }
  }
}

export function gemv(
  out: usize, activations: usize, weight: usize, format: i32, rowStart: usize, rowEnd: usize, cols: usize,
  scratch: usize, streams: usize,
): void {
  if (streams == 0) streams = STREAMS;
  const blocks = cols >> 5;
  const stride = tileBytes(format, cols);
  const factors = scratch + SUMS;
  for (let row = rowStart; row < rowEnd; ) {
    const tile = weight + (row / TILE) * stride;
    const count = min<usize>((rowEnd - row) / TILE, streams);
    const sums = count == 0 ? scratch : out + row * 4;
    runTiles(format, sums, sums + max<usize>(count, 1) * SUMS, tile, stride, activations, blocks, factors);
    if (count == 0) writeSums(out + row * 4, 0, scratch, 1, rowEnd - row);
    row += max<usize>(count, 1) * TILE;
  }
}
