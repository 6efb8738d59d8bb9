/**
 * RazorAttention's compensation token (2407.15891): one key and one value that represent everything a streaming head
 * dropped.
 */

/** mean = (weight mean + more added) / (weight + more), for each channel; mean: f64 [cols], added: f32 [cols]. */
export function mergeMeans(mean: usize, weight: f64, added: usize, more: f64, cols: usize): void {
  const total = weight + more;
  let i: usize = 0;
  if (ASC_FEATURE_SIMD) {
    const w = f64x2.splat(weight);
    const m = f64x2.splat(more);
    const t = f64x2.splat(total);
    for (; i + 2 <= cols; i += 2) {
      const old = f64x2.mul(v128.load(mean + (i << 3)), w);
      const fresh = f64x2.mul(f64x2.promote_low_f32x4(v128.load64_zero(added + (i << 2))), m);
      v128.store(mean + (i << 3), f64x2.div(f64x2.add(old, fresh), t));
    }
  }
  for (; i < cols; i++) {
    const at = mean + (i << 3);
    store<f64>(at, (load<f64>(at) * weight + <f64>load<f32>(added + (i << 2)) * more) / total);
  }
}

/** Writes `count` rows of f32 [cols], each equal to the f64 `row`. */
export function repeatRow(out: usize, row: usize, cols: usize, count: usize): void {
  for (let i: usize = 0; i < cols; i++) store<f32>(out + (i << 2), <f32>load<f64>(row + (i << 3)));
  for (let r: usize = 1; r < count; r++) memory.copy(out + ((r * cols) << 2), out, cols << 2);
}
