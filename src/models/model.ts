/**
 * Makes a model on a backend from a model file: chooses the architecture, checks every tensor, and loads the existing
 * parts.
 */
import type { Backend, WeightWriter } from '../backend/backend.ts';
import type { BoundaryWeights } from '../select/prefill/dhsa-weights.ts';
import type { ModelFile, ModelMetadata, ReadOptions, TensorInfo } from '../load/model-file.ts';
import type { LanguageModelConfig } from './config.ts';
import { Decoder, type LanguageModel } from './decoder.ts';
import type { DecoderSpec } from './decoder-spec.ts';
import { planDecoder, takeDecoder } from './decoder-weights.ts';
import { WeightDigest } from './digest.ts';
import { Facts } from './facts.ts';
import { sortFiles } from './files.ts';
import type { PaintModel } from './paint-model.ts';
import { architectureName, decoderOf, UNIPIC } from './registry.ts';
import type { UniPicOptions } from './unipic/index.ts';
import type { VisionModel } from './vision/vision-model.ts';

export type { LanguageModelConfig } from './config.ts';
export type { LanguageModel } from './decoder.ts';

/** What one or several files contain: a language model, and the parts that see and paint. */
export interface Model {
  readonly language: LanguageModel;
  /** Undefined for a model that reads text only. */
  readonly vision: VisionModel | undefined;
  readonly paint: PaintModel | undefined;
  /** Sentences that say what cannot be seen, painted or edited, and which parts the file lacks for it. */
  readonly missing: readonly string[];
  /** Where chunks of keys begin, for sparse prefill; undefined for a file without it. */
  readonly boundary: BoundaryWeights | undefined;
  /** Differs where weights differ (digest.ts); 64 hexadecimal digits. */
  readonly digest: string;
  /** Frees all weights. */
  free(): void;
}

export interface LoadOptions extends ReadOptions, UniPicOptions {
  /**
   * The most tokens of a context, if fewer are wanted than the model was trained for; LongRoPE's factors depend on it.
   */
  readonly contextWindow?: number | undefined;
}

/** Throws `ModelError('architecture')` for unsupported models and `ModelError('config')` for invalid configurations. */
export async function languageModelConfig(
  metadata: ModelMetadata,
  tensors: ReadonlyMap<string, TensorInfo>,
): Promise<LanguageModelConfig> {
  return (await decoderOf(metadata, tensors)).config;
}

/** A model as its file's header announces it: every tensor of it is checked, and nothing is read. */
export interface ModelPlan {
  readonly spec: DecoderSpec;
  /** Whether there are parts that see, paint and edit. */
  readonly parts: { readonly see: boolean; readonly paint: boolean; readonly edit: boolean };
  /** See `Model.missing`. */
  readonly missing: readonly string[];
  /** Bytes of the weights that are read. */
  readonly bytes: number;
}

/**
 * Checks a file, or a language model and the vision part beside it, as `loadModel` does before it reads. Throws
 * `ModelError` for a tensor that is missing (`tensor-missing`), has another shape (`tensor-shape`) or is of a kind that
 * this architecture does not have (`tensor-type`). Parts for images that are completely missing are no error.
 */
export async function planModel(file: ModelFile, window?: number): Promise<ModelPlan> {
  const { spec, plan, unipic, parts, seeing, files } = await planFiles(file, window);
  const { architecture } = spec.config;
  const sees = seeing?.plan !== undefined;
  const images = unipic && parts && unipic.abilities(parts.present);
  const whole = sees || parts !== undefined;
  let bytes = 0;
  for (const { tensors } of files)
    for (const info of tensors.values()) if (whole || plan.has(info.name)) bytes += info.bytes;
  return {
    spec,
    parts: { see: sees || images?.see === true, paint: images?.paint === true, edit: images?.edit === true },
    missing: images?.missing ?? missingParts(architecture, file.metadata, seeing?.problem, sees),
    bytes,
  };
}

async function planFiles(given: ModelFile | readonly ModelFile[], window: number | undefined) {
  const files = [given].flat().flatMap((one) => (one.projector === undefined ? [one] : [one, one.projector]));
  const { language: file, vision: beside } = sortFiles(files);
  const { metadata, tensors } = file;
  const spec = await decoderOf(metadata, tensors, window);
  const { config } = spec;
  const plan = planDecoder(tensors, spec);
  // Pages that only chat do not download this code.
  const unipic = architectureName(metadata) === UNIPIC ? await import('./unipic/index.ts') : undefined;
  const imageConfig = unipic?.uniPicConfig(new Facts(metadata, UNIPIC), config.vocabulary);
  const parts = unipic && imageConfig && new unipic.PartsPlan(tensors, imageConfig, config.hidden);
  const { BoundaryPlan } = hasBoundaryPredictor(metadata) ? await import('./boundary.ts') : {};
  const boundary = BoundaryPlan?.of(metadata, tensors, {
    layers: config.cacheLayers,
    width: config.kvHeads * config.headDim,
  });
  // Of a folder, what sees is in the same file. Pages whose models read text only do not download it.
  const composite = metadata.kind === 'huggingface' && metadata.config['vision_config'] !== undefined;
  const seeing =
    beside !== undefined || composite
      ? await (await import('./vision/registry.ts')).planVision(file, beside, config)
      : undefined;
  return { files, file, beside, spec, plan, unipic, imageConfig, parts, boundary, seeing };
}

/**
 * Loads every weight that the architecture needs, from one file or from a language model and the vision part beside it.
 * Throws `ModelError` for a tensor that is missing (`tensor-missing`), has another shape (`tensor-shape`) or is of a
 * kind that this architecture does not have (`tensor-type`), before anything is read. Parts for images that are
 * completely missing are no error: see `Model.missing`.
 */
export async function loadModel(
  files: ModelFile | readonly ModelFile[],
  backend: Backend,
  options: LoadOptions = {},
): Promise<Model> {
  const { file, beside, spec, plan, unipic, imageConfig, parts, boundary, seeing } = await planFiles(
    files,
    options.contextWindow,
  );
  const { metadata, tensors } = file;
  const { config } = spec;
  const vision = seeing?.plan;
  await plan.prepare();
  await vision?.prepare();
  await parts?.prepare();
  const digest = new WeightDigest();
  const writer = (info: TensorInfo): WeightWriter | undefined =>
    plan.writer(info, backend) ??
    parts?.writer(info, backend) ??
    boundary?.writer(info) ??
    (beside === undefined ? vision?.writer(info, backend) : undefined);
  const createState = await spec.states?.mixers(backend);
  const weights = [...(await file.read((info) => digest.watch(info, writer(info)), options)).values()];
  try {
    const read = await beside?.read((info) => digest.watch(info, vision?.writer(info, backend)), options);
    weights.push(...(read?.values() ?? []));
    const language = new Decoder(backend, spec, takeDecoder(plan.read(), spec, tensors), createState);
    const images =
      unipic && imageConfig && parts && (await unipic.createUniPic(language, imageConfig, parts.read(), options));
    const seen = vision?.create(language);
    return {
      language,
      vision: seen?.vision ?? images?.vision,
      paint: images?.paint,
      missing: images?.missing ?? missingParts(config.architecture, metadata, seeing?.problem, seen !== undefined),
      boundary: boundary?.weights(),
      digest: await digest.value(),
      free: () => {
        images?.free();
        seen?.free();
        for (const weight of weights) weight.free();
      },
    };
  } catch (error) {
    for (const weight of weights) weight.free();
    throw error;
  }
}

/** Sentences that say why a model that is not of the UniPic graph cannot see, paint or edit. */
function missingParts(
  architecture: string,
  metadata: ModelMetadata,
  problem: string | undefined,
  sees: boolean,
): readonly string[] {
  const paints = `${architecture} models do not paint pictures`;
  if (sees) return [paints];
  if (problem !== undefined) return [problem, paints];
  const hint = metadata.kind === 'gguf' ? ', unless its vision part (mmproj) is given beside it' : '';
  return [`${architecture} is a language model and has no parts for pictures${hint}`];
}

/** Whether the file holds a boundary predictor. */
function hasBoundaryPredictor(metadata: ModelMetadata): boolean {
  return metadata.kind === 'gguf' && metadata.values.has('octavo.boundary.layer');
}
