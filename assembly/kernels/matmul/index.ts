/**
 * Matrix products with weights in the quantised formats of model files: the interface between the engine and its
 * fastest code.
 *
 * - Formats are numbered by ggml's type ids. Weights are repacked while they stream in (`packRows`) into tiles of 16
 *   rows, interleaved for the dot instruction (layout.ts draws them). Every build packs alike, and the layout of the
 *   file is not kept.
 * - A product reads activations that were prepared once (`quantiseActivations`) and are shared by all weights with the
 *   same `cols`, whatever their format. Where `usesInt8(format)` is 0 (F32, F16, BF16), pass the plain f32 activations
 *   [count, cols] instead.
 * - A product may read the records of up to five tokens behind the last one; what they hold does not matter.
 * - Every thread calls `matmul` with its own range of rows, its own `scratch`, and the same activations. Threads share
 *   no state.
 * - Pointers are at least 16-byte aligned (allocations are 64-byte aligned).
 * - Before the first product every instance of a relaxed build must call `relaxedDot()`. When it returns 0, the host
 *   must use a plain SIMD build instead.
 */
import { TILE, isInt8, tileBytes } from './layout';
import { packTile } from './pack';
import { quantise, RECORD } from './activations';
import { decode } from './decode';
import { FLOAT_SCRATCH, floatProduct } from './float';
export { floatTaps, TOKENS as TAPS_TOKENS } from './float';
export { CHUNK, RECORD } from './activations';
import { scalarProduct } from './scalar';
import { gemm, GEMM_SCRATCH } from './gemm';
import { gemv } from './gemv';
import { assume, probe } from './dot';

/** Returns the rows of a tile, 16 for every format. Row ranges of `matmul` and `packRows` start at multiples of it. */
export function rowTile(_format: i32): usize {
  return TILE;
}

/** Returns the bytes of a packed weight, whose rows are rounded up to whole tiles. */
export function packedBytes(format: i32, rows: usize, cols: usize): usize {
  return ((rows + TILE - 1) / TILE) * tileBytes(format, cols);
}

/**
 * Repacks file rows [rowStart, rowStart + rowCount) at `src` into the weight at `dst` [rows, cols]. `rowStart` is a
 * multiple of the tile, and so is `rowCount` unless the range ends with the last row; the missing rows of the last tile
 * become zeros. `src` may be unaligned.
 */
export function packRows(
  dst: usize, src: usize, format: i32, rowStart: usize, rowCount: usize, rows: usize, cols: usize,
): void {
  const stride = tileBytes(format, cols);
  dst += (rowStart / TILE) * stride;
  for (let row: usize = 0; row < rowCount; row += TILE) {
    src = packTile(dst, src, format, min<usize>(TILE, rowCount - row), cols);
    dst += stride;
  }
}

/**
 * Returns 1 where the products of the format read activations from `quantiseActivations`, 0 where they read plain f32.
 */
export function usesInt8(format: i32): i32 {
  return isInt8(format) ? 1 : 0;
}

/** Returns the bytes of `count` rows of prepared activations. `cols` is a multiple of 32. */
export function activationBytes(count: usize, cols: usize): usize {
  return count * (cols >> 5) * RECORD;
}

/** Quantises f32 x [count, cols] to int8, every 32 values with their scale and sums (activations.ts). */
export function quantiseActivations(dst: usize, x: usize, count: usize, cols: usize): void {
  quantise(dst, x, count, cols, 0, count);
}

/** The part of `quantiseActivations` for tokens [start, end), so that threads can share the work. */
export function quantiseActivationRows(
  dst: usize, x: usize, count: usize, cols: usize, start: usize, end: usize,
): void {
  quantise(dst, x, count, cols, start, end);
}

/** Returns the scratch bytes that one thread needs in `matmul`. The contents need no initial value and are not kept. */
export function matmulScratchBytes(): usize {
  return max<usize>(GEMM_SCRATCH, FLOAT_SCRATCH);
}

/**
 * out[t * outStride + r] = sum over k of activations[t, k] * weight[r, k] for r in [rowStart, rowEnd), t in [0, count).
 * `outStride` counts f32 values. `rowStart` is a multiple of the tile, and so is `rowEnd` unless it is `rows`.
 * `streams` is how many tiles of quantised weights are read side by side where `count` is 1 (0: as many as possible).
 */
export function matmul(
  out: usize, outStride: usize, activations: usize, weight: usize, format: i32,
  rowStart: usize, rowEnd: usize, rows: usize, cols: usize, count: usize, scratch: usize, streams: usize,
): void {
  if (rowEnd > rows) rowEnd = rows;
  if (!isInt8(format)) {
    floatProduct(out, outStride, activations, weight, format, rowStart, rowEnd, cols, count, scratch);
  } else if (ASC_FEATURE_SIMD) {
    if (count == 1) gemv(out, activations, weight, format, rowStart, rowEnd, cols, scratch, streams);
    else gemm(out, outStride, activations, weight, format, rowStart, rowEnd, cols, count, scratch);
  } else scalarProduct(out, outStride, activations, weight, format, rowStart, rowEnd, cols, count);
}

/** Decodes row `row` of a packed weight to f32 [cols] at `dst`. */
export function decodeRow(dst: usize, weight: usize, format: i32, row: usize, _rows: usize, cols: usize): void {
  decode(dst, weight + (row / TILE) * tileBytes(format, cols), format, row % TILE, cols);
}

/**
 * Determines by trial how this machine's relaxed dot treats its second operand, and keeps the result for the products
 * of this instance: 0 unusable (use a plain SIMD build), 1 unsigned, 2 signed, 3 only 0..127 is safe. Builds without
 * relaxed SIMD return 1.
 */
export function relaxedDot(): i32 {
  return probe();
}

/**
 * For tests: overrides the result of `relaxedDot`. 3 is correct on every machine, the others only on machines that have
 * them.
 */
export function assumeRelaxedDot(kind: i32): void {
  assume(kind);
}
