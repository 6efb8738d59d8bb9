/**
 * A small GGUF writer for tests and the benchmark's generator. It writes what it is told, right or wrong;
 * it shares nothing with the reader but the table of formats.
 */
import { STORED_FORMATS, storedBytes, type StoredFormat } from '../../src/load/stored-format.ts';

export type GgufType =
  | 'u8'
  | 'i8'
  | 'u16'
  | 'i16'
  | 'u32'
  | 'i32'
  | 'f32'
  | 'bool'
  | 'string'
  | 'array'
  | 'u64'
  | 'i64'
  | 'f64';
const TYPE_NUMBER: Record<GgufType, number> = {
  u8: 0,
  i8: 1,
  u16: 2,
  i16: 3,
  u32: 4,
  i32: 5,
  f32: 6,
  bool: 7,
  string: 8,
  array: 9,
  u64: 10,
  i64: 11,
  f64: 12,
};

const encoder = new TextEncoder();

type Scalar = number | bigint | boolean | string;
type NumberArray =
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array;
/** `{ type, value }` says the type; otherwise: whole numbers are u32 (i32 below zero, u64 above), others f32, bigints u64; number[] is i32 if whole, else f32. */
export type GgufInput =
  | Scalar
  | NumberArray
  | readonly string[]
  | readonly boolean[]
  | readonly number[]
  | { readonly type: Exclude<GgufType, 'array'>; readonly value: Scalar | readonly Scalar[] };

export interface WriterSpec {
  readonly name: string;
  readonly shape: readonly number[];
  readonly format: StoredFormat;
}

export interface GgufWriterTensor extends WriterSpec {
  readonly data: Uint8Array;
}
export interface GgufWriterOptions {
  readonly version?: number;
  /** Also written as general.alignment when not 32. */
  readonly alignment?: number;
}

/** Header bytes up to the first tensor (padding included), each tensor's place from the file's beginning, and the file's size. For files too big to build in memory. */
export function ggufHeader(
  metadata: Readonly<Record<string, GgufInput>>,
  tensors: readonly WriterSpec[],
  { version = 3, alignment = 32 }: GgufWriterOptions = {},
): { header: Uint8Array; offsets: number[]; size: number } {
  const entries: [string, GgufInput][] = Object.entries(metadata);
  if (alignment !== 32 && !('general.alignment' in metadata))
    entries.push(['general.alignment', { type: 'u32', value: alignment }]);
  const out = new Growing();
  out.bytes(encoder.encode('GGUF'));
  out.number('u32', version);
  out.number('u64', BigInt(tensors.length));
  out.number('u64', BigInt(entries.length));
  for (const [key, value] of entries) {
    out.string(key);
    out.value(value);
  }
  const relative: number[] = [];
  let at = 0;
  for (const tensor of tensors) {
    out.string(tensor.name);
    out.number('u32', tensor.shape.length);
    for (const n of tensor.shape.toReversed()) out.number('u64', BigInt(n));
    out.number('u32', STORED_FORMATS[tensor.format].ggml);
    out.number('u64', BigInt(at));
    relative.push(at);
    at = Math.ceil((at + storedBytes(tensor.shape, tensor.format)) / alignment) * alignment;
  }
  out.pad(alignment);
  const header = out.result();
  return { header, offsets: relative.map((n) => header.length + n), size: header.length + at };
}

/** A whole file in memory. */
export function writeGguf(
  metadata: Readonly<Record<string, GgufInput>>,
  tensors: readonly GgufWriterTensor[] = [],
  options: GgufWriterOptions = {},
): Uint8Array<ArrayBuffer> {
  const { header, offsets, size } = ggufHeader(metadata, tensors, options);
  const file = new Uint8Array(size);
  file.set(header);
  for (const [i, tensor] of tensors.entries()) {
    if (tensor.data.length !== storedBytes(tensor.shape, tensor.format))
      throw new Error(
        `${tensor.name}: ${tensor.data.length} bytes given, ${storedBytes(tensor.shape, tensor.format)} expected`,
      );
    file.set(tensor.data, offsets[i]!);
  }
  return file;
}

/** An F32 tensor from numbers. */
export function f32Tensor(name: string, shape: readonly number[], values: ArrayLike<number>): GgufWriterTensor {
  return { name, shape, format: 'F32', data: new Uint8Array(Float32Array.from(values).buffer) };
}

class Growing {
  #bytes = new Uint8Array(1024);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  #room(length: number): number {
    const at = this.#length;
    this.#length += length;
    if (this.#length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.#length, 2 * this.#bytes.length));
      grown.set(this.#bytes);
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    return at;
  }

  bytes(bytes: Uint8Array): void {
    const at = this.#room(bytes.length); // May replace the array.
    this.#bytes.set(bytes, at);
  }
  pad(alignment: number): void {
    this.#room(Math.ceil(this.#length / alignment) * alignment - this.#length);
  }
  result(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }
  string(text: string): void {
    const utf8 = encoder.encode(text);
    this.number('u64', BigInt(utf8.length));
    this.bytes(utf8);
  }
  value(input: GgufInput): void {
    const [type, value] = typed(input);
    if (isArray(value)) {
      this.number('u32', TYPE_NUMBER.array);
      this.number('u32', TYPE_NUMBER[type]);
      this.number('u64', BigInt(value.length));
      for (let i = 0; i < value.length; i++) this.scalar(type, value[i]!);
    } else {
      this.number('u32', TYPE_NUMBER[type]);
      this.scalar(type, value);
    }
  }
  scalar(type: GgufType, value: Scalar): void {
    if (type === 'string') this.string(String(value));
    else if (type === 'bool') this.number('u8', value ? 1 : 0);
    else this.number(type, value as number | bigint);
  }
  number(type: GgufType, value: number | bigint): void {
    const n = Number(value);
    const width = WIDTH[type];
    if (width === undefined) throw new Error(`${type} is not a number`);
    const at = this.#room(width); // May replace the view.
    const view = this.#view;
    if (type === 'u8' || type === 'i8') view.setUint8(at, n);
    else if (type === 'u16' || type === 'i16') view.setUint16(at, n, true);
    else if (type === 'u32' || type === 'i32') view.setUint32(at, n, true);
    else if (type === 'f32') view.setFloat32(at, n, true);
    else if (type === 'f64') view.setFloat64(at, n, true);
    else view.setBigUint64(at, BigInt.asUintN(64, BigInt(value)), true);
  }
}
const WIDTH: Partial<Record<GgufType, number>> = {
  u8: 1,
  i8: 1,
  u16: 2,
  i16: 2,
  u32: 4,
  i32: 4,
  f32: 4,
  f64: 8,
  u64: 8,
  i64: 8,
};

function isArray(value: Scalar | NumberArray | readonly Scalar[]): value is NumberArray | readonly Scalar[] {
  return typeof value === 'object';
}

const TYPED_ARRAYS: readonly [new (n: number) => NumberArray, GgufType][] = [
  [Int8Array, 'i8'],
  [Uint8Array, 'u8'],
  [Int16Array, 'i16'],
  [Uint16Array, 'u16'],
  [Int32Array, 'i32'],
  [Uint32Array, 'u32'],
  [Float32Array, 'f32'],
  [Float64Array, 'f64'],
  [BigInt64Array, 'i64'],
  [BigUint64Array, 'u64'],
];

function typed(input: GgufInput): [GgufType, Scalar | NumberArray | readonly Scalar[]] {
  if (typeof input === 'object') {
    for (const [type, name] of TYPED_ARRAYS) if (input instanceof type) return [name, input];
    if ('type' in input) return [input.type, input.value];
    const list = input as readonly Scalar[];
    const first = list[0];
    if (typeof first === 'number') return [list.every((n) => Number.isInteger(n)) ? 'i32' : 'f32', list];
    return [typeof first === 'boolean' ? 'bool' : 'string', list];
  }
  if (typeof input === 'number') {
    if (!Number.isInteger(input)) return ['f32', input];
    if (input < 0) return ['i32', input];
    return [input > 0xffffffff ? 'u64' : 'u32', input];
  }
  return [typeof input === 'bigint' ? 'u64' : typeof input === 'boolean' ? 'bool' : 'string', input];
}
