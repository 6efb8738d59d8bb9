/** The tensors of a decoder, by the names that GGUF and Hugging Face files have for them. */
import type { Weight } from '../backend/backend.ts';
import { ModelError } from '../errors.ts';
import type { BlockWeights } from '../layers/decoder-block.ts';
import type { TensorInfo } from '../load/model-file.ts';
import type { BlockSlots } from './architecture.ts';
import type { LanguageModelConfig } from './config.ts';
import { TensorPlan, type Take } from './weights.ts';

export interface DecoderWeights {
  readonly embedding: Weight; // (vocabulary, hidden)
  readonly blocks: readonly BlockWeights[];
  readonly norm: Weight; // (hidden)
  /** The embedding table, where the head is tied to it. */
  readonly head: Weight; // (vocabulary, hidden)
  /** Divisors of RoPE's frequencies, one for each pair. */
  readonly ropeDivisors: Float32Array | undefined;
}

const NAMES = {
  embedding: { gguf: 'token_embd.weight', huggingface: 'model.embed_tokens.weight' },
  norm: { gguf: 'output_norm.weight', huggingface: 'model.norm.weight' },
  head: { gguf: 'output.weight', huggingface: 'lm_head.weight' },
  ropeDivisors: { gguf: 'rope_freqs.weight', huggingface: '' },
} as const;

/** Tensors of the language model, as opposed to those of, say, a vision tower in the same file. */
const OWN = { gguf: /^(blk\.|token_embd|output)/, huggingface: /^(model\.(layers|embed_tokens|norm)\.|lm_head\.)/ };
/** Computed from the configuration, and stored by old converters; a head that a tied model does not need. */
const IGNORED = {
  gguf: /\.rot_embd$|\.attn_rot_embd|^output\.weight$/,
  huggingface: /rotary_emb\.inv_freq$|^lm_head\.weight$/,
};

/** The first run over a file: throws `ModelError` naming the first tensor that is missing, misshapen, of an unsuitable format or unknown to the architecture. */
export function planDecoder(
  tensors: ReadonlyMap<string, TensorInfo>,
  config: LanguageModelConfig,
  slots: BlockSlots,
): TensorPlan {
  const { architecture, layers, source } = config;
  const plan = new TensorPlan(tensors, {
    file: source,
    missing: `which every ${architecture} model of ${layers} layers has; it may be incomplete: give all of its parts`,
  });
  takeDecoder(plan.take, config, slots);
  plan.rejectUnknown(
    (name) => OWN[source].test(name) && !IGNORED[source].test(name),
    `${architecture} models of ${layers} layers`,
  );
  return plan;
}

export function takeDecoder(take: Take, config: LanguageModelConfig, slots: BlockSlots): DecoderWeights {
  const { vocabulary, hidden, layers, tied, rope } = config;
  const embedding = take.weight(NAMES.embedding, [vocabulary, hidden]);
  return {
    embedding,
    blocks: Array.from({ length: layers }, (_, layer) => takeBlock(take, slots, layer)),
    norm: take.weight(NAMES.norm, [hidden]),
    head: tied ? embedding : take.weight(NAMES.head, [vocabulary, hidden]),
    ropeDivisors: take.has(NAMES.ropeDivisors) ? divisors(take, rope.dimension / 2) : undefined,
  };
}

function takeBlock(take: Take, slots: BlockSlots, layer: number): BlockWeights {
  const weights: Partial<Record<string, Weight>> = {};
  for (const [role, { gguf, huggingface, shape, required }] of Object.entries(slots)) {
    const name = { gguf: `blk.${layer}.${gguf}`, huggingface: `model.layers.${layer}.${huggingface}` };
    weights[role] = required ? take.weight(name, shape) : take.optional(name, shape);
  }
  return weights as unknown as BlockWeights;
}

function divisors(take: Take, pairs: number): Float32Array {
  const values = take.table(NAMES.ropeDivisors, [pairs]);
  if (values.some((value) => !(value > 0 && value < Infinity)))
    throw new ModelError('config', `${NAMES.ropeDivisors.gguf} holds a value that is not positive`, {
      tensor: NAMES.ropeDivisors.gguf,
    });
  return values;
}
