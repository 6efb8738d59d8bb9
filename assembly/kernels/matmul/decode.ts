/** Decodes single values of packed weights, for embedding rows and for the scalar products. */
import {
  FORMAT_BF16, FORMAT_F16, FORMAT_F32, FORMAT_Q2_K, FORMAT_Q3_K, FORMAT_Q4_0, FORMAT_Q4_1, FORMAT_Q4_K, FORMAT_Q5_0,
  FORMAT_Q5_1, FORMAT_Q5_K, FORMAT_Q6_K, FORMAT_Q8_0, bitsAt, blockBytes, hasBits, hasNibbles, hasPairs, headerBytes,
  isAffine, isK, isPer16, nibblesAt, offsetShift, pairsAt,
} from './layout';

/** Converts f16 bits to f32, exactly. Infinity and NaN, which no weight has, become 65536 and above. */
@inline
export function f16(bits: u32): f32 {
  return reinterpret<f32>(((bits & 0x7fff) << 13) | ((bits & 0x8000) << 16)) * reinterpret<f32>(0x77800000);
}

/**
 * Returns the four quants of k-group g, one a byte, of the row whose 4 bytes in vector 0 begin at `at` (16 v + 4 lane).
 */
@inline
export function packedQuants(format: i32, block: usize, at: usize, g: u32): u32 {
  if (format == FORMAT_Q8_0) return load<u32>(block + nibblesAt(format) + g * 64 + at);
  let q: u32 = 0;
  if (hasNibbles(format)) q = (load<u32>(block + nibblesAt(format) + (g & 3) * 64 + at) >> (g & 4)) & 0x0f0f0f0f;
  if (hasPairs(format)) {
    const pair = (load<u32>(block + pairsAt(format) + (g >> 2) * 64 + at) >> (2 * (g & 3))) & 0x03030303;
    q |= hasNibbles(format) ? pair << 4 : pair;
  }
  if (hasBits(format)) {
    const bit = (load<u32>(block + bitsAt(format) + at) >> g) & 0x01010101;
    q |= hasNibbles(format) ? bit << 4 : bit << 2;
  }
  return q;
}

/** Returns the scale of tile row `row` for the 16 values `half` (0, 1) of the block. */
@inline
export function packedScale(format: i32, header: usize, block: usize, row: usize, half: u32): f32 {
  if (!isK(format)) return f16(load<u16>(block + 2 * row));
  const at = block + ((row & 3) << 2) + (row >> 2);
  const d = f16(load<u16>(header + 2 * row));
  if (format == FORMAT_Q2_K) return d * <f32>(load<u8>(at + 16 * half) & 15);
  if (isPer16(format)) return d * <f32>load<i8>(at + 16 * half);
  return d * <f32>load<u8>(at);
}

/** Returns what is added to scale * Q. */
@inline
export function packedMinimum(format: i32, header: usize, block: usize, row: usize, half: u32): f32 {
  if (!isAffine(format)) {
    return -packedScale(format, header, block, row, half) *
      (format == FORMAT_Q8_0 ? 0 : <f32>(1 << offsetShift(format)));
  }
  if (!isK(format)) return f16(load<u16>(block + 32 + 2 * row));
  const at = block + ((row & 3) << 2) + (row >> 2);
  const d = f16(load<u16>(header + 32 + 2 * row));
  if (format == FORMAT_Q2_K) return -d * <f32>(load<u8>(at + 16 * half) >> 4);
  return -d * <f32>load<u8>(at + 16);
}

@inline
function decodeQuantised(format: i32, dst: usize, tile: usize, row: usize, cols: usize): void {
  const blocks = cols >> 5;
  const at = (row >> 2) * 16 + (row & 3) * 4;
  let header = tile;
  let block = tile;
  for (let b: usize = 0; b < blocks; b++) {
    if (isK(format) && (b & 7) == 0) {
      header = block;
      block += headerBytes(format);
    }
    for (let half: u32 = 0; half < 2; half++) {
      const scale = packedScale(format, header, block, row, half);
      const minimum = packedMinimum(format, header, block, row, half);
      for (let g = half * 4; g < half * 4 + 4; g++) {
        let q = packedQuants(format, block, at, g);
        for (let i = 0; i < 4; i++, dst += 4, q >>= 8) {
          store<f32>(dst, scale * (format == FORMAT_Q8_0 ? <f32>(<i8>q) : <f32>(q & 255)) + minimum);
        }
      }
    }
    block += blockBytes(format);
  }
}

/** Decodes row `row` (0..15) of the tile to f32 [cols]. */
export function decode(dst: usize, tile: usize, format: i32, row: usize, cols: usize): void {
  switch (format) {
    case FORMAT_F32: {
      for (let k: usize = 0; k < cols; k++) store<u32>(dst + 4 * k, load<u32>(tile + k * 64 + row * 4));
      return;
    }
    case FORMAT_F16: {
      for (let k: usize = 0; k < cols; k++) store<f32>(dst + 4 * k, f16(load<u16>(tile + k * 32 + row * 2)));
      return;
    }
    case FORMAT_BF16: {
      for (let k: usize = 0; k < cols; k++) store<u32>(dst + 4 * k, (<u32>load<u16>(tile + k * 32 + row * 2)) << 16);
      return;
    }
    case FORMAT_Q4_0: return decodeQuantised(FORMAT_Q4_0, dst, tile, row, cols);
    case FORMAT_Q4_1: return decodeQuantised(FORMAT_Q4_1, dst, tile, row, cols);
    case FORMAT_Q5_0: return decodeQuantised(FORMAT_Q5_0, dst, tile, row, cols);
    case FORMAT_Q5_1: return decodeQuantised(FORMAT_Q5_1, dst, tile, row, cols);
    case FORMAT_Q8_0: return decodeQuantised(FORMAT_Q8_0, dst, tile, row, cols);
    case FORMAT_Q2_K: return decodeQuantised(FORMAT_Q2_K, dst, tile, row, cols);
    case FORMAT_Q3_K: return decodeQuantised(FORMAT_Q3_K, dst, tile, row, cols);
    case FORMAT_Q4_K: return decodeQuantised(FORMAT_Q4_K, dst, tile, row, cols);
    case FORMAT_Q5_K: return decodeQuantised(FORMAT_Q5_K, dst, tile, row, cols);
    default: return decodeQuantised(FORMAT_Q6_K, dst, tile, row, cols);
  }
}
