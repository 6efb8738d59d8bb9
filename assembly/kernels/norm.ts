/**
 * RMS norm (Zhang & Sennrich 2019) and layer norm (Ba 2016) of one f32 row at a time. A row is summed in eight f32
 * partial sums; layer norm takes two passes.
 */
import { lanes, madd } from './math';

export const NORM_NONE: u32 = 0;
export const NORM_RMS: u32 = 1;
export const NORM_LAYER: u32 = 2;

/** Returns the sum of (x - shift)^2. */
@inline
function squares(x: usize, cols: usize, shift: f32): f32 {
  let i: usize = 0;
  let sum: f32 = 0;
  if (ASC_FEATURE_SIMD) {
    const s = f32x4.splat(shift);
    let a = f32x4.splat(0);
    let b = f32x4.splat(0);
    for (; i + 8 <= cols; i += 8) {
      const u = f32x4.sub(v128.load(x + (i << 2)), s);
      const v = f32x4.sub(v128.load(x + (i << 2), 16), s);
      a = madd(u, u, a);
      b = madd(v, v, b);
    }
    sum = lanes(f32x4.add(a, b));
    for (; i < cols; i++) {
      const v = load<f32>(x + (i << 2)) - shift;
      sum += v * v;
    }
    return sum;
  }
  let wide: f64 = 0;
  for (; i < cols; i++) {
    const v = load<f32>(x + (i << 2)) - shift;
    wide += v * v;
  }
  return <f32>wide;
}

@inline
function total(x: usize, cols: usize): f32 {
  let i: usize = 0;
  if (ASC_FEATURE_SIMD) {
    let a = f32x4.splat(0);
    let b = f32x4.splat(0);
    for (; i + 8 <= cols; i += 8) {
      a = f32x4.add(a, v128.load(x + (i << 2)));
      b = f32x4.add(b, v128.load(x + (i << 2), 16));
    }
    let sum = lanes(f32x4.add(a, b));
    for (; i < cols; i++) sum += load<f32>(x + (i << 2));
    return sum;
  }
  let wide: f64 = 0;
  for (; i < cols; i++) wide += load<f32>(x + (i << 2));
  return <f32>wide;
}

export function rowMean(x: usize, cols: usize): f32 {
  return total(x, cols) / <f32>cols;
}

/** Returns 1 / sqrt(variance + epsilon) of a row. */
export function layerScale(x: usize, cols: usize, mean: f32, epsilon: f32): f32 {
  return 1 / sqrt<f32>(squares(x, cols, mean) / <f32>cols + epsilon);
}

/**
 * out [cols] = (x - mean) / sqrt(variance + epsilon) * weight + bias. For RMS norm the mean is 0 and there is no bias.
 * `bias` may be 0. `out` may be `x`.
 */
export function normRow(out: usize, x: usize, weight: usize, bias: usize, cols: usize, kind: u32, epsilon: f32): void {
  const mean: f32 = kind == NORM_LAYER ? rowMean(x, cols) : 0;
  const scale = layerScale(x, cols, mean, epsilon);
  let i: usize = 0;
  if (ASC_FEATURE_SIMD) {
    const m = f32x4.splat(mean);
    const s = f32x4.splat(scale);
    for (; i + 4 <= cols; i += 4) {
      const at = i << 2;
      let v = f32x4.mul(f32x4.mul(f32x4.sub(v128.load(x + at), m), s), v128.load(weight + at));
      if (bias != 0) v = f32x4.add(v, v128.load(bias + at));
      v128.store(out + at, v);
    }
  }
  for (; i < cols; i++) {
    const at = i << 2;
    let v: f32 = (load<f32>(x + at) - mean) * scale * load<f32>(weight + at);
    if (bias != 0) v += load<f32>(bias + at);
    store<f32>(out + at, v);
  }
}
