/** Pictures as rows of patches: patches in raster order, each flattened in (y, x, channel) order. */

const RGB = 3;

/** [size * size * 3] -> [(size / patch)^2 * patch patch 3] */
export function toPatches(pixels: Float32Array, size: number, patch: number): Float32Array {
  const out = new Float32Array(pixels.length);
  eachRun(size, patch, (inPicture, inPatches, length) =>
    out.set(pixels.subarray(inPicture, inPicture + length), inPatches),
  );
  return out;
}

/** The way back. */
export function fromPatches(rows: Float32Array, size: number, patch: number): Float32Array {
  const out = new Float32Array(rows.length);
  eachRun(size, patch, (inPicture, inPatches, length) =>
    out.set(rows.subarray(inPatches, inPatches + length), inPicture),
  );
  return out;
}

/** A run is a patch's part of one row of pixels. */
function eachRun(
  size: number,
  patch: number,
  body: (inPicture: number, inPatches: number, length: number) => void,
): void {
  const grid = size / patch;
  const length = patch * RGB;
  for (let y = 0; y < size; y++) {
    for (let column = 0; column < grid; column++) {
      const row = Math.floor(y / patch) * grid + column;
      body((y * size + column * patch) * RGB, (row * patch + (y % patch)) * length, length);
    }
  }
}
