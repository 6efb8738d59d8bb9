/**
 * The header of a safetensors file (huggingface/safetensors, format section of its README), little-endian:
 *
 *     length u64 | JSON { name: { dtype, shape, data_offsets: [begin, end] }, __metadata__ } | data
 *
 * Offsets count from the data's beginning; tensors fill it without holes or overlaps.
 */
import type { WeightFormat } from '../../backend/weight.ts';
import { FileError } from '../../errors.ts';
import { HEAD_BYTES, readBytes, type ByteSource } from '../byte-source.ts';
import { isObject, parseJsonObject } from '../json.ts';
import { MoreBytes } from '../gguf/cursor.ts';
import type { JsonValue } from '../model-file.ts';
import { recognise } from '../recognise.ts';

/** The reference reader's limit. */
const MAX_HEADER_BYTES = 100_000_000;
const MAX_DIMENSIONS = 8;
/** Bytes of one value. Floats of other widths (F64, F8_E4M3, F4, ...) are weights that nothing here computes with: refused by name. */
const DTYPE_BYTES: ReadonlyMap<string, number> = new Map([
  ['F32', 4],
  ['F16', 2],
  ['BF16', 2],
  ['I64', 8],
  ['I32', 4],
  ['I16', 2],
  ['I8', 1],
  ['U64', 8],
  ['U32', 4],
  ['U16', 2],
  ['U8', 1],
  ['BOOL', 1],
]);
const FORMATS: ReadonlyMap<string, WeightFormat> = new Map([
  ['F32', 'F32'],
  ['F16', 'F16'],
  ['BF16', 'BF16'],
]);

export interface SafetensorsEntry {
  readonly name: string;
  readonly shape: readonly number[];
  /** Undefined for integers and booleans, which are buffers and not weights. */
  readonly format: WeightFormat | undefined;
  /** From the beginning of the file. */
  readonly offset: number;
  readonly bytes: number;
}

export interface SafetensorsHeader {
  readonly entries: readonly SafetensorsEntry[];
  readonly bytes: Uint8Array;
  readonly dataOffset: number;
}

export async function readSafetensorsHeader(source: ByteSource, signal?: AbortSignal): Promise<SafetensorsHeader> {
  const { name: file, size } = source;
  const first = await readBytes(source, 0, Math.min(HEAD_BYTES, size), signal);
  const length = headerLength(first, file, size);
  const bytes = await readBytes(source, 8, 8 + length, signal);
  const { entries, end } = parseHeader(bytes, file);
  checkEnd(end, file, size);
  return { entries, bytes, dataOffset: 8 + length };
}

/** Returns where the last tensor ends, from the file's first bytes; see `ggufEnd`. */
export function safetensorsEnd(head: Uint8Array, file: string, size: number): number {
  if (head.length < 8 && size >= 8) throw new MoreBytes(8);
  const length = headerLength(head, file, size);
  if (head.length < 8 + length) throw new MoreBytes(8 + length);
  const { end } = parseHeader(head.subarray(8, 8 + length), file);
  if (size !== Number.MAX_SAFE_INTEGER) checkEnd(end, file, size);
  return end;
}

function headerLength(first: Uint8Array, file: string, size: number): number {
  const place = { file, field: 'header length', offset: 0 };
  const found = recognise(first);
  if (found?.kind === 'page') throw new FileError('malformed', place, found.problem);
  if (size < 8)
    throw new FileError('truncated', place, `the file has ${size} bytes; a safetensors file has 8 at least`);
  const view = new DataView(first.buffer, first.byteOffset, 8);
  const length = view.getUint32(0, true) + view.getUint32(4, true) * 0x1_0000_0000;
  if (length > size - 8)
    throw new FileError(
      'truncated',
      place,
      `a header of ${length} bytes is announced, the file ends after ${size - 8}: it is incomplete, or not a safetensors file`,
    );
  if (length > MAX_HEADER_BYTES)
    throw new FileError('limit', place, `a header of ${length} bytes; at most ${MAX_HEADER_BYTES} are read`);
  return length;
}

/** `bytes`: the JSON text. */
function parseHeader(bytes: Uint8Array, file: string): { entries: SafetensorsEntry[]; end: number } {
  const dataOffset = 8 + bytes.length;
  const entries: SafetensorsEntry[] = [];
  for (const [name, value] of Object.entries(parseJsonObject(bytes, file, 'header', 8))) {
    if (name === '__metadata__') continue;
    entries.push(entry(name, value, file, dataOffset));
  }
  entries.sort((a, b) => a.offset - b.offset || a.bytes - b.bytes);
  let end = dataOffset;
  for (const { name, offset, bytes: length } of entries) {
    if (offset !== end) {
      throw new FileError(
        'malformed',
        { file, field: `${name}, data_offsets`, offset },
        offset < end
          ? `its data overlaps that of the tensor before it, which ends at ${end}`
          : `there is a hole of ${offset - end} bytes before it`,
      );
    }
    end += length;
  }
  return { entries, end };
}

function checkEnd(end: number, file: string, size: number): void {
  if (end > size)
    throw new FileError(
      'truncated',
      { file, field: 'data', offset: size },
      `the tensors end at byte ${end}, the file at ${size}: it is incomplete; download it again`,
    );
  if (end < size)
    throw new FileError(
      'malformed',
      { file, field: 'data', offset: end },
      `${size - end} bytes after the last tensor belong to no tensor`,
    );
}

function entry(name: string, value: JsonValue, file: string, dataOffset: number): SafetensorsEntry {
  const fault = (field: string, problem: string): FileError =>
    new FileError('malformed', { file, field: `${name}, ${field}`, offset: 8 }, problem);
  if (!isObject(value)) throw fault('entry', 'an object should be here');
  const { dtype, shape, data_offsets: range } = value;
  if (typeof dtype !== 'string') throw fault('dtype', 'a string should be here');
  const width = DTYPE_BYTES.get(dtype);
  if (width === undefined) {
    throw new FileError(
      'unsupported',
      { file, field: `${name}, dtype`, offset: 8 },
      `${dtype.slice(0, 40)}; Octavo reads F32, F16 and BF16: take the model in one of these, or as GGUF`,
    );
  }
  if (!Array.isArray(shape) || shape.length > MAX_DIMENSIONS || !shape.every(isCount))
    throw fault(
      'shape',
      `${JSON.stringify(shape)?.slice(0, 80)}; up to ${MAX_DIMENSIONS} whole numbers should be here`,
    );
  if (!Array.isArray(range) || range.length !== 2 || !range.every(isCount))
    throw fault('data_offsets', `${JSON.stringify(range)?.slice(0, 80)}; two whole numbers should be here`);
  const dimensions = shape as readonly number[];
  const [begin = 0, end = 0] = range as readonly number[];
  const bytes = dimensions.reduce((product, n) => product * n, width);
  if (end - begin !== bytes)
    throw fault(
      'data_offsets',
      `${end - begin} bytes are given to it, ${dtype} of ${dimensions.join(' x ')} takes ${bytes}`,
    );
  return {
    name,
    shape: dimensions.length === 0 ? [1] : dimensions,
    format: FORMATS.get(dtype),
    offset: dataOffset + begin,
    bytes,
  };
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
