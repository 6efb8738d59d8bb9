/**
 * Resizes images exactly as the Python Imaging Library does, to the same bytes, because models were trained on images
 * resized by it. The filter is widened by the reduction factor (antialiasing) and applied along rows first and then
 * along columns, with weights of 22 fractional bits and 8-bit pixels in between. Pillow 13 and later process columns
 * first where that is cheaper, which may change a byte by a few levels unless both images are square.
 */
import { CHANNELS, checkPixels, checkSize, type Rgba } from './image.ts';

/** Keys' cubic kernel with a = -0.5 (1981), a triangle, or a sinc windowed by its own central lobe. */
export type ResizeFilter = 'bicubic' | 'bilinear' | 'lanczos';

interface Kernel {
  /** Half the filter's width, in pixels of the coarser grid. */
  readonly support: number;
  readonly weight: (distance: number) => number;
}

const KERNELS: Readonly<Record<ResizeFilter, Kernel>> = {
  bicubic: { support: 2, weight: bicubic },
  bilinear: { support: 1, weight: (distance) => Math.max(0, 1 - Math.abs(distance)) },
  lanczos: { support: 3, weight: (distance) => (Math.abs(distance) < 3 ? sinc(distance) * sinc(distance / 3) : 0) },
};

/** Eight bits of the pixel and two of overshoot leave 22 bits of an i32 for the fraction. */
const FRACTION_BITS = 22;
const HALF = 1 << (FRACTION_BITS - 1);

/**
 * A section of a row or column: `length` pixels from `offset` of the image, which has `real` of them. Where the section
 * extends beyond the image on either side, it has the value `fill`.
 */
export interface Stretch {
  readonly offset: number;
  readonly length: number;
  readonly real: number;
  /** One grey level, the same for both sections of an image. */
  readonly fill: number;
}

/**
 * For each output pixel: the position of its first input inside the image, the number of inputs, their weights, and the
 * sum of the weights outside the image.
 */
interface Taps {
  readonly first: Int32Array;
  readonly count: Int32Array;
  /** `[outputs, most]`. */
  readonly weights: Int32Array;
  readonly most: number;
  readonly bias: Int32Array;
}

/**
 * Resizes the whole image. Intended for opaque images: alpha is not read, and it is 255 in the result. Throws
 * `InputError('argument')`.
 */
export function resize(image: Rgba, width: number, height: number, filter: ResizeFilter): Rgba {
  checkPixels(image, 'image');
  checkSize(width, height, 'the wanted size');
  // The size of the intermediate image between the two passes.
  checkSize(width, image.height, 'the image resized in width');
  const all = (real: number): Stretch => ({ offset: 0, length: real, real, fill: 0 });
  return resizeStretches(image, all(image.width), all(image.height), width, height, filter);
}

/** Returns the part of an image whose top left corner is at `left` and `top`. */
export function crop({ data, width: stride }: Rgba, left: number, top: number, width: number, height: number): Rgba {
  const out = new Uint8ClampedArray(width * height * CHANNELS);
  for (let y = 0; y < height; y++) {
    const from = ((top + y) * stride + left) * CHANNELS;
    out.set(data.subarray(from, from + width * CHANNELS), y * width * CHANNELS);
  }
  return { data: out, width, height };
}

/** Equals `resize` to `full` followed by a crop at `left` and `top`, without computing the rest. */
export function resizePart(
  image: Rgba,
  full: { readonly width: number; readonly height: number },
  {
    left,
    top,
    width,
    height,
  }: { readonly left: number; readonly top: number; readonly width: number; readonly height: number },
  filter: ResizeFilter,
): Rgba {
  checkPixels(image, 'image');
  const kernel = KERNELS[filter];
  const all = (real: number): Stretch => ({ offset: 0, length: real, real, fill: 0 });
  const narrow = alongRows(image, taps(all(image.width), full.width, kernel, { from: left, count: width }), width);
  const data = alongColumns(narrow, taps(all(image.height), full.height, kernel, { from: top, count: height }), height);
  for (let i = 3; i < data.length; i += CHANNELS) data[i] = 255;
  return { data, width, height };
}

/**
 * Equals `resize` of the region that the two sections mark, inside the image or beyond it, without building that region
 * as an image.
 */
export function resizeStretches(
  image: Rgba,
  across: Stretch,
  down: Stretch,
  width: number,
  height: number,
  filter: ResizeFilter,
): Rgba {
  const kernel = KERNELS[filter];
  const narrow = isWhole(across, width) ? image : alongRows(image, taps(across, width, kernel), width);
  const data = isWhole(down, height)
    ? new Uint8ClampedArray(narrow.data)
    : alongColumns(narrow, taps(down, height, kernel), height);
  for (let i = 3; i < data.length; i += CHANNELS) data[i] = 255;
  return { data, width, height };
}

/** Returns whether this side keeps its size. */
function isWhole(stretch: Stretch, out: number): boolean {
  return stretch.offset === 0 && stretch.length === stretch.real && stretch.length === out;
}

function bicubic(distance: number): number {
  const x = Math.abs(distance);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
}

function sinc(distance: number): number {
  const x = Math.PI * distance;
  return x === 0 ? 1 : Math.sin(x) / x;
}

/** Computes the taps of the output pixels in `part` only, out of `out` pixels. */
function taps(
  { offset, length, real, fill }: Stretch,
  out: number,
  { support, weight: weightAt }: Kernel,
  part: { readonly from: number; readonly count: number } = { from: 0, count: out },
): Taps {
  const scale = length / out;
  const spread = Math.max(1, scale);
  const narrowing = 1 / spread;
  const most = Math.ceil(support * spread) * 2 + 1;
  const made = {
    first: new Int32Array(part.count),
    count: new Int32Array(part.count),
    weights: new Int32Array(part.count * most),
    most,
    bias: new Int32Array(part.count),
  };
  const kernel = new Float64Array(most);
  for (let o = 0; o < part.count; o++) {
    const centre = (part.from + o + 0.5) * scale;
    const start = Math.max(0, Math.trunc(centre - support * spread + 0.5));
    const count = Math.min(length, Math.trunc(centre + support * spread + 0.5)) - start;
    let sum = 0;
    for (let i = 0; i < count; i++) {
      const weight = weightAt((i + start - centre + 0.5) * narrowing);
      kernel[i] = weight;
      sum += weight;
    }
    const first = Math.min(Math.max(0, start + offset), real);
    made.first[o] = first;
    for (let i = 0; i < count; i++) {
      const weight = fixed((kernel[i] ?? 0) / sum);
      const at = start + i + offset;
      if (at < 0 || at >= real) made.bias[o] = (made.bias[o] ?? 0) + fill * weight;
      else {
        made.weights[o * most + at - first] = weight;
        made.count[o] = at - first + 1;
      }
    }
  }
  return made;
}

/** Converts a weight to fixed point, rounding half away from zero. */
function fixed(weight: number): number {
  return Math.trunc(weight * 2 ** FRACTION_BITS + (weight < 0 ? -0.5 : 0.5));
}

function alongRows(image: Rgba, { first, count, weights, most, bias }: Taps, width: number): Rgba {
  const { data, height } = image;
  const out = new Uint8ClampedArray(width * height * CHANNELS);
  for (let y = 0, to = 0; y < height; y++) {
    const row = y * image.width;
    for (let x = 0; x < width; x++, to += CHANNELS) {
      let red = HALF + (bias[x] as number);
      let green = red;
      let blue = red;
      let from = (row + (first[x] as number)) * CHANNELS;
      const end = x * most + (count[x] as number);
      for (let w = x * most; w < end; w++, from += CHANNELS) {
        const weight = weights[w] as number;
        red = (red + (data[from] as number) * weight) | 0;
        green = (green + (data[from + 1] as number) * weight) | 0;
        blue = (blue + (data[from + 2] as number) * weight) | 0;
      }
      // The array clamps values to 0 and 255.
      out[to] = red >> FRACTION_BITS;
      out[to + 1] = green >> FRACTION_BITS;
      out[to + 2] = blue >> FRACTION_BITS;
    }
  }
  return { data: out, width, height };
}

function alongColumns(image: Rgba, { first, count, weights, most, bias }: Taps, height: number): Uint8ClampedArray {
  const { data, width } = image;
  const stride = width * CHANNELS;
  const out = new Uint8ClampedArray(stride * height);
  const sums = new Int32Array(stride);
  for (let y = 0; y < height; y++) {
    sums.fill(HALF + (bias[y] as number));
    const top = first[y] as number;
    for (let i = 0; i < (count[y] as number); i++) {
      const weight = weights[y * most + i] as number;
      const row = (top + i) * stride;
      for (let x = 0; x < stride; x++) sums[x] = (sums[x] as number) + (data[row + x] as number) * weight;
    }
    const to = y * stride;
    for (let x = 0; x < stride; x++) out[to + x] = (sums[x] as number) >> FRACTION_BITS;
  }
  return out;
}
