/** Which tensors of a file a decoder takes, by name; checked for presence, shape and format before anything is read. */
import type { Weight } from '../backend/backend.ts';
import { ModelError } from '../errors.ts';
import type { BlockWeights } from '../layers/decoder-block.ts';
import type { TensorInfo } from '../load/model-file.ts';
import type { BlockSlots, Slot } from './architecture.ts';
import type { LanguageModelConfig } from './config.ts';

export interface WeightPlan {
  readonly names: ReadonlySet<string>;
  readonly embedding: string;
  readonly norm: string;
  /** The embedding table, where the head is tied to it. */
  readonly head: string;
  readonly blocks: readonly ((weight: (name: string) => Weight) => BlockWeights)[];
  /** A vector for the host: divisors of RoPE's frequencies. */
  readonly ropeDivisors: string;
}

const GGUF = {
  embedding: 'token_embd.weight', // (vocabulary, hidden)
  norm: 'output_norm.weight', // (hidden)
  head: 'output.weight', // (vocabulary, hidden)
  block: (layer: number) => `blk.${layer}.`,
  ropeDivisors: 'rope_freqs.weight', // (rope.dimension / 2)
  /** Tensors of the language model, as opposed to those of, say, a vision tower in the same file. */
  own: /^(blk\.|token_embd|output)/,
  /** Computed from the configuration, and stored by old converters. */
  ignored: /\.rot_embd$|^rope_freqs|\.attn_rot_embd/,
};
const HUGGING_FACE = {
  embedding: 'model.embed_tokens.weight', // (vocabulary, hidden)
  norm: 'model.norm.weight', // (hidden)
  head: 'lm_head.weight', // (vocabulary, hidden)
  block: (layer: number) => `model.layers.${layer}.`,
  ropeDivisors: '',
  own: /^(model\.(layers|embed_tokens|norm)\.|lm_head\.)/,
  ignored: /rotary_emb\.inv_freq$/,
};

/** Throws `ModelError` naming the first tensor that is missing, misshapen, of an unsuitable format or of a kind unknown to the architecture. */
export function planWeights(
  tensors: ReadonlyMap<string, TensorInfo>,
  config: LanguageModelConfig,
  slots: BlockSlots,
): WeightPlan {
  const naming = config.source === 'gguf' ? GGUF : HUGGING_FACE;
  const { vocabulary, hidden, layers, tied, architecture } = config;
  const names = new Set<string>();
  const take = (name: string, shape: readonly number[]): string => {
    const info = tensors.get(name);
    if (info === undefined) {
      throw new ModelError(
        'tensor-missing',
        `the file has no tensor ${name}, which every ${architecture} model of ${layers} layers has; it may be incomplete: give all of its parts`,
        { tensor: name },
      );
    }
    check(info, shape);
    names.add(name);
    return name;
  };

  const embedding = take(naming.embedding, [vocabulary, hidden]);
  const blocks = Array.from({ length: layers }, (_, layer) => {
    const found = new Map<string, string>();
    for (const [role, slot] of Object.entries(slots) as [keyof BlockWeights, Slot][]) {
      const name = naming.block(layer) + slot[config.source];
      if (slot.required || tensors.has(name)) found.set(role, take(name, slot.shape));
    }
    return (weight: (name: string) => Weight): BlockWeights =>
      Object.fromEntries([...found].map(([role, name]) => [role, weight(name)])) as unknown as BlockWeights;
  });
  const norm = take(naming.norm, [hidden]);
  const head = tied ? embedding : take(naming.head, [vocabulary, hidden]);

  for (const name of tensors.keys()) {
    if (names.has(name) || !naming.own.test(name) || naming.ignored.test(name) || name === naming.head) continue;
    throw new ModelError(
      'tensor-type',
      `the file has a tensor ${name}, which ${architecture} models of ${layers} layers do not have here; this variant of the architecture is not supported`,
      { tensor: name },
    );
  }
  return { names, embedding, norm, head, blocks, ropeDivisors: naming.ropeDivisors };
}

function check({ name, shape, format }: TensorInfo, wanted: readonly number[]): void {
  if (shape.length !== wanted.length || shape.some((n, i) => n !== wanted[i])) {
    throw new ModelError(
      'tensor-shape',
      `${name} is [${shape.join(', ')}]; the configuration asks for [${wanted.join(', ')}]`,
      { tensor: name, found: shape, wanted },
    );
  }
  if (wanted.length === 1 && format !== 'F32') {
    throw new ModelError(
      'tensor-type',
      `${name} is a vector in ${format}; norms and biases should be F32, F16 or BF16 in the file: convert the model anew`,
      { tensor: name, format },
    );
  }
}
