/** A square picture as its patches, for what compares them. */
import type { Patches } from './select.ts';

/** pixels [size, size, 3] -> [grid * grid, 3 (size / grid)^2]; `grid` divides `size`. */
export function patchesOf(pixels: Float32Array, size: number, grid: number): Patches {
  const side = size / grid;
  const width = 3 * side * side;
  const values = new Float32Array(grid * grid * width);
  let to = 0;
  for (let patch = 0; patch < grid * grid; patch++) {
    const left = (patch % grid) * side;
    const top = Math.floor(patch / grid) * side;
    for (let y = top; y < top + side; y++) {
      values.set(pixels.subarray(3 * (y * size + left), 3 * (y * size + left + side)), to);
      to += 3 * side;
    }
  }
  return { values, rows: grid, columns: grid, width };
}
