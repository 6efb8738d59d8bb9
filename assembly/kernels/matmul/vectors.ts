/** Loads packed weights as vectors: the quants of 4 rows x 4 k, and the scales of 4 rows (layout.ts). */
import {
  FORMAT_Q2_K, FORMAT_Q8_0, bitsAt, hasBits, hasNibbles, hasPairs, isPer16, nibblesAt, pairsAt,
} from './layout';

/**
 * Returns a 0 that the engine's compiler cannot know to be 0 (a memory has at most 65536 pages). The compiler would
 * rebuild a v128 constant at every use (three instructions), but keeps a value that it does not know in a register.
 */
@inline
export function unknownZero(): i32 {
  return memory.size() >> 17;
}

/**
 * Loads vector n (0..15, known at compile time) at `base` with a constant offset. An addition that may wrap would be an
 * instruction of its own.
 */
@inline
export function vector(base: usize, n: i32): v128 {
  if (n == 0) return v128.load(base, 0);
  if (n == 1) return v128.load(base, 16);
  if (n == 2) return v128.load(base, 32);
  if (n == 3) return v128.load(base, 48);
  if (n == 4) return v128.load(base, 64);
  if (n == 5) return v128.load(base, 80);
  if (n == 6) return v128.load(base, 96);
  if (n == 7) return v128.load(base, 112);
  if (n == 8) return v128.load(base, 128);
  if (n == 9) return v128.load(base, 144);
  if (n == 10) return v128.load(base, 160);
  if (n == 11) return v128.load(base, 176);
  if (n == 12) return v128.load(base, 192);
  if (n == 13) return v128.load(base, 208);
  if (n == 14) return v128.load(base, 224);
  return v128.load(base, 240);
}

/**
 * Converts four f16 to f32x4, exactly. Infinity and NaN become 65536 and above. `mask` and `power` come from the two
 * functions below.
 */
@inline
export function halvesBy(at: usize, mask: v128, power: v128): v128 {
  return f32x4.mul(v128.and(i32x4.shl(v128.load16x4_s(at), 13), mask), power);
}
/** A mask that keeps sign, exponent and fraction, shifted to where f32 has them. */
@inline
export function halfMask(zero: i32): v128 {
  return i32x4.splat(zero + <i32>0x8fffe000);
}
/** 2^112, for the difference of the two exponent biases. */
@inline
export function halfPower(zero: i32): v128 {
  return i32x4.splat(zero + 0x77800000);
}
@inline
export function halves(at: usize): v128 {
  return halvesBy(at, halfMask(0), halfPower(0));
}

/** Returns the integer scales of row group v out of the 16 at `at`. */
@inline
export function scales(format: i32, at: usize, v: i32): v128 {
  const bytes = v128.load(at);
  if (format == FORMAT_Q2_K) return f32x4.convert_i32x4_s(v128.and(i32x4.shr_u(bytes, 8 * v), i32x4.splat(15)));
  if (isPer16(format)) return f32x4.convert_i32x4_s(i32x4.shr_s(i32x4.shl(bytes, 24 - 8 * v), 24));
  return f32x4.convert_i32x4_s(v128.and(i32x4.shr_u(bytes, 8 * v), i32x4.splat(255)));
}

/** Returns Q2_K's minimums, which are the high halves of its scales. */
@inline
export function highScales(at: usize, v: i32): v128 {
  return f32x4.convert_i32x4_s(v128.and(i32x4.shr_u(v128.load(at), 8 * v + 4), i32x4.splat(15)));
}

/** Returns the unsigned quants of k-group g and row group v; for Q8_0 its bytes unchanged. */
@inline
export function quants(format: i32, block: usize, v: i32, g: i32): v128 {
  if (format == FORMAT_Q8_0) return v128.load(block + nibblesAt(format) + g * 64 + v * 16);
  let q = i32x4.splat(0);
  if (hasNibbles(format)) {
    const both = v128.load(block + nibblesAt(format) + (g & 3) * 64 + v * 16);
    q = v128.and(g < 4 ? both : i16x8.shr_u(both, 4), i8x16.splat(15));
  }
  if (hasPairs(format)) {
    const four = v128.load(block + pairsAt(format) + (g >> 2) * 64 + v * 16);
    const f = 2 * (g & 3);
    if (hasNibbles(format)) {
      q = v128.or(
        q, v128.and(f < 4 ? i16x8.shl(four, 4 - f) : f > 4 ? i16x8.shr_u(four, f - 4) : four, i8x16.splat(48)),
      );
    } else q = v128.and(f > 0 ? i16x8.shr_u(four, f) : four, i8x16.splat(3));
  }
  if (hasBits(format)) {
    const bits = v128.load(block + bitsAt(format) + v * 16);
    const to = hasNibbles(format) ? 4 : 2;
    q = v128.or(
      q,
      v128.and(
        g < to ? i16x8.shl(bits, to - g) : g > to ? i16x8.shr_u(bits, g - to) : bits,
        i8x16.splat(<i8>(hasNibbles(format) ? 16 : 4)),
      ),
    );
  }
  return q;
}
