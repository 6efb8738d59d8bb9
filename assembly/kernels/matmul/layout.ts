/**
 * The packed layouts. 16 rows make a tile, and tiles follow each other. Within a tile, k advances in blocks of 32 (F32,
 * F16, BF16: one by one). Row r of a tile is lane `r & 3` of row group `v = r >> 2`. A vector holds 4 rows x 4 k: byte
 * `4 * lane + i` belongs to row `4 v + lane` and k = 4 g + i, where g = 0..7 is the k-group within the block. Q is the
 * quant as an unsigned number (Q8_0: the signed byte).
 *
 *   nibbles  256 bytes: vector [p = 0..3][v]: bits 0..3 of Q; k-group p in the low half, k-group p + 4 in the high half
 *   bytes    512 bytes: vector [g = 0..7][v]: Q
 *   pairs    128 bytes: vector [e = 0..1][v]: two bits of k-group 4 e + f at bits 2 f, 2 f + 1
 *   bits      64 bytes: vector [v]: one bit of k-group g at bit g
 *   halves    32 bytes: f16 [16 rows]
 *   scales    16 bytes: byte `4 * lane + v`: an integer scale of row 4 v + lane
 *
 *            every 256 k      every block of 32                                             value of Q
 *   Q8_0                      halves d, bytes                                               d Q
 *   Q4_0                      halves d, nibbles                                             d (Q - 8)
 *   Q4_1                      halves d, halves m, nibbles                                   d Q + m
 *   Q5_0                      halves d, bits (bit 4), nibbles                               d (Q - 16)
 *   Q5_1                      halves d, halves m, bits (bit 4), nibbles                     d Q + m
 *   Q4_K     halves d, dmin   scales s, scales m, nibbles                                   d s Q - dmin m
 *   Q5_K     halves d, dmin   scales s, scales m, bits (bit 4), nibbles                     d s Q - dmin m
 *   Q6_K     halves d         scales s (k < 16), s (k >= 16), pairs (bits 4, 5), nibbles    d s (Q - 32)
 *   Q3_K     halves d         scales s (k < 16), s (k >= 16), bits (bit 2), pairs           d s (Q - 4)
 *   Q2_K     halves d, dmin   scales s | m << 4 (k < 16), (k >= 16), pairs                  d s Q - dmin m
 *   F32, F16, BF16            [cols][16 rows]
 */
export const FORMAT_F32: i32 = 0;
export const FORMAT_F16: i32 = 1;
export const FORMAT_Q4_0: i32 = 2;
export const FORMAT_Q4_1: i32 = 3;
export const FORMAT_Q5_0: i32 = 6;
export const FORMAT_Q5_1: i32 = 7;
export const FORMAT_Q8_0: i32 = 8;
export const FORMAT_Q2_K: i32 = 10;
export const FORMAT_Q3_K: i32 = 11;
export const FORMAT_Q4_K: i32 = 12;
export const FORMAT_Q5_K: i32 = 13;
export const FORMAT_Q6_K: i32 = 14;
export const FORMAT_BF16: i32 = 30;

export const TILE: usize = 16;

@inline
export function isInt8(format: i32): bool {
  return format != FORMAT_F32 && format != FORMAT_F16 && format != FORMAT_BF16;
}

/** Tells whether the format has scales in two levels and 256 values a superblock. */
@inline
export function isK(format: i32): bool {
  return format >= FORMAT_Q2_K && format <= FORMAT_Q6_K;
}

/** Tells whether a value is scale * Q + minimum; in the other formats it is scale * (Q - offset). */
@inline
export function isAffine(format: i32): bool {
  return format == FORMAT_Q4_1 || format == FORMAT_Q5_1 || format == FORMAT_Q4_K || format == FORMAT_Q5_K ||
    format == FORMAT_Q2_K;
}

/** Tells whether the format has one scale for every 16 values. */
@inline
export function isPer16(format: i32): bool {
  return format == FORMAT_Q2_K || format == FORMAT_Q3_K || format == FORMAT_Q6_K;
}

@inline
export function hasNibbles(format: i32): bool {
  return format != FORMAT_Q8_0 && format != FORMAT_Q2_K && format != FORMAT_Q3_K;
}

@inline
export function hasPairs(format: i32): bool {
  return isPer16(format);
}

@inline
export function hasBits(format: i32): bool {
  return format == FORMAT_Q5_0 || format == FORMAT_Q5_1 || format == FORMAT_Q5_K || format == FORMAT_Q3_K;
}

/** log2 of the offset: value = scale * (Q - 2^shift). For Q8_0, log2 of what is added to make the byte unsigned. */
@inline
export function offsetShift(format: i32): i32 {
  if (format == FORMAT_Q8_0) return 7;
  return format == FORMAT_Q4_0 ? 3 : format == FORMAT_Q5_0 ? 4 : format == FORMAT_Q6_K ? 5 : 2;
}

/** Returns the bytes of one block of the file: 32 values, or 256 of a K format. */
@inline
export function fileBlockBytes(format: i32): usize {
  switch (format) {
    case FORMAT_Q4_0: return 18;
    case FORMAT_Q4_1: return 20;
    case FORMAT_Q5_0: return 22;
    case FORMAT_Q5_1: return 24;
    case FORMAT_Q8_0: return 34;
    case FORMAT_Q2_K: return 84;
    case FORMAT_Q3_K: return 110;
    case FORMAT_Q4_K: return 144;
    case FORMAT_Q5_K: return 176;
    default: return 210;
  }
}

/** Returns the bytes before the eight blocks of a superblock. */
@inline
export function headerBytes(format: i32): usize {
  return !isK(format) ? 0 : isAffine(format) ? 64 : 32;
}

/** Returns the bytes of a block's scales. */
@inline
export function scaleBytes(format: i32): usize {
  return isK(format) ? 32 : isAffine(format) ? 64 : 32;
}

/** The offsets in a block of its `bits`, `pairs` and `nibbles` (or `bytes`). */
@inline
export function bitsAt(format: i32): usize {
  return scaleBytes(format);
}
@inline
export function pairsAt(format: i32): usize {
  return bitsAt(format) + (hasBits(format) ? 64 : 0);
}
@inline
export function nibblesAt(format: i32): usize {
  return pairsAt(format) + (hasPairs(format) ? 128 : 0);
}
@inline
export function blockBytes(format: i32): usize {
  return nibblesAt(format) + (format == FORMAT_Q8_0 ? 512 : hasNibbles(format) ? 256 : 0);
}

export function tileBytes(format: i32, cols: usize): usize {
  if (format == FORMAT_F32) return cols * 64;
  if (format == FORMAT_F16 || format == FORMAT_BF16) return cols * 32;
  const blocks = cols >> 5;
  return blocks * blockBytes(format) + (isK(format) ? (blocks >> 3) * headerBytes(format) : 0);
}
