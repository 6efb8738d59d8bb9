/**
 * Integer products without SIMD: one row and one token at a time, over the same packed weights and activation records.
 */
import {
  FORMAT_Q2_K, FORMAT_Q3_K, FORMAT_Q4_0, FORMAT_Q4_1, FORMAT_Q4_K, FORMAT_Q5_0, FORMAT_Q5_1, FORMAT_Q5_K, FORMAT_Q6_K,
  FORMAT_Q8_0, TILE, blockBytes, headerBytes, isK, tileBytes,
} from './layout';
import { packedMinimum, packedQuants, packedScale } from './decode';
import { SCALE, SUM_HIGH, SUM_LOW, blockStride, recordOffset } from './activations';

@inline
function dot16(format: i32, block: usize, at: usize, record: usize, half: u32): i32 {
  let sum = 0;
  for (let g = half * 4; g < half * 4 + 4; g++) {
    const q = packedQuants(format, block, at, g);
    const x = load<u32>(record + g * 4);
    if (format == FORMAT_Q8_0) {
      sum += <i32>(<i8>q) * <i32>(<i8>x) + <i32>(<i8>(q >> 8)) * <i32>(<i8>(x >> 8)) +
        <i32>(<i8>(q >> 16)) * <i32>(<i8>(x >> 16)) + (<i32>q >> 24) * (<i32>x >> 24);
    } else {
      sum += <i32>(q & 255) * <i32>(<i8>x) + <i32>((q >> 8) & 255) * <i32>(<i8>(x >> 8)) +
        <i32>((q >> 16) & 255) * <i32>(<i8>(x >> 16)) + <i32>(q >> 24) * (<i32>x >> 24);
    }
  }
  return sum;
}

@inline
function product(
  format: i32, out: usize, outStride: usize, activations: usize, weight: usize, rowStart: usize, rowEnd: usize,
  cols: usize, count: usize,
): void {
  const blocks = cols >> 5;
  const stride = tileBytes(format, cols);
  for (let r = rowStart; r < rowEnd; r++) {
    const row = r % TILE;
    const at = (row >> 2) * 16 + (row & 3) * 4;
    for (let t: usize = 0; t < count; t++) {
      const step = blockStride(t, count);
      let record = activations + recordOffset(t, cols);
      let block = weight + (r / TILE) * stride;
      let header = block;
      let sum: f32 = 0;
      for (let b: usize = 0; b < blocks; b++) {
        if (isK(format) && (b & 7) == 0) {
          header = block;
          block += headerBytes(format);
        }
        const x = load<f32>(record + SCALE);
        sum += packedScale(format, header, block, row, 0) * x * <f32>dot16(format, block, at, record, 0);
        sum += packedScale(format, header, block, row, 1) * x * <f32>dot16(format, block, at, record, 1);
        sum += packedMinimum(format, header, block, row, 0) * load<f32>(record + SUM_LOW);
        sum += packedMinimum(format, header, block, row, 1) * load<f32>(record + SUM_HIGH);
        record += step;
        block += blockBytes(format);
      }
      store<f32>(out + (t * outStride + r) * 4, sum);
    }
  }
}

export function scalarProduct(
  out: usize, outStride: usize, activations: usize, weight: usize, format: i32, rowStart: usize, rowEnd: usize,
  cols: usize, count: usize,
): void {
  switch (format) {
    case FORMAT_Q4_0: return product(FORMAT_Q4_0, out, outStride, activations, weight, rowStart, rowEnd, cols, count);
    case FORMAT_Q4_1: return product(FORMAT_Q4_1, out, outStride, activations, weight, rowStart, rowEnd, cols, count);
    case FORMAT_Q5_0: return product(FORMAT_Q5_0, out, outStride, activations, weight, rowStart, rowEnd, cols, count);
    case FORMAT_Q5_1: return product(FORMAT_Q5_1, out, outStride, activations, weight, rowStart, rowEnd, cols, count);
    case FORMAT_Q8_0: return product(FORMAT_Q8_0, out, outStride, activations, weight, rowStart, rowEnd, cols, count);
    case FORMAT_Q2_K: return product(FORMAT_Q2_K, out, outStride, activations, weight, rowStart, rowEnd, cols, count);
    case FORMAT_Q3_K: return product(FORMAT_Q3_K, out, outStride, activations, weight, rowStart, rowEnd, cols, count);
    case FORMAT_Q4_K: return product(FORMAT_Q4_K, out, outStride, activations, weight, rowStart, rowEnd, cols, count);
    case FORMAT_Q5_K: return product(FORMAT_Q5_K, out, outStride, activations, weight, rowStart, rowEnd, cols, count);
    default: return product(FORMAT_Q6_K, out, outStride, activations, weight, rowStart, rowEnd, cols, count);
  }
}
