/** Images as rows of patches, in raster order. */

/** How a patch is flattened: by pixels, three channels each, or as a convolution's kernel is, channel after channel. */
export type PatchOrder = 'pixels' | 'channels';

const RGB = 3;

/** pixels [height * width * 3] -> [(height / patch) (width / patch) * 3 patch patch]; `patch` divides both sides. */
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

/** Rows of `values` numbers each in another order: row i is row `order[i]`. */
export function reordered(rows: Float32Array, values: number, order: Int32Array): Float32Array {
  const out = new Float32Array(order.length * values);
  for (const [to, from] of order.entries()) out.set(rows.subarray(from * values, (from + 1) * values), to * values);
  return out;
}

/** Rows whose channels of `area` numbers each stand `frames` times, as a video's patches have them where all frames are the same. */
export function repeatedFrames(rows: Float32Array, area: number, frames: number): Float32Array {
  const out = new Float32Array(rows.length * frames);
  for (let channel = 0; channel * area < rows.length; channel++)
    for (let frame = 0; frame < frames; frame++)
      out.set(rows.subarray(channel * area, (channel + 1) * area), (channel * frames + frame) * area);
  return out;
}

/** The cells of a grid in the order in which squares of `by` x `by` lie together, row after row of squares; `by` divides both sides. */
export function inSquares(rows: number, columns: number, by: number): Int32Array {
  const across = columns / by;
  return Int32Array.from({ length: rows * columns }, (_, i) => {
    const square = Math.floor(i / (by * by));
    const [row, column] = [Math.floor(square / across), square % across];
    const [y, x] = [Math.floor((i % (by * by)) / by), i % by];
    return (row * by + y) * columns + column * by + x;
  });
}
