/** An image file's bytes with every access checked: what lies beyond the end is a truncated file. */
import { FileError } from '../../errors.ts';

export class ImageBytes {
  /** For messages. */
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly #view: DataView;

  constructor(name: string, bytes: Uint8Array) {
    this.name = name;
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get length(): number {
    return this.bytes.length;
  }

  /** Throws `FileError('truncated')` unless bytes `[at, at + count)` are there. */
  need(at: number, count: number, field: string): void {
    if (at + count > this.length) {
      throw new FileError(
        'truncated',
        { file: this.name, field, offset: at },
        `${count} bytes should follow, but the file ends after ${Math.max(0, this.length - at)}; get the whole file`,
      );
    }
  }

  u8(at: number, field: string): number {
    this.need(at, 1, field);
    return this.#view.getUint8(at);
  }

  u16(at: number, field: string, littleEndian = false): number {
    this.need(at, 2, field);
    return this.#view.getUint16(at, littleEndian);
  }

  /** Little-endian. */
  u24(at: number, field: string): number {
    return this.u16(at, field, true) + 65536 * this.u8(at + 2, field);
  }

  u32(at: number, field: string, littleEndian = false): number {
    this.need(at, 4, field);
    return this.#view.getUint32(at, littleEndian);
  }

  /** Little-endian, signed. */
  i32(at: number, field: string): number {
    this.need(at, 4, field);
    return this.#view.getInt32(at, true);
  }

  /** Up to `count` bytes as characters of the same numbers; fewer at the file's end. */
  text(at: number, count: number): string {
    return String.fromCharCode(...this.bytes.subarray(at, at + count));
  }

  malformed(field: string, at: number, problem: string): FileError {
    return new FileError('malformed', { file: this.name, field, offset: at }, problem);
  }
}

/** How a file says that its picture is stored turned or mirrored. */
export interface Orientation {
  /** 2 to 8, as EXIF numbers them. */
  readonly value: number;
  /** A copy of the file that says "upright". */
  readonly neutral: Uint8Array;
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** What is known of a format without decoding it. */
export interface ImageFormat {
  /** Whether the first bytes are this format's. */
  matches(file: ImageBytes): boolean;
  /** From the header alone. Throws `FileError('truncated' | 'malformed')`. */
  size(file: ImageBytes): Size;
  /**
   * Throws `FileError('truncated' | 'malformed')` where the first picture is not whole: decoders draw what they have of a
   * broken file and say nothing. Takes time and memory proportional to the file at most.
   */
  check(file: ImageBytes): void;
  /** Undefined for upright pictures; missing for formats that know no orientation. */
  orientation?(file: ImageBytes): Orientation | undefined;
  /**
   * Where the file lacks only its end: copies with different endings. If data is missing too, a decoder takes the endings for it and
   * the pixels differ. Undefined for a file that has its end.
   */
  endings?(file: ImageBytes): readonly Uint8Array[] | undefined;
}
