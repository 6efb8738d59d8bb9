/**
 * Attention computed directly on the bits of a whole quantised page, on plain SIMD builds; bytes.ts does it on relaxed
 * ones.
 *
 *   q . k_t = sum_c (q_c scale_c) u_tc + sum_c q_c minimum_c
 *   sum_t p_t v_tc = sum_t (p_t scale_tg) u_tc + sum_t p_t minimum_tg
 *
 * The factors of u are rounded to 16 bits relative to the largest of them, once for each page and row, so that the
 * products are of small integers, eight in one instruction. The rounding error is 2^-16 of the largest factor, far
 * below that of the page's own bits. A NaN among scales and minima reaches the result through the second sums.
 *
 *   workspace:  | codes i16: keys [32][D], or values [16][D][2] by pairs of tokens | factors i16 [R + 1][max(D, 32)] |
 *               | scales f32, minima f32 [max(D, 32 G)] | step [R + 1], constant [R + 1] |
 */
import {
  KV_Q4, KV_Q8, GROUP, PAGE_TOKENS, bitsOf, groupsOf, keyAt, keyFormat, keyScaleAt, rowBytes, valueAt, valueFormat,
  valueScaleAt, valuesAt,
} from '../kv/layout';
import { fromHalf4 } from '../kv/half';
import { unpack } from '../kv/quantise';
import { lanes, madd } from './math';

/** Adding this number leaves the nearest integer of a small f32 in the low bits. */
export const ROUNDING: f32 = 12582912; // 1.5 * 2^23
/**
 * The largest factor. With it 256 products with 8-bit codes fit into 32 bits; for heads of more channels it is scaled
 * down.
 */
const LARGEST: f32 = 32767;

@inline
function widest(d: usize): usize {
  return max<usize>(d, PAGE_TOKENS * groupsOf(d));
}

/** Tells whether pages of heads with `d` channels can be processed in this way. */
@inline
export function readsBits(d: usize): bool {
  return (d & 15) == 0;
}

/** Returns the bytes of the workspace, a multiple of 16. */
export function bitsRoomBytes(rows: usize, d: usize): usize {
  const factors = (rows + 1) * max<usize>(d, PAGE_TOKENS) * 2;
  return PAGE_TOKENS * d * 2 + factors + widest(d) * 8 + (((rows + 1) * 8 + 15) & ~15);
}

/** Returns the codes of eight channels of `unpack`'s bytes, extended to 16 bits and shifted down to bit 0. */
@inline
export function moved(x: v128, format: u32): v128 {
  if (format == KV_Q8) return x;
  if (format == KV_Q4) return i16x8.shr_u(i16x8.mul(x, i16x8(16, 1, 16, 1, 16, 1, 16, 1)), 4);
  return i16x8.shr_u(i16x8.mul(x, i16x8(64, 16, 4, 1, 64, 16, 4, 1)), 6);
}

/** Decodes n words of scale and minimum to f32 scales and minima. */
export function openScales(scales: usize, minima: usize, words: usize, n: usize): void {
  for (let i: usize = 0; i < n << 2; i += 16) {
    const x = v128.load(words + i);
    v128.store(scales + i, fromHalf4(v128.and(x, i32x4.splat(0xffff))));
    v128.store(minima + i, fromHalf4(i32x4.shr_u(x, 16)));
  }
}

/**
 * Computes factors [n] = x [n] times scales [n], rounded to 16 bits, and stores the step (the value of one unit) and
 * the constant (x . minima). n is a multiple of 8.
 */
@inline
function factor(
  factors: usize, x: usize, scales: usize, minima: usize, n: usize, most: f32, step: usize, constant: usize,
): void {
  let largest = f32x4.splat(0);
  let rest = f32x4.splat(0);
  for (let i: usize = 0; i < n << 2; i += 16) {
    const v = v128.load(x + i);
    largest = f32x4.pmax(largest, f32x4.abs(f32x4.mul(v, v128.load(scales + i))));
    rest = madd(v, v128.load(minima + i), rest);
  }
  largest = f32x4.pmax(largest, v128.shuffle<f32>(largest, largest, 2, 3, 0, 1));
  const top = max<f32>(f32x4.extract_lane(largest, 0), f32x4.extract_lane(largest, 1));
  store<f32>(step, top / most);
  store<f32>(constant, lanes(rest));
  const by = f32x4.splat(top > 0 ? most / top : 0);
  const magic = f32x4.splat(ROUNDING);
  for (let i: usize = 0; i < n << 2; i += 32) {
    const u = f32x4.add(f32x4.mul(f32x4.mul(v128.load(x + i), v128.load(scales + i)), by), magic);
    const w = f32x4.add(f32x4.mul(f32x4.mul(v128.load(x + i, 16), v128.load(scales + i, 16)), by), magic);
    v128.store(factors + (i >> 1), v128.shuffle<i16>(u, w, 0, 2, 4, 6, 8, 10, 12, 14));
  }
}

@inline
function sums4(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = i32x4.add(v128.shuffle<i32>(a, b, 0, 4, 1, 5), v128.shuffle<i32>(a, b, 2, 6, 3, 7));
  const cd = i32x4.add(v128.shuffle<i32>(c, d, 0, 4, 1, 5), v128.shuffle<i32>(c, d, 2, 6, 3, 7));
  return i32x4.add(v128.shuffle<i32>(ab, cd, 0, 1, 4, 5), v128.shuffle<i32>(ab, cd, 2, 3, 6, 7));
}

@inline
function keyCodes(codes: usize, page: usize, format: u32, d: usize): void {
  const row = rowBytes(format, d);
  let from = keyAt(page, format, d, 0);
  for (let t: usize = 0; t < PAGE_TOKENS; t++) {
    for (let c: usize = 0; c < d; c += 16) {
      const x = unpack(format, from + ((c * bitsOf(format)) >> 3));
      v128.store(codes + (c << 1), moved(i16x8.extend_low_i8x16_u(x), format));
      v128.store(codes + (c << 1), moved(i16x8.extend_high_i8x16_u(x), format), 16);
    }
    codes += d << 1;
    from += row;
  }
}

/** Decodes the codes of values by pairs of tokens: channel c of tokens 2 i and 2 i + 1 side by side. */
@inline
function valueCodes(codes: usize, values: usize, format: u32, d: usize): void {
  const row = rowBytes(format, d);
  let from = valueAt(values, format, d, 0);
  for (let t: usize = 0; t < PAGE_TOKENS; t += 2) {
    for (let c: usize = 0; c < d; c += 16) {
      const x = unpack(format, from + ((c * bitsOf(format)) >> 3));
      const y = unpack(format, from + row + ((c * bitsOf(format)) >> 3));
      let a = moved(i16x8.extend_low_i8x16_u(x), format);
      let b = moved(i16x8.extend_low_i8x16_u(y), format);
      v128.store(codes + (c << 2), v128.shuffle<i16>(a, b, 0, 8, 1, 9, 2, 10, 3, 11));
      v128.store(codes + (c << 2), v128.shuffle<i16>(a, b, 4, 12, 5, 13, 6, 14, 7, 15), 16);
      a = moved(i16x8.extend_high_i8x16_u(x), format);
      b = moved(i16x8.extend_high_i8x16_u(y), format);
      v128.store(codes + (c << 2), v128.shuffle<i16>(a, b, 0, 8, 1, 9, 2, 10, 3, 11), 32);
      v128.store(codes + (c << 2), v128.shuffle<i16>(a, b, 4, 12, 5, 13, 6, 14, 7, 15), 48);
    }
    codes += d << 2;
    from += 2 * row;
  }
}

/**
 * Computes s [rows][32] = q [rows][d] times the page's keys transposed, plus biases [32], two rows by four keys at a
 * time.
 */
export function bitScores(
  s: usize, q: usize, page: usize, format: u32, biases: usize, rows: usize, d: usize, room: usize,
): void {
  const codes = room;
  const factors = codes + PAGE_TOKENS * d * 2;
  const scales = factors + (rows + 1) * max<usize>(d, PAGE_TOKENS) * 2;
  const minima = scales + widest(d) * 4;
  const steps = minima + widest(d) * 4;
  const constants = steps + (rows + 1) * 4;
  const keys = keyFormat(format);
  if (keys == KV_Q8) keyCodes(codes, page, KV_Q8, d);
  else if (keys == KV_Q4) keyCodes(codes, page, KV_Q4, d);
  else keyCodes(codes, page, keys, d);
  openScales(scales, minima, keyScaleAt(page, 0), d);
  const most: f32 = d > 256 ? <f32>(LARGEST * 256 / <f32>d) : LARGEST;
  for (let r: usize = 0; r < rows; r++) {
    factor(factors + r * d * 2, q + ((r * d) << 2), scales, minima, d, most, steps + (r << 2), constants + (r << 2));
  }
  const bytes = d << 1;
  for (let row: usize = 0; row < rows; row += 2) {
    // When the number of rows is odd, the last row is computed twice.
    const next: usize = row + 1 < rows ? 1 : 0;
    const f0 = factors + row * bytes;
    const away = next * bytes;
    const step0 = v128.load32_splat(steps + (row << 2));
    const step1 = v128.load32_splat(steps + ((row + next) << 2));
    const rest0 = v128.load32_splat(constants + (row << 2));
    const rest1 = v128.load32_splat(constants + ((row + next) << 2));
    const s0 = s + ((row * PAGE_TOKENS) << 2);
    const s1 = s0 + ((next * PAGE_TOKENS) << 2);
    for (let key: usize = 0; key < PAGE_TOKENS; key += 4) {
      let a0 = i32x4.splat(0);
      let a1 = a0;
      let a2 = a0;
      let a3 = a0;
      let b0 = a0;
      let b1 = a0;
      let b2 = a0;
      let b3 = a0;
      let x0 = codes + key * bytes;
      let x1 = x0 + bytes;
      let x2 = x1 + bytes;
      let x3 = x2 + bytes;
      for (let f = f0, end = f0 + bytes; f < end; f += 16) {
        const u = v128.load(f);
        const w = v128.load(f + away);
        let k = v128.load(x0);
        a0 = i32x4.add(a0, i32x4.dot_i16x8_s(u, k));
        b0 = i32x4.add(b0, i32x4.dot_i16x8_s(w, k));
        k = v128.load(x1);
        a1 = i32x4.add(a1, i32x4.dot_i16x8_s(u, k));
        b1 = i32x4.add(b1, i32x4.dot_i16x8_s(w, k));
        k = v128.load(x2);
        a2 = i32x4.add(a2, i32x4.dot_i16x8_s(u, k));
        b2 = i32x4.add(b2, i32x4.dot_i16x8_s(w, k));
        k = v128.load(x3);
        a3 = i32x4.add(a3, i32x4.dot_i16x8_s(u, k));
        b3 = i32x4.add(b3, i32x4.dot_i16x8_s(w, k));
        x0 += 16;
        x1 += 16;
        x2 += 16;
        x3 += 16;
      }
      const bias = v128.load(biases + (key << 2));
      v128.store(
        s0 + (key << 2),
        f32x4.add(f32x4.mul(f32x4.convert_i32x4_s(sums4(a0, a1, a2, a3)), step0), f32x4.add(rest0, bias)),
      );
      v128.store(
        s1 + (key << 2),
        f32x4.add(f32x4.mul(f32x4.convert_i32x4_s(sums4(b0, b1, b2, b3)), step1), f32x4.add(rest1, bias)),
      );
    }
  }
}

/** Computes o [rows][d] += s [rows][32] times the page's values, two rows by sixteen channels at a time. */
export function bitGather(o: usize, s: usize, page: usize, format: u32, rows: usize, d: usize, room: usize): void {
  const codes = room;
  const factors = codes + PAGE_TOKENS * d * 2;
  const scales = factors + (rows + 1) * max<usize>(d, PAGE_TOKENS) * 2;
  const minima = scales + widest(d) * 4;
  const steps = minima + widest(d) * 4;
  const constants = steps + (rows + 1) * 4;
  const values = valuesAt(page, format, d);
  const kind = valueFormat(format);
  if (kind == KV_Q8) valueCodes(codes, values, KV_Q8, d);
  else if (kind == KV_Q4) valueCodes(codes, values, KV_Q4, d);
  else valueCodes(codes, values, kind, d);
  const groups = groupsOf(d);
  const words = valueScaleAt(values, d, 0, 0);
  const line = PAGE_TOKENS << 1;
  for (let g: usize = 0; g < groups; g++) {
    openGroup(scales, minima, words + (g << 2), groups << 2);
    for (let r: usize = 0; r < rows; r++) {
      factor(
        factors + r * line, s + ((r * PAGE_TOKENS) << 2), scales, minima, PAGE_TOKENS, LARGEST, steps + (r << 2),
        constants + (r << 2),
      );
    }
    const stop = min<usize>((g + 1) * GROUP, d);
    for (let row: usize = 0; row < rows; row += 2) {
      const next: usize = row + 1 < rows ? 1 : 0;
      const step0 = v128.load32_splat(steps + (row << 2));
      const step1 = v128.load32_splat(steps + ((row + next) << 2));
      const rest0 = v128.load32_splat(constants + (row << 2));
      const rest1 = v128.load32_splat(constants + ((row + next) << 2));
      const f0 = factors + row * line;
      const away = next * line;
      for (let c = g * GROUP; c < stop; c += 16) {
        let a0 = i32x4.splat(0);
        let a1 = a0;
        let a2 = a0;
        let a3 = a0;
        let b0 = a0;
        let b1 = a0;
        let b2 = a0;
        let b3 = a0;
        let x = codes + (c << 2);
        for (let f = f0, end = f0 + line; f < end; f += 4) {
          const u = v128.load32_splat(f);
          const w = v128.load32_splat(f + away);
          let v = v128.load(x);
          a0 = i32x4.add(a0, i32x4.dot_i16x8_s(u, v));
          b0 = i32x4.add(b0, i32x4.dot_i16x8_s(w, v));
          v = v128.load(x, 16);
          a1 = i32x4.add(a1, i32x4.dot_i16x8_s(u, v));
          b1 = i32x4.add(b1, i32x4.dot_i16x8_s(w, v));
          v = v128.load(x, 32);
          a2 = i32x4.add(a2, i32x4.dot_i16x8_s(u, v));
          b2 = i32x4.add(b2, i32x4.dot_i16x8_s(w, v));
          v = v128.load(x, 48);
          a3 = i32x4.add(a3, i32x4.dot_i16x8_s(u, v));
          b3 = i32x4.add(b3, i32x4.dot_i16x8_s(w, v));
          x += d << 2;
        }
        const at = o + ((row * d + c) << 2);
        add(at, a0, step0, rest0);
        add(at + 16, a1, step0, rest0);
        add(at + 32, a2, step0, rest0);
        add(at + 48, a3, step0, rest0);
        if (next != 0) {
          const to = at + (d << 2);
          add(to, b0, step1, rest1);
          add(to + 16, b1, step1, rest1);
          add(to + 32, b2, step1, rest1);
          add(to + 48, b3, step1, rest1);
        }
      }
    }
  }
}

@inline
function add(at: usize, sum: v128, step: v128, rest: v128): void {
  v128.store(at, f32x4.add(v128.load(at), f32x4.add(f32x4.mul(f32x4.convert_i32x4_s(sum), step), rest)));
}

/** Decodes the scales and minima of one group for the 32 tokens, whose words are `stride` bytes apart. */
export function openGroup(scales: usize, minima: usize, words: usize, stride: usize): void {
  for (let t: usize = 0; t < PAGE_TOKENS << 2; t += 16) {
    const x = i32x4(
      load<i32>(words), load<i32>(words + stride), load<i32>(words + 2 * stride), load<i32>(words + 3 * stride),
    );
    v128.store(scales + t, fromHalf4(v128.and(x, i32x4.splat(0xffff))));
    v128.store(minima + t, fromHalf4(i32x4.shr_u(x, 16)));
    words += stride << 2;
  }
}
