/**
 * A position in the first bytes of a file. Every read is checked twice: against the file's size (the file is damaged:
 * `FileError('truncated')`) and against the available bytes (more must be fetched: `MoreBytes`).
 */
import { FileError } from '../../errors.ts';

/**
 * Thrown when the header continues beyond the available bytes, which is not an error of the file. `needed` is the
 * number of bytes that the next step needs.
 */
export class MoreBytes {
  readonly needed: number;
  constructor(needed: number) {
    this.needed = needed;
  }
}

export class Cursor {
  readonly bytes: Uint8Array;
  readonly file: string;
  /** Bytes of the whole file. */
  readonly size: number;
  offset = 0;
  readonly #view: DataView;

  constructor(bytes: Uint8Array, file: string, size: number) {
    this.bytes = bytes;
    this.file = file;
    this.size = size;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get remaining(): number {
    return this.size - this.offset;
  }

  /** Skips `length` bytes and returns where they begin. */
  take(length: number, field: string): number {
    const start = this.offset;
    if (length > this.size - start) {
      throw new FileError(
        'truncated',
        { file: this.file, field, offset: start },
        `${length} bytes are announced, the file ends after ${this.size - start}`,
      );
    }
    if (start + length > this.bytes.length) throw new MoreBytes(start + length);
    this.offset = start + length;
    return start;
  }

  u8(field: string): number {
    return this.#view.getUint8(this.take(1, field));
  }
  i8(field: string): number {
    return this.#view.getInt8(this.take(1, field));
  }
  u16(field: string): number {
    return this.#view.getUint16(this.take(2, field), true);
  }
  i16(field: string): number {
    return this.#view.getInt16(this.take(2, field), true);
  }
  u32(field: string): number {
    return this.#view.getUint32(this.take(4, field), true);
  }
  i32(field: string): number {
    return this.#view.getInt32(this.take(4, field), true);
  }
  f32(field: string): number {
    return this.#view.getFloat32(this.take(4, field), true);
  }
  f64(field: string): number {
    return this.#view.getFloat64(this.take(8, field), true);
  }
  u64(field: string): bigint {
    return this.#view.getBigUint64(this.take(8, field), true);
  }
  i64(field: string): bigint {
    return this.#view.getBigInt64(this.take(8, field), true);
  }

  /** A count, length or offset of 64 bits. Above 2^53 it is inexact, but above every limit in any case. */
  count(field: string): number {
    const at = this.take(8, field);
    return this.#view.getUint32(at, true) + this.#view.getUint32(at + 4, true) * 0x1_0000_0000;
  }

  /**
   * Skips `count` strings, each a 64-bit length and its bytes, without a call or an object for each. The caller bounds
   * `count` (8 bytes for each string fit into the file).
   */
  strings(count: number, limit: number, field: string): void {
    const view = this.#view;
    const { length } = this.bytes;
    let at = this.offset;
    for (let i = 0; i < count; i++) {
      if (at + 8 > length) {
        this.offset = at;
        this.take(8, field);
      }
      const low = view.getUint32(at, true);
      if (view.getUint32(at + 4, true) !== 0 || low > limit || at + 8 + low > length) {
        this.offset = at;
        this.string(limit, `${field}, string ${i}`);
      }
      at += 8 + low;
    }
    this.offset = at;
  }

  /** Skips one string and returns where its bytes begin and end. */
  string(limit: number, field: string): { start: number; end: number } {
    const at = this.offset;
    const length = this.count(field);
    if (length > limit && length <= this.remaining) {
      throw new FileError(
        'limit',
        { file: this.file, field, offset: at },
        `a string of ${length} bytes; at most ${limit} are read`,
      );
    }
    const start = this.take(length, field);
    return { start, end: start + length };
  }
}
