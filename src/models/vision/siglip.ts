/** SigLIP's vision tower (Zhai et al. 2023, Tschannen et al. 2025) without its pooling head: a transformer over the patches of a square. */
import type { Activation, Backend, NormSpec, Tensor, Weight } from '../../backend/backend.ts';
import { encoderBlock, type EncoderBlockWeights } from '../../layers/encoder-block.ts';
import { FullAttention } from '../../layers/full-attention.ts';
import type { Held } from '../../layers/held.ts';
import { linear, type Linear } from '../../layers/linear.ts';
import type { Steps } from '../../layers/steps.ts';
import { suffixed, takeLinear, takeNorm, type Take, type TensorName } from '../weights.ts';
import { patchRows, type PatchOrder } from './patches.ts';

export interface SiglipConfig {
  readonly width: number;
  readonly mlp: number;
  readonly blocks: number;
  readonly heads: number;
  readonly size: number;
  readonly patch: number;
  readonly epsilon: number;
  readonly activation: Activation;
  /** In which order the patch embedding reads a patch's values. */
  readonly order: PatchOrder;
}

export interface SiglipWeights {
  readonly patches: Linear; // (width, 3 patch patch)
  readonly positions: Weight; // ((size / patch)^2, width)
  readonly blocks: readonly EncoderBlockWeights[];
  readonly norm: NormSpec;
}

/** What each part is called in GGUF projector files, and in Hugging Face files below the tower. */
const NAMES = {
  patches: ['v.patch_embd', 'embeddings.patch_embedding'],
  positions: ['v.position_embd', 'embeddings.position_embedding'],
  norm: ['v.post_ln', 'post_layernorm'],
  norm1: ['ln1', 'layer_norm1'],
  query: ['attn_q', 'self_attn.q_proj'],
  key: ['attn_k', 'self_attn.k_proj'],
  value: ['attn_v', 'self_attn.v_proj'],
  output: ['attn_out', 'self_attn.out_proj'],
  norm2: ['ln2', 'layer_norm2'],
  up: ['ffn_up', 'mlp.fc1'],
  down: ['ffn_down', 'mlp.fc2'],
} as const;

/** Names of the parts: `root` begins those of Hugging Face; with `everywhere`, GGUF files of this model have the same. */
export function siglipNames(
  root: string,
  everywhere = false,
): (part: keyof typeof NAMES, block?: number) => TensorName {
  return (part, block) => {
    const [gguf, huggingface] = NAMES[part];
    const name = `${root}${block === undefined ? '' : `encoder.layers.${block}.`}${huggingface}`;
    return { gguf: everywhere ? name : `${block === undefined ? '' : `v.blk.${block}.`}${gguf}`, huggingface: name };
  };
}

export function siglipWeights(take: Take, config: SiglipConfig, name: ReturnType<typeof siglipNames>): SiglipWeights {
  const { width, mlp, blocks, size, patch, epsilon } = config;
  const values = 3 * patch * patch;
  // Older projector files exchange the names of the two MLP matrices.
  const swapped = mlp !== width && take.rows(suffixed(name('down', 0), 'weight')) === mlp;
  const block = (i: number): EncoderBlockWeights => ({
    norm1: takeNorm(take, name('norm1', i), width, epsilon),
    qkv: (['query', 'key', 'value'] as const).map((part) => takeLinear(take, name(part, i), width, width)),
    output: takeLinear(take, name('output', i), width, width),
    norm2: takeNorm(take, name('norm2', i), width, epsilon),
    up: takeLinear(take, name(swapped ? 'down' : 'up', i), mlp, width),
    down: takeLinear(take, name(swapped ? 'up' : 'down', i), width, mlp),
  });
  return {
    patches: {
      weight: take.weight(suffixed(name('patches'), 'weight'), [width, values], {
        alsoAs: [[width, 3, patch, patch]],
      }),
      bias: take.weight(suffixed(name('patches'), 'bias'), [width]),
    },
    positions: take.weight(suffixed(name('positions'), 'weight'), [(size / patch) ** 2, width]),
    blocks: Array.from({ length: blocks }, (_, i) => block(i)),
    norm: takeNorm(take, name('norm'), width, epsilon),
  };
}

export class SiglipTower {
  readonly #backend: Backend;
  readonly #config: SiglipConfig;
  readonly #weights: SiglipWeights;
  readonly #attention: FullAttention;
  /** [patches, width], from the first image on. */
  #positions: Tensor | undefined;

  constructor(backend: Backend, config: SiglipConfig, weights: SiglipWeights) {
    this.#backend = backend;
    this.#config = config;
    this.#weights = weights;
    this.#attention = new FullAttention(backend, config.heads, config.width / config.heads);
  }

  /** pixels [size * size * 3] -> [patches, width], after the last norm; `held` owns it. */
  *forward(pixels: Float32Array, held: Held): Steps<Tensor> {
    const backend = this.#backend;
    const { size, patch, activation, order } = this.#config;
    const { patches, blocks, norm } = this.#weights;
    const residual = (this.#positions ??= this.#embedPositions());
    let x = held.step(() => {
      const rows = patchRows(pixels, { width: size, height: size, patch, order });
      const count = rows.length / (3 * patch * patch);
      return linear(backend, backend.upload(rows, [count, 3 * patch * patch]), patches, { residual });
    });
    for (const block of blocks) {
      yield;
      x = held.next(x, (before) => encoderBlock(backend, before, block, this.#attention, activation));
    }
    return held.next(x, (before) => backend.norm(before, norm));
  }

  free(): void {
    this.#attention.free();
    if (this.#positions !== undefined) this.#backend.free(this.#positions);
    this.#positions = undefined;
  }

  #embedPositions(): Tensor {
    const backend = this.#backend;
    const { positions } = this.#weights;
    const [count = 0] = positions.shape;
    const ring = backend.ids(count);
    try {
      backend.writeIds(
        ring,
        0,
        Int32Array.from({ length: count }, (_, i) => i),
      );
      return backend.keep(backend.scope(() => backend.embed(positions, ring, 0, count)));
    } finally {
      backend.free(ring);
    }
  }
}
