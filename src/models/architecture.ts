/** What one architecture file says: which files are it, and what their decoder is. */
import type { ModelMetadata } from '../load/model-file.ts';
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

/** `gguf`: values of `general.architecture`. `huggingface`: values of `model_type`. */
export interface Architecture extends Readonly<Record<ModelMetadata['kind'], readonly string[]>> {
  /** `name`: the value by which it was chosen. Throws `ModelError('config')` for what makes no sense. */
  create(facts: Facts, tensors: TensorFacts, name: string): DecoderSpec;
}
