/**
 * Unpacks a block of 16 rows by 32 k into the scratch memory of gemm.ts, where the layout is drawn: quants as bytes (as
 * i16 on plain SIMD builds), scales and minima as f32.
 */
import {
  FORMAT_Q2_K, FORMAT_Q3_K, FORMAT_Q4_0, FORMAT_Q4_1, FORMAT_Q4_K, FORMAT_Q5_0, FORMAT_Q5_1, FORMAT_Q5_K, FORMAT_Q6_K,
  FORMAT_Q8_0, isAffine, isK, isPer16,
} from './layout';
import { CHUNK } from './activations';
import { halves, highScales, quants, scales, unknownZero } from './vectors';

export const WIDE = !ASC_FEATURE_RELAXED_SIMD;
export const HALFWAY: usize = CHUNK * 64;
export const SCALES: usize = HALFWAY + 192;
export const MINIMA: usize = SCALES + 128;
export const QUANTS: usize = MINIMA + 128;
/** Bytes of 16 k in QUANTS. */
export const HALF: usize = WIDE ? 512 : 256;
/** All builds keep quants of 16 bits, relaxed ones those of Q8_0 where only 0..127 is safe in the dot. */
export const GEMM_SCRATCH: usize = QUANTS + 1024;

/** Stores the quants of k-group g of one row group: `w` holds them as bytes, unsigned except those of Q8_0. */
@inline
function put(format: i32, to: usize, g: usize, w: v128, flip: v128, low: v128): void {
  if (!WIDE) {
    v128.store(to + g * 64, format == FORMAT_Q8_0 ? v128.xor(w, flip) : w, QUANTS);
    return;
  }
  const isSigned = format == FORMAT_Q8_0;
  v128.store(to + g * 128, isSigned ? i16x8.shr_s(i16x8.shl(w, 8), 8) : v128.and(w, low), QUANTS);
  v128.store(to + g * 128, isSigned ? i16x8.shr_s(w, 8) : i16x8.shr_u(w, 8), QUANTS + 64);
}

/** Unpacks a block of 16 rows into scratch. */
@inline
function unpack(format: i32, scratch: usize, header: usize, block: usize, flip: v128): void {
  const low = i16x8.splat(<i16>(unknownZero() + 255));
  for (let v = 0; v < 4; v++, scratch += 16) {
    const at = block + ((<usize>v) << 4);
    const half = (<usize>v) << 3;
    if (!isK(format)) {
      v128.store(scratch, halves(block + half), SCALES);
      if (isAffine(format)) v128.store(scratch, halves(block + half + 32), MINIMA);
    } else {
      const d = halves(header + half);
      v128.store(scratch, f32x4.mul(d, scales(format, block, v)), SCALES);
      if (isPer16(format)) v128.store(scratch, f32x4.mul(d, scales(format, block + 16, v)), SCALES + 64);
      if (isAffine(format)) {
        const m = f32x4.neg(halves(header + half + 32));
        if (isPer16(format)) {
          v128.store(scratch, f32x4.mul(m, highScales(block, v)), MINIMA);
          v128.store(scratch, f32x4.mul(m, highScales(block + 16, v)), MINIMA + 64);
        } else v128.store(scratch, f32x4.mul(m, scales(format, block + 16, v)), MINIMA);
      }
    }
    put(format, scratch, 0, quants(format, at, 0, 0), flip, low);
    put(format, scratch, 1, quants(format, at, 0, 1), flip, low);
    put(format, scratch, 2, quants(format, at, 0, 2), flip, low);
    put(format, scratch, 3, quants(format, at, 0, 3), flip, low);
    put(format, scratch, 4, quants(format, at, 0, 4), flip, low);
    put(format, scratch, 5, quants(format, at, 0, 5), flip, low);
    put(format, scratch, 6, quants(format, at, 0, 6), flip, low);
    put(format, scratch, 7, quants(format, at, 0, 7), flip, low);
  }
}

/** Stores bytes as i16 at `to`: those of even k of every four, and `next` bytes further those of odd k. */
@inline
export function storeWide(to: usize, next: usize, bytes: v128): void {
  v128.store(to, i16x8.shr_s(i16x8.shl(bytes, 8), 8));
  v128.store(to + next, i16x8.shr_s(bytes, 8));
}

/** Q8_0 with quants of 16 bits on relaxed builds: steps are the even k of four k-groups, then their odd k. */
export function unpackWideQ80(scratch: usize, block: usize): void {
  for (let v: usize = 0; v < 4; v++) v128.store(scratch + v * 16, halves(block + v * 8), SCALES);
  for (let at: usize = 0; at < 512; at += 16) {
    storeWide(scratch + QUANTS + at + (at & 256), 256, v128.load(block + at, 32));
  }
}

/** A function of its own for each format, so that the engine's compiler sees small loops. */
export function unpackQ40(scratch: usize, header: usize, block: usize): void {
  unpack(FORMAT_Q4_0, scratch, header, block, i8x16.splat(0));
}
export function unpackQ41(scratch: usize, header: usize, block: usize): void {
  unpack(FORMAT_Q4_1, scratch, header, block, i8x16.splat(0));
}
export function unpackQ50(scratch: usize, header: usize, block: usize): void {
  unpack(FORMAT_Q5_0, scratch, header, block, i8x16.splat(0));
}
export function unpackQ51(scratch: usize, header: usize, block: usize): void {
  unpack(FORMAT_Q5_1, scratch, header, block, i8x16.splat(0));
}
export function unpackQ80(scratch: usize, header: usize, block: usize, flip: i32): void {
  unpack(FORMAT_Q8_0, scratch, header, block, i8x16.splat(<i8>flip));
}
export function unpackQ2K(scratch: usize, header: usize, block: usize): void {
  unpack(FORMAT_Q2_K, scratch, header, block, i8x16.splat(0));
}
export function unpackQ3K(scratch: usize, header: usize, block: usize): void {
  unpack(FORMAT_Q3_K, scratch, header, block, i8x16.splat(0));
}
export function unpackQ4K(scratch: usize, header: usize, block: usize): void {
  unpack(FORMAT_Q4_K, scratch, header, block, i8x16.splat(0));
}
export function unpackQ5K(scratch: usize, header: usize, block: usize): void {
  unpack(FORMAT_Q5_K, scratch, header, block, i8x16.splat(0));
}
export function unpackQ6K(scratch: usize, header: usize, block: usize): void {
  unpack(FORMAT_Q6_K, scratch, header, block, i8x16.splat(0));
}
