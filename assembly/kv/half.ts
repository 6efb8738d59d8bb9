/** Converts f16 to f32 and back in integer arithmetic, since WASM has no f16. */

/**
 * Returns the f16 nearest to x, ties to even. Beyond 65504 it returns the largest f16 of the same sign; NaN stays NaN.
 */
export function toHalf(x: f32): u16 {
  const bits = reinterpret<u32>(x);
  const sign = (bits >> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return <u16>(sign | 0x7e00);
  if (magnitude >= 0x477ff000) return <u16>(sign | 0x7bff);
  if (magnitude < 0x38800000) {
    // Below 2^-14 the steps are 2^-24 apart, and adding 0.5 in f32 rounds to them.
    const rounded = reinterpret<f32>(magnitude) + 0.5;
    return <u16>(sign | (reinterpret<u32>(rounded) - 0x3f000000));
  }
  return <u16>(sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >> 13) & 1)) >> 13));
}

/** Returns the f32 of an f16. */
@inline
export function fromHalf(h: u32): f32 {
  const bits = (h & 0x7fff) << 13;
  let x = reinterpret<f32>(bits) * reinterpret<f32>(0x77800000);
  if (bits >= 0x0f800000) x = reinterpret<f32>(bits | 0x7f800000);
  return reinterpret<f32>(reinterpret<u32>(x) | ((h & 0x8000) << 16));
}

/** Converts four f16 in the low halves of four u32 lanes. */
@inline
export function fromHalf4(h: v128): v128 {
  const bits = i32x4.shl(v128.and(h, i32x4.splat(0x7fff)), 13);
  const x = f32x4.mul(bits, i32x4.splat(0x77800000));
  const special = v128.and(i32x4.ge_s(bits, i32x4.splat(0x0f800000)), i32x4.splat(0x7f800000));
  return v128.or(v128.or(x, special), i32x4.shl(v128.and(h, i32x4.splat(0x8000)), 16));
}

/** Converts four finite f16, sign-extended to u32 lanes. */
@inline
function fromFinite4(h: v128): v128 {
  return f32x4.mul(v128.and(i32x4.shl(h, 13), i32x4.splat(0x8fffe000)), i32x4.splat(0x77800000));
}

/** Converts n f16 values at `src` to f32 at `dst`. */
export function widen(dst: usize, src: usize, n: usize): void {
  let i: usize = 0;
  if (ASC_FEATURE_SIMD) {
    // Converts as if all values were finite, which is half the work, and repeats with all checks where one was not.
    const most = i16x8.splat(0x7c00);
    let special = i16x8.splat(0);
    for (; i + 8 <= n; i += 8) {
      const h = v128.load(src + (i << 1));
      special = v128.or(special, i16x8.eq(v128.and(h, most), most));
      v128.store(dst + (i << 2), fromFinite4(i32x4.extend_low_i16x8_s(h)));
      v128.store(dst + (i << 2), fromFinite4(i32x4.extend_high_i16x8_s(h)), 16);
    }
    if (v128.any_true(special)) i = 0;
    for (; i + 4 <= n; i += 4) v128.store(dst + (i << 2), fromHalf4(v128.load16x4_u(src + (i << 1))));
  }
  for (; i < n; i++) store<f32>(dst + (i << 2), fromHalf(load<u16>(src + (i << 1))));
}

/** Converts n f32 values at `src` to f16 at `dst`. */
export function narrow(dst: usize, src: usize, n: usize): void {
  for (let i: usize = 0; i < n; i++) store<u16>(dst + (i << 1), toHalf(load<f32>(src + (i << 2))));
}
