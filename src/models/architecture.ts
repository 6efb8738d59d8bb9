/** What one architecture file says: which files are it, their configuration, and the names and shapes of a block's weights. */
import type { BlockWeights } from '../layers/decoder-block.ts';
import type { LanguageModelConfig } from './config.ts';
import type { Facts } from './facts.ts';

/** One weight of a block: its name after `blk.N.` in GGUF and after `model.layers.N.` in Hugging Face files, and its shape. */
export interface Slot {
  readonly gguf: string;
  readonly huggingface: string;
  readonly shape: readonly number[];
  readonly required: boolean;
}

export type BlockSlots = { readonly [K in keyof BlockWeights]?: Slot };

/** What the tensors say that the metadata may not. */
export interface TensorFacts {
  /** Rows of the embedding table. */
  readonly vocabulary: number | undefined;
  /** Whether there is an output matrix. */
  readonly head: boolean;
}

export interface Architecture {
  /** Values of `general.architecture`. */
  readonly gguf: readonly string[];
  /** Values of `model_type`. */
  readonly huggingface: readonly string[];
  /** `name`: the value by which it was chosen. */
  config(facts: Facts, tensors: TensorFacts, name: string): LanguageModelConfig;
  block(config: LanguageModelConfig): BlockSlots;
}

export function required(gguf: string, huggingface: string, shape: readonly number[]): Slot {
  return { gguf, huggingface, shape, required: true };
}

export function optional(gguf: string, huggingface: string, shape: readonly number[]): Slot {
  return { gguf, huggingface, shape, required: false };
}
