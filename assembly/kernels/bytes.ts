/**
 * Attention over a whole quantised page by the int8 dot of relaxed builds, with any number of rows. It computes what
 * bits.ts does, with factors of 8 bits:
 *
 *   q . k_t = sum_c (q_c scale_c) (u_tc - z) + sum_c q_c (minimum_c + z scale_c)
 *   sum_t p_t v_tc = sum_t (p_t scale_tg) (u_tc - z) + sum_t p_t (minimum_tg + z scale_tg)
 *
 * z is the middle of the codes u, so that rounding the factors of u - z changes the result least. The factors are
 * rounded to -127..127 relative to the largest of them, once for each page and row (SageAttention, Zhang et al. 2024,
 * whose mean key is here the middle of each channel of the page). Where that would change a row's scores by more than
 * ERROR, its factors q_c scale_c get a second digit to base 128. Keys lie with tokens in the lanes and values with
 * channels in the lanes, so no sum crosses lanes. The sums are integers, hence exact, and a row does not depend on the
 * rows beside it. The dot's first operand is u - z, whose second must not be negative on some machines and not above 127
 * on others; so an offset is added to the factors, and the offset times sum_c (u_tc - z) taken off each sum.
 *
 *   workspace:  | codes: keys [D / 4][32][4], or values [8][D][4] by fours of tokens | scales, minima, products:
 *               | f32 [max(D, 32)] each | factors i8 [R][max(2 D, 32)] | step f32, constant f32, starts: address, fine u32 [R]
 *               | starts of sums: i32 [fine, not fine][32] |
 *
 * The file is long, and its loops resemble each other, because twelve sums stay in registers: AssemblyScript keeps only
 * local variables there, so the loops for three rows and for one, over keys and over values, are each written out.
 */
import {
  KV_Q8, GROUP, PAGE_TOKENS, bitsOf, groupsOf, keyAt, keyFormat, keyScaleAt, rowBytes, valueAt,
  valueFormat, valueScaleAt, valuesAt,
} from '../kv/layout';
import { moved, openGroup, openScales } from './bits';
import { unpack } from '../kv/quantise';
import { lanes, madd } from './math';
import { SEVEN_BITS, UNSIGNED, dotSemantics } from './matmul/dot';

/** The largest factor of one digit, the same where a dot takes seven bits and queries may be negative, and of two digits. */
const LARGEST: f32 = 127;
const LARGEST_SEVEN: f32 = 63;
const LARGEST_FINE: f32 = 8191;
/** What is added to factors of two digits, so that digits are not negative. */
const OFFSET_FINE: i16 = 8192;
/** The sums of products of as many channels with two digits fit into 32 bits. */
const MOST_CHANNELS: usize = 2048;
/**
 * The standard deviation that rounding to one digit may add to scores, for codes that are evenly spread. The relative
 * squared error of the result is about its square.
 */
const ERROR: f32 = 0.015;
/**
 * 1.5 * 2^23, which leaves the nearest integer of a small f32 in the low bits; all bits but the sign; ones. Four times
 * each, because a load from here costs less than a constant in the code.
 */
// prettier-ignore
const CONSTANTS: usize = memory.data<u32>([
  0x4b400000, 0x4b400000, 0x4b400000, 0x4b400000, 0x7fffffff, 0x7fffffff, 0x7fffffff, 0x7fffffff,
  0x01010101, 0x01010101, 0x01010101, 0x01010101,
], 16);
/** Bytes of a row's step, constant and start. */
const ROW_FACTS: usize = 16;
/** Bytes between the codes of four channels of all keys and of the next four. */
const KEY_LINE: usize = PAGE_TOKENS * 4;

/** Tells whether pages of heads with `d` channels can be processed in this way. */
@inline
export function readsBytes(d: usize): bool {
  return ASC_FEATURE_RELAXED_SIMD && (d & 15) == 0 && d <= MOST_CHANNELS;
}

@inline
function longest(d: usize): usize {
  return max<usize>(d, PAGE_TOKENS);
}

/** Returns the bytes of the workspace, a multiple of 16. */
export function bytesRoomBytes(rows: usize, d: usize): usize {
  return PAGE_TOKENS * d + longest(d) * 12 + rows * (max<usize>(2 * d, PAGE_TOKENS) + ROW_FACTS) + 8 * PAGE_TOKENS;
}

/** Returns z, the middle of the codes of a format. */
@inline
function middle(format: u32): i32 {
  return 1 << <i32>(bitsOf(format) - 1);
}

/** Returns the codes of 16 channels, one a byte. */
@inline
function codes16(format: u32, at: usize): v128 {
  const x = unpack(format, at);
  if (format == KV_Q8) return x;
  return i8x16.narrow_i16x8_u(
    moved(i16x8.extend_low_i8x16_u(x), format), moved(i16x8.extend_high_i8x16_u(x), format),
  );
}

/** Decodes keys as u - z. */
@inline
function keyCodes(codes: usize, page: usize, format: u32, d: usize): void {
  const row = rowBytes(format, d);
  const z = i8x16.splat(<i8>middle(format));
  for (let t: usize = 0; t < PAGE_TOKENS; t += 4) {
    let from = keyAt(page, format, d, t);
    let to = codes + (t << 2);
    const step = bitsOf(format) << 1;
    for (let c: usize = 0; c < d; c += 16) {
      const x0 = i8x16.sub(codes16(format, from), z);
      const x1 = i8x16.sub(codes16(format, from + row), z);
      const x2 = i8x16.sub(codes16(format, from + 2 * row), z);
      const x3 = i8x16.sub(codes16(format, from + 3 * row), z);
      const a = v128.shuffle<i32>(x0, x1, 0, 4, 1, 5);
      const b = v128.shuffle<i32>(x2, x3, 0, 4, 1, 5);
      v128.store(to, v128.shuffle<i64>(a, b, 0, 2));
      v128.store(to + KEY_LINE, v128.shuffle<i64>(a, b, 1, 3));
      const e = v128.shuffle<i32>(x0, x1, 2, 6, 3, 7);
      const f = v128.shuffle<i32>(x2, x3, 2, 6, 3, 7);
      v128.store(to + 2 * KEY_LINE, v128.shuffle<i64>(e, f, 0, 2));
      v128.store(to + 3 * KEY_LINE, v128.shuffle<i64>(e, f, 1, 3));
      from += step;
      to += 4 * KEY_LINE;
    }
  }
}

/** Decodes values as u - z. */
@inline
function valueCodes(codes: usize, values: usize, format: u32, d: usize): void {
  const row = rowBytes(format, d);
  const z = i8x16.splat(<i8>middle(format));
  const step = bitsOf(format) << 1;
  let to = codes;
  for (let t: usize = 0; t < PAGE_TOKENS; t += 4) {
    let from = valueAt(values, format, d, t);
    for (let c: usize = 0; c < d; c += 16) {
      const x0 = i8x16.sub(codes16(format, from), z);
      const x1 = i8x16.sub(codes16(format, from + row), z);
      const x2 = i8x16.sub(codes16(format, from + 2 * row), z);
      const x3 = i8x16.sub(codes16(format, from + 3 * row), z);
      let a = v128.shuffle<u8>(x0, x1, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
      let b = v128.shuffle<u8>(x2, x3, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
      v128.store(to, v128.shuffle<i16>(a, b, 0, 8, 1, 9, 2, 10, 3, 11));
      v128.store(to, v128.shuffle<i16>(a, b, 4, 12, 5, 13, 6, 14, 7, 15), 16);
      a = v128.shuffle<u8>(x0, x1, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
      b = v128.shuffle<u8>(x2, x3, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
      v128.store(to, v128.shuffle<i16>(a, b, 0, 8, 1, 9, 2, 10, 3, 11), 32);
      v128.store(to, v128.shuffle<i16>(a, b, 4, 12, 5, 13, 6, 14, 7, 15), 48);
      from += step;
      to += 64;
    }
  }
}

/** Adds z scales to the minima. */
@inline
function centre(scales: usize, minima: usize, n: usize, z: i32): void {
  const by = f32x4.splat(<f32>z);
  for (let i: usize = 0; i < n << 2; i += 16) {
    v128.store(minima + i, f32x4.add(v128.load(minima + i), f32x4.mul(by, v128.load(scales + i))));
  }
}

/** Four products rounded to integers. */
@inline
function rounded(at: usize, by: v128): v128 {
  return i32x4.sub(madd(v128.load(at), by, v128.load(CONSTANTS)), v128.load(CONSTANTS));
}

/**
 * Computes products [n] = x [n] times scales [n] and returns the largest magnitude; stores the constant (x . minima) at
 * `facts + 4`. n is a multiple of 8.
 */
@inline
function scaled(products: usize, x: usize, scales: usize, minima: usize, n: usize, facts: usize): f32 {
  const magnitude = v128.load(CONSTANTS, 16);
  let largest = f32x4.splat(0);
  let other = largest;
  let rest = largest;
  let more = largest;
  for (let i: usize = 0; i < n << 2; i += 32) {
    const v = v128.load(x + i);
    const w = v128.load(x + i, 16);
    const a = f32x4.mul(v, v128.load(scales + i));
    const b = f32x4.mul(w, v128.load(scales + i, 16));
    v128.store(products + i, a);
    v128.store(products + i, b, 16);
    largest = f32x4.pmax(largest, v128.and(a, magnitude));
    other = f32x4.pmax(other, v128.and(b, magnitude));
    rest = madd(v, v128.load(minima + i), rest);
    more = madd(w, v128.load(minima + i, 16), more);
  }
  largest = f32x4.pmax(largest, other);
  largest = f32x4.pmax(largest, v128.shuffle<f32>(largest, largest, 2, 3, 0, 1));
  largest = f32x4.pmax(largest, v128.shuffle<f32>(largest, largest, 1, 0, 3, 2));
  store<f32>(facts, lanes(f32x4.add(rest, more)), 4);
  return f32x4.extract_lane(largest, 0);
}

/** Rounds 16 products to bytes. */
@inline
function bytes16(at: usize, by: v128): v128 {
  return i8x16.narrow_i16x8_s(
    i16x8.narrow_i32x4_s(rounded(at, by), rounded(at + 16, by)),
    i16x8.narrow_i32x4_s(rounded(at + 32, by), rounded(at + 48, by)),
  );
}

/** Stores the factors [32] of a row's probabilities, one digit each, and their step. */
@inline
function valueFactors(factors: usize, products: usize, top: f32, facts: usize): void {
  store<f32>(facts, top * (1 / LARGEST));
  const by = f32x4.splat(top > 0 ? LARGEST / top : 0);
  v128.store(factors, bytes16(products, by));
  v128.store(factors + 16, bytes16(products + 64, by));
}

/**
 * Stores the factors of a query, high digits [d] and low digits [d], the step, the address of the starts of its sums and
 * whether there are low digits. `most` is the largest factor of one digit.
 */
function keyFactors(
  factors: usize, products: usize, d: usize, top: f32, limit: f32, most: f32, starts: usize, facts: usize,
): void {
  if (top <= limit) {
    const by = f32x4.splat(top > 0 ? most / top : 0);
    const zero = i32x4.splat(0);
    const kind = dotSemantics();
    const offset = i8x16.splat(kind == UNSIGNED ? -128 : kind == SEVEN_BITS ? 64 : 0);
    for (let i: usize = 0; i < d; i += 16) {
      v128.store(factors + i, i8x16.add(bytes16(products + (i << 2), by), offset));
      v128.store(factors + d + i, zero);
    }
    store<f32>(facts, top / (most * 128));
    store<u32>(facts, <u32>(starts + 4 * PAGE_TOKENS), 8);
    store<u32>(facts, 0, 12);
    return;
  }
  const by = f32x4.splat(top > 0 ? LARGEST_FINE / top : 0);
  const offset = i16x8.splat(OFFSET_FINE);
  const low = i16x8.splat(127);
  for (let i: usize = 0; i < d; i += 16) {
    const at = products + (i << 2);
    const f = i16x8.add(i16x8.narrow_i32x4_s(rounded(at, by), rounded(at + 16, by)), offset);
    const g = i16x8.add(i16x8.narrow_i32x4_s(rounded(at + 32, by), rounded(at + 48, by)), offset);
    v128.store(factors + i, i8x16.narrow_i16x8_s(i16x8.shr_s(f, 7), i16x8.shr_s(g, 7)));
    v128.store(factors + d + i, i8x16.narrow_i16x8_s(v128.and(f, low), v128.and(g, low)));
  }
  store<f32>(facts, top * (1 / LARGEST_FINE));
  store<u32>(facts, <u32>starts, 8);
  store<u32>(facts, 1, 12);
}

/** Computes the starts of sums from keys' codes: what the offsets of factors add to them, negated. */
function openStarts(starts: usize, codes: usize, d: usize): void {
  const ones = v128.load(CONSTANTS, 32);
  // The offset of one digit, raised: 128, 64 or none.
  const kind = dotSemantics();
  const offset = i32x4.splat(kind == UNSIGNED ? 16384 : kind == SEVEN_BITS ? 8192 : 0);
  for (let t: usize = 0; t < PAGE_TOKENS << 2; t += 16) {
    let sum = i32x4.splat(0);
    for (let at = codes + t, end = at + (d >> 2) * KEY_LINE; at < end; at += KEY_LINE) {
      sum = i32x4.relaxed_dot_i8x16_i7x16_add_s(v128.load(at), ones, sum);
    }
    sum = i32x4.neg(sum);
    v128.store(starts + t, i32x4.shl(sum, 13));
    v128.store(starts + t, i32x4.mul(sum, offset), 4 * PAGE_TOKENS);
  }
}

/** From the sums of high digits to sums to which those of low digits are added. */
@inline
function raise(sum: v128, start: v128): v128 {
  return i32x4.add(i32x4.shl(sum, 7), start);
}

@inline
function dot(factors: v128, codes: v128, sum: v128): v128 {
  return i32x4.relaxed_dot_i8x16_i7x16_add_s(codes, factors, sum);
}

/** Stores the scores of sixteen keys from their sums. */
@inline
function putScores(s: usize, a: v128, b: v128, c: v128, d: v128, facts: usize, biases: usize): void {
  const step = v128.load32_splat(facts);
  const rest = v128.load32_splat(facts, 4);
  v128.store(s, madd(f32x4.convert_i32x4_s(a), step, f32x4.add(rest, v128.load(biases))));
  v128.store(s, madd(f32x4.convert_i32x4_s(b), step, f32x4.add(rest, v128.load(biases, 16))), 16);
  v128.store(s, madd(f32x4.convert_i32x4_s(c), step, f32x4.add(rest, v128.load(biases, 32))), 32);
  v128.store(s, madd(f32x4.convert_i32x4_s(d), step, f32x4.add(rest, v128.load(biases, 48))), 48);
}

/** Adds to sixteen channels what their sums are. */
@inline
function addValues(o: usize, a: v128, b: v128, c: v128, d: v128, facts: usize): void {
  const step = v128.load32_splat(facts);
  const rest = v128.load32_splat(facts, 4);
  v128.store(o, f32x4.add(v128.load(o), madd(f32x4.convert_i32x4_s(a), step, rest)));
  v128.store(o, f32x4.add(v128.load(o, 16), madd(f32x4.convert_i32x4_s(b), step, rest)), 16);
  v128.store(o, f32x4.add(v128.load(o, 32), madd(f32x4.convert_i32x4_s(c), step, rest)), 32);
  v128.store(o, f32x4.add(v128.load(o, 48), madd(f32x4.convert_i32x4_s(d), step, rest)), 48);
}

/** The scores of the sixteen keys from byte `half` of a row of scores on, for three rows, whose factors are `row` bytes and whose facts are ROW_FACTS bytes apart. */
function scoreThree(
  s: usize, factors: usize, row: usize, codes: usize, d: usize, facts: usize, biases: usize, half: usize,
): void {
  let a0 = i32x4.splat(0);
  let a1 = a0;
  let a2 = a0;
  let a3 = a0;
  let b0 = a0;
  let b1 = a0;
  let b2 = a0;
  let b3 = a0;
  let c0 = a0;
  let c1 = a0;
  let c2 = a0;
  let c3 = a0;
  const other = factors + row;
  const third = other + row;
  const fine = load<u32>(facts, 12) | load<u32>(facts, 12 + ROW_FACTS) | load<u32>(facts, 12 + 2 * ROW_FACTS);
  for (let end = d; ; end += d) {
    let at = codes;
    for (let i = end - d; i < end; i += 4) {
      const x = v128.load32_splat(factors + i);
      const y = v128.load32_splat(other + i);
      const z = v128.load32_splat(third + i);
      let k = v128.load(at);
      a0 = dot(x, k, a0);
      b0 = dot(y, k, b0);
      c0 = dot(z, k, c0);
      k = v128.load(at, 16);
      a1 = dot(x, k, a1);
      b1 = dot(y, k, b1);
      c1 = dot(z, k, c1);
      k = v128.load(at, 32);
      a2 = dot(x, k, a2);
      b2 = dot(y, k, b2);
      c2 = dot(z, k, c2);
      k = v128.load(at, 48);
      a3 = dot(x, k, a3);
      b3 = dot(y, k, b3);
      c3 = dot(z, k, c3);
      at += KEY_LINE;
    }
    if (end != d) break;
    let start = <usize>load<u32>(facts, 8) + half;
    a0 = raise(a0, v128.load(start));
    a1 = raise(a1, v128.load(start, 16));
    a2 = raise(a2, v128.load(start, 32));
    a3 = raise(a3, v128.load(start, 48));
    start = <usize>load<u32>(facts, 8 + ROW_FACTS) + half;
    b0 = raise(b0, v128.load(start));
    b1 = raise(b1, v128.load(start, 16));
    b2 = raise(b2, v128.load(start, 32));
    b3 = raise(b3, v128.load(start, 48));
    start = <usize>load<u32>(facts, 8 + 2 * ROW_FACTS) + half;
    c0 = raise(c0, v128.load(start));
    c1 = raise(c1, v128.load(start, 16));
    c2 = raise(c2, v128.load(start, 32));
    c3 = raise(c3, v128.load(start, 48));
    if (fine == 0) break;
  }
  const next = PAGE_TOKENS << 2;
  putScores(s, a0, a1, a2, a3, facts, biases);
  putScores(s + next, b0, b1, b2, b3, facts + ROW_FACTS, biases);
  putScores(s + 2 * next, c0, c1, c2, c3, facts + 2 * ROW_FACTS, biases);
}

/** The scores of the sixteen keys from byte `half` of a row of scores on, for one row. */
function scoreOne(
  s: usize, factors: usize, codes: usize, d: usize, facts: usize, biases: usize, half: usize,
): void {
  let a0 = i32x4.splat(0);
  let a1 = a0;
  let a2 = a0;
  let a3 = a0;
  for (let end = d; ; end += d) {
    let at = codes;
    for (let i = end - d; i < end; i += 4) {
      const x = v128.load32_splat(factors + i);
      a0 = dot(x, v128.load(at), a0);
      a1 = dot(x, v128.load(at, 16), a1);
      a2 = dot(x, v128.load(at, 32), a2);
      a3 = dot(x, v128.load(at, 48), a3);
      at += KEY_LINE;
    }
    if (end != d) break;
    const start = <usize>load<u32>(facts, 8) + half;
    a0 = raise(a0, v128.load(start));
    a1 = raise(a1, v128.load(start, 16));
    a2 = raise(a2, v128.load(start, 32));
    a3 = raise(a3, v128.load(start, 48));
    if (load<u32>(facts, 12) == 0) break;
  }
  putScores(s, a0, a1, a2, a3, facts, biases);
}

/** Computes s [rows][32] = q [rows][d] times the page's keys transposed, plus biases [32]. */
export function byteScores(
  s: usize, q: usize, page: usize, format: u32, biases: usize, rows: usize, d: usize, room: usize,
): void {
  const codes = room;
  const scales = codes + PAGE_TOKENS * d;
  const minima = scales + longest(d) * 4;
  const products = minima + longest(d) * 4;
  const factors = products + longest(d) * 4;
  const row = d << 1;
  const facts = factors + rows * row;
  const starts = facts + rows * ROW_FACTS;
  const keys = keyFormat(format);
  const z = middle(keys);
  if (keys == KV_Q8) keyCodes(codes, page, KV_Q8, d);
  else keyCodes(codes, page, keys, d);
  openStarts(starts, codes, d);
  openScales(scales, minima, keyScaleAt(page, 0), d);
  centre(scales, minima, d, z);
  const most = dotSemantics() == SEVEN_BITS ? LARGEST_SEVEN : LARGEST;
  // Rounding to multiples of top / most adds to a score top / (most sqrt(12)) sqrt(d) (2 z / sqrt(12)).
  const limit: f32 = <f32>(ERROR * most * 6) / (sqrt<f32>(<f32>d) * <f32>z);
  for (let r: usize = 0; r < rows; r++) {
    const fact = facts + r * ROW_FACTS;
    const top = scaled(products, q + ((r * d) << 2), scales, minima, d, fact);
    keyFactors(factors + r * row, products, d, top, limit, most, starts, fact);
  }
  for (let half: usize = 0; half < PAGE_TOKENS << 2; half += 64) {
    let r: usize = 0;
    for (; r + 3 <= rows; r += 3) {
      scoreThree(
        s + ((r * PAGE_TOKENS) << 2) + half, factors + r * row, row, codes + half, d, facts + r * ROW_FACTS,
        biases + half, half,
      );
    }
    for (; r < rows; r++) {
      scoreOne(
        s + ((r * PAGE_TOKENS) << 2) + half, factors + r * row, codes + half, d, facts + r * ROW_FACTS, biases + half, half,
      );
    }
  }
}

/** Adds to sixteen channels of three rows, `stride` bytes apart. */
function gatherThree(o: usize, stride: usize, factors: usize, row: usize, codes: usize, d: usize, facts: usize): void {
  let a0 = i32x4.splat(0);
  let a1 = a0;
  let a2 = a0;
  let a3 = a0;
  let b0 = a0;
  let b1 = a0;
  let b2 = a0;
  let b3 = a0;
  let c0 = a0;
  let c1 = a0;
  let c2 = a0;
  let c3 = a0;
  const other = factors + row;
  const third = other + row;
  let at = codes;
  for (let i: usize = 0; i < PAGE_TOKENS; i += 4) {
    const x = v128.load32_splat(factors + i);
    const y = v128.load32_splat(other + i);
    const z = v128.load32_splat(third + i);
    let v = v128.load(at);
    a0 = dot(x, v, a0);
    b0 = dot(y, v, b0);
    c0 = dot(z, v, c0);
    v = v128.load(at, 16);
    a1 = dot(x, v, a1);
    b1 = dot(y, v, b1);
    c1 = dot(z, v, c1);
    v = v128.load(at, 32);
    a2 = dot(x, v, a2);
    b2 = dot(y, v, b2);
    c2 = dot(z, v, c2);
    v = v128.load(at, 48);
    a3 = dot(x, v, a3);
    b3 = dot(y, v, b3);
    c3 = dot(z, v, c3);
    at += d << 2;
  }
  addValues(o, a0, a1, a2, a3, facts);
  addValues(o + stride, b0, b1, b2, b3, facts + ROW_FACTS);
  addValues(o + 2 * stride, c0, c1, c2, c3, facts + 2 * ROW_FACTS);
}

/** Adds to sixteen channels of one row. */
function gatherOne(o: usize, factors: usize, codes: usize, d: usize, facts: usize): void {
  let a0 = i32x4.splat(0);
  let a1 = a0;
  let a2 = a0;
  let a3 = a0;
  let at = codes;
  for (let i: usize = 0; i < PAGE_TOKENS; i += 4) {
    const x = v128.load32_splat(factors + i);
    a0 = dot(x, v128.load(at), a0);
    a1 = dot(x, v128.load(at, 16), a1);
    a2 = dot(x, v128.load(at, 32), a2);
    a3 = dot(x, v128.load(at, 48), a3);
    at += d << 2;
  }
  addValues(o, a0, a1, a2, a3, facts);
}

/** Computes o [rows][d] += s [rows][32] times the page's values. */
export function byteGather(o: usize, s: usize, page: usize, format: u32, rows: usize, d: usize, room: usize): void {
  const codes = room;
  const scales = codes + PAGE_TOKENS * d;
  const minima = scales + longest(d) * 4;
  const products = minima + longest(d) * 4;
  const factors = products + longest(d) * 4;
  const row = PAGE_TOKENS;
  const facts = factors + rows * row;
  const values = valuesAt(page, format, d);
  const kind = valueFormat(format);
  if (kind == KV_Q8) valueCodes(codes, values, KV_Q8, d);
  else valueCodes(codes, values, kind, d);
  const groups = groupsOf(d);
  const words = valueScaleAt(values, d, 0, 0);
  const z = middle(kind);
  const stride = d << 2;
  for (let g: usize = 0; g < groups; g++) {
    openGroup(scales, minima, words + (g << 2), groups << 2);
    centre(scales, minima, PAGE_TOKENS, z);
    for (let r: usize = 0; r < rows; r++) {
      const fact = facts + r * ROW_FACTS;
      const top = scaled(products, s + ((r * PAGE_TOKENS) << 2), scales, minima, PAGE_TOKENS, fact);
      valueFactors(factors + r * row, products, top, fact);
    }
    const stop = min<usize>((g + 1) * GROUP, d);
    for (let c = g * GROUP; c < stop; c += 16) {
      let r: usize = 0;
      for (; r + 3 <= rows; r += 3) {
        gatherThree(
          o + r * stride + (c << 2), stride, factors + r * row, row, codes + (c << 2), d, facts + r * ROW_FACTS,
        );
      }
      for (; r < rows; r++) {
        gatherOne(o + r * stride + (c << 2), factors + r * row, codes + (c << 2), d, facts + r * ROW_FACTS);
      }
    }
  }
}
