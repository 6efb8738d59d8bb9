/** The specification of an encoder without its weights: an architecture file creates it from the facts in its file. */
import type { Activation } from '../../backend/backend.ts';
import type { LayerSpec } from '../../layers/layer-spec.ts';
import type { TensorInfo } from '../../load/model-file.ts';
import { ACTIVATIONS, both, MOST } from '../config.ts';
import type { LayerNames } from '../decoder-spec.ts';
import { wrong, type Facts } from '../facts.ts';
import { TensorPlan, type TensorName } from '../weights.ts';

export interface EncoderConfig {
  readonly architecture: string;
  readonly source: 'gguf' | 'huggingface';
  readonly layers: number;
  readonly hidden: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly mlp: number;
  readonly vocabulary: number;
  /** The largest number of tokens of a text, including those that the tokenizer adds around it. */
  readonly contextWindow: number;
  readonly epsilon: number;
}

/** How the states of a text's tokens are reduced to one. */
export type Pooling = 'mean' | 'cls' | 'last';

export interface NormName {
  /** The name without `.weight` and `.bias`. */
  readonly name: TensorName;
  readonly bias: boolean;
}

/** A linear layer after the pooling. */
export interface DenseSpec {
  /** The name without `.weight` and `.bias`. */
  readonly name: TensorName;
  readonly bias: boolean;
  readonly activation?: Activation | 'tanh' | undefined;
  readonly norm?: NormName | undefined;
}

/** Scores a pair of texts: layers over the pooled state, the last of which has one row. */
export interface ScoreSpec {
  readonly pooling: Pooling;
  readonly layers: readonly DenseSpec[];
}

export interface EncoderSpec {
  readonly config: EncoderConfig;
  readonly layers: readonly LayerSpec[];
  /** By layer, the number of tokens before and after itself to which a token attends; undefined for the whole text. */
  readonly reach: readonly (number | undefined)[];
  readonly names: LayerNames;
  /** The prefix of the names of a layer's tensors. */
  readonly prefix: (layer: number) => { readonly gguf: string; readonly huggingface: string };
  readonly word: TensorName; // (vocabulary, hidden)
  readonly embeddingScale?: number | undefined;
  /** A learned vector for each position, (rows, hidden); the first token uses row `first`. */
  readonly positions?: { readonly name: TensorName; readonly rows: number; readonly first: number } | undefined;
  /** A learned vector for each text of a pair, (rows, hidden); a single text uses row 0. */
  readonly segments?: { readonly name: TensorName; readonly rows: number } | undefined;
  /** The norm of the sum of the embeddings. */
  readonly embeddingNorm?: NormName | undefined;
  /** The norm of the last layer's states. */
  readonly finalNorm?: NormName | undefined;
  /**
   * Biases added to the scores by the distance of key and query (T5, MPNet): (buckets, heads), the same in all layers.
   */
  readonly relative?: { readonly name: TensorName; readonly buckets: number } | undefined;
  /** The scoring layers of a cross-encoder. */
  readonly score?: ScoreSpec | undefined;
  /** The pooling used if neither the file's metadata nor its folder states it. */
  readonly pooling: Pooling;
}

/**
 * Creates an encoder's specification from its file's facts. `tensors` shows how the names begin and which heads exist.
 * Throws `ModelError('config')` for inconsistent facts.
 */
export type EncoderArchitecture = (facts: Facts, tensors: ReadonlyMap<string, TensorInfo>) => EncoderSpec;

/** The names of a tensor, or of a group of tensors, in GGUF and in Hugging Face files. */
export const named = (gguf: string, huggingface: string): TensorName => ({ gguf, huggingface });

/** Tells architecture files whether a tensor exists and how many rows it has. */
export function table(
  facts: Facts,
  tensors: ReadonlyMap<string, TensorInfo>,
): Pick<TensorPlan['take'], 'has' | 'rows'> {
  return new TensorPlan(tensors, { file: facts.source, missing: '' }).take;
}

/**
 * Returns the first of `roots` that begins the name of the embedding table: a file holds an encoder alone, or inside a
 * model with a head.
 */
export function rootOf(tensors: ReadonlyMap<string, TensorInfo>, word: string, roots: readonly string[]): string {
  return roots.find((root) => tensors.has(root + word)) ?? '';
}

/** The facts that encoders have in common. `given`: what this architecture determines itself. */
export function encoderConfig(
  facts: Facts,
  given: {
    readonly architecture: string;
    readonly vocabulary: number;
    /** The number of rows of the position table, and which of them the first token uses. */
    readonly positions?: { readonly rows: number; readonly first: number };
  },
): EncoderConfig {
  const { architecture, vocabulary, positions: { rows = 0, first = 0 } = {} } = given;
  const hidden = facts.integer(both('embedding_length', ['hidden_size', 'n_embd']), { least: 1, most: MOST.width });
  const heads = facts.integer(both('attention.head_count', ['num_attention_heads', 'n_head']), {
    least: 1,
    most: MOST.heads,
  });
  if (hidden % heads !== 0) throw wrong('the number of heads', heads, `should divide the width, ${hidden}`);
  const positions = facts.integer(both('context_length', ['max_position_embeddings', 'n_positions']), {
    least: 1 + first,
    most: MOST.context,
  });
  // RoBERTa's GGUF files give the length without the rows that were removed.
  const known = rows > first ? Math.min(positions, rows) : positions;
  return {
    architecture,
    source: facts.source,
    layers: facts.integer(both('block_count', ['num_hidden_layers', 'n_layer']), { least: 1, most: MOST.layers }),
    hidden,
    heads,
    kvHeads: heads,
    headDim: hidden / heads,
    mlp: facts.integer(both('feed_forward_length', ['intermediate_size', 'n_inner']), { least: 1, most: MOST.width }),
    vocabulary,
    contextWindow: known - first,
    epsilon: facts.number(both('attention.layer_norm_epsilon', ['layer_norm_eps', 'layer_norm_epsilon', 'norm_eps']), {
      least: 0,
      most: 1,
      default: 1e-12,
    }),
  };
}

/** Returns the activation that config.json names; GGUF has no key for it. */
export function activationOf(facts: Facts, names: readonly string[], fallback: Activation): Activation {
  const name = facts.text(both([], names), '');
  if (name === '') return fallback;
  const found = Object.hasOwn(ACTIVATIONS, name) ? ACTIVATIONS[name] : undefined;
  if (found === undefined) throw wrong(names[0] ?? '', name, `should be one of ${Object.keys(ACTIVATIONS).join(', ')}`);
  return found;
}
