/**
 * What the bytes of every weight format mean, in f64, straight from ggml's block layouts (ggml-common.h, ggml-quants.c).
 * Shares nothing with production code; the layouts below are the truth that every backend is held against.
 */
import { WEIGHT_FORMATS, type WeightFormat } from '../../src/backend/weight.ts';

/** IEEE half precision, little-endian. */
export function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** Decodes one block at byte `at` into `out[to ..]`. */
type Decode = (bytes: DataView, at: number, out: Float64Array, to: number) => void;

const word = new DataView(new ArrayBuffer(4));

const half = (bytes: DataView, at: number): number => halfToNumber(bytes.getUint16(at, true));

/** Sub-block scale and minimum j of Q4_K and Q5_K: eight pairs of 6 bits in 12 bytes. */
function scaleAndMinimum(bytes: DataView, at: number, j: number): [number, number] {
  const q = (i: number): number => bytes.getUint8(at + i);
  if (j < 4) return [q(j) & 63, q(j + 4) & 63];
  return [(q(j + 4) & 15) | ((q(j - 4) >> 6) << 4), (q(j + 4) >> 4) | ((q(j) >> 6) << 4)];
}

const DECODE: Record<WeightFormat, Decode> = {
  F32: (b, at, out, to) => {
    out[to] = b.getFloat32(at, true);
  },
  F16: (b, at, out, to) => {
    out[to] = half(b, at);
  },
  BF16: (b, at, out, to) => {
    word.setUint32(0, b.getUint16(at, true) * 65536);
    out[to] = word.getFloat32(0);
  },
  // { f16 d; u8 qs[16] }: value j in the low, value j + 16 in the high nibble of byte j
  Q4_0: (b, at, out, to) => {
    const d = half(b, at);
    for (let j = 0; j < 16; j++) {
      const q = b.getUint8(at + 2 + j);
      out[to + j] = d * ((q & 15) - 8);
      out[to + j + 16] = d * ((q >> 4) - 8);
    }
  },
  // { f16 d; f16 m; u8 qs[16] }
  Q4_1: (b, at, out, to) => {
    const d = half(b, at);
    const m = half(b, at + 2);
    for (let j = 0; j < 16; j++) {
      const q = b.getUint8(at + 4 + j);
      out[to + j] = d * (q & 15) + m;
      out[to + j + 16] = d * (q >> 4) + m;
    }
  },
  // { f16 d; u32 qh; u8 qs[16] }: bit j of qh is the fifth bit of value j
  Q5_0: (b, at, out, to) => {
    const d = half(b, at);
    const high = b.getUint32(at + 2, true);
    for (let j = 0; j < 16; j++) {
      const q = b.getUint8(at + 6 + j);
      out[to + j] = d * (((q & 15) | (((high >>> j) & 1) << 4)) - 16);
      out[to + j + 16] = d * (((q >> 4) | (((high >>> (j + 16)) & 1) << 4)) - 16);
    }
  },
  // { f16 d; f16 m; u32 qh; u8 qs[16] }
  Q5_1: (b, at, out, to) => {
    const d = half(b, at);
    const m = half(b, at + 2);
    const high = b.getUint32(at + 4, true);
    for (let j = 0; j < 16; j++) {
      const q = b.getUint8(at + 8 + j);
      out[to + j] = d * ((q & 15) | (((high >>> j) & 1) << 4)) + m;
      out[to + j + 16] = d * ((q >> 4) | (((high >>> (j + 16)) & 1) << 4)) + m;
    }
  },
  // { f16 d; i8 qs[32] }
  Q8_0: (b, at, out, to) => {
    const d = half(b, at);
    for (let j = 0; j < 32; j++) out[to + j] = d * b.getInt8(at + 2 + j);
  },
  // { u8 scales[16]; u8 qs[64]; f16 d; f16 dmin }: 16 sub-blocks of 16; scale in the low, minimum in the high nibble
  Q2_K: (b, at, out, to) => {
    const d = half(b, at + 80);
    const dmin = half(b, at + 82);
    for (let i = 0; i < 256; i++) {
      const scales = b.getUint8(at + (i >> 4));
      const q = (b.getUint8(at + 16 + (i >> 7) * 32 + (i & 31)) >> (((i >> 5) & 3) * 2)) & 3;
      out[to + i] = d * (scales & 15) * q - dmin * (scales >> 4);
    }
  },
  // { u8 hmask[32]; u8 qs[64]; u8 scales[12]; f16 d }: 16 scales of 6 bits minus 32; a clear mask bit subtracts 4
  Q3_K: (b, at, out, to) => {
    const d = half(b, at + 108);
    for (let i = 0; i < 256; i++) {
      const s = i >> 4;
      const low = s < 8 ? b.getUint8(at + 96 + s) & 15 : b.getUint8(at + 96 + s - 8) >> 4;
      const scale = (low | (((b.getUint8(at + 104 + (s & 3)) >> (2 * (s >> 2))) & 3) << 4)) - 32;
      const q = (b.getUint8(at + 32 + (i >> 7) * 32 + (i & 31)) >> (((i >> 5) & 3) * 2)) & 3;
      const high = (b.getUint8(at + (i & 31)) >> (i >> 5)) & 1;
      out[to + i] = d * scale * (q - (high ? 0 : 4));
    }
  },
  // { f16 d; f16 dmin; u8 scales[12]; u8 qs[128] }: 8 sub-blocks of 32; 64 values share 32 bytes, low then high nibbles
  Q4_K: (b, at, out, to) => {
    const d = half(b, at);
    const dmin = half(b, at + 2);
    for (let i = 0; i < 256; i++) {
      const [scale, minimum] = scaleAndMinimum(b, at + 4, i >> 5);
      const byte = b.getUint8(at + 16 + (i >> 6) * 32 + (i & 31));
      const q = (i >> 5) & 1 ? byte >> 4 : byte & 15;
      out[to + i] = d * scale * q - dmin * minimum;
    }
  },
  // { f16 d; f16 dmin; u8 scales[12]; u8 qh[32]; u8 qs[128] }: bit s of qh[l] is the fifth bit of value l of sub-block s
  Q5_K: (b, at, out, to) => {
    const d = half(b, at);
    const dmin = half(b, at + 2);
    for (let i = 0; i < 256; i++) {
      const [scale, minimum] = scaleAndMinimum(b, at + 4, i >> 5);
      const byte = b.getUint8(at + 48 + (i >> 6) * 32 + (i & 31));
      const low = (i >> 5) & 1 ? byte >> 4 : byte & 15;
      const high = (b.getUint8(at + 16 + (i & 31)) >> (i >> 5)) & 1;
      out[to + i] = d * scale * (low + 16 * high) - dmin * minimum;
    }
  },
  // { u8 ql[128]; u8 qh[64]; i8 scales[16]; f16 d }: per 128 values, value l of quarter k has 4 bits in ql and 2 in qh
  Q6_K: (b, at, out, to) => {
    const d = half(b, at + 208);
    for (let i = 0; i < 256; i++) {
      const n = i >> 7;
      const quarter = (i >> 5) & 3;
      const l = i & 31;
      const byte = b.getUint8(at + n * 64 + (quarter & 1) * 32 + l);
      const low = quarter < 2 ? byte & 15 : byte >> 4;
      const high = (b.getUint8(at + 128 + n * 32 + l) >> (quarter * 2)) & 3;
      out[to + i] = d * b.getInt8(at + 192 + (i >> 4)) * ((low | (high << 4)) - 32);
    }
  },
};

/** `count` values of `bytes`; `count` is a multiple of the format's block. */
export function dequantise(format: WeightFormat, bytes: Uint8Array, count: number): Float64Array {
  const layout = WEIGHT_FORMATS[format];
  if (count % layout.block !== 0) throw new Error(`${format}: ${count} values are no multiple of ${layout.block}`);
  const blocks = count / layout.block;
  if (bytes.length < blocks * layout.bytes)
    throw new Error(`${format}: ${bytes.length} bytes hold fewer than ${count} values`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const out = new Float64Array(count);
  for (let i = 0; i < blocks; i++) DECODE[format](view, i * layout.bytes, out, i * layout.block);
  return out;
}
