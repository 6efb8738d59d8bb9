/**
 * Blocks of formats that no device computes with, as blocks of one that all compute with. The values stay what they are, with two exceptions: the
 * scale of IQ4_XS is rounded to f16, an error of 2^-12 of a value at most; and values of MXFP4 below 2^-20 are rounded to multiples of 2^-24.
 * Formats follow ggml-quants.c of llama.cpp (layouts only); value tables are ggml-common.h's.
 */
import { WEIGHT_FORMATS } from '../backend/weight.ts';
import { halfTable, toHalf } from './half.ts';
import { REPACKED_AS, STORED_FORMATS, type RepackedFormat } from './stored-format.ts';

/** One block of the file, which begins at `at`, to `out`. False where a value is not finite, or too large for the other format. */
type Repack = (bytes: Uint8Array, at: number, out: Uint8Array) => boolean;

/** Values of the 16 quants of IQ4_NL and IQ4_XS. */
const IQ4 = Int8Array.of(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113);
/** Values of the 16 quants of MXFP4 (E2M1), times two. */
const MXFP4 = Int8Array.of(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12);
/** Exponents of MXFP4 whose scale, 2^(e - 128), is an f16. */
const MXFP4_LEAST = 104;
const MXFP4_MOST = 143;
const MAX_HALF = 65504;
const Q8 = WEIGHT_FORMATS.Q8_0.bytes;

/** How a block is repacked, with the bytes it takes and makes. */
export function repacking(format: RepackedFormat): {
  readonly repack: Repack;
  readonly inBytes: number;
  readonly outBytes: number;
} {
  const { block, bytes } = STORED_FORMATS[format];
  const target = WEIGHT_FORMATS[REPACKED_AS[format]];
  return { repack: REPACK[format], inBytes: bytes, outBytes: (block / target.block) * target.bytes };
}

const REPACK: Readonly<Record<RepackedFormat, Repack>> = {
  // { f16 d; u8 qs[16] }: value j in the low, value j + 16 in the high nibble of byte j. Q8_0: { f16 d; i8 qs[32] }
  IQ4_NL(bytes, at, out) {
    out[0] = bytes[at] ?? 0;
    out[1] = bytes[at + 1] ?? 0;
    expand(bytes, at + 2, out, 2);
    return true;
  },
  // { f16 d; u16 scales_h; u8 scales_l[4]; u8 qs[128] }: 8 blocks of 32 with scales of six bits, less 32
  IQ4_XS(bytes, at, out) {
    const d = halfTable()[(bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8)] ?? 0;
    const high = (bytes[at + 2] ?? 0) | ((bytes[at + 3] ?? 0) << 8);
    for (let b = 0; b < 8; b++) {
      const low = ((bytes[at + 4 + (b >> 1)] ?? 0) >> (4 * (b & 1))) & 15;
      const scale = d * ((low | (((high >> (2 * b)) & 3) << 4)) - 32);
      if (!(Math.abs(scale) <= MAX_HALF)) return false;
      const half = toHalf(scale);
      out[b * Q8] = half & 255;
      out[b * Q8 + 1] = half >>> 8;
      expand(bytes, at + 8 + 16 * b, out, b * Q8 + 2);
    }
    return true;
  },
  // { u8 e; u8 qs[16] }: value = 2^(e - 128) * table. Q5_0: { f16 d; u32 qh; u8 qs[16] }: value = d * (q - 16), bit j of qh the fifth bit
  MXFP4(bytes, at, out) {
    const exponent = bytes[at] ?? 0;
    if (exponent > MXFP4_MOST) return false;
    const used = Math.max(exponent, MXFP4_LEAST);
    const shrink = 2 ** (exponent - used);
    const half = toHalf(2 ** (used - 128));
    out[0] = half & 255;
    out[1] = half >>> 8;
    let fifth = 0;
    for (let j = 0; j < 16; j++) {
      const pair = bytes[at + 1 + j] ?? 0;
      const a = Math.round((MXFP4[pair & 15] ?? 0) * shrink) + 16;
      const b = Math.round((MXFP4[pair >> 4] ?? 0) * shrink) + 16;
      out[6 + j] = (a & 15) | ((b & 15) << 4);
      fifth |= ((a >> 4) << j) | ((b >> 4) << (j + 16));
    }
    for (let i = 0; i < 4; i++) out[2 + i] = fifth >>> (8 * i);
    return true;
  },
};

/** 16 bytes of nibbles to the 32 bytes that they stand for. */
function expand(bytes: Uint8Array, at: number, out: Uint8Array, to: number): void {
  for (let j = 0; j < 16; j++) {
    const pair = bytes[at + j] ?? 0;
    out[to + j] = IQ4[pair & 15] ?? 0;
    out[to + j + 16] = IQ4[pair >> 4] ?? 0;
  }
}
