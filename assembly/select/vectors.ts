/**
 * Sums over vectors in f64, for choices that must not depend on the build: the rounding error is far below the
 * tolerance of a tie.
 */

/** Returns the sum of the two lanes. */
@inline
function both(v: v128): f64 {
  return f64x2.extract_lane(v, 0) + f64x2.extract_lane(v, 1);
}

@inline
function low(v: v128): v128 {
  return f64x2.promote_low_f32x4(v);
}

@inline
function high(v: v128): v128 {
  return f64x2.promote_low_f32x4(v128.shuffle<u64>(v, v, 1, 1));
}

/** Returns x . y of f32 [d] each. */
export function dot(x: usize, y: usize, d: usize): f64 {
  let sum: f64 = 0;
  let i: usize = 0;
  if (ASC_FEATURE_SIMD) {
    let a = f64x2.splat(0);
    let b = f64x2.splat(0);
    for (; i + 4 <= d; i += 4) {
      const u = v128.load(x + (i << 2));
      const v = v128.load(y + (i << 2));
      a = f64x2.add(a, f64x2.mul(low(u), low(v)));
      b = f64x2.add(b, f64x2.mul(high(u), high(v)));
    }
    sum = both(f64x2.add(a, b));
  }
  for (; i < d; i++) sum += <f64>load<f32>(x + (i << 2)) * <f64>load<f32>(y + (i << 2));
  return sum;
}

/** Returns x . y of x f32 [d] and y f64 [d]. */
export function dotWide(x: usize, y: usize, d: usize): f64 {
  let sum: f64 = 0;
  let i: usize = 0;
  if (ASC_FEATURE_SIMD) {
    let a = f64x2.splat(0);
    let b = f64x2.splat(0);
    for (; i + 4 <= d; i += 4) {
      const u = v128.load(x + (i << 2));
      a = f64x2.add(a, f64x2.mul(low(u), v128.load(y + (i << 3))));
      b = f64x2.add(b, f64x2.mul(high(u), v128.load(y + (i << 3), 16)));
    }
    sum = both(f64x2.add(a, b));
  }
  for (; i < d; i++) sum += <f64>load<f32>(x + (i << 2)) * load<f64>(y + (i << 3));
  return sum;
}

/** y += x * scale; x f32 [d], y f64 [d]. */
export function addWide(y: usize, x: usize, scale: f64, d: usize): void {
  let i: usize = 0;
  if (ASC_FEATURE_SIMD) {
    const s = f64x2.splat(scale);
    for (; i + 4 <= d; i += 4) {
      const u = v128.load(x + (i << 2));
      const at = y + (i << 3);
      v128.store(at, f64x2.add(v128.load(at), f64x2.mul(low(u), s)));
      v128.store(at, f64x2.add(v128.load(at, 16), f64x2.mul(high(u), s)), 16);
    }
  }
  for (; i < d; i++) store<f64>(y + (i << 3), load<f64>(y + (i << 3)) + <f64>load<f32>(x + (i << 2)) * scale);
}

/** y += x * scale; f64 [n] each. */
export function addScaled(y: usize, x: usize, scale: f64, n: usize): void {
  let i: usize = 0;
  if (ASC_FEATURE_SIMD) {
    const s = f64x2.splat(scale);
    for (; i + 2 <= n; i += 2) {
      const at = i << 3;
      v128.store(y + at, f64x2.add(v128.load(y + at), f64x2.mul(v128.load(x + at), s)));
    }
  }
  for (; i < n; i++) store<f64>(y + (i << 3), load<f64>(y + (i << 3)) + load<f64>(x + (i << 3)) * scale);
}

/**
 * Values this close to the best are ties, which the lowest index wins. In f64, sums of the cosines of a few thousand
 * tokens have a rounding error of about 1e-13.
 */
export const TIE: f64 = 1e-9;

/** Returns the address of token i's row of x, which `rows` u32 [..] names. */
@inline
export function rowOf(x: usize, rows: usize, i: usize, d: usize): usize {
  return x + <usize>load<u32>(rows + (i << 2)) * (d << 2);
}

/**
 * Writes 1 / |row| of each token to f64 [count]; 0 for a row of zeros, whose cosine with everything is then 0. Returns
 * the first token whose row holds a value that is not finite, or `count` when there is none.
 */
export function inverseNorms(out: usize, x: usize, rows: usize, count: usize, d: usize): usize {
  for (let i: usize = 0; i < count; i++) {
    const row = rowOf(x, rows, i, d);
    const square = dot(row, row, d);
    if (!isFinite<f64>(square)) return i;
    store<f64>(out + (i << 3), square > 0 ? 1 / sqrt<f64>(square) : 0);
  }
  return count;
}
