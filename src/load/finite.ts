/**
 * Finds infinite values and NaN in a tensor's bytes as they stream past. Of quantised blocks only the f16 scales are
 * checked, whose exponent is in one byte; plain values are checked four bytes at a time without a branch, so that the
 * cost is negligible compared with repacking.
 */
import { STORED_FORMATS, type StoredFormat } from './stored-format.ts';

/** The positions of a block's f16 numbers. MXFP4 has none; its repacking checks the exponents. */
const HALVES: Readonly<Record<Exclude<StoredFormat, 'F32' | 'F16' | 'BF16'>, readonly number[]>> = {
  Q4_0: [0],
  Q4_1: [0, 2],
  Q5_0: [0],
  Q5_1: [0, 2],
  Q8_0: [0],
  Q2_K: [80, 82],
  Q3_K: [108],
  Q4_K: [0, 2],
  Q5_K: [0, 2],
  Q6_K: [208],
  IQ4_NL: [0],
  IQ4_XS: [0],
  MXFP4: [],
};

/** Exponent bits of a word of one or two values; adding `one` to them carries into the top bits where all are set. */
const EXPONENTS = {
  F32: { bits: 0x7f800000, one: 0x00800000, top: 0x80000000 },
  F16: { bits: 0x7c007c00, one: 0x04000400, top: 0x80008000 },
  BF16: { bits: 0x7f807f80, one: 0x00800080, top: 0x80008000 },
} as const;

export interface FiniteCheck {
  /**
   * Takes the tensor's next bytes. Returns false when one of its values is not finite; a value that is split between
   * two calls counts at the second.
   */
  push(piece: Uint8Array): boolean;
}

export function createFiniteCheck(format: StoredFormat): FiniteCheck {
  switch (format) {
    case 'F32':
    case 'F16':
    case 'BF16':
      return new PlainCheck(format);
    default:
      return new BlockCheck(HALVES[format], STORED_FORMATS[format].bytes);
  }
}

class BlockCheck implements FiniteCheck {
  readonly #halves: readonly number[];
  readonly #bytes: number;
  /** Bytes of the current block that were read. */
  #phase = 0;

  constructor(halves: readonly number[], bytes: number) {
    this.#halves = halves;
    this.#bytes = bytes;
  }

  push(piece: Uint8Array): boolean {
    const size = this.#bytes;
    const { length } = piece;
    let found = 0;
    for (const half of this.#halves) {
      // The exponent is in the second byte of the little-endian half.
      for (let at = (half + 1 - this.#phase + size) % size; at < length; at += size)
        found |= ((piece[at] as number) & 0x7c) + 4;
    }
    this.#phase = (this.#phase + length) % size;
    return (found & 0x80) === 0;
  }
}

class PlainCheck implements FiniteCheck {
  readonly #exponents: (typeof EXPONENTS)[keyof typeof EXPONENTS];
  /** Bytes of an incomplete word, followed by zeros. */
  readonly #rest = new Uint8Array(4);
  #waiting = 0;

  constructor(format: keyof typeof EXPONENTS) {
    this.#exponents = EXPONENTS[format];
  }

  push(piece: Uint8Array): boolean {
    let at = 0;
    let sound = true;
    if (this.#waiting > 0) {
      at = Math.min(4 - this.#waiting, piece.length);
      this.#rest.set(piece.subarray(0, at), this.#waiting);
      this.#waiting += at;
      sound = this.#words(this.#rest);
      if (this.#waiting < 4) return sound;
    }
    const end = at + ((piece.length - at) & ~3);
    // Words must be at multiples of four; pieces that are not are rare, and are copied.
    const words = (piece.byteOffset + at) % 4 === 0 ? piece.subarray(at, end) : piece.slice(at, end);
    sound = this.#words(words) && sound;
    this.#waiting = piece.length - end;
    this.#rest.fill(0);
    this.#rest.set(piece.subarray(end));
    // The tensor may end within a word.
    return this.#words(this.#rest) && sound;
  }

  #words(bytes: Uint8Array): boolean {
    const { bits, one, top } = this.#exponents;
    const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >>> 2);
    const { length } = words;
    let found = 0;
    let i = 0;
    // Four at a time, in 32-bit integers: twice as fast.
    for (; i + 3 < length; i += 4)
      found |=
        (((words[i] as number) & bits) + one) |
        0 |
        ((((words[i + 1] as number) & bits) + one) | 0) |
        ((((words[i + 2] as number) & bits) + one) | 0) |
        ((((words[i + 3] as number) & bits) + one) | 0);
    for (; i < length; i++) found |= ((words[i] as number) & bits) + one;
    return (found & top) === 0;
  }
}
