/** The KL autoencoder (Rombach et al. 2022; KL-16 of MAR): residual convolutions over levels of halved sides, one attention in the middle. */
import type { Backend, PictureOperations, Tensor } from '../../backend/backend.ts';
import { FullAttention } from '../../layers/full-attention.ts';
import type { Held } from '../../layers/held.ts';
import { linear } from '../../layers/linear.ts';
import type { Steps } from '../../layers/steps.ts';
import type { KlConfig } from './config.ts';
import { Rasters, type Band, type Raster } from './raster.ts';
import { toLatents, type PictureDecoder, type PictureEncoder, type Standardise } from './tokenizer.ts';
import type {
  AttentionWeights,
  KlDecoderWeights,
  KlEncoderWeights,
  MiddleWeights,
  ResidualWeights,
} from './vae-weights.ts';

const RGB = 3;

/** What encoder and decoder are made of, for one picture. Every part frees the raster that it is given. */
class Layers {
  readonly rasters: Rasters;
  readonly #backend: Backend;
  readonly #operations: PictureOperations;
  readonly #held: Held;
  readonly #config: KlConfig;

  constructor(backend: Backend, operations: PictureOperations, config: KlConfig, held: Held, bandBytes: number) {
    this.rasters = new Rasters(backend, operations, held, bandBytes);
    this.#backend = backend;
    this.#operations = operations;
    this.#held = held;
    this.#config = config;
  }

  /** x + conv(silu(norm(conv(silu(norm(x)))))) */
  *residual(x: Raster, { norm1, conv1, norm2, conv2, shortcut }: ResidualWeights): Steps<Raster> {
    const { rasters } = this;
    const first = rasters.norm(x, norm1, this.#config, 'silu');
    const hidden = yield* rasters.convolve(x, { layer: conv1, norm: first, keep: true });
    this.#held.drop(first.moments);
    const residual = shortcut === undefined ? x : yield* rasters.convolve(x, { layer: shortcut });
    const second = rasters.norm(hidden, norm2, this.#config, 'silu');
    const out = yield* rasters.convolve(hidden, { layer: conv2, norm: second, residual });
    this.#held.drop(second.moments);
    return out;
  }

  /** x + output(attention over all pixels, one head as wide as the channels) */
  *attention(x: Raster, { norm, qkv, output }: AttentionWeights): Steps<Raster> {
    const backend = this.#backend;
    const held = this.#held;
    const { height, width, channels } = x;
    const total = height * width;
    const memory = new FullAttention(backend, 1, channels);
    try {
      const spec = this.rasters.norm(x, norm, this.#config);
      const queries: Tensor[] = [];
      for (const { first, tensor } of x.bands) {
        queries.push(
          held.step(() =>
            memory.append(linear(backend, this.#operations.groupNorm(tensor, spec), qkv), first * width, total),
          ),
        );
        yield;
      }
      held.drop(spec.moments);
      const bands: Band[] = [];
      for (const [i, { first, last, tensor }] of x.bands.entries()) {
        const q = queries[i];
        if (q === undefined) break;
        bands.push({
          first,
          last,
          tensor: held.next(q, () =>
            linear(backend, memory.attend(q, first * width, total), output, { residual: tensor }),
          ),
        });
        held.drop(tensor);
        yield;
      }
      return { height, width, channels, bands };
    } finally {
      memory.free();
    }
  }

  *middle(x: Raster, { first, attention, second }: MiddleWeights): Steps<Raster> {
    return yield* this.residual(yield* this.attention(yield* this.residual(x, first), attention), second);
  }

  /** silu(norm(x)), then the convolution. */
  *output(x: Raster, { norm, output }: Pick<KlEncoderWeights, 'norm' | 'output'>): Steps<Raster> {
    const spec = this.rasters.norm(x, norm, this.#config, 'silu');
    const out = yield* this.rasters.convolve(x, { layer: output, norm: spec });
    this.#held.drop(spec.moments);
    return out;
  }
}

export class KlEncoder implements PictureEncoder {
  readonly #backend: Backend;
  readonly #operations: PictureOperations;
  readonly #config: KlConfig;
  readonly #weights: KlEncoderWeights;
  readonly #standardise: Standardise;
  readonly #bandBytes: number;

  constructor(
    backend: Backend,
    operations: PictureOperations,
    config: KlConfig,
    weights: KlEncoderWeights,
    standardise: Standardise,
    bandBytes: number,
  ) {
    this.#backend = backend;
    this.#operations = operations;
    this.#config = config;
    this.#weights = weights;
    this.#standardise = standardise;
    this.#bandBytes = bandBytes;
  }

  *encode(pixels: Float32Array, size: number, held: Held): Steps<Tensor> {
    const { input, levels, middle, quantise } = this.#weights;
    const layers = new Layers(this.#backend, this.#operations, this.#config, held, this.#bandBytes);
    const { rasters } = layers;
    let x = yield* rasters.convolve(rasters.upload(pixels, { height: size, width: size, channels: RGB }), {
      layer: input,
    });
    for (const { blocks, resample } of levels) {
      for (const { residual, attention } of blocks) {
        x = yield* layers.residual(x, residual);
        if (attention) x = yield* layers.attention(x, attention);
      }
      if (resample) x = yield* rasters.convolve(x, { layer: resample, down: true });
    }
    x = yield* layers.output(yield* layers.middle(x, middle), this.#weights);
    const tokens = held.step(() =>
      linear(this.#backend, linear(this.#backend, rasters.rows(x, 0, x.height), quantise), this.#standardise),
    );
    rasters.drop(x);
    return tokens;
  }
}

export class KlDecoder implements PictureDecoder {
  readonly #backend: Backend;
  readonly #operations: PictureOperations;
  readonly #config: KlConfig;
  readonly #patch: number;
  readonly #weights: KlDecoderWeights;
  readonly #bandBytes: number;

  constructor(
    backend: Backend,
    operations: PictureOperations,
    config: KlConfig,
    patch: number,
    weights: KlDecoderWeights,
    bandBytes: number,
  ) {
    this.#backend = backend;
    this.#operations = operations;
    this.#config = config;
    this.#patch = patch;
    this.#weights = weights;
    this.#bandBytes = bandBytes;
  }

  *decode(tokens: Float32Array, size: number, held: Held): Steps<readonly Tensor[]> {
    const { dequantise, input, middle, levels } = this.#weights;
    const layers = new Layers(this.#backend, this.#operations, this.#config, held, this.#bandBytes);
    const { rasters } = layers;
    const grid = size / this.#patch;
    const latents = rasters.upload(toLatents(tokens, this.#config), {
      height: grid,
      width: grid,
      channels: this.#config.mean.length,
    });
    let x = yield* rasters.convolve(latents, { layer: dequantise });
    x = yield* layers.middle(yield* rasters.convolve(x, { layer: input }), middle);
    for (const { blocks, resample } of levels) {
      for (const { residual } of blocks) x = yield* layers.residual(x, residual);
      if (resample) x = yield* rasters.convolve(x, { layer: resample, up: true });
    }
    const { bands } = yield* layers.output(x, this.#weights);
    return bands.map(({ tensor }) => tensor);
  }

  arrange(values: Float32Array): Float32Array {
    return values;
  }
}
