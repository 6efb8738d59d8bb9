/** Converts images to rows of patches in raster order. */

/**
 * How a patch is flattened: pixel by pixel with three channels each, or channel by channel like a convolution's kernel.
 */
export type PatchOrder = 'pixels' | 'channels';

const RGB = 3;

/**
 * Converts pixels [height * width * 3] to [(height / patch) (width / patch) * 3 patch patch]; `patch` divides both
 * sides.
 */
export function patchRows(
  pixels: Float32Array,
  {
    width,
    height,
    patch,
    order,
  }: { readonly width: number; readonly height: number; readonly patch: number; readonly order: PatchOrder },
): Float32Array {
  const out = new Float32Array(pixels.length);
  const columns = width / patch;
  const area = patch * patch;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const start = (Math.floor(y / patch) * columns + Math.floor(x / patch)) * RGB * area;
      const within = (y % patch) * patch + (x % patch);
      for (let channel = 0; channel < RGB; channel++) {
        const at = order === 'pixels' ? within * RGB + channel : channel * area + within;
        out[start + at] = pixels[(y * width + x) * RGB + channel] ?? 0;
      }
    }
  }
  return out;
}

/** Reorders rows of `values` numbers each: row i of the result is row `order[i]`. */
export function reordered(rows: Float32Array, values: number, order: Int32Array): Float32Array {
  const out = new Float32Array(order.length * values);
  for (const [to, from] of order.entries()) out.set(rows.subarray(from * values, (from + 1) * values), to * values);
  return out;
}

/** Repeats each channel of `area` numbers `frames` times, as in a video's patches when all frames are the same. */
export function repeatedFrames(rows: Float32Array, area: number, frames: number): Float32Array {
  const out = new Float32Array(rows.length * frames);
  for (let channel = 0; channel * area < rows.length; channel++)
    for (let frame = 0; frame < frames; frame++)
      out.set(rows.subarray(channel * area, (channel + 1) * area), (channel * frames + frame) * area);
  return out;
}

/**
 * Returns the cells of a grid in the order in which the cells of each `by` x `by` square are adjacent, square by square
 * in raster order; `by` divides both sides.
 */
export function inSquares(rows: number, columns: number, by: number): Int32Array {
  const across = columns / by;
  return Int32Array.from({ length: rows * columns }, (_, i) => {
    const square = Math.floor(i / (by * by));
    const [row, column] = [Math.floor(square / across), square % across];
    const [y, x] = [Math.floor((i % (by * by)) / by), i % by];
    return (row * by + y) * columns + column * by + x;
  });
}
