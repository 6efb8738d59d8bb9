/** The vision tower SigLIP 2 (Tschannen et al. 2025) without its pooling head: a second way to see, for understanding only. */
import type { Backend, NormSpec, Tensor } from '../../backend/backend.ts';
import { encoderBlock, type EncoderBlockWeights } from '../../layers/encoder-block.ts';
import { FullAttention } from '../../layers/full-attention.ts';
import type { Held } from '../../layers/held.ts';
import { linear, type Linear } from '../../layers/linear.ts';
import type { Steps } from '../../layers/steps.ts';
import type { SiglipConfig } from './config.ts';
import { toPatches } from './patches.ts';
import { takeLinear, takeNorm, type Take } from '../weights.ts';

export interface SiglipWeights {
  readonly patches: Linear; // (width, patch patch 3)
  readonly positions: Float32Array; // ((size / patch)^2, width)
  readonly blocks: readonly EncoderBlockWeights[];
  readonly norm: NormSpec;
}

export function siglipWeights(take: Take, { width, mlp, blocks, size, patch, epsilon }: SiglipConfig): SiglipWeights {
  const block = (name: string): EncoderBlockWeights => ({
    norm1: takeNorm(take, `${name}.layer_norm1`, width, epsilon),
    qkv: ['q_proj', 'k_proj', 'v_proj'].map((part) => takeLinear(take, `${name}.self_attn.${part}`, width, width)),
    output: takeLinear(take, `${name}.self_attn.out_proj`, width, width),
    norm2: takeNorm(take, `${name}.layer_norm2`, width, epsilon),
    up: takeLinear(take, `${name}.mlp.fc1`, mlp, width),
    down: takeLinear(take, `${name}.mlp.fc2`, width, mlp),
  });
  return {
    patches: takeLinear(take, 'siglip2.embeddings.patch_embedding', width, patch * patch * 3),
    positions: take.table('siglip2.embeddings.position_embedding.weight', [(size / patch) ** 2, width]),
    blocks: Array.from({ length: blocks }, (_, i) => block(`siglip2.encoder.layers.${i}`)),
    norm: takeNorm(take, 'siglip2.post_layernorm', width, epsilon),
  };
}

export class SiglipTower {
  readonly #backend: Backend;
  readonly #config: SiglipConfig;
  readonly #weights: SiglipWeights;
  readonly #attention: FullAttention;

  constructor(backend: Backend, config: SiglipConfig, weights: SiglipWeights) {
    this.#backend = backend;
    this.#config = config;
    this.#weights = weights;
    this.#attention = new FullAttention(backend, config.heads, config.width / config.heads);
  }

  /** pixels [size * size * 3] -> [patches, width], after the last norm; `held` owns it. */
  *forward(pixels: Float32Array, held: Held): Steps<Tensor> {
    const backend = this.#backend;
    const { size, patch, width } = this.#config;
    const { patches, positions, blocks, norm } = this.#weights;
    const count = (size / patch) ** 2;
    let x = held.step(() => {
      const rows = backend.upload(toPatches(pixels, size, patch), [count, patch * patch * 3]);
      return linear(backend, rows, patches, { residual: backend.upload(positions, [count, width]) });
    });
    for (const block of blocks) {
      yield;
      x = held.next(x, (before) => encoderBlock(backend, before, block, this.#attention, 'geluTanh'));
    }
    return held.next(x, (before) => backend.norm(before, norm));
  }

  free(): void {
    this.#attention.free();
  }
}
