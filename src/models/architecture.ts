/** The interface of an architecture file: how the facts of a file become a decoder. */
import type { DecoderSpec } from './decoder-spec.ts';
import type { Facts } from './facts.ts';

/** What the metadata does not say, or may not say. */
export interface TensorFacts {
  /** Rows of the embedding table. */
  readonly vocabulary: number | undefined;
  /** Whether there is a tensor of this name. */
  readonly has: (name: string) => boolean;
  /** Whether there is an output matrix. */
  readonly head: boolean;
  /** The most tokens of a context, if fewer are wanted than the model was trained for. */
  readonly window: number | undefined;
}

/**
 * Turns the facts of a file into its decoder. `name` is the value of `general.architecture` or `model_type` by which it
 * was chosen. Throws `ModelError('config')` for invalid facts.
 */
export type Architecture = (facts: Facts, tensors: TensorFacts, name: string) => DecoderSpec;
