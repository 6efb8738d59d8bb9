/**
 * The diffusion head predicts the noise in noisy tokens, given a time step and the decoder's condition. It is a
 * residual perceptron with adaptive layer norms (DiT, Peebles & Xie 2022); rows are independent of each other. H is its
 * width.
 */
import type { Backend, Tensor } from '../../backend/backend.ts';
import { linear, siluMlp } from '../../layers/linear.ts';
import type { DiffusionConfig } from './config.ts';
import { TIME_WIDTH, type HeadWeights } from './head-weights.ts';

export class DiffusionHead {
  readonly #backend: Backend;
  readonly #weights: HeadWeights;
  readonly #width: number;
  readonly #epsilon: number;

  constructor(backend: Backend, { width }: DiffusionConfig, epsilon: number, weights: HeadWeights) {
    this.#backend = backend;
    this.#weights = weights;
    this.#width = width;
    this.#epsilon = epsilon;
  }

  /** Bytes of the widest tensor for one row of `predict`. */
  get rowBytes(): number {
    return 4 * this.#width * (3 * this.#weights.blocks.length + 2);
  }

  /** Embeds training steps: [steps, H]. */
  times(steps: readonly number[]): Tensor {
    const half = TIME_WIDTH / 2;
    const waves = new Float32Array(steps.length * TIME_WIDTH);
    steps.forEach((step, row) => {
      for (let i = 0; i < half; i++) {
        const angle = step * Math.exp((-Math.log(10000) * i) / half);
        waves[row * TIME_WIDTH + i] = Math.cos(angle);
        waves[row * TIME_WIDTH + half + i] = Math.sin(angle);
      }
    });
    return siluMlp(this.#backend, this.#backend.upload(waves, [steps.length, TIME_WIDTH]), this.#weights.time);
  }

  /** The decoder's z [T, W] -> [T, H]. */
  condition(z: Tensor): Tensor {
    return linear(this.#backend, z, this.#weights.condition);
  }

  /** x [n, C], time [1, H], condition [n, H], or [2 n, H] for two predictions of the same x -> [rows of condition, 2 C]. */
  predict(x: Tensor, time: Tensor, condition: Tensor): Tensor {
    const backend = this.#backend;
    const { input, blocks, modulation, output } = this.#weights;
    const width = this.#width;
    const epsilon = this.#epsilon;
    const scales = linear(backend, backend.add(condition, time, 'silu'), modulation);
    const one = linear(backend, x, input);
    let hidden = condition.shape[0] === x.shape[0] ? one : backend.stack([one, one]);
    blocks.forEach(({ norm, mlp }, i) => {
      const shift = 3 * i * width;
      const before = hidden;
      hidden = backend.scope(() => {
        const modulated = backend.modulate(before, {
          modulation: scales,
          shift,
          scale: shift + width,
          epsilon,
          weight: norm.weight,
          bias: norm.bias,
        });
        return backend.gatedAdd(before, siluMlp(backend, modulated, mlp), scales, shift + 2 * width);
      });
      backend.free(before);
    });
    const shift = 3 * blocks.length * width;
    return linear(
      backend,
      backend.modulate(hidden, { modulation: scales, shift, scale: shift + width, epsilon }),
      output,
    );
  }
}
