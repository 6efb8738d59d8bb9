/**
 * What a file of `src/models/vision` declares about its models, and the steps by which a vision part is planned, read
 * and created beside its language model.
 */
import type { Backend, WeightWriter } from '../../backend/backend.ts';
import type { ModelMetadata, TensorInfo } from '../../load/model-file.ts';
import type { LanguageModel } from '../model.ts';
import type { VisionModel } from './vision-model.ts';

/**
 * The vision part of a model: a separate projector file (GGUF), or the tensors beside the language model in a Hugging
 * Face folder.
 */
export interface VisionFile {
  readonly metadata: ModelMetadata;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
}

export interface VisionContext {
  /** The language model's architecture, and its width. */
  readonly language: string;
  readonly hidden: number;
  /** The id of a token by its name, if the vocabulary has it. */
  readonly idOf: (token: string) => number | undefined;
}

/** A vision part whose tensors were checked. */
export interface VisionPlan {
  /** Must be awaited before the first `writer`. */
  prepare(): Promise<void>;
  writer(info: TensorInfo, backend: Backend): WeightWriter | undefined;
  /**
   * Called after everything has been read. `free` frees what this call creates; the owner of the weights frees the
   * weights.
   */
  create(language: LanguageModel): { readonly vision: VisionModel; readonly free: () => void };
}

export interface VisionArchitecture {
  /** Values of `clip.projector_type`. */
  readonly projectors: readonly string[];
  /** Values of `model_type` of composite Hugging Face models. */
  readonly huggingface: readonly string[];
  /**
   * Loaded on demand, so pages whose models do not see images do not download this code. Throws `ModelError` before
   * anything is read.
   */
  readonly plan: (file: VisionFile, context: VisionContext) => Promise<VisionPlan>;
}
