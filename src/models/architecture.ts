/** What one architecture file holds: how its files' facts become a decoder. */
import type { DecoderSpec } from './decoder-spec.ts';
import type { Facts } from './facts.ts';

/** What the metadata does not say, or may not. */
export interface TensorFacts {
  /** Rows of the embedding table. */
  readonly vocabulary: number | undefined;
  /** Whether there is an output matrix. */
  readonly head: boolean;
  /** Most tokens of a context, where fewer are wanted than the model was trained for. */
  readonly window: number | undefined;
}

/**
 * From what a file says to its decoder. `name`: the value of `general.architecture` or `model_type` by which it was chosen. Throws
 * `ModelError('config')` for what makes no sense.
 */
export type Architecture = (facts: Facts, tensors: TensorFacts, name: string) => DecoderSpec;
