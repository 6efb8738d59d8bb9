/** The shape of a decoder in numbers, and the bounds within which a file may set them. */
import type { Activation } from '../backend/backend.ts';
import type { RopeConfig } from '../layers/rope.ts';
import type { FactNames } from './facts.ts';

export interface LanguageModelConfig {
  readonly architecture: string;
  readonly source: 'gguf' | 'huggingface';
  readonly layers: number;
  /** Layers of the KV pool: those with their own keys and values. Methods of `select/` count these. */
  readonly cacheLayers: number;
  readonly hidden: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** The width of the gated MLP. */
  readonly mlp: number;
  readonly vocabulary: number;
  /** The most tokens of a context. */
  readonly contextWindow: number;
  readonly epsilon: number;
  readonly activation: Activation;
  readonly rope: RopeConfig;
  /** Whether the head is the embedding table. */
  readonly tied: boolean;
  /** The keys that a query may see, and which layers are limited in this way. */
  readonly slidingWindow?: { readonly tokens: number; readonly layers: readonly boolean[] } | undefined;
}

/** Several times the largest open models of 2026; a file with larger numbers is damaged or hostile. */
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
