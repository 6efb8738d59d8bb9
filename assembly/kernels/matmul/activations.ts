/**
 * Activations as int8: per 32 values q = round(x / scale), scale = max |x| / 127.
 *
 *   record of one token and block:  | q [32] | scale f32 | sum f32 | sum of the first, second 16: f32, f32 | -sum q, of the first, second 16: i32 x 3 | 0: i32 |
 *
 * `sum` is scale * sum of q. q are 32 bytes, on plain SIMD builds 32 i16 with every four in the order 0, 2, 1, 3 (dot.ts).
 * Tokens are cut into chunks of 64; a chunk is [block][token of the chunk]: what the GEMM reads in order, and small enough for the L2 cache.
 */
export const CHUNK: usize = 64;

const WIDE = ASC_FEATURE_SIMD && !ASC_FEATURE_RELAXED_SIMD;
/** Where a record's scale begins. */
export const META: usize = WIDE ? 64 : 32;
export const RECORD: usize = META + 32;
export const SCALE: usize = META;
export const SUM: usize = META + 4;
export const SUM_LOW: usize = META + 8;
export const SUM_HIGH: usize = META + 12;
export const NEGATED: usize = META + 16;
export const NEGATED_LOW: usize = META + 20;
export const NEGATED_HIGH: usize = META + 24;
/** Always 0: what signed quants need in place of a negated sum. */
export const NOTHING: usize = META + 28;

/** Bytes from one block's records of a token to the next block's. */
@inline
export function blockStride(token: usize, count: usize): usize {
  const first = token & ~(CHUNK - 1);
  return min<usize>(CHUNK, count - first) * RECORD;
}

/** Where the records of `token` begin (its block 0). */
@inline
export function recordOffset(token: usize, cols: usize): usize {
  const first = token & ~(CHUNK - 1);
  return (first * (cols >> 5) + (token - first)) * RECORD;
}

function quantiseBlock(dst: usize, x: usize): void {
  let largest: f32 = 0;
  if (ASC_FEATURE_SIMD) {
    let m = f32x4.abs(v128.load(x));
    for (let i: usize = 16; i < 128; i += 16) m = f32x4.max(m, f32x4.abs(v128.load(x + i)));
    largest = max<f32>(max<f32>(f32x4.extract_lane(m, 0), f32x4.extract_lane(m, 1)), max<f32>(f32x4.extract_lane(m, 2), f32x4.extract_lane(m, 3)));
  } else {
    for (let i: usize = 0; i < 128; i += 4) largest = max<f32>(largest, abs<f32>(load<f32>(x + i)));
  }
  const scale: f32 = largest / 127;
  // a subnormal scale has no finite inverse: such a block is zero
  const inverse: f32 = scale < 1.1754944e-38 ? 0 : 1 / scale;
  let low: i32 = 0;
  let high: i32 = 0;
  if (WIDE) {
    const factor = f32x4.splat(inverse);
    let a = i32x4.splat(0);
    let b = i32x4.splat(0);
    for (let i: usize = 0; i < 64; i += 16) {
      const q = i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(v128.load(x + i), factor)));
      const r = i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(v128.load(x + i + 64), factor)));
      a = i32x4.add(a, q);
      b = i32x4.add(b, r);
      const narrow = i16x8.narrow_i32x4_s(q, r);
      const ordered = i16x8.shuffle(narrow, narrow, 0, 2, 1, 3, 4, 6, 5, 7);
      store<u64>(dst + (i >> 1), <u64>i64x2.extract_lane(ordered, 0));
      store<u64>(dst + (i >> 1) + 32, <u64>i64x2.extract_lane(ordered, 1));
    }
    low = i32x4.extract_lane(a, 0) + i32x4.extract_lane(a, 1) + i32x4.extract_lane(a, 2) + i32x4.extract_lane(a, 3);
    high = i32x4.extract_lane(b, 0) + i32x4.extract_lane(b, 1) + i32x4.extract_lane(b, 2) + i32x4.extract_lane(b, 3);
  } else if (ASC_FEATURE_SIMD) {
    const factor = f32x4.splat(inverse);
    for (let half: usize = 0; half < 2; half++) {
      const q0 = i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(v128.load(x), factor)));
      const q1 = i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(v128.load(x, 16), factor)));
      const q2 = i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(v128.load(x, 32), factor)));
      const q3 = i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(v128.load(x, 48), factor)));
      const a = i32x4.add(i32x4.add(q0, q1), i32x4.add(q2, q3));
      const sum = i32x4.extract_lane(a, 0) + i32x4.extract_lane(a, 1) + i32x4.extract_lane(a, 2) + i32x4.extract_lane(a, 3);
      if (half == 0) low = sum;
      else high = sum;
      v128.store(dst + half * 16, i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(q0, q1), i16x8.narrow_i32x4_s(q2, q3)));
      x += 64;
    }
  } else {
    for (let i: usize = 0; i < 32; i++) {
      const q = <i32>nearest<f32>(load<f32>(x + 4 * i) * inverse);
      store<i8>(dst + i, <i8>q);
      if (i < 16) low += q;
      else high += q;
    }
  }
  store<f32>(dst + SCALE, scale);
  store<f32>(dst + SUM, scale * <f32>(low + high));
  store<f32>(dst + SUM_LOW, scale * <f32>low);
  store<f32>(dst + SUM_HIGH, scale * <f32>high);
  store<i32>(dst + NEGATED, -(low + high));
  store<i32>(dst + NEGATED_LOW, -low);
  store<i32>(dst + NEGATED_HIGH, -high);
  store<i32>(dst + NOTHING, 0);
}

/** Tokens [start, end) of x [count, cols] -> their records in `dst`. */
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
