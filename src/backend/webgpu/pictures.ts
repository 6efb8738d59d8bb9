/** Operations on pictures [height * width, channels]: statistics, group norm, convolution; and the step of diffusion that makes them. */
import { conv2d } from '../../../gpu/kernels/conv2d.ts';
import { denoise } from '../../../gpu/kernels/denoise.ts';
import { groupNorm } from '../../../gpu/kernels/group-norm.ts';
import { momentBytes, momentParts, momentsCombine, momentsGather } from '../../../gpu/kernels/moments.ts';
import type { Epilogue, Matrix } from '../../../gpu/kernels/operands.ts';
import { InputError } from '../../errors.ts';
import type { Conv2dOptions, DenoiseSpec, GroupNormSpec, Tensor, Weight } from '../backend.ts';
import { productRows, residualOf, sameColumns } from './checks.ts';
import type { Context } from './context.ts';
import type { Products } from './products.ts';
import { matrix } from './tensors.ts';
import { vectorOf, weightOf } from './weights.ts';

/** The largest side of a convolution's kernel: the contract's. */
const LARGEST_KERNEL = 7;

export class Pictures {
  readonly #context: Context;
  readonly #products: Products;

  constructor(context: Context, products: Products) {
    this.#context = context;
    this.#products = products;
  }

  moments(bands: readonly Tensor[], groups: number, epsilon: number): Tensor {
    const { runner, tensors } = this.#context;
    const inputs = bands.map((band, i) => matrix('moments', `bands[${i}]`, band));
    const cols = sameColumns('moments', 'bands', inputs);
    if (!Number.isInteger(groups) || groups < 1 || cols % groups !== 0) {
      throw new InputError(
        'argument',
        `moments: ${groups} groups of ${cols} channels; the number of groups should divide the channels`,
      );
    }
    const out = tensors.make([groups, 2]);
    const count = inputs.reduce((sum, { rows }) => sum + momentParts(rows), 0);
    const parts = runner.buffers.take(momentBytes(count, cols));
    let firstPart = 0;
    for (const x of inputs) {
      runner.run(momentsGather, { x, firstPart, parts });
      firstPart += momentParts(x.rows);
    }
    runner.run(momentsCombine, { parts, count, cols, epsilon, out: matrix('moments', 'out', out) });
    runner.buffers.give(parts);
    return out;
  }

  groupNorm(x: Tensor, spec: GroupNormSpec): Tensor {
    const input = matrix('groupNorm', 'x', x);
    const out = this.#context.tensors.make(x.shape);
    this.#groupNorm('groupNorm', input, spec, matrix('groupNorm', 'out', out));
    return out;
  }

  conv2d(x: Tensor, weight: Weight, options: Conv2dOptions): Tensor {
    const { runner, tensors, none } = this.#context;
    const input = matrix('conv2d', 'x', x);
    const { height, width, kernel, stride = 1, upsample = false, padding, norm } = options;
    const [top, right, bottom, left] = padding;
    const [outHeight, outWidth] = convolved(input, options);
    const rows = productRows('conv2d', weight, kernel * kernel * input.cols);
    const { parts } = weightOf('conv2d', weight);
    const epilogue: Epilogue = {
      bias: options.bias === undefined ? undefined : vectorOf('conv2d', 'bias', options.bias, rows),
      activation: options.activation ?? 'none',
      scale: 1,
      residual: residualOf('conv2d', options.residual, outHeight * outWidth, rows),
    };
    // The norm is a pass of its own: a value of x is gathered kernel * kernel * rows / 64 times, and the activation is dearer than a pass.
    const normal = norm === undefined ? undefined : tensors.make(x.shape);
    const picture = normal === undefined ? input : matrix('conv2d', 'normalised x', normal);
    if (norm !== undefined) this.#groupNorm('conv2d', input, norm, picture);
    const out = tensors.make([outHeight * outWidth, rows]);
    const target = matrix('conv2d', 'out', out);
    if (kernel === 1 && stride === 1 && !upsample && top + right + bottom + left === 0)
      this.#products.product(picture, parts, undefined, epilogue, target);
    else {
      for (const part of parts) {
        runner.run(conv2d, {
          x: picture,
          height,
          width,
          outWidth,
          kernel,
          stride,
          upsample,
          top,
          left,
          weight: part,
          epilogue,
          out: target,
          none,
        });
      }
    }
    if (normal !== undefined) tensors.free(normal);
    return out;
  }

  denoise(x: Tensor, predicted: Tensor, noise: Tensor, spec: DenoiseSpec): Tensor {
    const { runner, tensors } = this.#context;
    const input = matrix('denoise', 'x', x);
    const { rows, cols } = input;
    const inputs = {
      x: input,
      predicted: matrix('denoise', 'predicted', predicted),
      noise: matrix('denoise', 'noise', noise),
      spec,
    };
    const predictedRows = spec.guidance === undefined ? rows : 2 * rows;
    if (inputs.predicted.rows !== predictedRows || inputs.predicted.cols !== 2 * cols) {
      throw new InputError(
        'argument',
        `denoise: predicted [${predicted.shape.join()}] should be [${predictedRows},${2 * cols}]`,
      );
    }
    if (inputs.noise.rows !== rows || inputs.noise.cols !== cols)
      throw new InputError('argument', `denoise: noise [${noise.shape.join()}] should be [${rows},${cols}]`);
    const out = tensors.make(x.shape);
    runner.run(denoise, { ...inputs, out: matrix('denoise', 'out', out) });
    return out;
  }

  #groupNorm(operation: string, x: Matrix, spec: GroupNormSpec, out: Matrix): void {
    const moments = matrix(operation, 'moments', spec.moments);
    if (moments.cols !== 2 || x.cols % moments.rows !== 0) {
      throw new InputError(
        'argument',
        `${operation}: moments [${spec.moments.shape.join()}] are none of ${x.cols} channels`,
      );
    }
    const weight = vectorOf(operation, 'norm', spec.weight, x.cols);
    const bias = vectorOf(operation, 'norm bias', spec.bias, x.cols);
    this.#context.runner.run(groupNorm, { x, moments, weight, bias, activation: spec.activation ?? 'none', out });
  }
}

/** Height and width of a convolution's result; throws for a geometry that is none. */
function convolved(x: Matrix, options: Conv2dOptions): readonly [height: number, width: number] {
  const { height, width, kernel, stride = 1, upsample = false, padding } = options;
  if (!(height >= 1 && width >= 1) || !Number.isInteger(height) || height * width !== x.rows) {
    throw new InputError('argument', `conv2d: x [${x.rows},${x.cols}] is no picture of ${height} x ${width} pixels`);
  }
  if (!Number.isInteger(kernel) || kernel < 1 || kernel > LARGEST_KERNEL) {
    throw new InputError(
      'argument',
      `conv2d: a kernel of side ${kernel}; sides from 1 to ${LARGEST_KERNEL} are possible`,
    );
  }
  if (!padding.every((n) => Number.isInteger(n) && n >= 0 && n < kernel)) {
    throw new InputError(
      'argument',
      `conv2d: padding ${padding.join()}; a kernel of side ${kernel} takes 0 to ${kernel - 1}`,
    );
  }
  const [top, right, bottom, left] = padding;
  const scale = upsample ? 2 : 1;
  const outHeight = Math.floor((scale * height + top + bottom - kernel) / stride) + 1;
  const outWidth = Math.floor((scale * width + left + right - kernel) / stride) + 1;
  if (outHeight < 1 || outWidth < 1)
    throw new InputError(
      'argument',
      `conv2d: a kernel of side ${kernel} is larger than the padded picture of ${height} x ${width} pixels`,
    );
  return [outHeight, outWidth];
}
