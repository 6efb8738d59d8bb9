/**
 * Valid encoders for every weight format, for test data: simple rounding, no search for the best scale.
 * The quality is worse than llama.cpp's; the layouts are the same, and every bit field is exercised.
 */
import { WEIGHT_FORMATS, type WeightFormat } from '../../src/backend/weight.ts';

// Looked up once: in jest's module context each look-up of a global is slow.
const { abs, floor, log2, max, min, round } = Math;

/** Nearest half-precision bits, ties to even. */
export function numberToHalf(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const magnitude = abs(value);
  if (Number.isNaN(magnitude)) return 0x7e00;
  if (magnitude >= 65520) return sign | 0x7c00;
  const exponent = max(-14, floor(log2(magnitude)));
  const steps = magnitude / 2 ** (exponent - 10);
  let rounded = floor(steps);
  const rest = steps - rounded;
  if (rest > 0.5 || (rest === 0.5 && rounded % 2 === 1)) rounded++;
  // A mantissa that rounds up to 2048 carries into the exponent by itself.
  return sign | ((exponent + 14) * 1024 + rounded);
}

function clamp(value: number, low: number, high: number): number {
  const whole = round(value);
  return whole < low ? low : whole > high ? high : whole;
}
const largest = (x: Float32Array): number => x.reduce((a, v) => max(a, abs(v)), 0);
const least = (x: Float32Array): number => x.reduce((a, v) => min(a, v), 0);
const greatest = (x: Float32Array): number => x.reduce((a, v) => max(a, v), 0);
const ratio = (value: number, by: number): number => (by === 0 ? 0 : value / by);

/** What half precision makes of a scale: quants are chosen against the stored scale. */
function putHalf(out: DataView, at: number, value: number): number {
  const bits = numberToHalf(value);
  out.setUint16(at, bits, true);
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  const magnitude = exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15);
  return bits & 0x8000 ? -magnitude : magnitude;
}

type Encode = (x: Float32Array, out: DataView, at: number) => void;

/** Q4_0, Q5_0: a scale, no minimum. */
function symmetric(bits: 4 | 5): Encode {
  const middle = 1 << (bits - 1);
  return (x, out, at) => {
    const signed = x.reduce((a, v) => (abs(v) > abs(a) ? v : a), 0);
    const d = putHalf(out, at, -signed / middle);
    nibbles(out, at + 2, bits, (j) => clamp(ratio(x[j]!, d) + middle, 0, 2 * middle - 1));
  };
}

/** Q4_1, Q5_1: a scale and a minimum. */
function affine(bits: 4 | 5): Encode {
  const steps = (1 << bits) - 1;
  return (x, out, at) => {
    const low = x.reduce((a, v) => min(a, v), Infinity);
    const high = x.reduce((a, v) => max(a, v), -Infinity);
    const d = putHalf(out, at, (high - low) / steps);
    const m = putHalf(out, at + 2, low);
    nibbles(out, at + 4, bits, (j) => clamp(ratio(x[j]! - m, d), 0, steps));
  };
}

/** 32 values: for 5 bits a word of high bits, then 16 bytes of low nibbles. */
function nibbles(out: DataView, at: number, bits: 4 | 5, quant: (j: number) => number): void {
  let high = 0;
  const low = bits === 5 ? at + 4 : at;
  for (let j = 0; j < 16; j++) {
    const a = quant(j);
    const b = quant(j + 16);
    out.setUint8(low + j, (a & 15) | ((b & 15) << 4));
    high |= ((a >> 4) << j) | ((b >> 4) << (j + 16));
  }
  if (bits === 5) out.setUint32(at, high >>> 0, true);
}

/** Scales (0 .. levels) and minima (>= 0) of sub-blocks of `size` values, then both quantised against their largest. */
function subBlocks(
  x: Float32Array,
  size: number,
  steps: number,
  levels: number,
): { d: number; dmin: number; scales: number[]; minima: number[] } {
  const scales: number[] = [];
  const minima: number[] = [];
  for (let at = 0; at < 256; at += size) {
    const part = x.subarray(at, at + size);
    const low = least(part);
    scales.push((greatest(part) - low) / steps);
    minima.push(-low);
  }
  const d = max(...scales) / levels;
  const dmin = max(...minima) / levels;
  return {
    d,
    dmin,
    scales: scales.map((s) => clamp(ratio(s, d), 0, levels)),
    minima: minima.map((m) => clamp(ratio(m, dmin), 0, levels)),
  };
}

/** The 12 bytes of eight 6-bit scales and minima of Q4_K and Q5_K. */
function putScalesAndMinima(out: DataView, at: number, scales: readonly number[], minima: readonly number[]): void {
  for (let j = 0; j < 4; j++) {
    out.setUint8(at + j, scales[j]! | ((scales[j + 4]! >> 4) << 6));
    out.setUint8(at + 4 + j, minima[j]! | ((minima[j + 4]! >> 4) << 6));
    out.setUint8(at + 8 + j, (scales[j + 4]! & 15) | ((minima[j + 4]! & 15) << 4));
  }
}

const word = new DataView(new ArrayBuffer(4));

function orByte(out: DataView, at: number, bits: number): void {
  out.setUint8(at, out.getUint8(at) | bits);
}

const ENCODE: Record<WeightFormat, Encode> = {
  F32: (x, out, at) => out.setFloat32(at, x[0]!, true),
  F16: (x, out, at) => out.setUint16(at, numberToHalf(x[0]!), true),
  BF16: (x, out, at) => {
    word.setFloat32(0, x[0]!);
    const bits = word.getUint32(0);
    out.setUint16(at, min(0xffff, (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16), true);
  },
  Q4_0: symmetric(4),
  Q5_0: symmetric(5),
  Q4_1: affine(4),
  Q5_1: affine(5),
  Q8_0: (x, out, at) => {
    const d = putHalf(out, at, largest(x) / 127);
    for (let j = 0; j < 32; j++) out.setInt8(at + 2 + j, clamp(ratio(x[j]!, d), -127, 127));
  },
  Q2_K: (x, out, at) => {
    const { d, dmin, scales, minima } = subBlocks(x, 16, 3, 15);
    const dh = putHalf(out, at + 80, d);
    const mh = putHalf(out, at + 82, dmin);
    for (let s = 0; s < 16; s++) out.setUint8(at + s, scales[s]! | (minima[s]! << 4));
    for (let i = 0; i < 256; i++) {
      const q = clamp(ratio(x[i]! + mh * minima[i >> 4]!, dh * scales[i >> 4]!), 0, 3);
      orByte(out, at + 16 + (i >> 7) * 32 + (i & 31), q << (((i >> 5) & 3) * 2));
    }
  },
  Q3_K: (x, out, at) => {
    // Signed scales: the value of largest magnitude in each sub-block becomes -4.
    const wanted = Array.from(
      { length: 16 },
      (_, s) => x.subarray(s * 16, s * 16 + 16).reduce((a, v) => (abs(v) > abs(a) ? v : a), 0) / -4,
    );
    const d = putHalf(out, at + 108, max(...wanted.map(abs)) / 31);
    const scales = wanted.map((w) => clamp(ratio(w, d), -32, 31));
    for (let s = 0; s < 16; s++) {
      const stored = scales[s]! + 32;
      orByte(out, at + 96 + (s & 7), s < 8 ? stored & 15 : (stored & 15) << 4);
      orByte(out, at + 104 + (s & 3), (stored >> 4) << (2 * (s >> 2)));
    }
    for (let i = 0; i < 256; i++) {
      const q = clamp(ratio(x[i]!, d * scales[i >> 4]!), -4, 3) + 4;
      orByte(out, at + 32 + (i >> 7) * 32 + (i & 31), (q & 3) << (((i >> 5) & 3) * 2));
      orByte(out, at + (i & 31), (q >> 2) << (i >> 5));
    }
  },
  Q4_K: (x, out, at) => {
    const { d, dmin, scales, minima } = subBlocks(x, 32, 15, 63);
    const dh = putHalf(out, at, d);
    const mh = putHalf(out, at + 2, dmin);
    putScalesAndMinima(out, at + 4, scales, minima);
    for (let i = 0; i < 256; i++) {
      const q = clamp(ratio(x[i]! + mh * minima[i >> 5]!, dh * scales[i >> 5]!), 0, 15);
      orByte(out, at + 16 + (i >> 6) * 32 + (i & 31), (i >> 5) & 1 ? q << 4 : q);
    }
  },
  Q5_K: (x, out, at) => {
    const { d, dmin, scales, minima } = subBlocks(x, 32, 31, 63);
    const dh = putHalf(out, at, d);
    const mh = putHalf(out, at + 2, dmin);
    putScalesAndMinima(out, at + 4, scales, minima);
    for (let i = 0; i < 256; i++) {
      const q = clamp(ratio(x[i]! + mh * minima[i >> 5]!, dh * scales[i >> 5]!), 0, 31);
      orByte(out, at + 48 + (i >> 6) * 32 + (i & 31), (i >> 5) & 1 ? (q & 15) << 4 : q & 15);
      orByte(out, at + 16 + (i & 31), (q >> 4) << (i >> 5));
    }
  },
  Q6_K: (x, out, at) => {
    const wanted = Array.from(
      { length: 16 },
      (_, s) => x.subarray(s * 16, s * 16 + 16).reduce((a, v) => (abs(v) > abs(a) ? v : a), 0) / -32,
    );
    const d = putHalf(out, at + 208, max(...wanted.map(abs)) / 127);
    const scales = wanted.map((w) => clamp(ratio(w, d), -128, 127));
    for (let s = 0; s < 16; s++) out.setInt8(at + 192 + s, scales[s]!);
    for (let i = 0; i < 256; i++) {
      const n = i >> 7;
      const quarter = (i >> 5) & 3;
      const l = i & 31;
      const q = clamp(ratio(x[i]!, d * scales[i >> 4]!) + 32, 0, 63);
      orByte(out, at + n * 64 + (quarter & 1) * 32 + l, quarter < 2 ? q & 15 : (q & 15) << 4);
      orByte(out, at + 128 + n * 32 + l, (q >> 4) << (quarter * 2));
    }
  },
};

/** Encodes `values`, whose number is a multiple of the format's block. */
export function quantise(format: WeightFormat, values: Float32Array): Uint8Array {
  const { block, bytes } = WEIGHT_FORMATS[format];
  if (values.length % block !== 0) throw new Error(`${format}: ${values.length} values are no multiple of ${block}`);
  if (format === 'F32') return new Uint8Array(values.slice().buffer);
  const out = new Uint8Array((values.length / block) * bytes);
  const view = new DataView(out.buffer);
  for (let i = 0; i * block < values.length; i++)
    ENCODE[format](values.subarray(i * block, (i + 1) * block), view, i * bytes);
  return out;
}
