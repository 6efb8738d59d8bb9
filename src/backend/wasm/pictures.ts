/** The operations of image models: assembly/kernels/{group-norm,conv,rowwise}.ts. */
import type { Conv2dOptions, DenoiseSpec, GroupNormSpec, PictureOperations, Tensor, Weight } from '../backend.ts';
import * as checks from '../picture-checks.ts';
import type { Engine } from './engine.ts';
import { convPrepared, momentsPartials, writeConv, writeDenoise, writeGroupNorm, writeMoments } from './layouts.ts';
import type { Products } from './products.ts';
import { activationOf, addressOf, tensorOf, vectorOf, weightOf } from './residence.ts';
import type { Tensors } from './tensors.ts';

/**
 * Prepared images above this many bytes are freed after the operation: those of a VAE are many times as large as a
 * layer's activations.
 */
const KEPT_BYTES = 32 << 20;
/** Bytes of a channel's entry in the table of a group norm. */
const TABLE_BYTES = 12;

export class Pictures implements PictureOperations {
  readonly #engine: Engine;
  readonly #tensors: Tensors;
  readonly #products: Products;

  constructor(engine: Engine, tensors: Tensors, products: Products) {
    this.#engine = engine;
    this.#tensors = tensors;
    this.#products = products;
  }

  moments(bands: readonly Tensor[], groups: number, epsilon: number): Tensor {
    const engine = this.#engine;
    engine.alive();
    const { exports } = engine.wasm;
    const channels = checks.moments(bands, groups);
    const inputs = bands.map((band, i) => tensorOf('moments', `bands[${i}]`, band));
    const list = engine.room('runs', inputs.length * 8);
    engine.scratch(exports.momentsScratchBytes(channels));
    const out = this.#tensors.make([groups, 2]);
    const entries = engine.wasm.u32(list, inputs.length * 2);
    inputs.forEach(({ pointer, shape }, i) => {
      entries[2 * i] = pointer;
      entries[2 * i + 1] = shape[0] ?? 0;
    });
    writeMoments(engine.block(), {
      out: out.pointer,
      bands: list,
      bandCount: inputs.length,
      channels,
      groups,
      epsilon,
      partials: 0,
    });
    const partials = engine.room('partials', exports.momentsPartialBytes(engine.args));
    engine.block().words[momentsPartials] = partials;
    engine.run('moments', exports.moments);
    return out;
  }

  groupNorm(x: Tensor, spec: GroupNormSpec): Tensor {
    const engine = this.#engine;
    engine.alive();
    checks.groupNorm('groupNorm', x, spec);
    const input = tensorOf('groupNorm', 'x', x);
    const norm = groupNormOf('groupNorm', spec);
    const [pixels = 0, channels = 0] = input.shape;
    const table = engine.room('table', channels * TABLE_BYTES);
    const out = this.#tensors.make([pixels, channels]);
    writeGroupNorm(engine.block(), {
      out: out.pointer,
      x: input.pointer,
      pixels,
      channels,
      moments: norm.moments,
      groups: norm.groups,
      weight: norm.normWeight,
      bias: norm.normBias,
      activation: norm.normActivation,
      table,
    });
    engine.run('groupNorm', engine.wasm.exports.groupNorm);
    return out;
  }

  conv2d(x: Tensor, weight: Weight, options: Conv2dOptions): Tensor {
    const engine = this.#engine;
    engine.alive();
    const { exports } = engine.wasm;
    const { channels, outHeight, outWidth, rows, pointwise } = checks.conv2d(x, weight, options);
    const { height, width, kernel, stride = 1, padding, upsample = false, bias, activation, residual } = options;
    if (pointwise && options.norm === undefined) {
      const fused = { bias: [bias], ...(activation && { activation }), ...(residual && { residual }) };
      return this.#products.product('conv2d', x, [weight], fused, { count: height * width, cols: channels, rows });
    }
    const input = tensorOf('conv2d', 'x', x);
    const matrix = weightOf('conv2d', weight);
    const norm = groupNormOf('conv2d', options.norm);
    const biasAt = vectorOf('conv2d', bias);
    const residualAt = addressOf('conv2d', 'residual', residual);
    const table = engine.room('table', channels * TABLE_BYTES);
    const out = this.#tensors.make([outHeight * outWidth, rows]);
    writeConv(engine.block(), {
      out: out.pointer,
      x: input.pointer,
      weight: matrix.pointer,
      format: matrix.ggml,
      rows,
      channels,
      height,
      width,
      kernel,
      stride,
      top: padding[0],
      left: padding[3],
      upsample: upsample ? 1 : 0,
      outHeight,
      outWidth,
      bias: biasAt,
      activation: activationOf(activation),
      residual: residualAt,
      threads: engine.threads,
      prepared: 0,
      table,
      ...norm,
    });
    const bytes = exports.convPreparedBytes(engine.args);
    const prepared = engine.room('picture', bytes);
    engine.block().words[convPrepared] = prepared;
    engine.scratch(exports.convScratchBytes(engine.args));
    engine.run('conv2d', exports.conv2d);
    if (bytes > KEPT_BYTES) engine.giveBack('picture');
    return out;
  }

  denoise(x: Tensor, predicted: Tensor, noise: Tensor, spec: DenoiseSpec): Tensor {
    const engine = this.#engine;
    engine.alive();
    checks.denoise(x, predicted, noise, spec);
    const input = tensorOf('denoise', 'x', x);
    const predictedAt = addressOf('denoise', 'predicted', predicted);
    const noiseAt = addressOf('denoise', 'noise', noise);
    const [count = 0, cols = 0] = input.shape;
    const out = this.#tensors.make([count, cols]);
    writeDenoise(engine.block(), {
      ...spec,
      out: out.pointer,
      x: input.pointer,
      cols,
      count,
      predicted: predictedAt,
      noise: noiseAt,
      guided: spec.guidance === undefined ? 0 : 1,
      velocity: spec.prediction === 'v' ? 1 : 0,
      guidance: spec.guidance ?? 1,
    });
    engine.run('denoise', engine.wasm.exports.denoise);
    return out;
  }
}

/** Returns the fields of a group norm; without one, no moments. */
function groupNormOf(operation: string, spec: GroupNormSpec | undefined) {
  return {
    moments: addressOf(operation, 'moments', spec?.moments),
    groups: spec?.moments.shape[0] ?? 1,
    normWeight: vectorOf(operation, spec?.weight),
    normBias: vectorOf(operation, spec?.bias),
    normActivation: activationOf(spec?.activation),
  };
}
