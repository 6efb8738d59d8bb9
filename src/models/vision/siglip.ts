/** SigLIP's vision tower (Zhai et al. 2023, Tschannen et al. 2025) without its pooling head: a transformer over the patches of a square. */
import type { Backend, NormSpec, Tensor, Weight } from '../../backend/backend.ts';
import type { EncoderActivation, EncoderBlockWeights } from '../../layers/encoder-block.ts';
import type { Held } from '../../layers/held.ts';
import type { Linear } from '../../layers/linear.ts';
import type { Steps } from '../../layers/steps.ts';
import { suffixed, takeNorm, type Take, type TensorName } from '../weights.ts';
import { takeBlocks, type BlockPart } from './blocks.ts';
import { patchRows, type PatchOrder } from './patches.ts';
import { tableRows, VisionTransformer } from './vit.ts';

export interface SiglipConfig {
  readonly width: number;
  readonly mlp: number;
  readonly blocks: number;
  readonly heads: number;
  readonly size: number;
  readonly patch: number;
  readonly epsilon: number;
  readonly activation: EncoderActivation;
  /** The order in which the patch embedding reads a patch's values. */
  readonly order: PatchOrder;
}

export interface SiglipWeights {
  readonly patches: Linear; // (width, 3 patch patch)
  readonly positions: Weight; // ((size / patch)^2, width)
  readonly blocks: readonly EncoderBlockWeights[];
  readonly norm: NormSpec;
}

/** The name of each part in GGUF projector files, and in Hugging Face files below the tower. */
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

/**
 * Returns the names of the parts. Those of Hugging Face begin with `root`; with `everywhere`, the GGUF files of this
 * model use the same names.
 */
export function siglipNames(
  root: string,
  everywhere = false,
): (part: keyof typeof NAMES | BlockPart, block?: number) => TensorName {
  return (part, block) => {
    // Parts that this family does not have are in no file.
    const [gguf, huggingface] = Object.hasOwn(NAMES, part) ? NAMES[part as keyof typeof NAMES] : [part, part];
    const name = `${root}${block === undefined ? '' : `encoder.layers.${block}.`}${huggingface}`;
    return { gguf: everywhere ? name : `${block === undefined ? '' : `v.blk.${block}.`}${gguf}`, huggingface: name };
  };
}

export function siglipWeights(take: Take, config: SiglipConfig, name: ReturnType<typeof siglipNames>): SiglipWeights {
  const { width, size, patch, epsilon } = config;
  const values = 3 * patch * patch;
  return {
    patches: {
      weight: take.weight(suffixed(name('patches'), 'weight'), [width, values], {
        alsoAs: [[width, 3, patch, patch]],
      }),
      bias: take.weight(suffixed(name('patches'), 'bias'), [width]),
    },
    positions: take.weight(suffixed(name('positions'), 'weight'), [(size / patch) ** 2, width]),
    blocks: takeBlocks(take, config, name),
    norm: takeNorm(take, name('norm'), width, epsilon),
  };
}

export class SiglipTower {
  readonly #backend: Backend;
  readonly #config: SiglipConfig;
  readonly #weights: SiglipWeights;
  readonly #transformer: VisionTransformer;
  /** [patches, width]; set when the first image is encoded. */
  #positions: Tensor | undefined;

  constructor(backend: Backend, config: SiglipConfig, weights: SiglipWeights) {
    this.#backend = backend;
    this.#config = config;
    this.#weights = weights;
    this.#transformer = new VisionTransformer(backend, config, { ...weights, patches: [weights.patches] });
  }

  /** pixels [size * size * 3] -> [patches, width], after the last norm; `held` owns it. */
  forward(pixels: Float32Array, held: Held): Steps<Tensor> {
    const { size, patch, order } = this.#config;
    const positions = (this.#positions ??= tableRows(this.#backend, this.#weights.positions));
    const rows = patchRows(pixels, { width: size, height: size, patch, order });
    return this.#transformer.forward({ rows, positions }, held);
  }

  free(): void {
    this.#transformer.free();
    if (this.#positions !== undefined) this.#backend.free(this.#positions);
    this.#positions = undefined;
  }
}
