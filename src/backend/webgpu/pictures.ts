/** Operations on images [height * width, channels]: statistics, group norm, convolution, and the step of diffusion. */
import { conv2d } from '../../../gpu/kernels/conv2d.ts';
import { denoise } from '../../../gpu/kernels/denoise.ts';
import { groupNorm } from '../../../gpu/kernels/group-norm.ts';
import { momentBytes, momentParts, momentsCombine, momentsGather } from '../../../gpu/kernels/moments.ts';
import type { Epilogue, Matrix } from '../../../gpu/kernels/operands.ts';
import type { Conv2dOptions, DenoiseSpec, GroupNormSpec, PictureOperations, Tensor, Weight } from '../backend.ts';
import * as checks from '../picture-checks.ts';
import type { Context } from './context.ts';
import type { Products } from './products.ts';
import { matrix, optional } from './tensors.ts';
import { optionalVector, vectorOf, weightOf } from './weights.ts';

export class Pictures implements PictureOperations {
  readonly #context: Context;
  readonly #products: Products;

  constructor(context: Context, products: Products) {
    this.#context = context;
    this.#products = products;
  }

  moments(bands: readonly Tensor[], groups: number, epsilon: number): Tensor {
    const { runner, tensors } = this.#context;
    const cols = checks.moments(bands, groups);
    const inputs = bands.map((band, i) => matrix('moments', `bands[${i}]`, band));
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
    checks.groupNorm('groupNorm', x, spec);
    const input = matrix('groupNorm', 'x', x);
    const out = this.#context.tensors.make(x.shape);
    this.#groupNorm('groupNorm', input, spec, matrix('groupNorm', 'out', out));
    return out;
  }

  conv2d(x: Tensor, weight: Weight, options: Conv2dOptions): Tensor {
    const { runner, tensors, none } = this.#context;
    const { outHeight, outWidth, rows, pointwise } = checks.conv2d(x, weight, options);
    const input = matrix('conv2d', 'x', x);
    const { height, width, kernel, stride = 1, upsample = false, padding, norm } = options;
    const [top, , , left] = padding;
    const { parts } = weightOf('conv2d', weight);
    const epilogue: Epilogue = {
      bias: optionalVector('conv2d', options.bias),
      activation: options.activation ?? 'none',
      scale: 1,
      residual: optional('conv2d', 'residual', options.residual),
    };
    // The norm is a separate pass: the convolution reads each value of x kernel * kernel * rows / 64 times, and
    // computing the activation each time would cost more.
    const normal = norm === undefined ? undefined : tensors.make(x.shape);
    const picture = normal === undefined ? input : matrix('conv2d', 'normalised x', normal);
    if (norm !== undefined) this.#groupNorm('conv2d', input, norm, picture);
    const out = tensors.make([outHeight * outWidth, rows]);
    const target = matrix('conv2d', 'out', out);
    if (pointwise) this.#products.product(picture, parts, undefined, epilogue, target);
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
    checks.denoise(x, predicted, noise, spec);
    const input = matrix('denoise', 'x', x);
    const inputs = {
      x: input,
      predicted: matrix('denoise', 'predicted', predicted),
      noise: matrix('denoise', 'noise', noise),
      spec,
    };
    const out = tensors.make(x.shape);
    runner.run(denoise, { ...inputs, out: matrix('denoise', 'out', out) });
    return out;
  }

  #groupNorm(operation: string, x: Matrix, spec: GroupNormSpec, out: Matrix): void {
    const moments = matrix(operation, 'moments', spec.moments);
    const weight = vectorOf(operation, spec.weight);
    const bias = vectorOf(operation, spec.bias);
    this.#context.runner.run(groupNorm, { x, moments, weight, bias, activation: spec.activation ?? 'none', out });
  }
}
