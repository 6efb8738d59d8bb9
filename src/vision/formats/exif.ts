/**
 * Finds the orientation in EXIF data (CIPA DC-008): a TIFF header, then a directory of entries of 12 bytes. The
 * orientation is tag 0x0112, one SHORT.
 */

const ORIENTATION = 0x0112;
const SHORT = 3;
const ENTRY_BYTES = 12;

export interface ExifOrientation {
  /** The orientation, 1 to 8; 1 is upright. */
  readonly value: number;
  /** The position of its two bytes in the file. */
  readonly at: number;
  readonly littleEndian: boolean;
}

/**
 * Returns the orientation in the TIFF data in bytes `[start, end)`, or undefined if there is none or the data is
 * damaged: damaged metadata never makes an image unreadable.
 */
export function exifOrientation(bytes: Uint8Array, start: number, end: number): ExifOrientation | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, Math.min(end, bytes.length));
  const has = (at: number, count: number): boolean => at >= start && at + count <= view.byteLength;
  if (!has(start, 8)) return undefined;
  const order = view.getUint16(start);
  if (order !== 0x4949 && order !== 0x4d4d) return undefined;
  const littleEndian = order === 0x4949;
  if (view.getUint16(start + 2, littleEndian) !== 42) return undefined;
  const directory = start + view.getUint32(start + 4, littleEndian);
  if (!has(directory, 2)) return undefined;
  const entries = view.getUint16(directory, littleEndian);
  for (let i = 0; i < entries; i++) {
    const entry = directory + 2 + i * ENTRY_BYTES;
    if (!has(entry, ENTRY_BYTES)) return undefined;
    if (view.getUint16(entry, littleEndian) !== ORIENTATION) continue;
    const at = entry + 8;
    const value = view.getUint16(at, littleEndian);
    const valid = view.getUint16(entry + 2, littleEndian) === SHORT && value >= 1 && value <= 8;
    return valid ? { value, at, littleEndian } : undefined;
  }
  return undefined;
}

/** Returns a copy of the file whose EXIF data says "upright". */
export function withoutOrientation(bytes: Uint8Array, { at, littleEndian }: ExifOrientation): Uint8Array {
  const copy = Uint8Array.from(bytes);
  new DataView(copy.buffer).setUint16(at, 1, littleEndian);
  return copy;
}
