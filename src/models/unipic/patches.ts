/** Pictures from rows of patches: patches in raster order, each flattened in (y, x, channel) order (`patchRows` of ../vision/patches.ts). */

const RGB = 3;

/** [(size / patch)^2 * patch patch 3] -> [size * size * 3] */
export function fromPatches(rows: Float32Array, size: number, patch: number): Float32Array {
  const out = new Float32Array(rows.length);
  const grid = size / patch;
  const length = patch * RGB;
  for (let y = 0; y < size; y++) {
    for (let column = 0; column < grid; column++) {
      const row = Math.floor(y / patch) * grid + column;
      const from = (row * patch + (y % patch)) * length;
      out.set(rows.subarray(from, from + length), (y * size + column * patch) * RGB);
    }
  }
  return out;
}
