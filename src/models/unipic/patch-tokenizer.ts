/** The small image tokenizer: a perceptron a patch, and one convolution over the grid before the way back. */
import type { Backend, PictureOperations, Tensor } from '../../backend/backend.ts';
import type { Held } from '../../layers/held.ts';
import { linear, siluMlp } from '../../layers/linear.ts';
import type { Steps } from '../../layers/steps.ts';
import type { PatchConfig } from './config.ts';
import { patchRows } from '../vision/patches.ts';
import { fromPatches } from './patches.ts';
import { toLatents, type PictureDecoder, type PictureEncoder, type Standardise } from './tokenizer.ts';
import type { PatchDecoderWeights, PatchEncoderWeights } from './vae-weights.ts';

export class PatchEncoder implements PictureEncoder {
  readonly #backend: Backend;
  readonly #patch: number;
  readonly #weights: PatchEncoderWeights;
  readonly #standardise: Standardise;

  constructor(backend: Backend, patch: number, weights: PatchEncoderWeights, standardise: Standardise) {
    this.#backend = backend;
    this.#patch = patch;
    this.#weights = weights;
    this.#standardise = standardise;
  }

  // eslint-disable-next-line require-yield -- one step
  *encode(pixels: Float32Array, size: number, held: Held): Steps<Tensor> {
    const patch = this.#patch;
    return held.step(() => {
      const values = patchRows(pixels, { width: size, height: size, patch, order: 'pixels' });
      const rows = this.#backend.upload(values, [(size / patch) ** 2, patch * patch * 3]);
      return linear(this.#backend, siluMlp(this.#backend, rows, this.#weights.layers), this.#standardise);
    });
  }
}

export class PatchDecoder implements PictureDecoder {
  readonly #backend: Backend;
  readonly #operations: PictureOperations;
  readonly #patch: number;
  readonly #config: PatchConfig;
  readonly #weights: PatchDecoderWeights;

  constructor(
    backend: Backend,
    operations: PictureOperations,
    patch: number,
    config: PatchConfig,
    weights: PatchDecoderWeights,
  ) {
    this.#backend = backend;
    this.#operations = operations;
    this.#patch = patch;
    this.#config = config;
    this.#weights = weights;
  }

  // eslint-disable-next-line require-yield -- one step
  *decode(tokens: Float32Array, size: number, held: Held): Steps<readonly Tensor[]> {
    const backend = this.#backend;
    const { conv, layers } = this.#weights;
    const grid = size / this.#patch;
    const rows = held.step(() => {
      const latents = backend.upload(toLatents(tokens, this.#config), [grid * grid, this.#config.mean.length]);
      const mixed = this.#operations.conv2d(latents, conv.weight, {
        height: grid,
        width: grid,
        kernel: 3,
        padding: [1, 1, 1, 1],
        bias: conv.bias,
        activation: 'silu',
      });
      return siluMlp(backend, mixed, layers);
    });
    return [rows];
  }

  arrange(values: Float32Array, size: number): Float32Array {
    return fromPatches(values, size, this.#patch);
  }
}
