/**
 * GGUF metadata in two steps, so that a header that arrives in pieces is decoded once: `scanValue` checks and measures
 * a value and skips it; `decodeValue` decodes it when the whole header is available.
 */
import { FileError } from '../../errors.ts';
import type { GgufValue } from '../model-file.ts';
import type { Cursor } from './cursor.ts';
import { decodeString, decodeStrings } from './strings.ts';
import { VALUE, VALUE_BYTES } from './types.ts';

/** The longest string that is read: chat templates have some 10 kB; this is three orders of magnitude above. */
const MAX_STRING_BYTES = 16 << 20;

/** The place of a checked value: `type` is that of the elements for arrays, `count` is undefined for single values. */
export interface ValuePlace {
  readonly type: number;
  readonly start: number;
  readonly count?: number;
}

export function scanValue(cursor: Cursor, field: string): ValuePlace {
  const at = cursor.offset;
  const type = cursor.u32(`${field}, type`);
  if (type !== VALUE.ARRAY) {
    if (type > VALUE.F64) throw malformed(cursor, field, at, `its type is ${type}; GGUF has 0 to ${VALUE.F64}`);
    const start = cursor.offset;
    if (type === VALUE.STRING) cursor.string(MAX_STRING_BYTES, field);
    else cursor.take(VALUE_BYTES[type] ?? 0, field);
    return { type, start };
  }
  const element = cursor.u32(`${field}, element type`);
  if (element > VALUE.F64)
    throw malformed(cursor, field, at, `its elements' type is ${element}; GGUF has 0 to ${VALUE.F64}`);
  if (element === VALUE.ARRAY)
    throw new FileError(
      'unsupported',
      { file: cursor.file, field, offset: at },
      'an array of arrays, which no model format uses',
    );
  const countAt = cursor.offset;
  const count = cursor.count(`${field}, length`);
  const least = VALUE_BYTES[element] ?? 8;
  if (count > cursor.remaining / least) {
    throw new FileError(
      'truncated',
      { file: cursor.file, field: `${field}, length`, offset: countAt },
      `${count} elements of ${least} bytes or more are announced, the file ends after ${cursor.remaining} bytes`,
    );
  }
  const start = cursor.offset;
  if (element === VALUE.STRING) cursor.strings(count, MAX_STRING_BYTES, field);
  else cursor.take(count * least, field);
  return { type: element, start, count };
}

export function decodeValue(cursor: Cursor, field: string, place: ValuePlace): GgufValue {
  cursor.offset = place.start;
  const { type, count } = place;
  if (count === undefined) return decodeOne(cursor, field, type);
  if (type === VALUE.STRING) return decodeStrings(cursor.bytes, place.start, count);
  // A copy, so that the header's bytes are not kept; it also aligns the numbers.
  const { buffer } = cursor.bytes.slice(place.start, place.start + count * (VALUE_BYTES[type] ?? 0));
  switch (type) {
    case VALUE.U8:
      return new Uint8Array(buffer);
    case VALUE.I8:
      return new Int8Array(buffer);
    case VALUE.U16:
      return new Uint16Array(buffer);
    case VALUE.I16:
      return new Int16Array(buffer);
    case VALUE.U32:
      return new Uint32Array(buffer);
    case VALUE.I32:
      return new Int32Array(buffer);
    case VALUE.F32:
      return new Float32Array(buffer);
    case VALUE.F64:
      return new Float64Array(buffer);
    case VALUE.U64:
      return [...new BigUint64Array(buffer)];
    case VALUE.I64:
      return [...new BigInt64Array(buffer)];
    default:
      return Array.from(new Uint8Array(buffer), (byte, i) => boolean(cursor, field, place.start + i, byte));
  }
}

function decodeOne(cursor: Cursor, field: string, type: number): GgufValue {
  switch (type) {
    case VALUE.U8:
      return cursor.u8(field);
    case VALUE.I8:
      return cursor.i8(field);
    case VALUE.U16:
      return cursor.u16(field);
    case VALUE.I16:
      return cursor.i16(field);
    case VALUE.U32:
      return cursor.u32(field);
    case VALUE.I32:
      return cursor.i32(field);
    case VALUE.F32:
      return cursor.f32(field);
    case VALUE.F64:
      return cursor.f64(field);
    case VALUE.U64:
      return small(cursor.u64(field));
    case VALUE.I64:
      return small(cursor.i64(field));
    case VALUE.STRING: {
      const { start, end } = cursor.string(MAX_STRING_BYTES, field);
      return decodeString(cursor.bytes.subarray(start, end));
    }
    default:
      return boolean(cursor, field, cursor.offset, cursor.u8(field));
  }
}

/** A number if it can be represented exactly. */
function small(value: bigint): number | bigint {
  return value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
}

function boolean(cursor: Cursor, field: string, offset: number, byte: number): boolean {
  if (byte > 1) throw malformed(cursor, field, offset, `a boolean is 0 or 1, this is ${byte}`);
  return byte === 1;
}

function malformed(cursor: Cursor, field: string, offset: number, problem: string): FileError {
  return new FileError('malformed', { file: cursor.file, field, offset }, problem);
}
