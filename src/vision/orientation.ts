/** Rotates and mirrors pixels as a file's orientation says, so that every decoder gives the same image. */
import { CHANNELS, type Rgba } from './image.ts';

/**
 * Returns the upright image. `orientation` follows EXIF, which names what the stored image's first row and first column
 * show: 1 top-left, 2 top-right, 3 bottom-right, 4 bottom-left, 5 left-top, 6 right-top, 7 right-bottom, 8 left-bottom.
 * For 1 it returns `image` itself.
 */
export function upright(image: Rgba, orientation: number): Rgba {
  if (orientation === 1) return image;
  const { width, height } = image;
  const turned = orientation >= 5;
  const mirrorX = [2, 3, 7, 8].includes(orientation);
  const mirrorY = [3, 4, 6, 7].includes(orientation);
  const out = new Uint8ClampedArray(image.data.length);
  const from = pixels(image.data);
  const to = pixels(out);
  const [outWidth, outHeight] = turned ? [height, width] : [width, height];
  for (let y = 0; y < outHeight; y++) {
    for (let x = 0; x < outWidth; x++) {
      const column = turned ? y : x;
      const row = turned ? x : y;
      const source = (mirrorY ? height - 1 - row : row) * width + (mirrorX ? width - 1 - column : column);
      to[y * outWidth + x] = from[source] ?? 0;
    }
  }
  return { data: out, width: outWidth, height: outHeight };
}

/** Returns one number per pixel. Copies the bytes if they are not aligned to a word. */
function pixels(data: Uint8ClampedArray): Uint32Array {
  const aligned = data.byteOffset % CHANNELS === 0 ? data : new Uint8ClampedArray(data);
  return new Uint32Array(aligned.buffer, aligned.byteOffset, aligned.length / CHANNELS);
}
