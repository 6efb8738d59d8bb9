/**
 * Converts pages to and from f32 (layout.ts draws the bytes). They are quantised as in KIVI (Liu et al. 2024): keys per
 * channel over the page's tokens, values per token in groups of 32 channels, asymmetrically:
 *
 *   scale = f16((max - min) / (2^b - 1)), minimum = f16(min),
 *   u = clamp(floor((x - minimum) / scale + 0.5), 0, 2^b - 1), x ~ minimum + scale * u
 *
 * in f32, with the rounded scale and minimum; u is 0 where the scale is 0. A NaN makes scale and minimum of its group
 * NaN. scale * u is exact in f32 and the sum rounds once, so every device decodes the same values. The file is long
 * because both directions share the order of the codes within a byte, for each width with and without SIMD.
 */
import { fromHalf, fromHalf4, narrow, toHalf, widen } from './half';
import {
  GROUP, KV_F16, KV_F32, KV_Q2, KV_Q4, KV_Q8, PAGE_TOKENS, addressOf, bitsOf, formatOf, groupsOf, keyAt, keyFormat,
  keyScaleAt, pageBytes, rowBytes, valueAt, valueFormat, valueScaleAt, valuesAt,
} from './layout';
import { KERNEL_CONVERT } from '../kernels/kernels';
import { parallel } from '../kernels/pool';

/** The word of scale and minimum of a group that holds a NaN. */
const NO_NUMBERS: u32 = 0x7e007e00;

// Codes of 4 and 2 bits are used at their position in the byte, so they are multiples of 1, 16 or of 1, 4, 16, 64.
// Their scale is divided by that factor, which is exact.
// prettier-ignore
const TABLES: usize = memory.data<f32>([
  1, 1, 1, 1,
  1, 0.0625, 1, 0.0625,
  1, 0.25, 0.0625, 0.015625,
], 16);

@inline
function multipliers(format: u32): v128 {
  return v128.load(TABLES + ((format - KV_Q8) << 4));
}

/**
 * Returns the bytes of 16 channels (of the last 4: `unpackFour`). Each byte holds the code of its channel at the
 * position that the code has in the file's byte.
 */
@inline
export function unpack(format: u32, at: usize): v128 {
  if (format == KV_Q8) return v128.load(at);
  if (format == KV_Q4) {
    const x = v128.load64_zero(at);
    return v128.and(v128.shuffle<u8>(x, x, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7), i16x8.splat(<i16>0xf00f));
  }
  const x = v128.load32_zero(at);
  return v128.and(v128.shuffle<u8>(x, x, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3), i32x4.splat(<i32>0xc0300c03));
}

@inline
function unpackFour(format: u32, at: usize): v128 {
  if (format == KV_Q8) return v128.load32_zero(at);
  if (format == KV_Q4) {
    const x = i32x4.splat(<i32>load<u16>(at));
    return v128.and(v128.shuffle<u8>(x, x, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1), i16x8.splat(<i16>0xf00f));
  }
  return v128.and(i8x16.splat(<i8>load<u8>(at)), i32x4.splat(<i32>0xc0300c03));
}

/** Computes minimum + scale * byte, for the bytes in the low or high half of a 16-bit vector. */
@inline
function low(x: v128, scale: v128, minimum: v128): v128 {
  return f32x4.add(f32x4.mul(f32x4.convert_i32x4_u(i32x4.extend_low_i16x8_u(x)), scale), minimum);
}
@inline
function high(x: v128, scale: v128, minimum: v128): v128 {
  return f32x4.add(f32x4.mul(f32x4.convert_i32x4_u(i32x4.extend_high_i16x8_u(x)), scale), minimum);
}

@inline
function scales4(at: usize, m: v128): v128 {
  return f32x4.mul(fromHalf4(v128.and(v128.load(at), i32x4.splat(0xffff))), m);
}
@inline
function minima4(at: usize): v128 {
  return fromHalf4(i32x4.shr_u(v128.load(at), 16));
}

/** Returns one value of a row of bits. */
@inline
function valueOf(row: usize, format: u32, channel: usize): f32 {
  const bits = bitsOf(format);
  const at = channel * bits;
  return <f32>((<u32>load<u8>(row + (at >> 3)) >> <u32>(at & 7)) & ((1 << <u32>bits) - 1));
}

@inline
function keysOf(y: usize, stride: usize, page: usize, format: u32, headDim: usize, first: usize, count: usize): void {
  const row = rowBytes(format, headDim);
  const from = keyAt(page, format, headDim, first);
  let c: usize = 0;
  if (ASC_FEATURE_SIMD) {
    const m = multipliers(format);
    for (; c + 16 <= headDim; c += 16) {
      const at = keyScaleAt(page, c);
      const s0 = scales4(at, m);
      const s1 = scales4(at + 16, m);
      const s2 = scales4(at + 32, m);
      const s3 = scales4(at + 48, m);
      const m0 = minima4(at);
      const m1 = minima4(at + 16);
      const m2 = minima4(at + 32);
      const m3 = minima4(at + 48);
      let x = from + ((c * bitsOf(format)) >> 3);
      let to = y + (c << 2);
      for (let t: usize = 0; t < count; t++) {
        const bytes = unpack(format, x);
        const u = i16x8.extend_low_i8x16_u(bytes);
        const w = i16x8.extend_high_i8x16_u(bytes);
        v128.store(to, low(u, s0, m0));
        v128.store(to, high(u, s1, m1), 16);
        v128.store(to, low(w, s2, m2), 32);
        v128.store(to, high(w, s3, m3), 48);
        x += row;
        to += stride;
      }
    }
    for (; c + 4 <= headDim; c += 4) {
      const at = keyScaleAt(page, c);
      const scale = scales4(at, m);
      const minimum = minima4(at);
      for (let t: usize = 0; t < count; t++) {
        const u = i16x8.extend_low_i8x16_u(unpackFour(format, from + t * row + ((c * bitsOf(format)) >> 3)));
        v128.store(y + t * stride + (c << 2), low(u, scale, minimum));
      }
    }
    return;
  }
  for (; c < headDim; c++) {
    const word = load<u32>(keyScaleAt(page, c));
    const scale = fromHalf(word & 0xffff);
    const minimum = fromHalf(word >> 16);
    for (let t: usize = 0; t < count; t++) {
      store<f32>(y + t * stride + (c << 2), minimum + scale * valueOf(from + t * row, format, c));
    }
  }
}

@inline
function valuesOf(y: usize, stride: usize, values: usize, format: u32, headDim: usize, first: usize, count: usize): void {
  for (let t: usize = 0; t < count; t++) {
    const from = valueAt(values, format, headDim, first + t);
    const to = y + t * stride;
    for (let start: usize = 0; start < headDim; start += GROUP) {
      const word = load<u32>(valueScaleAt(values, headDim, first + t, start / GROUP));
      const scale = fromHalf(word & 0xffff);
      const minimum = fromHalf(word >> 16);
      const end = min<usize>(start + GROUP, headDim);
      let c = start;
      if (ASC_FEATURE_SIMD) {
        const s = f32x4.mul(f32x4.splat(scale), multipliers(format));
        const m = f32x4.splat(minimum);
        for (; c + 16 <= end; c += 16) {
          const bytes = unpack(format, from + ((c * bitsOf(format)) >> 3));
          const u = i16x8.extend_low_i8x16_u(bytes);
          const w = i16x8.extend_high_i8x16_u(bytes);
          v128.store(to + (c << 2), low(u, s, m));
          v128.store(to + (c << 2), high(u, s, m), 16);
          v128.store(to + (c << 2), low(w, s, m), 32);
          v128.store(to + (c << 2), high(w, s, m), 48);
        }
        for (; c + 4 <= end; c += 4) {
          v128.store(
            to + (c << 2), low(i16x8.extend_low_i8x16_u(unpackFour(format, from + ((c * bitsOf(format)) >> 3))), s, m),
          );
        }
      }
      for (; c < end; c++) store<f32>(to + (c << 2), minimum + scale * valueOf(from, format, c));
    }
  }
}

/** As memory.copy, which V8 compiles to a call of the runtime: expensive for a single row, and also where no byte is left. */
function copyRow(y: usize, x: usize, bytes: usize): void {
  let i: usize = 0;
  if (ASC_FEATURE_SIMD) for (; i + 16 <= bytes; i += 16) v128.store(y + i, v128.load(x + i));
  if (i < bytes) memory.copy(y + i, x + i, bytes - i);
}

/** Copies tokens of an f32 or f16 page, whose rows follow each other, as f32. */
@inline
function rowsOf(y: usize, stride: usize, from: usize, format: u32, headDim: usize, count: usize): void {
  const bytes = rowBytes(format, headDim);
  if (stride == headDim << 2) {
    if (format == KV_F32) copyRow(y, from, count * bytes);
    else widen(y, from, count * headDim);
    return;
  }
  for (let t: usize = 0; t < count; t++) {
    if (format == KV_F32) copyRow(y + t * stride, from + t * bytes, bytes);
    else widen(y + t * stride, from + t * bytes, headDim);
  }
}

/** Decodes the keys of tokens [first, first + count) to f32 [headDim] each, `stride` bytes apart. */
export function decodeKeys(
  y: usize, stride: usize, page: usize, format: u32, headDim: usize, first: usize, count: usize,
): void {
  switch (keyFormat(format)) {
    case KV_Q8: return keysOf(y, stride, page, KV_Q8, headDim, first, count);
    case KV_Q4: return keysOf(y, stride, page, KV_Q4, headDim, first, count);
    case KV_Q2: return keysOf(y, stride, page, KV_Q2, headDim, first, count);
    default: return rowsOf(y, stride, keyAt(page, format, headDim, first), format, headDim, count);
  }
}

/** Decodes the values of tokens [first, first + count), as `decodeKeys`. */
export function decodeValues(
  y: usize, stride: usize, page: usize, format: u32, headDim: usize, first: usize, count: usize,
): void {
  const values = valuesAt(page, format, headDim);
  switch (valueFormat(format)) {
    case KV_Q8: return valuesOf(y, stride, values, KV_Q8, headDim, first, count);
    case KV_Q4: return valuesOf(y, stride, values, KV_Q4, headDim, first, count);
    case KV_Q2: return valuesOf(y, stride, values, KV_Q2, headDim, first, count);
    default: return rowsOf(y, stride, valueAt(values, format, headDim, first), format, headDim, count);
  }
}

/** Returns the word of scale and minimum of a group. */
function scaleWord(lowest: f32, highest: f32, levels: f32): u32 {
  if (lowest != lowest || highest != highest) return NO_NUMBERS;
  const scale: u32 = highest == lowest ? 0 : <u32>toHalf((highest - lowest) / levels);
  return scale | (<u32>toHalf(lowest) << 16);
}

/** Quantises four values and returns their u packed from bit 0 on. `places` holds 1, 2^b, 2^2b, 2^3b. */
@inline
function pack(x: v128, scale: v128, minimum: v128, levels: v128, places: v128): u32 {
  const rounded = f32x4.floor(f32x4.add(f32x4.div(f32x4.sub(x, minimum), scale), f32x4.splat(0.5)));
  let u = i32x4.min_s(i32x4.max_s(i32x4.trunc_sat_f32x4_s(rounded), i32x4.splat(0)), levels);
  u = i32x4.mul(v128.and(u, f32x4.ne(scale, f32x4.splat(0))), places);
  u = v128.or(u, v128.shuffle<i32>(u, u, 2, 3, 0, 1));
  return <u32>i32x4.extract_lane(v128.or(u, v128.shuffle<i32>(u, u, 1, 0, 3, 2)), 0);
}

@inline
function packOne(x: f32, scale: f32, minimum: f32, levels: f32): u32 {
  if (scale == 0 || scale != scale) return 0;
  const u = floor<f32>((x - minimum) / scale + 0.5);
  return <u32>min<f32>(max<f32>(u == u ? u : 0, 0), levels);
}

/** Stores the bits of four channels. */
@inline
function put(at: usize, bits: u32, format: u32): void {
  if (format == KV_Q8) store<u32>(at, bits);
  else if (format == KV_Q4) store<u16>(at, <u16>bits);
  else store<u8>(at, <u8>bits);
}

/** Quantises four values at x to bits at `at`, each with its own scale and minimum where `step` is not 0. */
@inline
function quantiseFour(at: usize, x: usize, format: u32, scales: usize, step: usize): void {
  const bits = <u32>bitsOf(format);
  const levels = (1 << bits) - 1;
  let packed: u32 = 0;
  for (let i: u32 = 0; i < 4; i++) {
    const word = load<u32>(scales + i * step);
    const u = packOne(load<f32>(x + (i << 2)), fromHalf(word & 0xffff), fromHalf(word >> 16), <f32>levels);
    packed |= u << (i * bits);
  }
  put(at, packed, format);
}

function encodeKeys(page: usize, format: u32, headDim: usize, x: usize): void {
  const bits = <u32>bitsOf(format);
  const levels: i32 = (1 << bits) - 1;
  const row = rowBytes(format, headDim);
  const stride = headDim << 2;
  for (let c: usize = 0; c < headDim; c += 4) {
    const from = x + (c << 2);
    const scales = keyScaleAt(page, c);
    const to = keyAt(page, format, headDim, 0) + ((c * bits) >> 3);
    if (ASC_FEATURE_SIMD) {
      let lowest = v128.load(from);
      let highest = lowest;
      for (let t: usize = 1; t < PAGE_TOKENS; t++) {
        const v = v128.load(from + t * stride);
        lowest = f32x4.min(lowest, v);
        highest = f32x4.max(highest, v);
      }
      store<u32>(scales, scaleWord(f32x4.extract_lane(lowest, 0), f32x4.extract_lane(highest, 0), <f32>levels));
      store<u32>(scales, scaleWord(f32x4.extract_lane(lowest, 1), f32x4.extract_lane(highest, 1), <f32>levels), 4);
      store<u32>(scales, scaleWord(f32x4.extract_lane(lowest, 2), f32x4.extract_lane(highest, 2), <f32>levels), 8);
      store<u32>(scales, scaleWord(f32x4.extract_lane(lowest, 3), f32x4.extract_lane(highest, 3), <f32>levels), 12);
      const scale = scales4(scales, f32x4.splat(1));
      const minimum = minima4(scales);
      const places = i32x4(1, 1 << bits, 1 << (2 * bits), 1 << (3 * bits));
      for (let t: usize = 0; t < PAGE_TOKENS; t++) {
        put(to + t * row, pack(v128.load(from + t * stride), scale, minimum, i32x4.splat(levels), places), format);
      }
    } else {
      for (let i: usize = 0; i < 4; i++) {
        let lowest = load<f32>(from + (i << 2));
        let highest = lowest;
        for (let t: usize = 1; t < PAGE_TOKENS; t++) {
          const v = load<f32>(from + t * stride + (i << 2));
          lowest = min<f32>(lowest, v);
          highest = max<f32>(highest, v);
        }
        store<u32>(scales + (i << 2), scaleWord(lowest, highest, <f32>levels));
      }
      for (let t: usize = 0; t < PAGE_TOKENS; t++) quantiseFour(to + t * row, from + t * stride, format, scales, 4);
    }
  }
}

function encodeValues(values: usize, format: u32, headDim: usize, x: usize): void {
  const bits = <u32>bitsOf(format);
  const levels: i32 = (1 << bits) - 1;
  for (let t: usize = 0; t < PAGE_TOKENS; t++) {
    const from = x + ((t * headDim) << 2);
    const to = valueAt(values, format, headDim, t);
    for (let start: usize = 0; start < headDim; start += GROUP) {
      const end = min<usize>(start + GROUP, headDim);
      const scales = valueScaleAt(values, headDim, t, start / GROUP);
      let lowest = load<f32>(from + (start << 2));
      let highest = lowest;
      if (ASC_FEATURE_SIMD) {
        let l = v128.load(from + (start << 2));
        let h = l;
        for (let c = start + 4; c < end; c += 4) {
          const v = v128.load(from + (c << 2));
          l = f32x4.min(l, v);
          h = f32x4.max(h, v);
        }
        l = f32x4.min(l, v128.shuffle<f32>(l, l, 2, 3, 0, 1));
        h = f32x4.max(h, v128.shuffle<f32>(h, h, 2, 3, 0, 1));
        lowest = min<f32>(f32x4.extract_lane(l, 0), f32x4.extract_lane(l, 1));
        highest = max<f32>(f32x4.extract_lane(h, 0), f32x4.extract_lane(h, 1));
      } else {
        for (let c = start + 1; c < end; c++) {
          const v = load<f32>(from + (c << 2));
          lowest = min<f32>(lowest, v);
          highest = max<f32>(highest, v);
        }
      }
      const word = scaleWord(lowest, highest, <f32>levels);
      store<u32>(scales, word);
      if (ASC_FEATURE_SIMD) {
        const scale = f32x4.splat(fromHalf(word & 0xffff));
        const minimum = f32x4.splat(fromHalf(word >> 16));
        const places = i32x4(1, 1 << bits, 1 << (2 * bits), 1 << (3 * bits));
        for (let c = start; c < end; c += 4) {
          put(
            to + ((c * bits) >> 3), pack(v128.load(from + (c << 2)), scale, minimum, i32x4.splat(levels), places),
            format,
          );
        }
      } else {
        for (let c = start; c < end; c += 4) quantiseFour(to + ((c * bits) >> 3), from + (c << 2), format, scales, 0);
      }
    }
  }
}

/** Encodes keys [32][headDim], then values [32][headDim], from f32 at x. */
function encodePage(page: usize, format: u32, headDim: usize, x: usize): void {
  const values = 2 * PAGE_TOKENS * headDim;
  if (format == KV_F32) memory.copy(page, x, values << 2);
  else if (format == KV_F16) narrow(page, x, values);
  else {
    // The bits after the last channel must be 0.
    memory.fill(page, 0, pageBytes(format, headDim));
    encodeKeys(page, keyFormat(format), headDim, x);
    encodeValues(valuesAt(page, format, headDim), valueFormat(format), headDim, x + ((PAGE_TOKENS * headDim) << 2));
  }
}

/**
 * | pool | from | to | count | headDim |
 * `from` and `to` hold page table entries (address | format) [count]. No page is in both lists, or twice in `to`.
 */
@unmanaged
export class Convert {
  pool: usize;
  from: usize;
  to: usize;
  count: usize;
  headDim: usize;
}

/** Returns the scratch bytes that one thread needs. */
export function convertScratchBytes(headDim: usize): usize {
  return (2 * PAGE_TOKENS * headDim) << 2;
}

/** Decodes and encodes pages; between equal formats it copies them. Returns 0, or 1 when a worker was lost. */
export function convertPages(args: usize): u32 {
  const a = changetype<Convert>(args);
  return parallel(a.pool, KERNEL_CONVERT, args, <u32>a.count);
}

export function convertTile(a: Convert, tile: usize, scratch: usize): void {
  const from = <usize>load<u32>(a.from + (tile << 2));
  const to = <usize>load<u32>(a.to + (tile << 2));
  const d = a.headDim;
  if (formatOf(from) == formatOf(to)) {
    memory.copy(addressOf(to), addressOf(from), pageBytes(formatOf(to), d));
    return;
  }
  decodeKeys(scratch, d << 2, addressOf(from), formatOf(from), d, 0, PAGE_TOKENS);
  decodeValues(scratch + ((PAGE_TOKENS * d) << 2), d << 2, addressOf(from), formatOf(from), d, 0, PAGE_TOKENS);
  encodePage(addressOf(to), formatOf(to), d, scratch);
}
