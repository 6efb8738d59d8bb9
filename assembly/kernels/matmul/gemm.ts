/**
 * Integer products of many tokens. For each tile of 16 rows and chunk of 64 tokens, each block of 32 k and each row
 * group of 4, the quants are decoded once into eight registers and stay there for all tokens of the chunk; the f32 sums
 * of the tokens are kept in `scratch` (L1). What remains for each token and 8 dots are two loads, 8 broadcasts within
 * registers, one for the negated sum, and a few instructions of scaling. There are two chains of dots, because a single
 * one would be reordered so that all eight broadcasts are live at once, more than there are registers.
 *
 * Every row and token is summed as in gemv.ts: the products of a block as one integer (one for each of its scales),
 * then in f32 block by block. So the results of a token have the same bits whatever other tokens are in the call.
 *
 *   scratch: f32 [row group 0..3][token of the chunk][4 rows]
 *            | what the first half of a block leaves for its second half [token of the chunk][4 rows]
 */
import {
  FORMAT_Q2_K, FORMAT_Q3_K, FORMAT_Q4_0, FORMAT_Q4_1, FORMAT_Q4_K, FORMAT_Q5_0, FORMAT_Q5_1, FORMAT_Q5_K, FORMAT_Q6_K,
  FORMAT_Q8_0, TILE, blockBytes, headerBytes, isAffine, isK, isPer16, offsetShift, tileBytes,
} from './layout';
import {
  CHUNK, NEGATED, NEGATED_HIGH, NEGATED_LOW, NOTHING, RECORD, SCALE, SUM, SUM_HIGH, SUM_LOW,
} from './activations';
import { SEVEN_BITS, SIGNED, dotMagnitude, dotSemantics, even, multiplyAdd } from './dot';
import { halves, highScales, lanes, quants, scales } from './vectors';

export const GEMM_SCRATCH: usize = 5 * CHUNK * 16;

/**
 * Returns start + the dots of the first or second 16 values of the record at `x`, whose four k-groups are multiplied
 * with w0 .. w3.
 */
@inline
function dots4(start: v128, x: usize, half: usize, w0: v128, w1: v128, w2: v128, w3: v128): v128 {
  if (half == 1) {
    let acc = i32x4.relaxed_dot_i8x16_i7x16_add_s(v128.load32_splat(x, 16), w0, start);
    acc = i32x4.relaxed_dot_i8x16_i7x16_add_s(v128.load32_splat(x, 20), w1, acc);
    acc = i32x4.relaxed_dot_i8x16_i7x16_add_s(v128.load32_splat(x, 24), w2, acc);
    return i32x4.relaxed_dot_i8x16_i7x16_add_s(v128.load32_splat(x, 28), w3, acc);
  }
  const k = v128.load(x);
  let acc = i32x4.relaxed_dot_i8x16_i7x16_add_s(lanes(k, 0), w0, start);
  acc = i32x4.relaxed_dot_i8x16_i7x16_add_s(lanes(k, 1), w1, acc);
  acc = i32x4.relaxed_dot_i8x16_i7x16_add_s(lanes(k, 2), w2, acc);
  return i32x4.relaxed_dot_i8x16_i7x16_add_s(lanes(k, 3), w3, acc);
}

/**
 * sum[t] += scale * (Q - offset) . x, with one scale for 32 values. `correction` is the field of the record that gives
 * the initial value.
 */
@inline
function symmetric32(
  sums: usize, x: usize, count: usize, shift: i32, correction: usize, scale: v128,
  w0: v128, w1: v128, w2: v128, w3: v128, w4: v128, w5: v128, w6: v128, w7: v128,
): void {
  const end = x + count * RECORD;
  for (; x < end; x += RECORD, sums += 16) {
    const low = dots4(i32x4.shl(v128.load32_splat(x + correction), shift), x, 0, w0, w1, w2, w3);
    const acc = i32x4.add(low, dots4(i32x4.splat(0), x, 1, w4, w5, w6, w7));
    v128.store(
      sums, multiplyAdd(f32x4.convert_i32x4_s(acc), f32x4.mul(scale, v128.load32_splat(x, SCALE)), v128.load(sums)),
    );
  }
}

@inline
function affine32(
  sums: usize, x: usize, count: usize, scale: v128, minimum: v128,
  w0: v128, w1: v128, w2: v128, w3: v128, w4: v128, w5: v128, w6: v128, w7: v128,
): void {
  const end = x + count * RECORD;
  for (; x < end; x += RECORD, sums += 16) {
    const acc = i32x4.add(dots4(i32x4.splat(0), x, 0, w0, w1, w2, w3), dots4(i32x4.splat(0), x, 1, w4, w5, w6, w7));
    const base = multiplyAdd(minimum, v128.load32_splat(x, SUM), v128.load(sums));
    v128.store(sums, multiplyAdd(f32x4.convert_i32x4_s(acc), f32x4.mul(scale, v128.load32_splat(x, SCALE)), base));
  }
}

@inline
function symmetric16(
  sums: usize, x: usize, count: usize, shift: i32, low: v128, high: v128,
  w0: v128, w1: v128, w2: v128, w3: v128, w4: v128, w5: v128, w6: v128, w7: v128,
): void {
  const end = x + count * RECORD;
  for (; x < end; x += RECORD, sums += 16) {
    const a = dots4(i32x4.shl(v128.load32_splat(x, NEGATED_LOW), shift), x, 0, w0, w1, w2, w3);
    const b = dots4(i32x4.shl(v128.load32_splat(x, NEGATED_HIGH), shift), x, 1, w4, w5, w6, w7);
    const both = multiplyAdd(f32x4.convert_i32x4_s(b), high, f32x4.mul(f32x4.convert_i32x4_s(a), low));
    v128.store(sums, multiplyAdd(both, v128.load32_splat(x, SCALE), v128.load(sums)));
  }
}

@inline
function affine16(
  sums: usize, x: usize, count: usize, low: v128, high: v128, minimumLow: v128, minimumHigh: v128,
  w0: v128, w1: v128, w2: v128, w3: v128, w4: v128, w5: v128, w6: v128, w7: v128,
): void {
  const end = x + count * RECORD;
  for (; x < end; x += RECORD, sums += 16) {
    const a = dots4(i32x4.splat(0), x, 0, w0, w1, w2, w3);
    const b = dots4(i32x4.splat(0), x, 1, w4, w5, w6, w7);
    const both = multiplyAdd(f32x4.convert_i32x4_s(b), high, f32x4.mul(f32x4.convert_i32x4_s(a), low));
    const base = multiplyAdd(
      minimumLow, v128.load32_splat(x, SUM_LOW),
      multiplyAdd(minimumHigh, v128.load32_splat(x, SUM_HIGH), v128.load(sums)),
    );
    v128.store(sums, multiplyAdd(both, v128.load32_splat(x, SCALE), base));
  }
}

/**
 * Q8_0 on machines where only 0..127 is safe in the dot: magnitudes, with the signs of the weights moved to the
 * activations. Computes k-groups 4 half .. 4 half + 3.
 */
@inline
function magnitudes16(
  sums: usize, halfway: usize, x: usize, count: usize, scale: v128, block: usize, v: i32, half: i32,
): void {
  const zero = i8x16.splat(0);
  let w0 = quants(FORMAT_Q8_0, block, v, 4 * half);
  let w1 = quants(FORMAT_Q8_0, block, v, 4 * half + 1);
  let w2 = quants(FORMAT_Q8_0, block, v, 4 * half + 2);
  let w3 = quants(FORMAT_Q8_0, block, v, 4 * half + 3);
  const n0 = i8x16.lt_s(w0, zero);
  const n1 = i8x16.lt_s(w1, zero);
  const n2 = i8x16.lt_s(w2, zero);
  const n3 = i8x16.lt_s(w3, zero);
  w0 = i8x16.abs(w0);
  w1 = i8x16.abs(w1);
  w2 = i8x16.abs(w2);
  w3 = i8x16.abs(w3);
  for (let t: usize = 0; t < count; t++, x += RECORD, sums += 16, halfway += 16) {
    const k = x + 16 * half;
    let acc = dotMagnitude(half == 0 ? i32x4.splat(0) : v128.load(halfway), w0, n0, even(k));
    acc = dotMagnitude(acc, w1, n1, even(k + 4));
    acc = dotMagnitude(acc, w2, n2, even(k + 8));
    acc = dotMagnitude(acc, w3, n3, even(k + 12));
    if (half == 0) v128.store(halfway, acc);
    else v128.store(
      sums, multiplyAdd(f32x4.convert_i32x4_s(acc), f32x4.mul(scale, v128.load32_splat(x + SCALE)), v128.load(sums)),
    );
  }
}

/**
 * Plain SIMD, all formats: the 16 values of k-groups 4 half .. 4 half + 3. Even and odd k of the four quant vectors are
 * widened to i16 once (eight registers). The first half leaves its integer (or, when it has a scale of its own, its
 * product) to the second half, which adds the block to the sums. Symmetric formats start from the negated sum times
 * 2^shift; affine ones add the minimum times the sum.
 */
@inline
function wide16(
  format: i32, sums: usize, halfway: usize, x: usize, count: usize, half: usize, scale: v128, minimum: v128,
  minimumLow: v128, w0: v128, w1: v128, w2: v128, w3: v128,
): void {
  const isSigned = format == FORMAT_Q8_0;
  const e0 = i16x8.shl(w0, 8);
  const e1 = i16x8.shl(w1, 8);
  const e2 = i16x8.shl(w2, 8);
  const e3 = i16x8.shl(w3, 8);
  const even0 = isSigned ? i16x8.shr_s(e0, 8) : i16x8.shr_u(e0, 8);
  const even1 = isSigned ? i16x8.shr_s(e1, 8) : i16x8.shr_u(e1, 8);
  const even2 = isSigned ? i16x8.shr_s(e2, 8) : i16x8.shr_u(e2, 8);
  const even3 = isSigned ? i16x8.shr_s(e3, 8) : i16x8.shr_u(e3, 8);
  const odd0 = isSigned ? i16x8.shr_s(w0, 8) : i16x8.shr_u(w0, 8);
  const odd1 = isSigned ? i16x8.shr_s(w1, 8) : i16x8.shr_u(w1, 8);
  const odd2 = isSigned ? i16x8.shr_s(w2, 8) : i16x8.shr_u(w2, 8);
  const odd3 = isSigned ? i16x8.shr_s(w3, 8) : i16x8.shr_u(w3, 8);
  const symmetric = !isSigned && !isAffine(format);
  const end = x + count * RECORD;
  for (; x < end; x += RECORD, sums += 16, halfway += 16) {
    let acc: v128;
    if (isPer16(format)) {
      acc = symmetric
        ? i32x4.shl(
            half == 0 ? v128.load32_splat(x, NEGATED_LOW) : v128.load32_splat(x, NEGATED_HIGH), offsetShift(format),
          )
        : i32x4.splat(0);
    } else if (half == 1) acc = v128.load(halfway);
    else acc = symmetric ? i32x4.shl(v128.load32_splat(x, NEGATED), offsetShift(format)) : i32x4.splat(0);
    const k = half == 0 ? v128.load(x) : v128.load(x, 32);
    acc = i32x4.add(acc, i32x4.dot_i16x8_s(even0, lanes(k, 0)));
    acc = i32x4.add(acc, i32x4.dot_i16x8_s(odd0, lanes(k, 1)));
    acc = i32x4.add(acc, i32x4.dot_i16x8_s(even1, lanes(k, 2)));
    acc = i32x4.add(acc, i32x4.dot_i16x8_s(odd1, lanes(k, 3)));
    const l = half == 0 ? v128.load(x, 16) : v128.load(x, 48);
    acc = i32x4.add(acc, i32x4.dot_i16x8_s(even2, lanes(l, 0)));
    acc = i32x4.add(acc, i32x4.dot_i16x8_s(odd2, lanes(l, 1)));
    acc = i32x4.add(acc, i32x4.dot_i16x8_s(even3, lanes(l, 2)));
    acc = i32x4.add(acc, i32x4.dot_i16x8_s(odd3, lanes(l, 3)));
    if (half == 0) v128.store(halfway, isPer16(format) ? f32x4.mul(f32x4.convert_i32x4_s(acc), scale) : acc);
    else if (isPer16(format)) {
      let sum = v128.load(sums);
      if (isAffine(format)) {
        sum = multiplyAdd(
          minimumLow, v128.load32_splat(x, SUM_LOW), multiplyAdd(minimum, v128.load32_splat(x, SUM_HIGH), sum),
        );
      }
      const both = multiplyAdd(f32x4.convert_i32x4_s(acc), scale, v128.load(halfway));
      v128.store(sums, multiplyAdd(both, v128.load32_splat(x, SCALE), sum));
    } else {
      let sum = v128.load(sums);
      if (isAffine(format)) sum = multiplyAdd(minimum, v128.load32_splat(x, SUM), sum);
      v128.store(sums, multiplyAdd(f32x4.convert_i32x4_s(acc), f32x4.mul(scale, v128.load32_splat(x, SCALE)), sum));
    }
  }
}

/** One row group of one block over the tokens of a chunk, for plain SIMD. */
@inline
function groupWide(
  format: i32, sums: usize, halfway: usize, x: usize, count: usize, header: usize, block: usize, v: i32,
): void {
  const zero = f32x4.splat(0);
  let low = zero;
  let high = zero;
  let minimumLow = zero;
  let minimumHigh = zero;
  if (!isK(format)) {
    low = high = halves(block + 8 * v);
    if (isAffine(format)) minimumHigh = halves(block + 32 + 8 * v);
  } else {
    const d = halves(header + 8 * v);
    low = f32x4.mul(d, scales(format, block, v));
    high = isPer16(format) ? f32x4.mul(d, scales(format, block + 16, v)) : low;
    if (isAffine(format)) {
      const m = f32x4.neg(halves(header + 32 + 8 * v));
      if (isPer16(format)) minimumLow = f32x4.mul(m, highScales(block, v));
      minimumHigh = f32x4.mul(m, isPer16(format) ? highScales(block + 16, v) : scales(format, block + 16, v));
    }
  }
  wide16(
    format, sums, halfway, x, count, 0, low, zero, zero,
    quants(format, block, v, 0), quants(format, block, v, 1), quants(format, block, v, 2), quants(format, block, v, 3),
  );
  wide16(
    format, sums, halfway, x, count, 1, high, minimumHigh, minimumLow,
    quants(format, block, v, 4), quants(format, block, v, 5), quants(format, block, v, 6), quants(format, block, v, 7),
  );
}

/** One row group of one block over the tokens of a chunk. */
@inline
function groupBlock(
  format: i32, sums: usize, halfway: usize, x: usize, count: usize, header: usize, block: usize, v: i32,
): void {
  if (!ASC_FEATURE_RELAXED_SIMD) return groupWide(format, sums, halfway, x, count, header, block, v);
  if (format == FORMAT_Q8_0) {
    const scale = halves(block + 8 * v);
    const kind = dotSemantics();
    if (kind == SEVEN_BITS) {
      magnitudes16(sums, halfway, x, count, scale, block, v, 0);
      magnitudes16(sums, halfway, x, count, scale, block, v, 1);
      return;
    }
    const flip = i8x16.splat(kind == SIGNED ? 0 : -128);
    symmetric32(
      sums, x, count, 7, kind == SIGNED ? NOTHING : NEGATED, scale,
      v128.xor(quants(format, block, v, 0), flip), v128.xor(quants(format, block, v, 1), flip),
      v128.xor(quants(format, block, v, 2), flip), v128.xor(quants(format, block, v, 3), flip),
      v128.xor(quants(format, block, v, 4), flip), v128.xor(quants(format, block, v, 5), flip),
      v128.xor(quants(format, block, v, 6), flip), v128.xor(quants(format, block, v, 7), flip),
    );
    return;
  }
  const w0 = quants(format, block, v, 0);
  const w1 = quants(format, block, v, 1);
  const w2 = quants(format, block, v, 2);
  const w3 = quants(format, block, v, 3);
  const w4 = quants(format, block, v, 4);
  const w5 = quants(format, block, v, 5);
  const w6 = quants(format, block, v, 6);
  const w7 = quants(format, block, v, 7);
  if (!isK(format)) {
    const scale = halves(block + 8 * v);
    if (isAffine(format)) affine32(sums, x, count, scale, halves(block + 32 + 8 * v), w0, w1, w2, w3, w4, w5, w6, w7);
    else symmetric32(sums, x, count, offsetShift(format), NEGATED, scale, w0, w1, w2, w3, w4, w5, w6, w7);
    return;
  }
  const d = halves(header + 8 * v);
  if (isPer16(format)) {
    const low = f32x4.mul(d, scales(format, block, v));
    const high = f32x4.mul(d, scales(format, block + 16, v));
    if (isAffine(format)) {
      const m = f32x4.neg(halves(header + 32 + 8 * v));
      affine16(
        sums, x, count, low, high, f32x4.mul(m, highScales(block, v)), f32x4.mul(m, highScales(block + 16, v)), w0, w1,
        w2, w3, w4, w5, w6, w7,
      );
    } else symmetric16(sums, x, count, offsetShift(format), low, high, w0, w1, w2, w3, w4, w5, w6, w7);
    return;
  }
  const minimum = f32x4.mul(f32x4.neg(halves(header + 32 + 8 * v)), scales(format, block + 16, v));
  affine32(sums, x, count, f32x4.mul(d, scales(format, block, v)), minimum, w0, w1, w2, w3, w4, w5, w6, w7);
}

/**
 * One block of 16 rows over the tokens of a chunk. It is a function of its own for each format, so that the engine's
 * compiler sees small loops.
 */
@inline
function tileBlock(format: i32, sums: usize, x: usize, count: usize, header: usize, block: usize): void {
  const halfway = sums + count * 64;
  for (let v = 0; v < 4; v++, sums += count * 16) groupBlock(format, sums, halfway, x, count, header, block, v);
}

function blockQ40(sums: usize, x: usize, count: usize, header: usize, block: usize): void {
  tileBlock(FORMAT_Q4_0, sums, x, count, header, block);
}
function blockQ41(sums: usize, x: usize, count: usize, header: usize, block: usize): void {
  tileBlock(FORMAT_Q4_1, sums, x, count, header, block);
}
function blockQ50(sums: usize, x: usize, count: usize, header: usize, block: usize): void {
  tileBlock(FORMAT_Q5_0, sums, x, count, header, block);
}
function blockQ51(sums: usize, x: usize, count: usize, header: usize, block: usize): void {
  tileBlock(FORMAT_Q5_1, sums, x, count, header, block);
}
function blockQ80(sums: usize, x: usize, count: usize, header: usize, block: usize): void {
  tileBlock(FORMAT_Q8_0, sums, x, count, header, block);
}
function blockQ2K(sums: usize, x: usize, count: usize, header: usize, block: usize): void {
  tileBlock(FORMAT_Q2_K, sums, x, count, header, block);
}
function blockQ3K(sums: usize, x: usize, count: usize, header: usize, block: usize): void {
  tileBlock(FORMAT_Q3_K, sums, x, count, header, block);
}
function blockQ4K(sums: usize, x: usize, count: usize, header: usize, block: usize): void {
  tileBlock(FORMAT_Q4_K, sums, x, count, header, block);
}
function blockQ5K(sums: usize, x: usize, count: usize, header: usize, block: usize): void {
  tileBlock(FORMAT_Q5_K, sums, x, count, header, block);
}
function blockQ6K(sums: usize, x: usize, count: usize, header: usize, block: usize): void {
  tileBlock(FORMAT_Q6_K, sums, x, count, header, block);
}

@inline
function runBlock(format: i32, sums: usize, x: usize, count: usize, header: usize, block: usize): void {
  switch (format) {
    case FORMAT_Q4_0: return blockQ40(sums, x, count, header, block);
    case FORMAT_Q4_1: return blockQ41(sums, x, count, header, block);
    case FORMAT_Q5_0: return blockQ50(sums, x, count, header, block);
    case FORMAT_Q5_1: return blockQ51(sums, x, count, header, block);
    case FORMAT_Q8_0: return blockQ80(sums, x, count, header, block);
    case FORMAT_Q2_K: return blockQ2K(sums, x, count, header, block);
    case FORMAT_Q3_K: return blockQ3K(sums, x, count, header, block);
    case FORMAT_Q4_K: return blockQ4K(sums, x, count, header, block);
    case FORMAT_Q5_K: return blockQ5K(sums, x, count, header, block);
    default: return blockQ6K(sums, x, count, header, block);
  }
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

/** Copies sums [4][count][4] to `rowCount` (at most 16) values for each token. */
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
      memory.fill(scratch, 0, tokens * 64);
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
      writeSums(out + (first * outStride + row) * 4, outStride, scratch, tokens, min<usize>(TILE, rowEnd - row));
    }
  }
}
