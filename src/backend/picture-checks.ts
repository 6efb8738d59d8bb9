/** Checks the arguments of operations on images once for all devices: see checks.ts. */
import { alike, isCount, matrix, productRows, shaped, vector, wrong } from './checks.ts';
import type { Conv2dOptions, DenoiseSpec, GroupNormSpec, Tensor, Weight } from './backend.ts';

/** The largest side of a convolution's kernel. */
const MAX_KERNEL = 7;

/** Returns the number of channels. */
export function moments(bands: readonly Tensor[], groups: number): number {
  const channels = alike('moments', 'bands', bands);
  if (!isCount(groups) || channels % groups !== 0)
    throw wrong('moments', `${groups} groups of ${channels} channels; the groups must be equal`);
  return channels;
}

export function groupNorm(operation: string, x: Tensor, spec: GroupNormSpec): void {
  const [, channels] = matrix(operation, 'x', x);
  const [groups, two] = matrix(operation, 'moments', spec.moments);
  if (two !== 2 || channels % groups !== 0)
    throw wrong(
      operation,
      `moments are [${groups}, ${two}]; ${channels} channels need [groups, 2], in groups of equal size`,
    );
  vector(operation, 'norm', spec.weight, channels);
  vector(operation, 'norm bias', spec.bias, channels);
}

/** Requires a convolution whose parts fit each other. */
export interface Convolution {
  readonly channels: number;
  readonly outHeight: number;
  readonly outWidth: number;
  /** Columns of the result. */
  readonly rows: number;
  /** Whether every output pixel is the product of one input pixel, so that `linear` computes it. */
  readonly pointwise: boolean;
}

export function conv2d(x: Tensor, weight: Weight, options: Conv2dOptions): Convolution {
  const [pixels, channels] = matrix('conv2d', 'x', x);
  const { height, width, kernel, stride = 1, padding, upsample = false, norm, bias, residual } = options;
  if (!isCount(height) || !isCount(width) || height * width !== pixels)
    throw wrong('conv2d', `x has ${pixels} rows, but the picture is ${height} by ${width} pixels`);
  if (!isCount(kernel) || kernel > MAX_KERNEL)
    throw wrong('conv2d', `a kernel of side ${kernel}; 1 to ${MAX_KERNEL} are possible`);
  if (!padding.every((n) => Number.isInteger(n) && n >= 0 && n < kernel))
    throw wrong('conv2d', `padding ${padding.join(', ')}; a kernel of side ${kernel} takes 0 to ${kernel - 1}`);
  const [top, right, bottom, left] = padding;
  const scale = upsample ? 2 : 1;
  const outHeight = Math.floor((scale * height + top + bottom - kernel) / stride) + 1;
  const outWidth = Math.floor((scale * width + left + right - kernel) / stride) + 1;
  if (outHeight < 1 || outWidth < 1)
    throw wrong(
      'conv2d',
      `a kernel of side ${kernel} does not fit ${height} by ${width} pixels with padding ${padding.join(', ')}`,
    );
  const rows = productRows('conv2d', weight, kernel * kernel * channels);
  if (norm !== undefined) groupNorm('conv2d', x, norm);
  if (bias !== undefined) vector('conv2d', 'bias', bias, rows);
  if (residual !== undefined) shaped('conv2d', 'residual', residual, outHeight * outWidth, rows);
  const pointwise = kernel === 1 && stride === 1 && !upsample;
  return { channels, outHeight, outWidth, rows, pointwise };
}

export function denoise(x: Tensor, predicted: Tensor, noise: Tensor, spec: DenoiseSpec): void {
  const [count, cols] = matrix('denoise', 'x', x);
  shaped('denoise', 'predicted', predicted, spec.guidance === undefined ? count : 2 * count, 2 * cols);
  shaped('denoise', 'noise', noise, count, cols);
}
