/** A decoder's shape in numbers, and the bounds within which a file may set them. */
import type { Activation } from '../backend/backend.ts';
import type { RopeConfig } from '../layers/rope.ts';
import type { FactNames } from './facts.ts';

export interface LanguageModelConfig {
  readonly architecture: string;
  readonly source: 'gguf' | 'huggingface';
  readonly layers: number;
  /** Layers of the KV pool: those that have keys and values of their own. Methods of `select/` count these. */
  readonly cacheLayers: number;
  readonly hidden: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** Width of the gated MLP. */
  readonly mlp: number;
  readonly vocabulary: number;
  /** Most tokens of a context. */
  readonly contextWindow: number;
  readonly epsilon: number;
  readonly activation: Activation;
  readonly rope: RopeConfig;
  /** The head is the embedding table. */
  readonly tied: boolean;
  /** Keys a query may see, and whether each layer is so limited. */
  readonly slidingWindow?: { readonly tokens: number; readonly layers: readonly boolean[] } | undefined;
}

/** Several times the largest open models of 2026; a file that asks for more is damaged or hostile. */
export const MOST = {
  layers: 512,
  width: 1 << 18,
  heads: 1024,
  headDim: 1024,
  vocabulary: 1 << 22,
  context: 1 << 26,
  factor: 4096,
  base: 1e12,
} as const;

export const ACTIVATIONS: Readonly<Record<string, Activation>> = {
  silu: 'silu',
  swish: 'silu',
  gelu: 'gelu',
  gelu_pytorch_tanh: 'geluTanh',
  gelu_new: 'geluTanh',
};

export const both = (gguf: string | readonly string[], huggingface: string | readonly string[]): FactNames => ({
  gguf,
  huggingface,
});
