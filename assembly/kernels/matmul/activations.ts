/**
 * Activations as int8: for every 32 values q = round(x / scale), with scale = max |x| / 127.
 *
 *   record of one token and block:  | q [32] | scale f32 | sum f32 | sum of the first, second 16: f32, f32 |
 *                                   | -sum of q in pairs: of all 32 | 0 | of the first, second 16: i16 [2] each |
 *
 * `sum` is scale * (sum of q). A sum in pairs is that of the q whose k is 0 or 1 modulo 4, and of those whose k is 2 or
 * 3, as a dot into 16 bits adds them; the scalar build, which needs none, does not write them. The q are 32 bytes; on plain SIMD builds they are 32 i16, every four of them in the
 * order 0, 2, 1, 3 (dot.ts). Tokens are divided into chunks of 96. A chunk is laid out as [block][token of the chunk],
 * the order in which the GEMM reads it, and is small enough for the L2 cache.
 */
export const CHUNK: usize = 96;

const WIDE = ASC_FEATURE_SIMD && !ASC_FEATURE_RELAXED_SIMD;
/** Offset of the scale in a record. */
export const META: usize = WIDE ? 64 : 32;
export const RECORD: usize = META + 32;
export const SCALE: usize = META;
export const SUM: usize = META + 4;
export const SUM_LOW: usize = META + 8;
export const SUM_HIGH: usize = META + 12;
export const NEGATED: usize = META + 16;
/** Always 0; signed quants use it in place of a negated sum. */
export const NOTHING: usize = META + 20;
export const NEGATED_LOW: usize = META + 24;
export const NEGATED_HIGH: usize = META + 28;

/** Returns the bytes between the records of a token in one block and in the next. */
@inline
export function blockStride(token: usize, count: usize): usize {
  const first = token - token % CHUNK;
  return min<usize>(CHUNK, count - first) * RECORD;
}

/** Returns the offset of the record of `token` in block 0. */
@inline
export function recordOffset(token: usize, cols: usize): usize {
  const first = token - token % CHUNK;
  return (first * (cols >> 5) + (token - first)) * RECORD;
}

/**
 * Adding this number rounds a small f32 to the nearest integer, ties to even, and leaves that integer in the low bits.
 */
const ROUNDING: f32 = 12582912; // 1.5 * 2^23
const ROUNDED: i32 = 0x4b400000; // its bits

/**
 * Returns 1 / scale. A subnormal scale has no finite inverse, so its block becomes zero. A NaN stays NaN and so reaches
 * every product with this block.
 */
@inline
function inverseOf(scale: f32): f32 {
  return scale < 1.1754944e-38 ? 0 : 1 / scale;
}

@inline
function rounded(x: usize, factor: v128): v128 {
  return i32x4.sub(f32x4.add(f32x4.mul(v128.load(x), factor), f32x4.splat(ROUNDING)), i32x4.splat(ROUNDED));
}

/** Returns, lane by lane, the larger of two magnitudes compared by their bits, where NaN is above all numbers. */
@inline
function larger(a: v128, x: usize): v128 {
  return i32x4.max_s(a, f32x4.abs(v128.load(x)));
}

/** Quantises 16 values to `dst` and returns their sums in four lanes. */
@inline
function quantise16(dst: usize, x: usize, factor: v128): v128 {
  const a = rounded(x, factor);
  const b = rounded(x + 16, factor);
  const c = rounded(x + 32, factor);
  const d = rounded(x + 48, factor);
  const low = i16x8.narrow_i32x4_s(a, b);
  const high = i16x8.narrow_i32x4_s(c, d);
  if (WIDE) {
    v128.store(dst, i16x8.shuffle(low, low, 0, 2, 1, 3, 4, 6, 5, 7));
    v128.store(dst, i16x8.shuffle(high, high, 0, 2, 1, 3, 4, 6, 5, 7), 16);
  } else v128.store(dst, i8x16.narrow_i16x8_s(low, high));
  return i32x4.add(i32x4.add(a, b), i32x4.add(c, d));
}

function quantiseBlock(dst: usize, x: usize): void {
  if (ASC_FEATURE_SIMD) {
    const m = larger(larger(larger(f32x4.abs(v128.load(x)), x + 16), x + 32), x + 48);
    let n = larger(larger(larger(f32x4.abs(v128.load(x + 64)), x + 80), x + 96), x + 112);
    n = i32x4.max_s(m, n);
    n = i32x4.max_s(n, v128.shuffle<i32>(n, n, 2, 3, 0, 1));
    n = i32x4.max_s(n, v128.shuffle<i32>(n, n, 1, 0, 3, 2));
    const scale = f32x4.extract_lane(n, 0) / 127;
    const factor = f32x4.splat(inverseOf(scale));
    const a = quantise16(dst, x, factor);
    const b = quantise16(dst + META / 2, x + 64, factor);
    // In pairs: of the first 16, of the second; of all 32, twice.
    const halves = i32x4.add(v128.shuffle<i32>(a, b, 0, 2, 4, 6), v128.shuffle<i32>(a, b, 1, 3, 5, 7));
    const all = i32x4.add(halves, v128.shuffle<i32>(halves, halves, 2, 3, 0, 1));
    // all, all, first 16, second 16
    const sums = i32x4.add(v128.shuffle<i32>(all, halves, 0, 0, 4, 6), v128.shuffle<i32>(all, halves, 1, 1, 5, 7));
    v128.store(dst + SCALE, f32x4.replace_lane(f32x4.mul(f32x4.convert_i32x4_s(sums), f32x4.splat(scale)), 0, scale));
    v128.store(dst + NEGATED, i32x4.replace_lane(i16x8.neg(i16x8.narrow_i32x4_s(all, halves)), 1, 0));
    return;
  }
  let largest: i32 = 0;
  for (let i: usize = 0; i < 128; i += 4) largest = max<i32>(largest, load<i32>(x + i) & 0x7fffffff);
  const scale: f32 = reinterpret<f32>(largest) / 127;
  const inverse = inverseOf(scale);
  let low: i32 = 0;
  let high: i32 = 0;
  for (let i: usize = 0; i < 32; i++) {
    const q = reinterpret<i32>(load<f32>(x + 4 * i) * inverse + ROUNDING) - ROUNDED;
    store<i8>(dst + i, <i8>q);
    if (i < 16) low += <i32>(<i8>q);
    else high += <i32>(<i8>q);
  }
  store<f32>(dst + SCALE, scale);
  store<f32>(dst + SUM, scale * <f32>(low + high));
  store<f32>(dst + SUM_LOW, scale * <f32>low);
  store<f32>(dst + SUM_HIGH, scale * <f32>high);
}

/** Quantises tokens [start, end) of x [count, cols] into their records in `dst`. */
export function quantise(dst: usize, x: usize, count: usize, cols: usize, start: usize, end: usize): void {
  for (let token = start; token < end; token++) {
    const stride = blockStride(token, count);
    let record = dst + recordOffset(token, cols);
    let from = x + token * cols * 4;
    const last = from + cols * 4;
    while (from < last) {
      quantiseBlock(record, from);
      from += 128;
      record += stride;
    }
  }
}
