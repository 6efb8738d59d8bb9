/**
 * Integer products of many tokens. For each tile of 16 rows and chunk of 96 tokens, each block of 32 k is unpacked once
 * into scratch memory (L1): its quants as bytes (as i16 on plain SIMD builds), its scales and minima as f32. Then
 * twelve sums, of two row groups of 4 by six tokens, stay in registers while k advances: eight loads serve twelve dots.
 * All formats share these inner loops; they differ in how they are unpacked, in whether a value has a minimum (affine
 * formats) or an offset (symmetric ones), and in having one scale for 32 values or for 16.
 *
 * Every row and token is summed as in gemv.ts: the products of a block as one integer (one for each of its scales),
 * then in f32 block by block. So the results of a token have the same bits whatever other tokens are in the call. The
 * last one to five tokens are computed as six: the records behind the last one are read, and their sums ignored.
 *
 *   scratch: | sums f32 [token of the chunk][16 rows] | products of the first 16 k f32 (or i16 sums) [6 tokens][8 rows]
 *            | scales f32 [half 0, 1][16 rows] | minima f32 [half 0, 1][16 rows] | quants [step][row group][16 bytes]
 *            | signs of Q8_0 where only 0..127 is safe in the dot [step][row group][16 bytes] |
 *
 * A step is 4 k of four rows, on plain SIMD builds the even or the odd 2 k of them (dot.ts). The file is long because
 * each format's unpacking and the inner loops share this layout of scratch memory.
 */
import {
  FORMAT_Q2_K, FORMAT_Q3_K, FORMAT_Q4_0, FORMAT_Q4_1, FORMAT_Q4_K, FORMAT_Q5_0, FORMAT_Q5_1, FORMAT_Q5_K, FORMAT_Q6_K,
  FORMAT_Q8_0, TILE, blockBytes, hasBits, headerBytes, isAffine, isK, isPer16, offsetShift, tileBytes,
} from './layout';
import {
  CHUNK, NEGATED, NEGATED_HIGH, NEGATED_LOW, NOTHING, RECORD, SCALE, SUM, SUM_HIGH, SUM_LOW,
} from './activations';
import { SEVEN_BITS, SIGNED, UNSIGNED, dotMagnitude, dotPairs, dotSemantics, multiplyAdd } from './dot';
import { unknownZero } from './vectors';
import {
  HALF, HALFWAY, MINIMA, QUANTS, SCALES, SIGNS, WIDE, unpackQ2K, unpackQ3K, unpackQ40, unpackQ41, unpackQ4K, unpackQ50,
  unpackQ51, unpackQ5K, unpackQ6K, unpackQ80,
} from './unpack';

/** Bytes of the scratch memory. */
export { GEMM_SCRATCH } from './unpack';

/** Tokens whose sums are computed together. */
const AT_ONCE: usize = 6;
/** The distances from a token's record to those of the next five. */
const T1 = RECORD;
const T2 = 2 * RECORD;
const T3 = 3 * RECORD;
const T4 = 4 * RECORD;
const T5 = 5 * RECORD;

/**
 * The bits of the f32 1.5 * 2^23. Integers of a block, which are below 2^22, are summed on top of it: the bits are then
 * those of the f32 1.5 * 2^23 + sum, and one exact subtraction converts the sum. Other than the conversion instruction,
 * it does not compete with the dots for their two execution ports on Intel's processors.
 */
const ORIGIN: i32 = 0x4b400000;

/** acc + w . x for a step; `narrow` sums are i16, of even and odd pairs of k. */
@inline
function dot(narrow: bool, acc: v128, x: v128, w: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) {
    if (narrow) return i16x8.add(acc, dotPairs(x, w));
    return i32x4.relaxed_dot_i8x16_i7x16_add_s(x, w, acc);
  }
  return i32x4.add(acc, i32x4.dot_i16x8_s(w, x));
}

/** Returns where the sums of a token begin: at the negated sum `pairs` (activations.ts) times the offset `power`. */
@inline
function begin(narrow: bool, origin: v128, pairs: v128, power: v128): v128 {
  return narrow ? i16x8.mul(pairs, power) : i32x4.add(i32x4.dot_i16x8_s(pairs, power), origin);
}

/** Returns a sum on top of ORIGIN, as every wide one is. */
@inline
function wide(narrow: bool, acc: v128, origin: v128): v128 {
  return narrow ? i32x4.add(origin, i32x4.extadd_pairwise_i16x8_s(acc)) : acc;
}

/** Adds a block's integers for one token and row group to the sum; `at` is the row group's place in scratch. */
@inline
function finish(
  affine: bool, per16: bool, sum: usize, x: usize, at: usize, halfway: usize, acc: v128, origin: v128,
): void {
  let s = v128.load(sum);
  if (affine) s = multiplyAdd(v128.load(at, MINIMA), v128.load32_splat(x + SUM), s);
  const f = f32x4.sub(acc, origin);
  const scale = v128.load32_splat(x + SCALE);
  if (per16) s = multiplyAdd(multiplyAdd(f, v128.load(at, SCALES + 64), v128.load(halfway)), scale, s);
  else s = multiplyAdd(f, f32x4.mul(v128.load(at, SCALES), scale), s);
  v128.store(sum, s);
}

/** Keeps the products of a block's first 16 values for two row groups and one token. */
@inline
function keep(narrow: bool, halfway: usize, at: usize, a: v128, b: v128, origin: v128): void {
  v128.store(halfway, f32x4.mul(f32x4.sub(wide(narrow, a, origin), origin), v128.load(at, SCALES)));
  v128.store(halfway, f32x4.mul(f32x4.sub(wide(narrow, b, origin), origin), v128.load(at, SCALES + 16)), 16);
}

/** `finish` for two row groups. */
@inline
function finishPair(
  affine: bool, per16: bool, narrow: bool, sum: usize, x: usize, at: usize, halfway: usize, a: v128, b: v128,
  origin: v128,
): void {
  finish(affine, per16, sum, x, at, halfway, wide(narrow, a, origin), origin);
  finish(affine, per16, sum + 16, x, at + 16, halfway + 16, wide(narrow, b, origin), origin);
}

/**
 * Widens the sums at `halfway` and finishes them, for two row groups and six tokens. In affine formats the offset that
 * made them fit is taken back.
 */
@inline
function finishNarrow(
  affine: bool, sum: usize, x: usize, at: usize, halfway: usize, correction: usize, power: v128,
): void {
  const origin = i32x4.splat(ORIGIN);
  for (const end = halfway + 32 * AT_ONCE; halfway < end; halfway += 32, sum += 64, x += RECORD) {
    let start = origin;
    if (affine) start = i32x4.sub(origin, i32x4.dot_i16x8_s(v128.load32_splat(x + correction), power));
    const a = wide(true, v128.load(halfway), start);
    const b = wide(true, v128.load(halfway, 16), start);
    finishPair(affine, false, false, sum, x, at, 0, a, b, origin);
  }
}
function finishAffine(sum: usize, x: usize, at: usize, halfway: usize, correction: usize, power: v128): void {
  finishNarrow(true, sum, x, at, halfway, correction, power);
}
function finishSymmetric(sum: usize, x: usize, at: usize, halfway: usize): void {
  finishNarrow(false, sum, x, at, halfway, 0, i16x8.splat(0));
}

/**
 * sums += the unpacked block times the records at x. Symmetric formats start from the field `correction` of the record
 * (with a scale for 16 k, the second half from the field `second`) times 2^shift. With `narrow`, the dots of a block, or
 * of a half with a scale of its own, are summed in 16 bits and widened once; affine formats then subtract such an offset,
 * too, by which 5 bits fit (narrow.ts), and add it again afterwards.
 */
@inline
function multiply(
  affine: bool, per16: bool, narrow: bool, scratch: usize, x: usize, count: usize, correction: usize, second: usize,
  shift: i32,
): void {
  const origin = i32x4.splat(unknownZero() + ORIGIN);
  const power = i16x8.splat(<i16>(<i32>1 << shift));
  const halfway = scratch + HALFWAY;
  const end = x + count * RECORD;
  for (let at = scratch; at < scratch + 64; at += 32) {
    let sum = at;
    for (let t = x; t < end; t += AT_ONCE * RECORD, sum += AT_ONCE * 64) {
      let w = at + QUANTS;
      let k = t;
      let c = t + correction;
      let half = per16;
      let a0 = narrow ? i32x4.splat(0) : origin;
      let a1 = a0;
      let a2 = a0;
      let a3 = a0;
      let a4 = a0;
      let a5 = a0;
      let b0 = a0;
      let b1 = a0;
      let b2 = a0;
      let b3 = a0;
      let b4 = a0;
      let b5 = a0;
      while (true) {
        if (!affine || narrow) {
          a0 = begin(narrow, origin, v128.load32_splat(c), power);
          a1 = begin(narrow, origin, v128.load32_splat(c, T1), power);
          a2 = begin(narrow, origin, v128.load32_splat(c, T2), power);
          a3 = begin(narrow, origin, v128.load32_splat(c, T3), power);
          a4 = begin(narrow, origin, v128.load32_splat(c, T4), power);
          a5 = begin(narrow, origin, v128.load32_splat(c, T5), power);
          b0 = a0;
          b1 = a1;
          b2 = a2;
          b3 = a3;
          b4 = a4;
          b5 = a5;
        }
        // Steps as turns of a loop: in one expression, WASM's optimiser would order the dots sum by sum, with all
        // operands live at once.
        const stop = k + (per16 ? HALF / 16 : HALF / 8);
        do {
          const u = v128.load(w);
          const v = v128.load(w, 16);
          let y = v128.load32_splat(k);
          a0 = dot(narrow, a0, y, u);
          b0 = dot(narrow, b0, y, v);
          y = v128.load32_splat(k, T1);
          a1 = dot(narrow, a1, y, u);
          b1 = dot(narrow, b1, y, v);
          y = v128.load32_splat(k, T2);
          a2 = dot(narrow, a2, y, u);
          b2 = dot(narrow, b2, y, v);
          y = v128.load32_splat(k, T3);
          a3 = dot(narrow, a3, y, u);
          b3 = dot(narrow, b3, y, v);
          y = v128.load32_splat(k, T4);
          a4 = dot(narrow, a4, y, u);
          b4 = dot(narrow, b4, y, v);
          y = v128.load32_splat(k, T5);
          a5 = dot(narrow, a5, y, u);
          b5 = dot(narrow, b5, y, v);
          k += 4;
          w += 64;
        } while (k < stop);
        if (!half) break;
        half = false;
        c = t + second;
        keep(narrow, halfway, at, a0, b0, origin);
        keep(narrow, halfway + 32, at, a1, b1, origin);
        keep(narrow, halfway + 64, at, a2, b2, origin);
        keep(narrow, halfway + 96, at, a3, b3, origin);
        keep(narrow, halfway + 128, at, a4, b4, origin);
        keep(narrow, halfway + 160, at, a5, b5, origin);
      }
      if (narrow && !per16) {
        v128.store(halfway, a0);
        v128.store(halfway, b0, 16);
        v128.store(halfway, a1, 32);
        v128.store(halfway, b1, 48);
        v128.store(halfway, a2, 64);
        v128.store(halfway, b2, 80);
        v128.store(halfway, a3, 96);
        v128.store(halfway, b3, 112);
        v128.store(halfway, a4, 128);
        v128.store(halfway, b4, 144);
        v128.store(halfway, a5, 160);
        v128.store(halfway, b5, 176);
        if (affine) finishAffine(sum, t, at, halfway, correction, power);
        else finishSymmetric(sum, t, at, halfway);
        continue;
      }
      finishPair(affine, per16, narrow, sum, t, at, halfway, a0, b0, origin);
      finishPair(affine, per16, narrow, sum + 64, t + T1, at, halfway + 32, a1, b1, origin);
      finishPair(affine, per16, narrow, sum + 128, t + T2, at, halfway + 64, a2, b2, origin);
      finishPair(affine, per16, narrow, sum + 192, t + T3, at, halfway + 96, a3, b3, origin);
      finishPair(affine, per16, narrow, sum + 256, t + T4, at, halfway + 128, a4, b4, origin);
      finishPair(affine, per16, narrow, sum + 320, t + T5, at, halfway + 160, a5, b5, origin);
    }
  }
}

function affine32(scratch: usize, x: usize, count: usize): void {
  multiply(true, false, false, scratch, x, count, 0, 0, 0);
}
function symmetric32(scratch: usize, x: usize, count: usize, correction: usize, shift: i32): void {
  multiply(false, false, false, scratch, x, count, correction, 0, shift);
}
function symmetric16(
  scratch: usize, x: usize, count: usize, correction: usize, second: usize, shift: i32,
): void {
  multiply(false, true, false, scratch, x, count, correction, second, shift);
}
function affineNarrow(scratch: usize, x: usize, count: usize, correction: usize): void {
  if (!WIDE) multiply(true, false, true, scratch, x, count, correction, 0, 4);
}
function symmetric32Narrow(scratch: usize, x: usize, count: usize, shift: i32): void {
  if (!WIDE) multiply(false, false, true, scratch, x, count, NEGATED, 0, shift);
}
function symmetric16Narrow(
  scratch: usize, x: usize, count: usize, correction: usize, second: usize, shift: i32,
): void {
  if (!WIDE) multiply(false, true, true, scratch, x, count, correction, second, shift);
}

/** sums += minima of the two halves of a block times the sums of the activations there, for Q2_K. */
function addMinima(scratch: usize, x: usize, count: usize): void {
  for (let sum = scratch, end = scratch + count * 64; sum < end; sum += 64, x += RECORD) {
    const low = v128.load32_splat(x, SUM_LOW);
    const high = v128.load32_splat(x, SUM_HIGH);
    for (let v: usize = 0; v < 64; v += 16) {
      const s = multiplyAdd(v128.load(scratch + v, MINIMA + 64), high, v128.load(sum + v));
      v128.store(sum + v, multiplyAdd(v128.load(scratch + v, MINIMA), low, s));
    }
  }
}

/** A dot of 4 rows of weights, of which `signs` and `magnitudes` are known, times y. */
@inline
function dotSigned(acc: v128, magnitudes: v128, signs: v128, y: v128): v128 {
  return ASC_FEATURE_RELAXED_SIMD ? dotMagnitude(acc, y, signs, magnitudes) : acc;
}

/**
 * Q8_0 on machines where only 0..127 is safe in the dot: magnitudes, with the signs of the weights moved to the
 * activations. What the sums begin with for it (dot.ts) is in HALFWAY. (The magnitude of -128 is 128, which is safe
 * where there is no VNNI, because 2 * 128 * 127 fits into 16 bits.)
 */
function magnitudes(scratch: usize, x: usize, count: usize): void {
  for (let v: usize = 0; v < 64; v += 16) {
    let start = i32x4.splat(ORIGIN);
    for (let at = scratch + v, end = at + 512; at < end; at += 64) {
      const w = v128.load(at, QUANTS);
      const negative = i8x16.min_s(w, i8x16.splat(0));
      start = i32x4.sub(start, i32x4.extadd_pairwise_i16x8_s(i16x8.extadd_pairwise_i8x16_s(negative)));
      v128.store(at, i8x16.abs(w), QUANTS);
      v128.store(at, i8x16.lt_s(w, i8x16.splat(0)), SIGNS);
    }
    v128.store(scratch + v, start, HALFWAY);
  }
  const origin = i32x4.splat(unknownZero() + ORIGIN);
  for (let sum = scratch, end = x + count * RECORD; x < end; x += 3 * RECORD, sum += 192) {
    for (let v: usize = 0; v < 64; v += 32) {
      let w = scratch + v;
      let a0 = v128.load(w, HALFWAY);
      let b0 = v128.load(w, HALFWAY + 16);
      let a1 = a0;
      let b1 = b0;
      let a2 = a0;
      let b2 = b0;
      for (let k = x, stop = k + 32; k < stop; k += 4, w += 64) {
        const a = v128.load(w, QUANTS);
        const s = v128.load(w, SIGNS);
        const b = v128.load(w, QUANTS + 16);
        const t = v128.load(w, SIGNS + 16);
        let y = v128.load32_splat(k);
        a0 = dotSigned(a0, a, s, y);
        b0 = dotSigned(b0, b, t, y);
        y = v128.load32_splat(k, T1);
        a1 = dotSigned(a1, a, s, y);
        b1 = dotSigned(b1, b, t, y);
        y = v128.load32_splat(k, T2);
        a2 = dotSigned(a2, a, s, y);
        b2 = dotSigned(b2, b, t, y);
      }
      const at = scratch + v;
      finishPair(false, false, false, sum + v, x, at, 0, a0, b0, origin);
      finishPair(false, false, false, sum + v + 64, x + T1, at, 0, a1, b1, origin);
      finishPair(false, false, false, sum + v + 128, x + T2, at, 0, a2, b2, origin);
    }
  }
}

/** One block of 16 rows over the tokens of a chunk. */
@inline
function runBlock(format: i32, scratch: usize, x: usize, count: usize, header: usize, block: usize): void {
  // Without VNNI, which is where only 0..127 is safe, a dot into 32 bits is five instructions, one into 16 bits two.
  const narrow = !WIDE && dotSemantics() == SEVEN_BITS;
  switch (format) {
    case FORMAT_Q8_0: {
      const kind = WIDE ? SIGNED : dotSemantics();
      unpackQ80(scratch, header, block, kind == UNSIGNED ? -128 : 0);
      if (kind == SEVEN_BITS) magnitudes(scratch, x, count);
      else symmetric32(scratch, x, count, kind == UNSIGNED ? NEGATED : NOTHING, 7);
      return;
    }
    case FORMAT_Q4_0: {
      unpackQ40(scratch, header, block);
      break;
    }
    case FORMAT_Q4_1: {
      unpackQ41(scratch, header, block);
      break;
    }
    case FORMAT_Q5_0: {
      unpackQ50(scratch, header, block);
      break;
    }
    case FORMAT_Q5_1: {
      unpackQ51(scratch, header, block);
      break;
    }
    case FORMAT_Q2_K: {
      unpackQ2K(scratch, header, block);
      addMinima(scratch, x, count);
      if (narrow) symmetric16Narrow(scratch, x, count, NOTHING, NOTHING, 0);
      else symmetric16(scratch, x, count, NOTHING, NOTHING, 0);
      return;
    }
    case FORMAT_Q3_K: {
      unpackQ3K(scratch, header, block);
      break;
    }
    case FORMAT_Q4_K: {
      unpackQ4K(scratch, header, block);
      break;
    }
    case FORMAT_Q5_K: {
      unpackQ5K(scratch, header, block);
      break;
    }
    default: unpackQ6K(scratch, header, block);
  }
  const shift = offsetShift(format);
  if (narrow) {
    if (isPer16(format)) symmetric16Narrow(scratch, x, count, NEGATED_LOW, NEGATED_HIGH, shift);
    else if (isAffine(format)) affineNarrow(scratch, x, count, hasBits(format) ? NEGATED : NOTHING);
    else symmetric32Narrow(scratch, x, count, shift);
  } else if (isAffine(format)) affine32(scratch, x, count);
  else if (isPer16(format)) symmetric16(scratch, x, count, NEGATED_LOW, NEGATED_HIGH, shift);
  else symmetric32(scratch, x, count, NEGATED, shift);
}

/**
 * Copies the sums at `from`, in which every four rows lie `next` bytes apart, to `rowCount` (at most 16) values at
 * `to`.
 */
@inline
export function writeToken(to: usize, from: usize, next: usize, rowCount: usize): void {
  for (let row: usize = 0; row < rowCount; row += 4, from += next) {
    if (row + 4 <= rowCount) v128.store(to + row * 4, v128.load(from));
    else for (let r = row; r < rowCount; r++) store<f32>(to + r * 4, load<f32>(from + (r & 3) * 4));
  }
}

/** Copies sums [row group][count][4 rows] to `rowCount` (at most 16) values for each token. */
export function writeSums(out: usize, outStride: usize, sums: usize, count: usize, rowCount: usize): void {
  for (let t: usize = 0; t < count; t++) writeToken(out + t * outStride * 4, sums + t * 16, count * 16, rowCount);
}

export function gemm(
  out: usize, outStride: usize, activations: usize, weight: usize, format: i32,
  rowStart: usize, rowEnd: usize, cols: usize, count: usize, scratch: usize,
): void {
  const blocks = cols >> 5;
  const stride = tileBytes(format, cols);
  const step = blockBytes(format);
  const skip = headerBytes(format);
  const superblocks = isK(format);
  for (let first: usize = 0; first < count; first += CHUNK) {
    const tokens = min<usize>(CHUNK, count - first);
    const records = activations + first * blocks * RECORD;
    for (let row = rowStart; row < rowEnd; row += TILE) {
      memory.fill(scratch, 0, (tokens + AT_ONCE - 1) * 64);
      let block = weight + (row / TILE) * stride;
      let header = block;
      let x = records;
      for (let b: usize = 0; b < blocks; b++) {
        if (superblocks && (b & 7) == 0) {
          header = block;
          block += skip;
        }
        runBlock(format, scratch, x, tokens, header, block);
        block += step;
        x += tokens * RECORD;
      }
      const rows = min<usize>(TILE, rowEnd - row);
      for (let t: usize = 0; t < tokens; t++) {
        writeToken(out + ((first + t) * outStride + row) * 4, scratch + t * 64, 16, rows);
      }
    }
  }
}
