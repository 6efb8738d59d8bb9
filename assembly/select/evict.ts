/**
 * Processes attention masses for SnapKV (2404.14469) and CompressKV (2508.02401): pooling over neighbours, sums by
 * page, and the error that an eviction causes. All sums are f64, in the order of positions.
 */

const PAGE_TOKENS: usize = 32;

/** out[i] = the maximum of the x within `width / 2` of i; width is odd. */
export function poolMax(out: usize, x: usize, count: usize, width: usize): void {
  const reach: usize = width >> 1;
  let i: usize = 0;
  for (; i < count; i++) {
    if (ASC_FEATURE_SIMD) {
      if (i >= reach) {
        while (i + reach + 2 <= count) {
          const from = x + ((i - reach) << 3);
          let best = v128.load(from);
          for (let j: usize = 1; j < width; j++) best = f64x2.max(best, v128.load(from + (j << 3)));
          v128.store(out + (i << 3), best);
          i += 2;
        }
        if (i >= count) break;
      }
    }
    const end: usize = min<usize>(count, i + reach + 1);
    let best: f64 = -Infinity;
    for (let j: usize = i < reach ? 0 : i - reach; j < end; j++) best = max<f64>(best, load<f64>(x + (j << 3)));
    store<f64>(out + (i << 3), best);
  }
}

/** out[i] = the mean of the existing x within `width / 2` of i; width is odd. */
export function poolMean(out: usize, x: usize, count: usize, width: usize): void {
  const reach: usize = width >> 1;
  let i: usize = 0;
  for (; i < count; i++) {
    if (ASC_FEATURE_SIMD) {
      if (i >= reach) {
        const divisor = f64x2.splat(<f64>width);
        while (i + reach + 2 <= count) {
          const from = x + ((i - reach) << 3);
          let sum = v128.load(from);
          for (let j: usize = 1; j < width; j++) sum = f64x2.add(sum, v128.load(from + (j << 3)));
          v128.store(out + (i << 3), f64x2.div(sum, divisor));
          i += 2;
        }
        if (i >= count) break;
      }
    }
    const start: usize = i < reach ? 0 : i - reach;
    const end: usize = min<usize>(count, i + reach + 1);
    let sum: f64 = load<f64>(x + (start << 3));
    for (let j: usize = start + 1; j < end; j++) sum += load<f64>(x + (j << 3));
    store<f64>(out + (i << 3), sum / <f64>(end - start));
  }
}

/** out[p] = the sum of x over the tokens of page p, of which the last may have fewer. */
export function pageSums(out: usize, x: usize, count: usize): void {
  for (let start: usize = 0; start < count; start += PAGE_TOKENS) {
    const end: usize = min<usize>(count, start + PAGE_TOKENS);
    let sum: f64 = 0;
    for (let i: usize = start; i < end; i++) sum += load<f64>(x + (i << 3));
    store<f64>(out + ((start / PAGE_TOKENS) << 3), sum);
  }
}

/** ||full - kept||^2 / ||full||^2 over f32 [count]; 0 where both are 0. */
export function relativeError(full: usize, kept: usize, count: usize): f64 {
  let i: usize = 0;
  let error: f64 = 0;
  let power: f64 = 0;
  if (ASC_FEATURE_SIMD) {
    let e = f64x2.splat(0);
    let p = f64x2.splat(0);
    for (; i + 2 <= count; i += 2) {
      const a = f64x2.promote_low_f32x4(v128.load64_zero(full + (i << 2)));
      const d = f64x2.sub(a, f64x2.promote_low_f32x4(v128.load64_zero(kept + (i << 2))));
      e = f64x2.add(e, f64x2.mul(d, d));
      p = f64x2.add(p, f64x2.mul(a, a));
    }
    error = f64x2.extract_lane(e, 0) + f64x2.extract_lane(e, 1);
    power = f64x2.extract_lane(p, 0) + f64x2.extract_lane(p, 1);
  }
  for (; i < count; i++) {
    const a = <f64>load<f32>(full + (i << 2));
    const d = a - <f64>load<f32>(kept + (i << 2));
    error += d * d;
    power += a * a;
  }
  return error == 0 ? 0 : error / power;
}
