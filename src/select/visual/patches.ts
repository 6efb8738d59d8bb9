/** An image tile as patches, for methods that compare what tokens show. */
import { toSigned } from '../../vision/square.ts';
import type { Rgba } from '../../vision/image.ts';
import type { Patches } from './select.ts';

/** One patch for each cell of a grid over the tile: [rows * columns, 3 * pixels of a cell]. The grid divides the tile's sides. */
export function patchesOf(tile: Rgba, rows: number, columns: number): Omit<Patches, 'start'> {
  const pixels = toSigned(tile);
  const across = Math.floor(tile.width / columns);
  const down = Math.floor(tile.height / rows);
  const width = 3 * across * down;
  const values = new Float32Array(rows * columns * width);
  let to = 0;
  for (let patch = 0; patch < rows * columns; patch++) {
    const left = (patch % columns) * across;
    const top = Math.floor(patch / columns) * down;
    for (let y = top; y < top + down; y++) {
      const from = 3 * (y * tile.width + left);
      values.set(pixels.subarray(from, from + 3 * across), to);
      to += 3 * across;
    }
  }
  return { values, rows, columns, width };
}
