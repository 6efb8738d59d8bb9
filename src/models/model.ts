/** From a model file to a model on a backend: chooses the architecture, checks every tensor, and loads what is there. */
import type { Backend, WeightWriter } from '../backend/backend.ts';
import type { BoundaryWeights } from '../select/prefill/dhsa-weights.ts';
import { ModelError } from '../errors.ts';
import type { ModelFile, ModelMetadata, ReadOptions, TensorInfo } from '../load/model-file.ts';
import type { Architecture } from './architecture.ts';
import type { LanguageModelConfig } from './config.ts';
import { Decoder, type LanguageModel } from './decoder.ts';
import { WeightDigest } from './digest.ts';
import { Facts } from './facts.ts';
import { llama } from './llama.ts';
import { qwen2 } from './qwen2.ts';
import { qwen3 } from './qwen3.ts';
import type { PictureModel, PictureOptions } from './unipic/index.ts';
import { planWeights } from './weight-plan.ts';
import { VectorWriter } from './vector-writer.ts';

export type { LanguageModelConfig } from './config.ts';
export type { LanguageModel } from './decoder.ts';

/** What a file makes: a language model, and whatever sees and paints around it. */
export interface Model {
  readonly language: LanguageModel;
  /** Undefined for a file of a language model alone. */
  readonly pictures: PictureModel | undefined;
  /** Where chunks of keys begin, for sparse prefill; undefined for a file without it. */
  readonly boundary: BoundaryWeights | undefined;
  /** Differs where weights differ (digest.ts); 64 hexadecimal digits. */
  readonly digest: string;
  /** Frees all weights. */
  free(): void;
}

export interface LoadOptions extends ReadOptions, PictureOptions {}

const ARCHITECTURES: readonly Architecture[] = [llama, qwen2, qwen3];
/** Files that hold picture parts beside a language model, whose own architecture they name (docs/unipic-format.md). */
const UNIPIC = 'unipic';
/** Hugging Face configurations that name their model type in `architectures` only. */
const CLASS_NAME = /^(.*)ForCausalLM$/;

type Tensors = ReadonlyMap<string, TensorInfo>;

/** Throws `ModelError('architecture')` for what is not supported and `ModelError('config')` for what makes no sense. */
export function languageModelConfig(metadata: ModelMetadata, tensors: Tensors): LanguageModelConfig {
  return choose(metadata, tensors).config;
}

function choose(
  metadata: ModelMetadata,
  tensors: Tensors,
): { readonly architecture: Architecture; readonly config: LanguageModelConfig } {
  const file = architectureName(metadata);
  const name = file === UNIPIC ? languageArchitecture(metadata) : file;
  const architecture = ARCHITECTURES.find((candidate) => candidate[metadata.kind].includes(name));
  if (architecture === undefined) {
    const known = ARCHITECTURES.flatMap((candidate) => candidate[metadata.kind]);
    throw new ModelError(
      'architecture',
      `the architecture ${JSON.stringify(name.slice(0, 80))} is not supported; take a model of ${known.join(', ')}`,
      { architecture: name, known },
    );
  }
  const gguf = metadata.kind === 'gguf';
  const table = tensors.get(gguf ? 'token_embd.weight' : 'model.embed_tokens.weight');
  const head = tensors.has(gguf ? 'output.weight' : 'lm_head.weight');
  return {
    architecture,
    config: architecture.config(new Facts(metadata, name), { vocabulary: table?.shape[0], head }, name),
  };
}

function languageArchitecture(metadata: ModelMetadata): string {
  return new Facts(metadata, UNIPIC).text({ gguf: 'language_model', huggingface: [] }, '');
}

function architectureName(metadata: ModelMetadata): string {
  if (metadata.kind === 'gguf') {
    const name = metadata.values.get('general.architecture');
    return typeof name === 'string' ? name : '';
  }
  const { model_type: type, architectures } = metadata.config;
  if (typeof type === 'string') return type;
  const [first] = Array.isArray(architectures) ? architectures : [];
  return typeof first === 'string' ? (CLASS_NAME.exec(first)?.[1] ?? first).toLowerCase() : '';
}

/**
 * Loads every weight that the architecture needs. Throws `ModelError` for a tensor that is missing (`tensor-missing`), has another shape
 * (`tensor-shape`) or is of a kind that this architecture does not have (`tensor-type`), before anything is read.
 * Picture parts of which nothing is there are done without: see `PictureModel.capabilities`.
 */
export async function loadModel(file: ModelFile, backend: Backend, options: LoadOptions = {}): Promise<Model> {
  const { metadata, tensors } = file;
  const { architecture, config } = choose(metadata, tensors);
  const plan = planWeights(tensors, config, architecture.block(config));
  // Pages that only chat do not download it.
  const unipic = architectureName(metadata) === UNIPIC ? await import('./unipic/index.ts') : undefined;
  const pictureConfig = unipic?.uniPicConfig(new Facts(metadata, UNIPIC), config.vocabulary);
  const parts = unipic && pictureConfig && new unipic.PartsPlan(tensors, pictureConfig, config.hidden);
  const { BoundaryPlan } = hasBoundaryPredictor(metadata) ? await import('./boundary.ts') : {};
  const boundary = BoundaryPlan?.of(metadata, tensors, {
    layers: config.layers,
    width: config.kvHeads * config.headDim,
  });
  const divisors = new VectorWriter(config.rope.dimension / 2);
  const digest = await WeightDigest.create();
  const writer = (info: TensorInfo): WeightWriter | undefined => {
    if (info.name === plan.ropeDivisors) return divisors.begin(info);
    return plan.names.has(info.name) || parts?.weights.has(info.name)
      ? backend.weight(info)
      : (parts?.tableWriter(info) ?? boundary?.writer(info));
  };
  const weights = await file.read((info) => digest.watch(info, writer(info)), options);
  try {
    const language = new Decoder(backend, config, plan, weights, divisors.values);
    const pictures =
      unipic &&
      pictureConfig &&
      parts &&
      (await unipic.createPictureModel(language, pictureConfig, parts.read(weights), options));
    return {
      language,
      pictures,
      boundary: boundary?.weights(),
      digest: digest.value(),
      free: () => {
        pictures?.free();
        for (const weight of weights.values()) weight.free();
      },
    };
  } catch (error) {
    for (const weight of weights.values()) weight.free();
    throw error;
  }
}

/** Whether the file says where a boundary predictor lies. */
function hasBoundaryPredictor(metadata: ModelMetadata): boolean {
  return metadata.kind === 'gguf' && metadata.values.has('octavo.boundary.layer');
}
