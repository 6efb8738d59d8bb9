/** What an encoder is made of, without its weights: an architecture file makes one of these from what its file says. */
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
  /** Most tokens of a text, those that the tokenizer puts around it included. */
  readonly contextWindow: number;
  readonly epsilon: number;
}

/** How the states of a text's tokens become one. */
export type Pooling = 'mean' | 'cls' | 'last';

export interface NormName {
  /** Without `.weight` and `.bias`. */
  readonly name: TensorName;
  readonly bias: boolean;
}

/** A linear layer behind the pooling. */
export interface DenseSpec {
  /** Without `.weight` and `.bias`. */
  readonly name: TensorName;
  readonly bias: boolean;
  readonly activation?: Activation | 'tanh' | undefined;
  readonly norm?: NormName | undefined;
}

/** Scores a pair of texts: layers over the pooled state, of which the last has one row. */
export interface ScoreSpec {
  readonly pooling: Pooling;
  readonly layers: readonly DenseSpec[];
}

export interface EncoderSpec {
  readonly config: EncoderConfig;
  readonly layers: readonly LayerSpec[];
  /** By layer: how far before and behind itself a token sees; undefined: the whole text. */
  readonly reach: readonly (number | undefined)[];
  readonly names: LayerNames;
  /** What the names of a layer's tensors begin with. */
  readonly prefix: (layer: number) => { readonly gguf: string; readonly huggingface: string };
  readonly word: TensorName; // (vocabulary, hidden)
  readonly embeddingScale?: number | undefined;
  /** A learned vector a position, (rows, hidden); the first token has row `first`. */
  readonly positions?: { readonly name: TensorName; readonly rows: number; readonly first: number } | undefined;
  /** A learned vector for the texts of a pair, (rows, hidden); a text by itself has row 0. */
  readonly segments?: { readonly name: TensorName; readonly rows: number } | undefined;
  /** Over the sum of the embeddings. */
  readonly embeddingNorm?: NormName | undefined;
  /** Over the last layer's states. */
  readonly finalNorm?: NormName | undefined;
  /** Values that are added to scores by the distance of key and query (T5, MPNet): (buckets, heads), on all layers. */
  readonly relative?: { readonly name: TensorName; readonly buckets: number } | undefined;
  /** Of a cross-encoder. */
  readonly score?: ScoreSpec | undefined;
  /** Where neither the file's metadata nor its folder says how to pool. */
  readonly pooling: Pooling;
}

/** From what a file says to its encoder. `tensors` tells how its names begin and which heads are there. Throws `ModelError('config')` for what makes no sense. */
export type EncoderArchitecture = (facts: Facts, tensors: ReadonlyMap<string, TensorInfo>) => EncoderSpec;

/** The names of a tensor, or of a group of them, in GGUF and in Hugging Face files. */
export const named = (gguf: string, huggingface: string): TensorName => ({ gguf, huggingface });

/** What of a file's table architecture files ask: whether a tensor is there, and how many rows it has. */
export function table(
  facts: Facts,
  tensors: ReadonlyMap<string, TensorInfo>,
): Pick<TensorPlan['take'], 'has' | 'rows'> {
  return new TensorPlan(tensors, { file: facts.source, missing: '' }).take;
}

/** The first of `roots` that begins the name of the embedding table: files hold an encoder alone, or inside a model with a head. */
export function rootOf(tensors: ReadonlyMap<string, TensorInfo>, word: string, roots: readonly string[]): string {
  return roots.find((root) => tensors.has(root + word)) ?? '';
}

/** What encoders have in common. `given`: what this architecture says in its own words. */
export function encoderConfig(
  facts: Facts,
  given: {
    readonly architecture: string;
    readonly vocabulary: number;
    /** Rows of the table of positions, and which of them is the first token's. */
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

/** The activation that config.json names; GGUF has no key for it. */
export function activationOf(facts: Facts, names: readonly string[], fallback: Activation): Activation {
  const name = facts.text(both([], names), '');
  if (name === '') return fallback;
  const found = Object.hasOwn(ACTIVATIONS, name) ? ACTIVATIONS[name] : undefined;
  if (found === undefined) throw wrong(names[0] ?? '', name, `should be one of ${Object.keys(ACTIVATIONS).join(', ')}`);
  return found;
}
