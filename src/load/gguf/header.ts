/**
 * The header of a GGUF file, versions 2 and 3 (ggml's docs/gguf.md), little-endian:
 *
 *     "GGUF" | version u32 | tensors u64 | entries u64 | entries x (key, type u32, value)
 *     | tensors x (name, dimensions u32, dimensions x u64, type u32, offset u64) | padding to the alignment | data
 *
 * Strings are a u64 length and UTF-8. Dimensions come fastest first, offsets count from the data's beginning.
 * What is allocated here is bounded by `ALLOCATION_FACTOR` times the header's own bytes, whatever the file announces.
 */
import { FileError } from '../../errors.ts';
import { readBytes, readInto, type ByteSource } from '../byte-source.ts';
import type { GgufValue } from '../model-file.ts';
import { STORED_FORMATS, storedBytes, type StoredFormat } from '../stored-format.ts';
import { Cursor, MoreBytes } from './cursor.ts';
import { decodeValue, scanValue, type ValuePlace } from './metadata.ts';
import { alternative, storedFormat, typeName } from './types.ts';

/** The first read, into which most headers without a vocabulary fit. It is doubled until the header is complete. */
const FIRST_READ = 1 << 20;
/** The largest header read. Vocabularies of 256,000 tokens with merges make some 12 MB. */
const MAX_HEADER_BYTES = 256 << 20;
/** Real files have some dozens of entries and hundreds of tensors; the largest mixtures have some 10,000. */
const MAX_ENTRIES = 1 << 16;
const MAX_TENSORS = 1 << 17;
/** The specification's limit for keys; ggml allows tensors 64. */
const MAX_NAME_BYTES = 65535;
/** ggml's GGML_MAX_DIMS. */
const MAX_DIMENSIONS = 4;
const DEFAULT_ALIGNMENT = 32;
/** Ten doublings above the default; more would only be padding. */
const MAX_ALIGNMENT = 1 << 15;
/**
 * What parsing may allocate, in bytes for each byte of the header; a boolean array is the worst case (8 bytes a value).
 */
export const ALLOCATION_FACTOR = 16;

export interface GgufTensor {
  readonly name: string;
  /** Row-major: GGUF's dimensions reversed. */
  readonly shape: readonly number[];
  readonly format: StoredFormat;
  readonly bytes: number;
  /** Counted from the beginning of the file. */
  readonly offset: number;
}

export interface GgufHeader {
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly tensors: readonly GgufTensor[];
  /** The header's bytes as in the file, for the fingerprint. A view of what was read, which must not be kept. */
  readonly bytes: Uint8Array;
  /** Where tensor data begins. */
  readonly dataOffset: number;
}

export async function readGgufHeader(source: ByteSource, signal?: AbortSignal): Promise<GgufHeader> {
  let bytes = await readBytes(source, 0, Math.min(source.size, FIRST_READ), signal);
  for (;;) {
    try {
      return await parseGgufHeader(bytes, source.name, source.size);
    } catch (fault) {
      if (!(fault instanceof MoreBytes)) throw fault;
      if (fault.needed > MAX_HEADER_BYTES) throw headerTooLong(source.name, fault.needed, bytes.length);
      const length = Math.min(source.size, MAX_HEADER_BYTES, Math.max(2 * bytes.length, fault.needed));
      const grown = new Uint8Array(length);
      grown.set(bytes);
      await readInto(grown.subarray(bytes.length), source, bytes.length, signal);
      bytes = grown;
    }
  }
}

/**
 * Returns where the last tensor of a file ends, from its first bytes. Throws `MoreBytes` when the header does not end
 * within them, `FileError` as `readGgufHeader`. `size` is that of the whole file, or the largest safe integer if it is
 * not known.
 */
export async function ggufEnd(bytes: Uint8Array, file: string, size: number): Promise<number> {
  try {
    const { tensors, dataOffset } = await parseGgufHeader(bytes, file, size);
    return tensors.reduce((end, tensor) => Math.max(end, tensor.offset + tensor.bytes), dataOffset);
  } catch (fault) {
    if (fault instanceof MoreBytes && fault.needed > MAX_HEADER_BYTES)
      throw headerTooLong(file, fault.needed, bytes.length);
    throw fault;
  }
}

function headerTooLong(file: string, needed: number, offset: number): FileError {
  return new FileError(
    'limit',
    { file, field: 'header', offset },
    `the header continues to byte ${needed} or beyond; at most ${MAX_HEADER_BYTES} are read`,
  );
}

/** `bytes` are the file's first; throws `MoreBytes` when the header does not end within them. */
async function parseGgufHeader(bytes: Uint8Array, file: string, size: number): Promise<GgufHeader> {
  const cursor = new Cursor(bytes, file, size);
  await checkMagic(cursor);
  checkVersion(cursor);
  const tensorCount = boundedCount(cursor, 'tensor count', MAX_TENSORS, 8 + 4 + 4 + 8);
  const entryCount = boundedCount(cursor, 'metadata count', MAX_ENTRIES, 8 + 4 + 1);

  const places = new Map<string, ValuePlace>();
  for (let i = 0; i < entryCount; i++) {
    const at = cursor.offset;
    const key = name(cursor, `metadata key ${i}`);
    if (places.has(key))
      throw new FileError('malformed', { file, field: key, offset: at }, 'this metadata key occurs twice');
    places.set(key, scanValue(cursor, key));
  }
  const raw: RawTensor[] = [];
  for (let i = 0; i < tensorCount; i++) raw.push(scanTensor(cursor, i));
  const end = cursor.offset;

  const metadata = new Map<string, GgufValue>();
  for (const [key, place] of places) metadata.set(key, decodeValue(cursor, key, place));
  const alignment = readAlignment(file, metadata, places);
  const dataOffset = Math.ceil(end / alignment) * alignment;
  return {
    metadata,
    tensors: placeTensors(raw, file, size, dataOffset, alignment),
    bytes: bytes.subarray(0, end),
    dataOffset,
  };
}

async function checkMagic(cursor: Cursor): Promise<void> {
  const { file, bytes } = cursor;
  const place = { file, field: 'magic', offset: 0 };
  const magic = String.fromCharCode(...bytes.subarray(0, 4));
  if (magic === 'FUGG') throw bigEndian(file);
  // Pages whose files are models do not download it.
  const found = magic === 'GGUF' ? undefined : (await import('../recognise.ts')).recognise(bytes);
  if (found !== undefined)
    throw new FileError(found.kind === 'page' ? 'malformed' : 'unsupported', place, found.problem);
  cursor.take(4, 'magic');
  if (magic === 'GGUF') return;
  throw new FileError(
    'malformed',
    place,
    `not a GGUF file: it begins with ${JSON.stringify(magic)} where "GGUF" should be`,
  );
}

function checkVersion(cursor: Cursor): void {
  const { file } = cursor;
  const version = cursor.u32('version');
  if (version === 2 || version === 3) return;
  const place = { file, field: 'version', offset: 4 };
  if (version !== 0 && (version & 0xffff) === 0) throw bigEndian(file);
  if (version === 1)
    throw new FileError('unsupported', place, 'GGUF version 1; versions 2 and 3 are read: convert the model again');
  throw new FileError('unsupported', place, `GGUF version ${version}; versions 2 and 3 are read`);
}

function bigEndian(file: string): FileError {
  return new FileError(
    'unsupported',
    { file, field: 'version', offset: 4 },
    'a big-endian GGUF; take the little-endian file, or convert this one with gguf_convert_endian.py of llama.cpp',
  );
}

/**
 * Reads a count that both a constant and the rest of the file bound; `least` is the least number of bytes of one item.
 */
function boundedCount(cursor: Cursor, field: string, limit: number, least: number): number {
  const { file, offset } = cursor;
  const count = cursor.count(field);
  if (count > cursor.remaining / least) {
    throw new FileError(
      'truncated',
      { file, field, offset },
      `${count} are announced, the ${cursor.remaining} bytes that follow hold ${Math.floor(cursor.remaining / least)} at most`,
    );
  }
  if (count > limit) throw new FileError('limit', { file, field, offset }, `${count}; at most ${limit} are read`);
  return count;
}

function name(cursor: Cursor, field: string): string {
  const { file, offset } = cursor;
  const { start, end } = cursor.string(MAX_NAME_BYTES, field);
  if (start === end) throw new FileError('malformed', { file, field, offset }, 'an empty name');
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(cursor.bytes.subarray(start, end));
  } catch (cause) {
    throw new FileError('malformed', { file, field, offset }, 'a name that is not UTF-8', { cause });
  }
}

interface RawTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly type: number;
  /** Counted from the beginning of the data. */
  readonly offset: number;
  /** The position in the table, for messages. */
  readonly at: number;
}

function scanTensor(cursor: Cursor, index: number): RawTensor {
  const { file, offset: at } = cursor;
  const tensor = name(cursor, `name of tensor ${index}`);
  const place = { file, field: tensor, offset: at };
  const dimensions = cursor.u32(`${tensor}, dimensions`);
  if (dimensions > MAX_DIMENSIONS)
    throw new FileError('malformed', place, `${dimensions} dimensions; GGUF has ${MAX_DIMENSIONS} at most`);
  const shape: number[] = [];
  for (let i = 0; i < dimensions; i++) {
    const length = cursor.count(`${tensor}, dimension ${i}`);
    if (length === 0) throw new FileError('malformed', place, `dimension ${i} is 0`);
    shape.unshift(length);
  }
  if (dimensions === 0) shape.push(1);
  const type = cursor.u32(`${tensor}, type`);
  return { name: tensor, shape, type, offset: cursor.count(`${tensor}, offset`), at };
}

function readAlignment(
  file: string,
  metadata: ReadonlyMap<string, GgufValue>,
  places: ReadonlyMap<string, ValuePlace>,
): number {
  const field = 'general.alignment';
  const value = metadata.get(field);
  if (value === undefined) return DEFAULT_ALIGNMENT;
  const power = typeof value === 'number' && value >= 1 && value <= MAX_ALIGNMENT && Number.isInteger(Math.log2(value));
  if (power) return value;
  const offset = places.get(field)?.start ?? 0;
  throw new FileError(
    'malformed',
    { file, field, offset },
    `${String(value)}; it must be a power of two, ${MAX_ALIGNMENT} at most`,
  );
}

/** Checks types, sizes, alignment, range, overlap and names of all tensors. */
function placeTensors(
  raw: readonly RawTensor[],
  file: string,
  size: number,
  dataOffset: number,
  alignment: number,
): GgufTensor[] {
  const names = new Set<string>();
  const tensors: (GgufTensor & { readonly at: number })[] = [];
  for (const { name: tensor, shape, type, offset, at } of raw) {
    const place = { file, field: tensor, offset: at };
    if (names.has(tensor)) throw new FileError('malformed', place, 'this tensor name occurs twice');
    names.add(tensor);
    const format = storedFormat(type);
    if (format === undefined) {
      throw new FileError(
        'unsupported',
        place,
        `its type is ${typeName(type)}; take the model in ${alternative(type)} instead (Octavo reads ${Object.keys(STORED_FORMATS).join(', ')})`,
      );
    }
    const cols = shape[shape.length - 1] ?? 1;
    const { block } = STORED_FORMATS[format];
    if (cols % block !== 0)
      throw new FileError(
        'malformed',
        place,
        `its rows have ${cols} values; ${format} stores them in blocks of ${block}`,
      );
    const bytes = storedBytes(shape, format);
    if (offset % alignment !== 0)
      throw new FileError('malformed', place, `its offset ${offset} is not a multiple of the alignment ${alignment}`);
    const start = dataOffset + offset;
    if (start + bytes > size) {
      throw new FileError(
        'truncated',
        place,
        `its ${bytes} bytes (${format}, ${shape.join(' x ')}) should be at ${start}, the file has ${size} bytes: it is incomplete or damaged; download it again`,
      );
    }
    tensors.push({ name: tensor, shape, format, bytes, offset: start, at });
  }
  const sorted = tensors.toSorted((a, b) => a.offset - b.offset);
  for (const [i, tensor] of sorted.entries()) {
    const before = sorted[i - 1];
    if (before !== undefined && before.offset + before.bytes > tensor.offset) {
      throw new FileError(
        'malformed',
        { file, field: tensor.name, offset: tensor.at },
        `its data at ${tensor.offset} overlaps that of ${before.name}`,
      );
    }
  }
  return sorted;
}
