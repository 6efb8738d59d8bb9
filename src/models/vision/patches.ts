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
