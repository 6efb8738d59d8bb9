/** AVIF and HEIC (ISO/IEC 14496-12, 23008-12): boxes of size and kind; an image's size is a property (`ispe`) in `meta`. */
import type { ImageBytes, ImageFormat, Size } from './bytes.ts';

interface Box {
  readonly kind: string;
  /** Of its content. */
  readonly start: number;
  readonly end: number;
}

/** Brands beyond these are not looked at. */
const MAX_BRANDS = 32;

export const avif: ImageFormat = { matches: (file) => hasBrand(file, ['avif', 'avis']), size, check };
/** Decoded where the browser can (Safari). */
export const heic: ImageFormat = {
  matches: (file) => hasBrand(file, ['heic', 'heix', 'hevc', 'heim', 'heis']),
  size,
  check,
};

function hasBrand(file: ImageBytes, brands: readonly string[]): boolean {
  if (file.text(4, 4) !== 'ftyp' || file.length < 16) return false;
  const end = Math.min(file.u32(0, 'ftyp'), file.length, 16 + 4 * MAX_BRANDS);
  for (let at = 8; at + 4 <= end; at += 4) if (at !== 12 && brands.includes(file.text(at, 4))) return true;
  return false;
}

/** The largest image of the file, since a picture may be made of tiles and come with a thumbnail. */
function size(file: ImageBytes): Size {
  let largest: Size = { width: 0, height: 0 };
  for (const meta of boxes(file, 0, file.length, 'meta'))
    // A full box: four bytes of version and flags come first.
    for (const properties of boxes(file, meta.start + 4, meta.end, 'iprp'))
      for (const list of boxes(file, properties.start, properties.end, 'ipco'))
        for (const { start } of boxes(file, list.start, list.end, 'ispe')) {
          const found = { width: file.u32(start + 4, 'width'), height: file.u32(start + 8, 'height') };
          if (found.width * found.height >= largest.width * largest.height) largest = found;
        }
  if (largest.width === 0) {
    check(file);
    throw file.malformed('ispe', 0, 'the file says no image size');
  }
  return largest;
}

/** Every box of the file is whole, and one holds the coded data: `mdat`, or `idat` in `meta`. */
function check(file: ImageBytes): void {
  let data = false;
  for (const { kind, start, end } of boxes(file, 0, Infinity)) {
    file.need(start, end - start, kind);
    data ||= kind === 'mdat' || (kind === 'meta' && boxes(file, start + 4, end, 'idat').next().done === false);
    // Without data yet, the next box is looked for, and found missing.
    if (end === file.length && data) return;
  }
}

/** The boxes (of one kind) that begin in `[from, to)`, cut off at `to`, so that no byte belongs to two of a kind. */
function* boxes(file: ImageBytes, from: number, to: number, kind?: string): Generator<Box> {
  for (let at = from; at < to;) {
    let start = at + 8;
    let length = file.u32(at, 'box');
    const found = file.text(at + 4, 4);
    file.need(at, 8, 'box');
    if (length === 1) {
      length = file.u32(at + 8, 'box') * 2 ** 32 + file.u32(at + 12, 'box');
      start += 8;
    } else if (length === 0) {
      length = Math.min(to, file.length) - at;
    }
    if (at + length < start) throw file.malformed('box', at, `its length is ${length}; at least ${start - at}`);
    if (kind === undefined || kind === found) yield { kind: found, start, end: Math.min(at + length, to) };
    at += length;
  }
}
