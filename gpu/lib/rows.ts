/**
 * The layout of a weight's rows in GPU memory, and the repacking of a file's blocks into it. No format grows, except
 * Q3_K by 4 bytes per 256 values (its 6-bit scales become bytes), and by the padding of planes to 16 bytes.
 *
 *     row:  | quants of all units | upper bits | scales | super-scales |      a unit: 32 consecutive values
 *           ^ every plane starts at a 16-byte boundary
 *
 * GGUF's blocks (18, 22, 34, 110, 210 bytes) are not aligned to words. With planes a thread reads the quants of its
 * unit as one or two vec4, and neighbouring threads read neighbouring vec4. The bits of K-quants are regrouped so that
 * all 4- and 5-bit formats share one arrangement, and all 2-, 3- and 6-bit formats another; the headers of the decoders
 * (<format>.wgsl) describe them. Block formats follow ggml-quants.c of llama.cpp (layouts only).
 */

/** Values in a block of each of ggml's formats. */
const BLOCK_VALUES = {
  F32: 1,
  F16: 1,
  BF16: 1,
  Q4_0: 32,
  Q4_1: 32,
  Q5_0: 32,
  Q5_1: 32,
  Q8_0: 32,
  Q2_K: 256,
  Q3_K: 256,
  Q4_K: 256,
  Q5_K: 256,
  Q6_K: 256,
} as const;
export type WeightFormat = keyof typeof BLOCK_VALUES;

/** Values of a unit, which a thread decodes at once. Rows are padded with zeros to whole units. */
export const UNIT = 32;

export interface RowLayout {
  /** 32-bit words of one row. */
  readonly words: number;
  readonly units: number;
  /** For formats without blocks, the file bytes of a value: a row is copied unchanged, and `place` is not used. */
  readonly plain?: number;
  /**
   * Repacks block `block` of a row. `source` holds the block at byte `at` (even for formats of 16-bit parts); `out`
   * holds the row at word `row` and was zeroed before.
   */
  place(source: BlockSource, at: number, out: Uint32Array, row: number, block: number): void;
}

/** One buffer of file bytes seen as bytes and as little-endian halves. */
export interface BlockSource {
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
}

const LOW = 0x0f0f0f0f;
const PAIR = 0x03030303;
const BIT = 0x01010101;

const vec4s = (words: number): number => Math.ceil(words / 4);

/** Word i of the bytes that start at `at` (even). */
function word(source: BlockSource, at: number, i: number): number {
  const h = (at >> 1) + 2 * i;
  return ((source.u16[h] ?? 0) | ((source.u16[h + 1] ?? 0) << 16)) >>> 0;
}

function putHalf(out: Uint32Array, plane: number, i: number, half: number): void {
  const at = plane + (i >> 1);
  out[at] = (out[at] ?? 0) | (half << (16 * (i & 1)));
}

/** The 16-byte blocks of nibbles are in this arrangement already: byte j holds value j low and value 16 + j high. */
function copyNibbles(source: BlockSource, at: number, out: Uint32Array, to: number): void {
  for (let i = 0; i < 4; i += 1) out[to + i] = word(source, at, i);
}

/** Moves bit j of value j to bit i + 8b of value 4i + b. */
function spreadBits(bits: number): number {
  let out = 0;
  for (let i = 0; i < 8; i += 1) {
    const four = (bits >>> (4 * i)) & 15;
    out |= ((four & 1) | ((four & 2) << 7) | ((four & 4) << 14) | ((four & 8) << 21)) << i;
  }
  return out;
}

/** Byte j of 32 holds the upper bit of value j at bit `unit`. Gathers these bits, value 4i + b at bit i + 8b. */
function gatherBits(source: BlockSource, at: number, unit: number): number {
  let out = 0;
  for (let i = 0; i < 8; i += 1) out |= ((word(source, at, i) >>> unit) & BIT) << i;
  return out;
}

/** 32 bytes hold two bits of each value at `shift`. Gathers them in two words: bits 2i of byte b for value 4i + b. */
function gatherPairs(source: BlockSource, at: number, shift: number, out: Uint32Array, to: number): void {
  for (let half = 0; half < 2; half += 1) {
    let packed = 0;
    for (let i = 0; i < 4; i += 1) packed |= ((word(source, at, 4 * half + i) >>> shift) & PAIR) << (2 * i);
    out[to + half] = packed;
  }
}

/** 32 bytes hold a nibble of each value at `shift`. Gathers them in four words as in Q4_0. */
function gatherNibbles(source: BlockSource, at: number, shift: number, out: Uint32Array, to: number): void {
  for (let i = 0; i < 4; i += 1) {
    out[to + i] = ((word(source, at, i) >>> shift) & LOW) | (((word(source, at, i + 4) >>> shift) & LOW) << 4);
  }
}

function plain(valueBytes: 2 | 4, units: number): RowLayout {
  return { words: (units * UNIT * valueBytes) / 4, units, plain: valueBytes, place: () => undefined };
}

function q8(units: number): RowLayout {
  const scale = 8 * units;
  return {
    words: scale + 4 * vec4s(units / 2),
    units,
    place(source, at, out, row, block) {
      putHalf(out, row + scale, block, source.u16[at >> 1] ?? 0);
      for (let i = 0; i < 8; i += 1) out[row + 8 * block + i] = word(source, at + 2, i);
    },
  };
}

/** Q4_0, Q4_1, Q5_0, Q5_1: scale (one or two f16), fifth bits if there are any, nibbles. */
function nibbles(fifth: boolean, minimum: boolean, units: number): RowLayout {
  const high = 4 * units;
  const scale = high + (fifth ? 4 * vec4s(units) : 0);
  return {
    words: scale + 4 * vec4s(minimum ? units : units / 2),
    units,
    place(source, at, out, row, block) {
      if (minimum) out[row + scale + block] = word(source, at, 0);
      else putHalf(out, row + scale, block, source.u16[at >> 1] ?? 0);
      let next = at + (minimum ? 4 : 2);
      if (fifth) {
        out[row + high + block] = spreadBits(word(source, next, 0));
        next += 4;
      }
      copyNibbles(source, next, out, row + 4 * block);
    },
  };
}

/** Q4_K, Q5_K: d, dmin; 12 bytes of scales; 32 bytes of fifth bits (Q5_K); 128 bytes of nibbles, 64 values per 32 bytes. */
function nibblesK(fifth: boolean, units: number): RowLayout {
  const high = 4 * units;
  const scale = high + (fifth ? units : 0);
  return {
    words: scale + units / 2,
    units,
    place(source, at, out, row, block) {
      for (let i = 0; i < 4; i += 1) out[row + scale + 4 * block + i] = word(source, at, i);
      const quants = at + (fifth ? 48 : 16);
      for (let u = 0; u < 8; u += 1) {
        gatherNibbles(source, quants + 32 * (u >> 1), 4 * (u & 1), out, row + 4 * (8 * block + u));
        if (fifth) out[row + high + 8 * block + u] = gatherBits(source, at + 16, u);
      }
    },
  };
}

/** Q6_K: 128 bytes of nibbles, 64 of upper bits, 16 int8 scales, d. Each half of 128 values has its own 64 and 32 bytes. */
function q6(units: number): RowLayout {
  const high = 4 * units;
  const scale = high + 2 * units;
  const superScale = scale + units / 2;
  return {
    words: superScale + 4 * vec4s(units / 16),
    units,
    place(source, at, out, row, block) {
      for (let u = 0; u < 8; u += 1) {
        const half = u >> 2;
        const unit = 8 * block + u;
        gatherNibbles(source, at + 64 * half + 32 * (u & 1), 4 * ((u >> 1) & 1), out, row + 4 * unit);
        gatherPairs(source, at + 128 + 32 * half, 2 * (u & 3), out, row + high + 2 * unit);
      }
      for (let i = 0; i < 4; i += 1) out[row + scale + 4 * block + i] = word(source, at + 192, i);
      putHalf(out, row + superScale, block, source.u16[(at + 208) >> 1] ?? 0);
    },
  };
}

/** Q3_K: 32 bytes of third bits, 64 of pairs, 12 of 6-bit scales (less 32), d. */
function q3(units: number): RowLayout {
  const high = 2 * units;
  const scale = high + units;
  const superScale = scale + units / 2;
  return {
    words: superScale + 4 * vec4s(units / 16),
    units,
    place(source, at, out, row, block) {
      for (let u = 0; u < 8; u += 1) {
        const unit = 8 * block + u;
        gatherPairs(source, at + 32 + 32 * (u >> 2), 2 * (u & 3), out, row + 2 * unit);
        out[row + high + unit] = gatherBits(source, at, u);
      }
      const upper = word(source, at + 96, 2);
      for (let i = 0; i < 4; i += 1) {
        const six = ((word(source, at + 96, i & 1) >>> (4 * (i >> 1))) & LOW) | (((upper >>> (2 * i)) & PAIR) << 4);
        let signed = 0;
        for (let b = 0; b < 4; b += 1) signed |= ((((six >>> (8 * b)) & 63) - 32) & 255) << (8 * b);
        out[row + scale + 4 * block + i] = signed;
      }
      putHalf(out, row + superScale, block, source.u16[(at + 108) >> 1] ?? 0);
    },
  };
}

/** Q2_K: 16 bytes of scale and minimum, 64 of pairs, d, dmin. */
function q2(units: number): RowLayout {
  const scale = 2 * units;
  const superScale = scale + units / 2;
  return {
    words: superScale + 4 * vec4s(units / 8),
    units,
    place(source, at, out, row, block) {
      for (let u = 0; u < 8; u += 1)
        gatherPairs(source, at + 16 + 32 * (u >> 2), 2 * (u & 3), out, row + 2 * (8 * block + u));
      for (let i = 0; i < 4; i += 1) out[row + scale + 4 * block + i] = word(source, at, i);
      out[row + superScale + block] = word(source, at + 80, 0);
    },
  };
}

/** Returns the layout of rows of `cols` values; `cols` is a multiple of the format's block. */
export function rowLayout(format: WeightFormat, cols: number): RowLayout {
  const block = Math.max(UNIT, BLOCK_VALUES[format]);
  const units = Math.ceil(cols / block) * (block / UNIT);
  switch (format) {
    case 'F32':
      return plain(4, units);
    case 'F16':
    case 'BF16':
      return plain(2, units);
    case 'Q8_0':
      return q8(units);
    case 'Q4_0':
      return nibbles(false, false, units);
    case 'Q4_1':
      return nibbles(false, true, units);
    case 'Q5_0':
      return nibbles(true, false, units);
    case 'Q5_1':
      return nibbles(true, true, units);
    case 'Q2_K':
      return q2(units);
    case 'Q3_K':
      return q3(units);
    case 'Q4_K':
      return nibblesK(false, units);
    case 'Q5_K':
      return nibblesK(true, units);
    case 'Q6_K':
      return q6(units);
    default:
      throw new RangeError(`no row layout for ${String(format satisfies never)}`);
  }
}
