/**
 * Conversion of a tensor between its file and the device: none, widening to F32 (vectors), quantisation to Q8_0 or Q4_0
 * (matrices, on request), or repacking (formats with which devices do not compute). It works chunk by chunk, and keeps
 * at most one block between chunks.
 */
import { WEIGHT_FORMATS, type WeightFormat } from '../backend/weight.ts';
import { FileError } from '../errors.ts';
import { halfTable, toHalf } from './half.ts';
import { repacking } from './repack.ts';
import { isRepacked, REPACKED_AS, type StoredFormat } from './stored-format.ts';

type FloatFormat = 'F32' | 'F16' | 'BF16';
export const QUANTIZATIONS = ['q8', 'q4'] as const;
export type Quantization = (typeof QUANTIZATIONS)[number];

/** Q8_0 and Q4_0 both store rows in blocks of 32 values. */
const BLOCK = 32;
/** Embeddings and output matrices, which lose most at 4 bits; llama.cpp also stores them with more bits. */
const EMBEDDING = /(^|\.)(embed_tokens|tok_embeddings|word_embeddings|token_embd|wte|lm_head|output)\.weight$/;
/** Small tables whose rows are added to every token's: too small to matter, and errors in them are in all that follows. */
const ADDED = /(^|\.)(position_embeddings|token_type_embeddings)\.weight$/;
/**
 * The second matrix of an encoder's first feed-forward network, [width, inner width]: its inputs have the largest outliers of the network, so that products
 * in int8 lose most there, and every later layer reads what they lost (all-MiniLM-L6-v2: the least cosine of 100 texts rises from 0.9989 to 0.9991).
 */
const FIRST_ENCODER_OUTPUT = /(^|\.)encoder\.layer\.0\.output\.dense\.weight$/;

function isFloat(format: StoredFormat): format is FloatFormat {
  return format === 'F32' || format === 'F16' || format === 'BF16';
}

/** Most values of a channel in a depthwise convolution over tokens. */
const TAPS = 16;

/** Whether a tensor is a depthwise convolution over tokens: [channels, 1, taps], or in GGUF [channels, taps] of few taps. */
function isDepthwise([, second = 0, third, fourth]: readonly number[]): boolean {
  if (fourth !== undefined) return false;
  return third === undefined ? second < 8 : second === 1 && third <= TAPS;
}

/** Returns the format in which `read` delivers a stored tensor. */
export function deliveredFormat(
  name: string,
  shape: readonly number[],
  stored: StoredFormat,
  quantize?: Quantization,
): WeightFormat {
  if (isRepacked(stored)) return REPACKED_AS[stored];
  if (!isFloat(stored)) return stored;
  // Norms, biases and depthwise convolutions are read by kernels as F32, and are too small to matter.
  if (shape.length === 1 || isDepthwise(shape)) return 'F32';
  const cols = shape[shape.length - 1] ?? 0;
  if (quantize === undefined || shape.length !== 2 || cols % BLOCK !== 0) return stored;
  if (ADDED.test(name) || FIRST_ENCODER_OUTPUT.test(name)) return stored;
  return quantize === 'q8' || EMBEDDING.test(name) ? 'Q8_0' : 'Q4_0';
}

export interface Converter {
  /** Returns the converted bytes of this chunk, valid until the next call; empty when the chunk completes no block. */
  push(chunk: Uint8Array): Uint8Array;
}

/**
 * Converts one block that begins at byte `at`; returns false when a value is not finite, or the target cannot hold it.
 */
type Step = (bytes: Uint8Array, at: number, out: Uint8Array) => boolean;

/** Returns undefined when the stored bytes are delivered unchanged. `file` and `name` are used in messages. */
export function createConverter(
  from: StoredFormat,
  to: WeightFormat,
  file: string,
  name: string,
): Converter | undefined {
  if (from === to) return undefined;
  const at = { file, field: name };
  if (isRepacked(from) && to === REPACKED_AS[from]) {
    const { repack, inBytes, outBytes } = repacking(from);
    return new BlockConverter(repack, inBytes, outBytes, at);
  }
  if (!isFloat(from)) throw new FileError('unsupported', at, `${from} cannot be converted to ${to}`);
  const block = to === 'F32' ? 1 : BLOCK;
  const encode = encoder(to, at);
  const values = new Float32Array(block);
  const step: Step = (bytes, start, out) => {
    decodeFloats(from, bytes, start, values, block);
    return encode(values, block, out);
  };
  return new BlockConverter(step, block * WEIGHT_FORMATS[from].bytes, to === 'F32' ? 4 : WEIGHT_FORMATS[to].bytes, at);
}

class BlockConverter implements Converter {
  readonly #step: Step;
  readonly #inBytes: number;
  readonly #outBytes: number;
  readonly #rest: Uint8Array;
  #waiting = 0;
  #out = new Uint8Array(0);
  readonly #at: { file: string; field: string };

  constructor(step: Step, inBytes: number, outBytes: number, at: { file: string; field: string }) {
    this.#step = step;
    this.#at = at;
    this.#inBytes = inBytes;
    this.#outBytes = outBytes;
    this.#rest = new Uint8Array(inBytes);
  }

  push(chunk: Uint8Array): Uint8Array {
    const blocks = Math.floor((this.#waiting + chunk.length) / this.#inBytes);
    if (this.#out.length < blocks * this.#outBytes) this.#out = new Uint8Array(blocks * this.#outBytes);
    let done = 0;
    let used = 0;
    if (this.#waiting > 0) {
      used = Math.min(chunk.length, this.#inBytes - this.#waiting);
      this.#rest.set(chunk.subarray(0, used), this.#waiting);
      this.#waiting += used;
      if (this.#waiting === this.#inBytes) {
        this.#convert(this.#rest, 0, done++);
        this.#waiting = 0;
      }
    }
    for (; done < blocks; done++, used += this.#inBytes) this.#convert(chunk, used, done);
    if (used < chunk.length) {
      this.#rest.set(chunk.subarray(used));
      this.#waiting = chunk.length - used;
    }
    return this.#out.subarray(0, blocks * this.#outBytes);
  }

  #convert(bytes: Uint8Array, start: number, block: number): void {
    const out = this.#out.subarray(block * this.#outBytes, (block + 1) * this.#outBytes);
    if (!this.#step(bytes, start, out))
      throw new FileError(
        'malformed',
        this.#at,
        'it holds values that are not finite, or too large to be converted; the file is damaged, or its conversion went wrong: take another copy of the model',
      );
  }
}

const word = new Uint32Array(1);
const wordAsFloat = new Float32Array(word.buffer);

/** `count` stored values from byte `start` into `values`. */
function decodeFloats(from: FloatFormat, bytes: Uint8Array, start: number, values: Float32Array, count: number): void {
  if (from === 'F16') {
    const table = halfTable();
    for (let i = 0; i < count; i++)
      values[i] = table[(bytes[start + 2 * i] ?? 0) | ((bytes[start + 2 * i + 1] ?? 0) << 8)] ?? 0;
  } else if (from === 'BF16') {
    for (let i = 0; i < count; i++) {
      word[0] = ((bytes[start + 2 * i] ?? 0) << 16) | ((bytes[start + 2 * i + 1] ?? 0) << 24);
      values[i] = wordAsFloat[0] ?? 0;
    }
  } else {
    new Uint8Array(values.buffer).set(bytes.subarray(start, start + 4 * count));
  }
}

/** Writes one block; returns false when a value is not finite. */
type Encoder = (values: Float32Array, count: number, out: Uint8Array) => boolean;

function encoder(to: WeightFormat, at: { file: string; field: string }): Encoder {
  switch (to) {
    case 'F32':
      return encodeF32;
    case 'Q8_0':
      return encodeQ8;
    case 'Q4_0':
      return encodeQ4;
    default:
      throw new FileError('unsupported', at, `nothing is converted to ${to} while loading`);
  }
}

function encodeF32(values: Float32Array, count: number, out: Uint8Array): boolean {
  out.set(new Uint8Array(values.buffer, 0, 4 * count));
  return true;
}

/** ggml's block_q8_0: `d` as f16, then 32 times i8, value = d * q, d = max |value| / 127. */
function encodeQ8(values: Float32Array, count: number, out: Uint8Array): boolean {
  let most = 0;
  for (let i = 0; i < count; i++) most = Math.max(most, Math.abs(values[i] ?? 0));
  if (!Number.isFinite(most)) return false;
  const d = scale(out, most / 127);
  for (let i = 0; i < count; i++) {
    const q = d === 0 ? 0 : Math.round((values[i] ?? 0) / d);
    out[2 + i] = Math.max(-127, Math.min(127, q));
  }
  return true;
}

/** ggml's block_q4_0: `d` as f16, then 16 bytes, low nibbles are values 0..15; value = d * (q - 8), the greatest value at -8. */
function encodeQ4(values: Float32Array, count: number, out: Uint8Array): boolean {
  let most = 0;
  let greatest = 0;
  for (let i = 0; i < count; i++) {
    const value = values[i] ?? 0;
    if (!(Math.abs(value) <= most)) {
      most = Math.abs(value);
      greatest = value;
    }
    if (!Number.isFinite(value)) return false;
  }
  const d = scale(out, greatest / -8);
  const half = count / 2;
  for (let i = 0; i < half; i++) out[2 + i] = nibble(values[i] ?? 0, d) | (nibble(values[i + half] ?? 0, d) << 4);
  return true;
}

function nibble(value: number, d: number): number {
  return d === 0 ? 8 : Math.max(0, Math.min(15, Math.round(value / d) + 8));
}

/** Stores `d` as f16 and returns the stored value, so that the quotients are those of the reader. */
function scale(out: Uint8Array, d: number): number {
  const half = Math.abs(d) > 65504 ? (d < 0 ? 0xfbff : 0x7bff) : toHalf(d);
  out[0] = half & 255;
  out[1] = half >>> 8;
  return halfTable()[half] ?? 0;
}
