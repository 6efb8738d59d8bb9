/**
 * The dot step of every SIMD product, and a test of how this machine's relaxed dot instruction behaves. `w` holds 4
 * rows x 4 k of weights, `x` is the address of the same 4 k in the record of one token: acc[lane] += sum over i of w[4
 * lane + i] x[i]. With relaxed SIMD that is one instruction. Plain SIMD multiplies even and odd k as i16 pairs, so that
 * both builds keep rows in lanes.
 */

/** The result of `relaxedDot` in index.ts. Every instance determines it for itself. */
let semantics: i32 = 0;
export const UNSIGNED: i32 = 1;
export const SIGNED: i32 = 2;
export const SEVEN_BITS: i32 = 3;

/** Bytes of 4 k in a record. */
export const GROUP: usize = ASC_FEATURE_RELAXED_SIMD ? 4 : 8;

@inline
export function dotSemantics(): i32 {
  return semantics;
}

@inline
function lanesAre(v: v128, value: i32): bool {
  return i32x4.all_true(i32x4.eq(v, i32x4.splat(value)));
}

export function probe(): i32 {
  if (ASC_FEATURE_RELAXED_SIMD) {
    semantics = 0;
    // Products with 0..127 must be exact, with both signs of the other operand and with the largest sums.
    const a = i8x16(1, -2, 3, -4, 127, -127, 126, -125, 127, 127, 127, 127, -127, -127, -127, -127);
    const b = i8x16(5, 6, 127, 0, 127, 1, 2, 3, 127, 127, 127, 127, 127, 127, 127, 127);
    const got = i32x4.relaxed_dot_i8x16_i7x16_add_s(a, b, i32x4(1, -1, 7, 100));
    if (!i32x4.all_true(i32x4.eq(got, i32x4(375, 15878, 64523, -64416)))) return 0;
    const x = i8x16.splat(127);
    const high = i32x4.relaxed_dot_i8x16_i7x16_add_s(x, i8x16.splat(-1), i32x4.splat(0));
    const highNegative = i32x4.relaxed_dot_i8x16_i7x16_add_s(i8x16.splat(-127), i8x16.splat(-1), i32x4.splat(0));
    const lowest = i32x4.relaxed_dot_i8x16_i7x16_add_s(x, i8x16.splat(-128), i32x4.splat(0));
    if (lanesAre(high, 4 * 127 * 255) && lanesAre(highNegative, -4 * 127 * 255) && lanesAre(lowest, 4 * 127 * 128)) {
      semantics = UNSIGNED;
    } else if (lanesAre(high, -4 * 127) && lanesAre(highNegative, 4 * 127) && lanesAre(lowest, -4 * 127 * 128)) {
      semantics = SIGNED;
    } else semantics = SEVEN_BITS;
    return semantics;
  }
  return UNSIGNED;
}

/** For tests: uses the code path of machines with other semantics. SEVEN_BITS is correct on all machines. */
export function assume(kind: i32): void {
  semantics = kind;
}

/**
 * 4 k of a token in every lane; on plain SIMD builds the even ones, and `odd` gives the odd ones. The compiler does not
 * drop an unused load, so on relaxed builds `odd` must not make one.
 */
@inline
export function even(x: usize): v128 {
  return v128.load32_splat(x);
}
@inline
export function odd(x: usize, evens: v128): v128 {
  return ASC_FEATURE_RELAXED_SIMD ? evens : v128.load32_splat(x, 4);
}

/** acc + w . x, where w holds unsigned bytes; `low` has 255 in every i16, for plain SIMD builds. */
@inline
export function dotVector(acc: v128, w: v128, x: v128, xOdd: v128, low: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return i32x4.relaxed_dot_i8x16_i7x16_add_s(x, w, acc);
  return i32x4.add(
    acc, i32x4.add(i32x4.dot_i16x8_s(v128.and(w, low), x), i32x4.dot_i16x8_s(i16x8.shr_u(w, 8), xOdd)),
  );
}

/** acc + w . x on plain SIMD builds, where w holds signed bytes. */
@inline
export function dotSignedVector(acc: v128, w: v128, x: v128, xOdd: v128): v128 {
  const low = i32x4.dot_i16x8_s(i16x8.shr_s(i16x8.shl(w, 8), 8), x);
  return i32x4.add(acc, i32x4.add(low, i32x4.dot_i16x8_s(i16x8.shr_s(w, 8), xOdd)));
}

/**
 * The sums of pairs of products in 16 bits, of bytes a and of magnitudes b (0..127). Without VNNI this is one
 * instruction, where the dot into 32 bits is five: that one, a constant, a widening, an addition.
 */
@inline
export function dotPairs(a: v128, b: v128): v128 {
  return ASC_FEATURE_RELAXED_SIMD ? i16x8.relaxed_dot_i8x16_i7x16_s(a, b) : a;
}

/**
 * acc + w . x on relaxed builds, where the signs of x (0 or -1 a byte) were moved to w, which leaves w - 1 for -w: what
 * that takes from the sum, the magnitudes of the negative x, is in `acc` already.
 */
@inline
export function dotMagnitude(acc: v128, w: v128, negative: v128, magnitude: v128): v128 {
  return i32x4.add(acc, i32x4.extadd_pairwise_i16x8_s(dotPairs(v128.xor(w, negative), magnitude)));
}

/** a * b + c. */
@inline
export function multiplyAdd(a: v128, b: v128, c: v128): v128 {
  return ASC_FEATURE_RELAXED_SIMD ? f32x4.relaxed_madd(a, b, c) : f32x4.add(f32x4.mul(a, b), c);
}
