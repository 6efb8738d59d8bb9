/** What one layer of a decoder computes, without its weights: a model is a list of these (models/decoder-spec.ts), and decoder-block.ts runs one. */
import type { Activation } from '../backend/backend.ts';
import type { RopeConfig } from './rope.ts';

export interface LayerSpec {
  readonly mixer: AttentionMixer | StateMixerSpec;
  readonly norms: NormsSpec;
  readonly mlp: MlpSpec;
  /** The factor of what the mixer and the MLP add to the residual stream (Granite); default 1. */
  readonly residualScale?: number | undefined;
  /**
   * An input of the layer's own, gated by the residual stream and added to it behind the MLP (Gemma 4): `width` columns
   * of `LayerCall.inputs`, from `column` on.
   */
  readonly input?: { readonly width: number; readonly column: number } | undefined;
  /** Whether the file has a factor of the layer's output (Gemma 4). */
  readonly scaled?: boolean | undefined;
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
  /** Added to the mean square of each head of v, whose root divides it; undefined: v is not normalised. */
  readonly valueEpsilon?: number | undefined;
  /** Whether keys, before norm and rotation, are the values too. */
  readonly keysAreValues?: boolean | undefined;
  /** Whether it attends to what an earlier layer cached, and has no keys and values of its own (Gemma 4). */
  readonly reads?: boolean | undefined;
  /**
   * Whether q, k and v have biases: in every file, in some, or in no known file. The output has one in some files
   * wherever these have.
   */
  readonly bias: 'required' | 'optional' | 'none';
  /** Whether q, k and v are one matrix in the file. */
  readonly fused: boolean;
  /** Whether the file's q has a gate behind each head, whose sigmoid multiplies what the head gives (Qwen3.5). */
  readonly gated?: boolean | undefined;
  /** Queries are multiplied by 1 + beta ln(1 + floor(position / period)) (Llama 4, Ministral 3). */
  readonly growth?: { readonly beta: number; readonly period: number } | undefined;
  /** The layer of the KV pool that holds its keys and values. The heads of the pool are as large and as many as a layer's at most. */
  readonly cache: number;
}

/** Of a layer that carries a state from token to token in place of keys and values; `slot`: the first of its states (`StateView`). */
export type StateMixerSpec = ConvMixerSpec | DeltaMixerSpec;

/** A gated convolution over a few tokens (LFM2): one state. */
export interface ConvMixerSpec {
  readonly kind: 'conv';
  readonly channels: number;
  readonly taps: number;
  readonly slot: number;
}

/** A gated delta net (Yang et al. 2025) behind a convolution over a few tokens: two states, that of the convolution first. */
export interface DeltaMixerSpec {
  readonly kind: 'delta';
  readonly keyHeads: number;
  readonly valueHeads: number;
  readonly keyDim: number;
  readonly valueDim: number;
  /** See `DeltaSpec`. */
  readonly tiled: boolean;
  readonly taps: number;
  readonly slot: number;
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
  | 'queryGate' // (heads * headDim, hidden), in the file between the heads of query
  | 'queryBias'
  | 'keyBias'
  | 'valueBias'
  | 'queryNorm' // (headDim)
  | 'keyNorm' // (headDim)
  | 'output' // (hidden, heads * headDim)
  | 'outputBias'
  | 'mixed' // what is convolved: (3 channels, hidden) of a conv layer; (2 keyHeads * keyDim + valueHeads * valueDim, hidden) of a delta layer
  | 'convolution' // (taps * channels), tap by tap; (channels, taps) in the file
  | 'deltaGate' // z: (valueHeads * valueDim, hidden)
  | 'deltaBeta' // b: (valueHeads, hidden)
  | 'deltaStep' // a: (valueHeads, hidden)
  | 'deltaDecay' // (valueHeads)
  | 'deltaTimeBias' // (valueHeads)
  | 'deltaNorm' // (valueDim)
  | 'mlpNorm' // (hidden)
  | 'mlpNormBias'
  | 'mlpPostNorm'
  | 'gate' // (width, hidden)
  | 'up' // (width, hidden); (2 width, hidden) in the file where fused
  | 'upBias'
  | 'down' // (hidden, width)
  | 'downBias'
  | 'inputGate' // (input width, hidden)
  | 'inputProjection' // (hidden, input width)
  | 'inputNorm'; // (hidden)
