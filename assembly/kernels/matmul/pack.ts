/**
 * Repacks file rows into one tile. Four quants of a row are read as the bytes of one u32 and stored where layout.ts
 * draws them. The code is the same on every build.
 */
import {
  FORMAT_BF16, FORMAT_F16, FORMAT_F32, FORMAT_Q2_K, FORMAT_Q3_K, FORMAT_Q4_0, FORMAT_Q4_1, FORMAT_Q4_K, FORMAT_Q5_0,
  FORMAT_Q5_1, FORMAT_Q5_K, FORMAT_Q6_K, FORMAT_Q8_0, TILE, bitsAt, blockBytes, fileBlockBytes, hasBits, hasNibbles,
  hasPairs, headerBytes, isAffine, isK, isPer16, nibblesAt, pairsAt, tileBytes,
} from './layout';

/** Spreads the low four bits of `bits` to bit 0 of four bytes. */
@inline
function spread(bits: u32): u32 {
  return ((bits & 15) * 0x00204081) & 0x01010101;
}

/**
 * Returns quants 4 g .. 4 g + 3, one a byte, of block b (within the superblock) of the Q2_K, Q3_K or Q6_K block at
 * `src`.
 */
@inline
function quants(format: i32, src: usize, b: u32, g: u32): u32 {
  // b = 4 * half + j, since the file divides a superblock into two halves.
  const half = b >> 2;
  const j = b & 3;
  if (format == FORMAT_Q2_K) return (load<u32>(src + 16 + half * 32 + 4 * g) >> (2 * j)) & 0x03030303;
  if (format == FORMAT_Q3_K) {
    return ((load<u32>(src + 32 + half * 32 + 4 * g) >> (2 * j)) & 0x03030303) |
      (((load<u32>(src + 4 * g) >> b) & 0x01010101) << 2);
  }
  return (
    ((load<u32>(src + half * 64 + (j & 1) * 32 + 4 * g) >> (4 * (j >> 1))) & 0x0f0f0f0f) |
    (((load<u32>(src + 128 + half * 32 + 4 * g) >> (2 * j)) & 0x03030303) << 4)
  );
}

/** Returns scale i (0..15) of Q3_K: six bits, less 32. */
@inline
function scale3(src: usize, i: u32): i32 {
  const low: i32 = i < 8 ? load<u8>(src + i) & 15 : load<u8>(src + i - 8) >> 4;
  const high: i32 = (load<u8>(src + 8 + (i & 3)) >> <u8>(2 * (i >> 2))) & 3;
  return (low | (high << 4)) - 32;
}

@inline
function packBlockRow(format: i32, dst: usize, src: usize, b: u32, row: usize): void {
  const lane = row & 3;
  const v = row >> 2;
  const at = v * 16 + lane * 4;
  if (!isK(format)) {
    store<u16>(dst + 2 * row, load<u16>(src));
    if (isAffine(format)) store<u16>(dst + 32 + 2 * row, load<u16>(src + 2));
  } else {
    const scale = dst + lane * 4 + v;
    if (format == FORMAT_Q6_K) {
      store<u8>(scale, load<u8>(src + 192 + 2 * b));
      store<u8>(scale + 16, load<u8>(src + 193 + 2 * b));
    } else if (format == FORMAT_Q3_K) {
      store<u8>(scale, <u8>scale3(src + 96, 2 * b));
      store<u8>(scale + 16, <u8>scale3(src + 96, 2 * b + 1));
    } else {
      store<u8>(scale, load<u8>(src + 2 * b));
      store<u8>(scale + 16, load<u8>(src + 2 * b + 1));
    }
  }
  if (format == FORMAT_Q8_0) {
    for (let g: u32 = 0; g < 8; g++) store<u32>(dst + 32 + at + g * 64, load<u32>(src + 2 + 4 * g));
    return;
  }
  if (!isK(format)) {
    // The nibbles of the file already pair k-group p with p + 4.
    const nibbles = src + (hasBits(format) ? 4 : 0) + (isAffine(format) ? 4 : 2);
    for (let p: usize = 0; p < 4; p++) store<u32>(dst + nibblesAt(format) + at + p * 64, load<u32>(nibbles + 4 * p));
    if (hasBits(format)) {
      const fifth = load<u32>(nibbles - 4);
      let bits: u32 = 0;
      for (let g: u32 = 0; g < 8; g++) bits |= spread(fifth >> (4 * g)) << g;
      store<u32>(dst + bitsAt(format) + at, bits);
    }
    return;
  }
  let bits: u32 = 0;
  let pairs0: u32 = 0;
  let pairs1: u32 = 0;
  const bit = format == FORMAT_Q3_K ? 2 : 4;
  const pair = hasNibbles(format) ? 4 : 0;
  for (let p: u32 = 0; p < 4; p++) {
    const a = quants(format, src, b, p);
    const c = quants(format, src, b, p + 4);
    if (hasNibbles(format)) {
      store<u32>(dst + nibblesAt(format) + at + p * 64, (a & 0x0f0f0f0f) | ((c & 0x0f0f0f0f) << 4));
    }
    if (hasBits(format)) bits |= (((a >> bit) & 0x01010101) << p) | (((c >> bit) & 0x01010101) << (p + 4));
    if (hasPairs(format)) {
      pairs0 |= ((a >> pair) & 0x03030303) << (2 * p);
      pairs1 |= ((c >> pair) & 0x03030303) << (2 * p);
    }
  }
  if (hasBits(format)) store<u32>(dst + bitsAt(format) + at, bits);
  if (hasPairs(format)) {
    store<u32>(dst + pairsAt(format) + at, pairs0);
    store<u32>(dst + pairsAt(format) + 64 + at, pairs1);
  }
}

/** Stores the four bytes of `word` at `at`, one every `stride` bytes. */
@inline
function scatter(at: usize, stride: usize, word: u32): void {
  store<u8>(at, word);
  store<u8>(at + stride, word >> 8);
  store<u8>(at + 2 * stride, word >> 16);
  store<u8>(at + 3 * stride, word >> 24);
}

/**
 * Packs the eight blocks of a Q4_K or Q5_K superblock, two at a time: block 2 i is in the low nibbles of its 32 bytes,
 * block 2 i + 1 in the high nibbles.
 */
@inline
function packPairedRow(format: i32, dst: usize, src: usize, row: usize): void {
  const size = blockBytes(format);
  const at = (row >> 2) * 16 + (row & 3) * 4;
  const scale = dst + (row & 3) * 4 + (row >> 2);
  // Scales and minima have six bits each. Those of blocks 0..3 have bytes of their own, whose two top bits belong to
  // blocks 4..7.
  const s = load<u32>(src + 4);
  const m = load<u32>(src + 8);
  const rest = load<u32>(src + 12);
  scatter(scale, size, s & 0x3f3f3f3f);
  scatter(scale + 4 * size, size, (rest & 0x0f0f0f0f) | ((s >> 2) & 0x30303030));
  scatter(scale + 16, size, m & 0x3f3f3f3f);
  scatter(scale + 16 + 4 * size, size, ((rest >> 4) & 0x0f0f0f0f) | ((m >> 2) & 0x30303030));
  let from = src + (hasBits(format) ? 48 : 16);
  let to = dst + at;
  for (let i: u32 = 0; i < 4; i++, from += 32, to += 2 * size) {
    for (let p: usize = 0; p < 4; p++) {
      const a = load<u32>(from + 4 * p);
      const c = load<u32>(from + 4 * p + 16);
      store<u32>(to + nibblesAt(format) + p * 64, (a & 0x0f0f0f0f) | ((c & 0x0f0f0f0f) << 4));
      store<u32>(to + size + nibblesAt(format) + p * 64, ((a >> 4) & 0x0f0f0f0f) | (c & 0xf0f0f0f0));
    }
    if (hasBits(format)) {
      let low: u32 = 0;
      let high: u32 = 0;
      for (let g: u32 = 0; g < 8; g++) {
        const fifth = load<u32>(src + 16 + 4 * g) >> (2 * i);
        low |= (fifth & 0x01010101) << g;
        high |= ((fifth >> 1) & 0x01010101) << g;
      }
      store<u32>(to + bitsAt(format), low);
      store<u32>(to + size + bitsAt(format), high);
    }
  }
}

@inline
function packHeaderRow(format: i32, dst: usize, src: usize, row: usize): void {
  const scale: usize = format == FORMAT_Q2_K ? 80 : format == FORMAT_Q3_K ? 108 : format == FORMAT_Q6_K ? 208 : 0;
  store<u16>(dst + 2 * row, load<u16>(src + scale));
  if (isAffine(format)) store<u16>(dst + 32 + 2 * row, load<u16>(src + scale + 2));
}

@inline
function packQuantised(format: i32, dst: usize, src: usize, rowCount: usize, cols: usize): usize {
  const blocks = cols >> 5;
  const group: u32 = isK(format) ? 8 : 1;
  for (let row: usize = 0; row < rowCount; row++) {
    let at = dst;
    for (let block: usize = 0; block < blocks; block += group) {
      if (isK(format)) {
        packHeaderRow(format, at, src, row);
        at += headerBytes(format);
      }
      if (isK(format) && !isPer16(format)) {
        packPairedRow(format, at, src, row);
        at += 8 * blockBytes(format);
      } else {
        for (let b: u32 = 0; b < group; b++) {
          packBlockRow(format, at, src, b, row);
          at += blockBytes(format);
        }
      }
      src += fileBlockBytes(format);
    }
  }
  return src;
}

/** Packs `rowCount` (at most 16) file rows at `src` into the tile at `dst`, and returns the address of the next row. */
export function packTile(dst: usize, src: usize, format: i32, rowCount: usize, cols: usize): usize {
  if (rowCount < TILE) memory.fill(dst, 0, tileBytes(format, cols));
  switch (format) {
    case FORMAT_F32: {
      for (let row: usize = 0; row < rowCount; row++) {
        for (let k: usize = 0; k < cols; k++, src += 4) store<u32>(dst + k * 64 + row * 4, load<u32>(src));
      }
      return src;
    }
    case FORMAT_F16:
    case FORMAT_BF16: {
      for (let row: usize = 0; row < rowCount; row++) {
        for (let k: usize = 0; k < cols; k++, src += 2) store<u16>(dst + k * 32 + row * 2, load<u16>(src));
      }
      return src;
    }
    case FORMAT_Q4_0: return packQuantised(FORMAT_Q4_0, dst, src, rowCount, cols);
    case FORMAT_Q4_1: return packQuantised(FORMAT_Q4_1, dst, src, rowCount, cols);
    case FORMAT_Q5_0: return packQuantised(FORMAT_Q5_0, dst, src, rowCount, cols);
    case FORMAT_Q5_1: return packQuantised(FORMAT_Q5_1, dst, src, rowCount, cols);
    case FORMAT_Q8_0: return packQuantised(FORMAT_Q8_0, dst, src, rowCount, cols);
    case FORMAT_Q2_K: return packQuantised(FORMAT_Q2_K, dst, src, rowCount, cols);
    case FORMAT_Q3_K: return packQuantised(FORMAT_Q3_K, dst, src, rowCount, cols);
    case FORMAT_Q4_K: return packQuantised(FORMAT_Q4_K, dst, src, rowCount, cols);
    case FORMAT_Q5_K: return packQuantised(FORMAT_Q5_K, dst, src, rowCount, cols);
    default: return packQuantised(FORMAT_Q6_K, dst, src, rowCount, cols);
  }
}
