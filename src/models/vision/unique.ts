/**
 * Finds the cells of an image that do not repeat another cell: the lossless part of PixelPrune (2604.00886), which
 * encodes only these.
 */
import { CHANNELS, type Rgba } from '../../vision/image.ts';

/** The constants of 32-bit FNV-1a. */
const OFFSET = 0x811c9dc5;
const PRIME = 0x01000193;

/**
 * Returns the indices, in raster order, of those squares of `side` x `side` pixels whose pixels differ from those of
 * every earlier square; `side` divides both sides.
 */
export function uniqueCells(image: Rgba, side: number): Int32Array {
  const columns = image.width / side;
  const known = new Map<number, number[]>();
  const found: number[] = [];
  for (let cell = 0; cell < columns * (image.height / side); cell++) {
    const hash = hashOf(image, cell, columns, side);
    const alike = known.get(hash) ?? [];
    if (alike.some((other) => equal(image, cell, other, columns, side))) continue;
    known.set(hash, [...alike, cell]);
    found.push(cell);
  }
  return Int32Array.from(found);
}

function startOf({ width }: Rgba, cell: number, columns: number, side: number, row: number): number {
  return ((Math.floor(cell / columns) * side + row) * width + (cell % columns) * side) * CHANNELS;
}

function hashOf(image: Rgba, cell: number, columns: number, side: number): number {
  const { data } = image;
  let hash = OFFSET;
  for (let row = 0; row < side; row++) {
    const start = startOf(image, cell, columns, side, row);
    for (let i = start; i < start + side * CHANNELS; i++) hash = Math.imul(hash ^ (data[i] ?? 0), PRIME);
  }
  return hash;
}

function equal(image: Rgba, a: number, b: number, columns: number, side: number): boolean {
  const { data } = image;
  for (let row = 0; row < side; row++) {
    const [one, other] = [startOf(image, a, columns, side, row), startOf(image, b, columns, side, row)];
    for (let i = 0; i < side * CHANNELS; i++) if (data[one + i] !== data[other + i]) return false;
  }
  return true;
}
