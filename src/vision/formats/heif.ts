/**
 * AVIF and HEIC (ISO/IEC 14496-12, 23008-12) consist of boxes, each with a size and a kind. An image's size is a
 * property (`ispe`) in the box `meta`.
 */
import type { ImageBytes, ImageFormat, Orientation, Size } from './bytes.ts';

interface Box {
  readonly kind: string;
  /** The position of the box's content. */
  readonly start: number;
  readonly end: number;
}

/** Brands beyond this number are ignored. */
const MAX_BRANDS = 32;

export const avif: ImageFormat = { matches: (file) => hasBrand(file, ['avif', 'avis']), size, check, orientation };
/** HEIC is decoded where the browser can do it (Safari). */
export const heic: ImageFormat = {
  matches: (file) => hasBrand(file, ['heic', 'heix', 'hevc', 'heim', 'heis']),
  size,
  check,
  orientation,
};

function hasBrand(file: ImageBytes, brands: readonly string[]): boolean {
  if (file.text(4, 4) !== 'ftyp' || file.length < 16) return false;
  const end = Math.min(file.u32(0, 'ftyp'), file.length, 16 + 4 * MAX_BRANDS);
  for (let at = 8; at + 4 <= end; at += 4) if (at !== 12 && brands.includes(file.text(at, 4))) return true;
  return false;
}

/** Returns the size of the largest image in the file, because an image may consist of tiles and have a thumbnail. */
function size(file: ImageBytes): Size {
  let largest: Size = { width: 0, height: 0 };
  for (const meta of boxes(file, 0, file.length, 'meta'))
    // In a full box, four bytes of version and flags precede the content.
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

/** Checks that every box of the file is complete, and that one holds the coded data: `mdat`, or `idat` in `meta`. */
function check(file: ImageBytes): void {
  let data = false;
  for (const { kind, start, end } of boxes(file, 0, Infinity)) {
    file.need(start, end - start, kind);
    data ||= kind === 'mdat' || (kind === 'meta' && boxes(file, start + 4, end, 'idat').next().done === false);
    // If no data has been found yet, this continues to the next box, which is then reported missing.
    if (end === file.length && data) return;
  }
}

/**
 * Yields the boxes (of one kind, if given) that begin in `[from, to)`, cut off at `to`, so that no byte belongs to two
 * boxes of a kind.
 */
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

/**
 * Reads the primary image's rotation (`irot`, quarter turns anticlockwise) and mirroring (`imir`, applied after the
 * rotation). EXIF data is ignored in this format. The neutral copy rotates by nothing: `irot` is 0, and an `imir` box
 * is rewritten as such an `irot`.
 */
function orientation(file: ImageBytes): Orientation | undefined {
  const used = primaryProperties(file);
  const turn = used.find(({ kind }) => kind === 'irot');
  const mirror = used.find(({ kind }) => kind === 'imir');
  const quarters = turn === undefined ? 0 : file.u8(turn.start, 'irot') & 3;
  if (quarters === 0 && mirror === undefined) return undefined;
  const neutral = Uint8Array.from(file.bytes);
  if (turn !== undefined) neutral[turn.start] = 0;
  if (mirror !== undefined) {
    neutral.set([0x69, 0x72, 0x6f, 0x74], mirror.start - 4);
    neutral[mirror.start] = 0;
  }
  const axis = mirror === undefined ? undefined : file.u8(mirror.start, 'imir') & 1;
  const value = EXIF_ORIENTATION[axis === undefined ? 'none' : axis === 0 ? 'topBottom' : 'leftRight'][quarters] ?? 1;
  return value === 1 ? undefined : { value, neutral };
}

/** EXIF's number for a number of anticlockwise quarter turns followed by mirroring. */
const EXIF_ORIENTATION = {
  none: [1, 8, 3, 6],
  topBottom: [4, 5, 2, 7],
  leftRight: [2, 7, 4, 5],
} as const;

/** Returns the properties that `ipma` assigns to the primary item, in order. */
function primaryProperties(file: ImageBytes): Box[] {
  for (const meta of boxes(file, 0, file.length, 'meta')) {
    const [item] = boxes(file, meta.start + 4, meta.end, 'pitm');
    const primary = item === undefined ? undefined : readItem(file, item.start + 4, file.u8(item.start, 'pitm') > 0);
    for (const properties of boxes(file, meta.start + 4, meta.end, 'iprp')) {
      const [container] = boxes(file, properties.start, properties.end, 'ipco');
      const [associations] = boxes(file, properties.start, properties.end, 'ipma');
      if (container === undefined || associations === undefined || primary === undefined) continue;
      const all = [...boxes(file, container.start, container.end)];
      return associated(file, associations, primary).flatMap((index) => all[index - 1] ?? []);
    }
  }
  return [];
}

const readItem = (file: ImageBytes, at: number, wide: boolean): number =>
  wide ? file.u32(at, 'item') : file.u16(at, 'item');

/** Returns the indices of an item's properties, counted from 1. */
function associated(file: ImageBytes, { start, end }: Box, item: number): number[] {
  const wideItems = file.u8(start, 'ipma') > 0;
  const wideIndices = (file.u8(start + 3, 'ipma') & 1) === 1;
  const count = file.u32(start + 4, 'ipma');
  let at = start + 8;
  for (let i = 0; i < count && at < end; i++) {
    const found = readItem(file, at, wideItems);
    at += wideItems ? 4 : 2;
    const many = file.u8(at, 'ipma');
    at += 1;
    const step = wideIndices ? 2 : 1;
    if (found === item)
      return Array.from({ length: many }, (_, k) =>
        wideIndices ? file.u16(at + k * step, 'ipma') & 0x7fff : file.u8(at + k * step, 'ipma') & 0x7f,
      );
    at += many * step;
  }
  return [];
}
