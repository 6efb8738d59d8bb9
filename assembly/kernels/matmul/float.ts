/** Products with F32, F16 and BF16 weights: f32 activations [count, cols], f32 sums in order of k. */
import { FORMAT_BF16, FORMAT_F16, FORMAT_F32, TILE, tileBytes } from './layout';
import { f16 } from './decode';

@inline
function value(format: i32, tile: usize, row: usize, k: usize): f32 {
  if (format == FORMAT_F32) return load<f32>(tile + k * 64 + row * 4);
  const bits = <u32>load<u16>(tile + k * 32 + row * 2);
  return format == FORMAT_F16 ? f16(bits) : reinterpret<f32>(bits << 16);
}

@inline
function scalar(format: i32, out: usize, outStride: usize, x: usize, weight: usize, rowStart: usize, rowEnd: usize, cols: usize, count: usize): void {
  const stride = tileBytes(format, cols);
  for (let t: usize = 0; t < count; t++) {
    for (let r = rowStart; r < rowEnd; r++) {
      const tile = weight + (r / TILE) * stride;
      let sum: f32 = 0;
      for (let k: usize = 0; k < cols; k++) sum += value(format, tile, r % TILE, k) * load<f32>(x + (t * cols + k) * 4);
      store<f32>(out + (t * outStride + r) * 4, sum);
    }
  }
}

export function floatProduct(
  out: usize, outStride: usize, x: usize, weight: usize, format: i32,
  rowStart: usize, rowEnd: usize, cols: usize, count: usize, _scratch: usize,
): void {
  switch (format) {
    case FORMAT_F32: return scalar(FORMAT_F32, out, outStride, x, weight, rowStart, rowEnd, cols, count);
    case FORMAT_F16: return scalar(FORMAT_F16, out, outStride, x, weight, rowStart, rowEnd, cols, count);
    default: return scalar(FORMAT_BF16, out, outStride, x, weight, rowStart, rowEnd, cols, count);
  }
}
