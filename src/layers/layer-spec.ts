/** What one layer of a decoder computes, without its weights: a model is a list of these (models/decoder-spec.ts), and decoder-block.ts runs one. */
import type { Activation } from '../backend/backend.ts';
import type { RopeConfig } from './rope.ts';

export interface LayerSpec {
  readonly mixer: AttentionMixer;
  readonly norms: NormsSpec;
  readonly mlp: MlpSpec;
  /** The factor of what the mixer and the MLP add to the residual stream (Granite); default 1. */
  readonly residualScale?: number | undefined;
}

/** Grouped-query attention. */
export interface AttentionMixer {
  readonly kind: 'attention';
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** The factor of q.k before the softmax. */
  readonly scale: number;
  /** Undefined: keys and queries are not rotated. */
  readonly rope: RopeConfig | undefined;
  /** The keys that a query may see: its own and those just before it. Undefined for all keys of the call's ranges. */
  readonly window?: number | undefined;
  /** Whether each head of q and k has an RMS norm before the rotation. */
  readonly normed: boolean;
  /**
   * Whether q, k and v have biases: in every file, in some, or in no known file. The output has one in some files
   * wherever these have.
   */
  readonly bias: 'required' | 'optional' | 'none';
  /** Whether q, k and v are one matrix in the file. */
  readonly fused: boolean;
  /** Queries are multiplied by 1 + beta ln(1 + floor(position / period)) (Llama 4, Ministral 3). */
  readonly growth?: { readonly beta: number; readonly period: number } | undefined;
  /** The layer of the KV pool that holds its keys and values. */
  readonly cache: number;
}

export interface NormsSpec {
  readonly kind: 'rms' | 'layer';
  readonly epsilon: number;
  /**
   * `pre`: x + f(norm(x)). `sandwich`: x + norm(f(norm(x))) (Gemma). `post`: norm(x + f(x)) (BERT). Each of the two
   * branches, attention and MLP, has its own norm.
   */
  readonly place: 'pre' | 'sandwich' | 'post';
  /** Whether layer norms have biases (default true). */
  readonly bias?: boolean | undefined;
  /** False: nothing is normalised before the attention (ModernBERT's first layer, whose input is normalised already). Default true. */
  readonly beforeAttention?: boolean | undefined;
  /** Added to the stored weights: 1 where upstream multiplies by (1 + w). */
  readonly offset: number;
}

/** Gated: act(gate x) * (up x), then down. Otherwise act(up x), then down. */
export interface MlpSpec {
  readonly width: number;
  readonly activation: Activation;
  readonly gated: boolean;
  /** Whether gate and up are one matrix in the file, the gate's rows first. */
  readonly fused: boolean;
  /** Whether up and down have biases. */
  readonly bias: boolean;
}

/** The weights of a layer, by role. Which of them a layer has follows from its spec. */
export type LayerRole =
  | 'attentionNorm' // (hidden)
  | 'attentionNormBias'
  | 'attentionPostNorm'
  | 'qkv' // ((heads + 2 kvHeads) * headDim, hidden), in place of the next three
  | 'query' // (heads * headDim, hidden)
  | 'key' // (kvHeads * headDim, hidden)
  | 'value' // (kvHeads * headDim, hidden)
  | 'queryBias'
  | 'keyBias'
  | 'valueBias'
  | 'queryNorm' // (headDim)
  | 'keyNorm' // (headDim)
  | 'output' // (hidden, heads * headDim)
  | 'outputBias'
  | 'mlpNorm' // (hidden)
  | 'mlpNormBias'
  | 'mlpPostNorm'
  | 'gate' // (width, hidden)
  | 'up' // (width, hidden); (2 width, hidden) in the file where fused
  | 'upBias'
  | 'down' // (hidden, width)
  | 'downBias';
