/** Square images, and the conversion of pixels to the numbers that models read. */
import { InputError } from '../errors.ts';
import { CHANNELS, checkPixels, checkSize, type Rgba } from './image.ts';
import { resizeStretches, type Stretch } from './resize.ts';

/** How an image is made square: padded with grey, or cropped to its centre. */
export type SquareFit = 'pad' | 'crop';

/** The middle of the eight-bit range, as in the models' own preprocessing. */
export const PAD_GREY = 127;

/**
 * Places the image in the middle of a square whose side is its longer side; an odd remainder goes to the right or
 * below. Throws `InputError('argument')`.
 */
export function padToSquare(image: Rgba, grey = PAD_GREY): Rgba {
  checkPixels(image, 'image');
  const side = Math.max(image.width, image.height);
  checkSize(side, side, 'the padded image');
  const data = new Uint8ClampedArray(side * side * CHANNELS).fill(grey);
  for (let i = 3; i < data.length; i += CHANNELS) data[i] = 255;
  const left = (side - image.width) >> 1;
  const top = (side - image.height) >> 1;
  const row = image.width * CHANNELS;
  for (let y = 0; y < image.height; y++)
    data.set(image.data.subarray(y * row, (y + 1) * row), ((top + y) * side + left) * CHANNELS);
  return { data, width: side, height: side };
}

/**
 * Returns the central square whose side is the image's shorter side; an odd remainder is cut off at the right or below.
 * Throws `InputError('argument')`.
 */
export function centreCropToSquare(image: Rgba): Rgba {
  checkPixels(image, 'image');
  const side = Math.min(image.width, image.height);
  const left = (image.width - side) >> 1;
  const top = (image.height - side) >> 1;
  const data = new Uint8ClampedArray(side * side * CHANNELS);
  for (let y = 0; y < side; y++) {
    const from = ((top + y) * image.width + left) * CHANNELS;
    data.set(image.data.subarray(from, from + side * CHANNELS), y * side * CHANNELS);
  }
  return { data, width: side, height: side };
}

/**
 * Returns an opaque image as a square of `size` pixels. The result equals `padToSquare` or `centreCropToSquare`
 * followed by `resize`, but the intermediate square, which would be huge for a narrow image, is never built. Throws
 * `InputError('argument')`.
 */
export function resizeToSquare(image: Rgba, size: number, fit: SquareFit): Rgba {
  checkPixels(image, 'image');
  checkSize(size, size, 'the wanted size');
  if (fit !== 'pad' && fit !== 'crop')
    throw new InputError('argument', `fit is ${JSON.stringify(fit)}; 'pad' or 'crop'`);
  const { width, height } = image;
  const side = fit === 'pad' ? Math.max(width, height) : Math.min(width, height);
  const stretch = (real: number): Stretch => ({
    offset: real > side ? (real - side) >> 1 : -((side - real) >> 1),
    length: side,
    real,
    fill: PAD_GREY,
  });
  return resizeStretches(image, stretch(width), stretch(height), size, size, 'bicubic');
}

/** `2 v / 255 - 1`, each step rounded to f32. */
const SIGNED = Float32Array.from({ length: 256 }, (_, value) => Math.fround(Math.fround((2 * value) / 255) - 1));

/**
 * Returns the numbers that models read: [height * width * 3], rows from the top, with red, green and blue in -1 to 1.
 * Alpha is not read.
 */
export function toSigned({ data, width, height }: Rgba): Float32Array {
  const out = new Float32Array(width * height * 3);
  for (let from = 0, to = 0; from < data.length; from += CHANNELS) {
    out[to++] = SIGNED[data[from] ?? 0] ?? 0;
    out[to++] = SIGNED[data[from + 1] ?? 0] ?? 0;
    out[to++] = SIGNED[data[from + 2] ?? 0] ?? 0;
  }
  return out;
}

/** Returns an image as a square of `size` pixels, as numbers: [size * size * 3]. Throws `InputError('argument')`. */
export function toPixels(image: Rgba, size: number, fit: SquareFit): Float32Array {
  return toSigned(resizeToSquare(image, size, fit));
}
