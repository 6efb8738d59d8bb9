/**
 * Integer products of many tokens. For each tile of 16 rows and chunk of 96 tokens, each block of 32 k is unpacked once
 * into scratch memory (L1): its quants as bytes (as i16 on plain SIMD builds), its scales and minima as f32. Then as
 * many sums as there are registers for stay in them while k advances: where a dot is one instruction, twelve of two row
 * groups of 4 by six tokens, else, and for a rest of one or two tokens, eight of all four row groups by two tokens. All
 * formats share these inner loops; they differ in how they are unpacked, in whether a value has a minimum (affine
 * formats) or an offset (symmetric ones), and in having one scale for 32 values or for 16.
 *
 * Every row and token is summed as in gemv.ts: the products of a block as one integer (one for each of its scales),
 * then in f32 block by block. So the results of a token have the same bits whatever other tokens are in the call. The
 * last tokens are computed as six, or as two: the records behind the last one are read, and their sums ignored.
 *
 *   scratch: | sums f32 [token of the chunk][16 rows]
 *            | products of the first 16 k f32 [6 tokens][8 rows], or [2 tokens][16 rows]
 *            | scales f32 [half 0, 1][16 rows] | minima f32 [half 0, 1][16 rows] | quants [step][row group][16 bytes] |
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
import { SEVEN_BITS, SIGNED, UNSIGNED, dotPairs, dotSemantics, multiplyAdd } from './dot';
import { unknownZero } from './vectors';
import {
  HALF, HALFWAY, MINIMA, QUANTS, SCALES, WIDE, storeWide, unpackQ2K, unpackQ3K, unpackQ40, unpackQ41, unpackQ4K,
  unpackQ50, unpackQ51, unpackQ5K, unpackQ6K, unpackQ80, unpackWideQ80,
} from './unpack';

/** Bytes of the scratch memory. */
export { GEMM_SCRATCH } from './unpack';

/** Tokens whose sums are computed together at most. */
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

@inline
function dotWide(acc: v128, x: v128, w: v128): v128 {
  return i32x4.add(acc, i32x4.dot_i16x8_s(w, x));
}

/**
 * acc + w . x for a step. `narrow` sums are i16, of even and odd pairs of k; plain SIMD builds have `w` and `x` as i16
 * and sums in 32 bits.
 */
@inline
function dot(narrow: bool, acc: v128, x: v128, w: v128): v128 {
  if (narrow) return i16x8.add(acc, dotPairs(x, w));
  if (ASC_FEATURE_RELAXED_SIMD) return i32x4.relaxed_dot_i8x16_i7x16_add_s(x, w, acc);
  return dotWide(acc, x, w);
}

/** Returns where the sums of a token begin: at the negated sum `pairs` (activations.ts) times the offset `power`. */
@inline
function begin(narrow: bool, origin: v128, pairs: v128, power: v128): v128 {
  return narrow ? i16x8.mul(pairs, power) : i32x4.add(i32x4.dot_i16x8_s(pairs, power), origin);
}

/** Adds a block's products for one token and row group to the sum; `at` is the row group's place in scratch. */
@inline
function finish(
  affine: bool, per16: bool, sum: usize, at: usize, halfway: usize, f: v128, scale: v128, total: v128,
): void {
  let s = v128.load(sum);
  if (affine) s = multiplyAdd(v128.load(at, MINIMA), total, s);
  if (per16) s = multiplyAdd(multiplyAdd(f, v128.load(at, SCALES + 64), v128.load(halfway)), scale, s);
  else s = multiplyAdd(f, f32x4.mul(v128.load(at, SCALES), scale), s);
  v128.store(sum, s);
}

/** Keeps the products of a block's first 16 values for two row groups and one token. */
@inline
function keep(halfway: usize, at: usize, f: v128, g: v128): void {
  v128.store(halfway, f32x4.mul(f, v128.load(at, SCALES)));
  v128.store(halfway, f32x4.mul(g, v128.load(at, SCALES + 16)), 16);
}

/** `finish` for two row groups. */
@inline
function finishPair(
  affine: bool, per16: bool, sum: usize, x: usize, at: usize, halfway: usize, f: v128, g: v128,
): void {
  const scale = v128.load32_splat(x, SCALE);
  const total = affine ? v128.load32_splat(x, SUM) : scale;
  finish(affine, per16, sum, at, halfway, f, scale, total);
  finish(affine, per16, sum + 16, at + 16, halfway + 16, g, scale, total);
}

/** `finish` for four row groups; `scratch` is where the scales of the first are. */
@inline
function finishFour(
  affine: bool, per16: bool, sum: usize, x: usize, scratch: usize, halfway: usize, f: v128, g: v128, h: v128, i: v128,
): void {
  const scale = v128.load32_splat(x, SCALE);
  const total = affine ? v128.load32_splat(x, SUM) : scale;
  finish(affine, per16, sum, scratch, halfway, f, scale, total);
  finish(affine, per16, sum + 16, scratch + 16, halfway + 16, g, scale, total);
  finish(affine, per16, sum + 32, scratch + 32, halfway + 32, h, scale, total);
  finish(affine, per16, sum + 48, scratch + 48, halfway + 48, i, scale, total);
}

/** Returns a sum as f32. `narrow` sums are added in pairs, less `undo`; others lie on top of `undo` (ORIGIN). */
@inline
function value(narrow: bool, undoes: bool, acc: v128, undo: v128): v128 {
  if (!narrow) return f32x4.sub(acc, undo);
  const pairs = i32x4.extadd_pairwise_i16x8_s(acc);
  return f32x4.convert_i32x4_s(undoes ? i32x4.sub(pairs, undo) : pairs);
}

/**
 * sums += the unpacked block times the records at x of tokens [first, count), where a dot is two instructions: on plain
 * SIMD builds, and without VNNI (`narrow`); elsewhere for the last one or two tokens. All 16 rows by two tokens: with
 * more sums, a product on its way to its sum would find no register left, and a sum that lives in memory instead takes
 * longer for a step than all other instructions of it.
 *
 * Symmetric formats start from the field `correction` of the record (with a scale for 16 k, the second half from the
 * field `second`) times 2^shift. With `narrow`, the dots of a block, or of a half with a scale of its own, are summed
 * in 16 bits and widened once; affine formats with 5 bits then subtract such an offset, too, by which they fit
 * (gemv.ts), and add it again afterwards (`undoes`).
 */
@inline
function multiplyTwo(
  affine: bool, per16: bool, narrow: bool, undoes: bool, scratch: usize, x: usize, first: usize, count: usize,
  correction: usize, second: usize, shift: i32,
): void {
  const origin = i32x4.splat(unknownZero() + ORIGIN);
  const power = i16x8.splat(<i16>(<i32>1 << shift));
  const halfway = scratch + HALFWAY;
  let sum = scratch + first * 64;
  const end = x + count * RECORD;
  for (x += first * RECORD; x < end; x += 2 * RECORD, sum += 128) {
    let w = scratch + QUANTS;
    let k = x;
    let c = x + correction;
    let half = per16;
    while (true) {
      let a0 = narrow ? i32x4.splat(0) : origin;
      let b0 = a0;
      if (!affine || undoes) {
        a0 = begin(narrow, origin, v128.load32_splat(c), power);
        b0 = begin(narrow, origin, v128.load32_splat(c, T1), power);
      }
      let a1 = a0;
      let a2 = a0;
      let a3 = a0;
      let b1 = b0;
      let b2 = b0;
      let b3 = b0;
      // Steps as turns of a loop: in one expression, WASM's optimiser would order the dots sum by sum, with all
      // operands live at once.
      const stop = k + (per16 ? HALF / 16 : HALF / 8);
      do {
        const y = v128.load32_splat(k);
        const z = v128.load32_splat(k, T1);
        let u = v128.load(w);
        a0 = dot(narrow, a0, y, u);
        b0 = dot(narrow, b0, z, u);
        u = v128.load(w, 16);
        a1 = dot(narrow, a1, y, u);
        b1 = dot(narrow, b1, z, u);
        u = v128.load(w, 32);
        a2 = dot(narrow, a2, y, u);
        b2 = dot(narrow, b2, z, u);
        u = v128.load(w, 48);
        a3 = dot(narrow, a3, y, u);
        b3 = dot(narrow, b3, z, u);
        k += 4;
        w += 64;
      } while (k < stop);
      let undo = origin;
      let undoB = origin;
      if (undoes) {
        undo = i32x4.dot_i16x8_s(v128.load32_splat(c), power);
        undoB = i32x4.dot_i16x8_s(v128.load32_splat(c, T1), power);
      }
      a0 = value(narrow, undoes, a0, undo);
      a1 = value(narrow, undoes, a1, undo);
      a2 = value(narrow, undoes, a2, undo);
      a3 = value(narrow, undoes, a3, undo);
      b0 = value(narrow, undoes, b0, undoB);
      b1 = value(narrow, undoes, b1, undoB);
      b2 = value(narrow, undoes, b2, undoB);
      b3 = value(narrow, undoes, b3, undoB);
      if (!half) {
        finishFour(affine, per16, sum, x, scratch, halfway, a0, a1, a2, a3);
        finishFour(affine, per16, sum + 64, x + T1, scratch, halfway + 64, b0, b1, b2, b3);
        break;
      }
      half = false;
      c = x + second;
      keep(halfway, scratch, a0, a1);
      keep(halfway + 32, scratch + 32, a2, a3);
      keep(halfway + 64, scratch, b0, b1);
      keep(halfway + 96, scratch + 32, b2, b3);
    }
  }
}

/** `multiplyTwo` where a dot is one instruction: two row groups by six tokens. */
@inline
function multiplySix(
  affine: bool, per16: bool, scratch: usize, x: usize, count: usize, correction: usize, second: usize, shift: i32,
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
      let a0 = origin;
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
        if (!affine) {
          a0 = begin(false, origin, v128.load32_splat(c), power);
          a1 = begin(false, origin, v128.load32_splat(c, T1), power);
          a2 = begin(false, origin, v128.load32_splat(c, T2), power);
          a3 = begin(false, origin, v128.load32_splat(c, T3), power);
          a4 = begin(false, origin, v128.load32_splat(c, T4), power);
          a5 = begin(false, origin, v128.load32_splat(c, T5), power);
          b0 = a0;
          b1 = a1;
          b2 = a2;
          b3 = a3;
          b4 = a4;
          b5 = a5;
        }
        const stop = k + (per16 ? HALF / 16 : HALF / 8);
        do {
          const u = v128.load(w);
          const v = v128.load(w, 16);
          let y = v128.load32_splat(k);
          a0 = dot(false, a0, y, u);
          b0 = dot(false, b0, y, v);
          y = v128.load32_splat(k, T1);
          a1 = dot(false, a1, y, u);
          b1 = dot(false, b1, y, v);
          y = v128.load32_splat(k, T2);
          a2 = dot(false, a2, y, u);
          b2 = dot(false, b2, y, v);
          y = v128.load32_splat(k, T3);
          a3 = dot(false, a3, y, u);
          b3 = dot(false, b3, y, v);
          y = v128.load32_splat(k, T4);
          a4 = dot(false, a4, y, u);
          b4 = dot(false, b4, y, v);
          y = v128.load32_splat(k, T5);
          a5 = dot(false, a5, y, u);
          b5 = dot(false, b5, y, v);
          k += 4;
          w += 64;
        } while (k < stop);
        if (!half) break;
        half = false;
        c = t + second;
        keep(halfway, at, f32x4.sub(a0, origin), f32x4.sub(b0, origin));
        keep(halfway + 32, at, f32x4.sub(a1, origin), f32x4.sub(b1, origin));
        keep(halfway + 64, at, f32x4.sub(a2, origin), f32x4.sub(b2, origin));
        keep(halfway + 96, at, f32x4.sub(a3, origin), f32x4.sub(b3, origin));
        keep(halfway + 128, at, f32x4.sub(a4, origin), f32x4.sub(b4, origin));
        keep(halfway + 160, at, f32x4.sub(a5, origin), f32x4.sub(b5, origin));
      }
      finishPair(affine, per16, sum, t, at, halfway, f32x4.sub(a0, origin), f32x4.sub(b0, origin));
      finishPair(affine, per16, sum + 64, t + T1, at, halfway + 32, f32x4.sub(a1, origin), f32x4.sub(b1, origin));
      finishPair(affine, per16, sum + 128, t + T2, at, halfway + 64, f32x4.sub(a2, origin), f32x4.sub(b2, origin));
      finishPair(affine, per16, sum + 192, t + T3, at, halfway + 96, f32x4.sub(a3, origin), f32x4.sub(b3, origin));
      finishPair(affine, per16, sum + 256, t + T4, at, halfway + 128, f32x4.sub(a4, origin), f32x4.sub(b4, origin));
      finishPair(affine, per16, sum + 320, t + T5, at, halfway + 160, f32x4.sub(a5, origin), f32x4.sub(b5, origin));
    }
  }
}

/** The last one or two tokens beyond a multiple of six, where a dot is one instruction. */
function lastTwo(
  affine: bool, scratch: usize, x: usize, first: usize, count: usize, correction: usize, shift: i32,
): void {
  if (!WIDE) multiplyTwo(affine, false, false, false, scratch, x, first, count, correction, 0, shift);
}

/** Returns how many of `count` tokens are multiplied six at a time: all but a rest of one or two. */
@inline
function bySix(count: usize): usize {
  const rest = count % AT_ONCE;
  return rest > 2 ? count : count - rest;
}

function affine32(scratch: usize, x: usize, count: usize): void {
  if (WIDE) multiplyTwo(true, false, false, false, scratch, x, 0, count, 0, 0, 0);
  else {
    const sixes = bySix(count);
    multiplySix(true, false, scratch, x, sixes, 0, 0, 0);
    if (sixes < count) lastTwo(true, scratch, x, sixes, count, 0, 0);
  }
}
function symmetric32(scratch: usize, x: usize, count: usize, correction: usize, shift: i32): void {
  if (WIDE) multiplyTwo(false, false, false, false, scratch, x, 0, count, correction, 0, shift);
  else {
    const sixes = bySix(count);
    multiplySix(false, false, scratch, x, sixes, correction, 0, shift);
    if (sixes < count) lastTwo(false, scratch, x, sixes, count, correction, shift);
  }
}
function symmetric16(
  scratch: usize, x: usize, count: usize, correction: usize, second: usize, shift: i32,
): void {
  if (WIDE) multiplyTwo(false, true, false, false, scratch, x, 0, count, correction, second, shift);
  else multiplySix(false, true, scratch, x, count, correction, second, shift);
}
function affineFour(scratch: usize, x: usize, count: usize): void {
  if (!WIDE) multiplyTwo(true, false, true, false, scratch, x, 0, count, 0, 0, 0);
}
function affineFive(scratch: usize, x: usize, count: usize): void {
  if (!WIDE) multiplyTwo(true, false, true, true, scratch, x, 0, count, NEGATED, 0, 4);
}
function symmetric32Narrow(scratch: usize, x: usize, count: usize, shift: i32): void {
  if (!WIDE) multiplyTwo(false, false, true, false, scratch, x, 0, count, NEGATED, 0, shift);
}
function symmetric16Narrow(
  scratch: usize, x: usize, count: usize, correction: usize, second: usize, shift: i32,
): void {
  if (!WIDE) multiplyTwo(false, true, true, false, scratch, x, 0, count, correction, second, shift);
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

/**
 * Q8_0 on relaxed builds where only 0..127 is safe in the dot: multiplied in 16 bits, as on plain SIMD builds. Two
 * tokens at a time are widened into HALFWAY.
 */
function signedBytes(scratch: usize, x: usize, count: usize): void {
  const origin = i32x4.splat(unknownZero() + ORIGIN);
  const wide = scratch + HALFWAY;
  let sum = scratch;
  for (const end = x + count * RECORD; x < end; x += 2 * RECORD, sum += 128) {
    storeWide(wide, 16, v128.load(x));
    storeWide(wide + 32, 16, v128.load(x, 16));
    storeWide(wide + 64, 16, v128.load(x, T1));
    storeWide(wide + 96, 16, v128.load(x, T1 + 16));
    let a0 = origin;
    let a1 = origin;
    let a2 = origin;
    let a3 = origin;
    let b0 = origin;
    let b1 = origin;
    let b2 = origin;
    let b3 = origin;
    let w = scratch + QUANTS;
    for (let k = wide, stop = wide + 64; k < stop; w += 64) {
      const y = v128.load32_splat(k);
      const z = v128.load32_splat(k, 64);
      let u = v128.load(w);
      a0 = dotWide(a0, y, u);
      b0 = dotWide(b0, z, u);
      u = v128.load(w, 16);
      a1 = dotWide(a1, y, u);
      b1 = dotWide(b1, z, u);
      u = v128.load(w, 32);
      a2 = dotWide(a2, y, u);
      b2 = dotWide(b2, z, u);
      u = v128.load(w, 48);
      a3 = dotWide(a3, y, u);
      b3 = dotWide(b3, z, u);
      k += 4;
    }
    finishFour(
      false, false, sum, x, scratch, 0, f32x4.sub(a0, origin), f32x4.sub(a1, origin), f32x4.sub(a2, origin),
      f32x4.sub(a3, origin),
    );
    finishFour(
      false, false, sum + 64, x + T1, scratch, 0, f32x4.sub(b0, origin), f32x4.sub(b1, origin), f32x4.sub(b2, origin),
      f32x4.sub(b3, origin),
    );
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
      if (!WIDE && kind == SEVEN_BITS) {
        unpackWideQ80(scratch, block);
        signedBytes(scratch, x, count);
        return;
      }
      unpackQ80(scratch, header, block, kind == UNSIGNED ? -128 : 0);
      symmetric32(scratch, x, count, kind == UNSIGNED ? NEGATED : NOTHING, 7);
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
    else if (isAffine(format)) {
      if (hasBits(format)) affineFive(scratch, x, count);
      else affineFour(scratch, x, count);
    }
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
