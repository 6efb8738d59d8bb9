/**
 * Access to an image file's bytes in which every read is checked: reading beyond the end means that the file is
 * truncated.
 */
import { FileError } from '../../errors.ts';

export class ImageBytes {
  /** The file's name in messages. */
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

  /** Throws `FileError('truncated')` unless bytes `[at, at + count)` exist. */
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

  /** Returns up to `count` bytes as characters with the same codes; fewer at the end of the file. */
  text(at: number, count: number): string {
    return String.fromCharCode(...this.bytes.subarray(at, at + count));
  }

  malformed(field: string, at: number, problem: string): FileError {
    return new FileError('malformed', { file: this.name, field, offset: at }, problem);
  }
}

/** The orientation that a file declares for an image stored rotated or mirrored. */
export interface Orientation {
  /** The orientation, 2 to 8, in EXIF's numbering. */
  readonly value: number;
  /** A copy of the file that declares itself upright. */
  readonly neutral: Uint8Array;
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** What can be determined about a format without decoding it. */
export interface ImageFormat {
  /** Returns whether the first bytes belong to this format. */
  matches(file: ImageBytes): boolean;
  /** Reads the size from the header alone. Throws `FileError('truncated' | 'malformed')`. */
  size(file: ImageBytes): Size;
  /**
   * Throws `FileError('truncated' | 'malformed')` unless the first image is complete, because decoders draw whatever
   * they have of a broken file without reporting it. Takes time and memory at most proportional to the file.
   */
  check(file: ImageBytes): void;
  /** Returns undefined for upright images. The method is absent for formats without orientation. */
  orientation?(file: ImageBytes): Orientation | undefined;
  /**
   * Returns copies of the file with different endings if the file lacks only its end, and undefined if it has its end.
   * If image data is missing too, a decoder reads the endings as image data, and the decoded pixels differ between the
   * copies.
   */
  endings?(file: ImageBytes): readonly Uint8Array[] | undefined;
}
