/** The only list of what sees: which projector files and composite models are whose, and how one is planned beside its language model. */
import { ModelError } from '../../errors.ts';
import type { ModelFile, ModelMetadata } from '../../load/model-file.ts';
import type { LanguageModelConfig } from '../config.ts';
import { projectorName } from '../files.ts';
import type { VisionArchitecture, VisionPlan } from './architecture.ts';

/** Vision parts, by their projector files and composite models. */
const VISION: readonly VisionArchitecture[] = [
  {
    projectors: ['idefics3'],
    huggingface: ['idefics3', 'smolvlm'],
    plan: async (file, context) => (await import('./idefics3.ts')).planIdefics3(file, context),
  },
  {
    projectors: ['qwen2vl_merger', 'qwen2.5vl_merger', 'qwen3vl_merger'],
    huggingface: ['qwen2_vl', 'qwen2_5_vl', 'qwen3_vl', 'qwen3_5'],
    plan: async (file, context) => (await import('./qwen.ts')).planQwenVision(file, context),
  },
  {
    // Files of the first converters do not name LLaVA's.
    projectors: ['mlp', ''],
    huggingface: ['llava'],
    plan: async (file, context) => (await import('./llava.ts')).planLlava(file, context),
  },
  {
    projectors: ['internvl'],
    huggingface: ['internvl'],
    plan: async (file, context) => (await import('./internvl.ts')).planInternVl(file, context),
  },
  {
    projectors: ['lfm2'],
    huggingface: ['lfm2_vl'],
    plan: async (file, context) => (await import('./lfm2.ts')).planLfm2Vision(file, context),
  },
  {
    projectors: ['pixtral'],
    huggingface: ['mistral3'],
    plan: async (file, context) => (await import('./pixtral.ts')).planPixtral(file, context),
  },
  {
    projectors: ['gemma3'],
    huggingface: ['gemma3'],
    plan: async (file, context) => (await import('./gemma3.ts')).planGemma3(file, context),
  },
];

/**
 * Returns the plan of the vision part, or why there is none. A vision part that was requested and does not fit throws;
 * one that was only found beside the model, or is announced by a folder's configuration, is left out with the reason.
 */
export async function planVision(
  file: ModelFile,
  beside: ModelFile | undefined,
  { architecture: language, hidden }: LanguageModelConfig,
): Promise<{ readonly plan?: VisionPlan | undefined; readonly problem?: string | undefined } | undefined> {
  try {
    const seeing = visionOf(file, beside);
    if (seeing === undefined) return undefined;
    const { name, architecture } = seeing;
    if (architecture === undefined)
      return { problem: `the vision part of ${name.slice(0, 80)} is not supported; text works` };
    const context = { hidden, language, idOf: (token: string) => tokenId(file.metadata, token) };
    return { plan: await architecture.plan(beside ?? file, context) };
  } catch (error) {
    // A folder may be what somebody made of a composite model for text alone, and still announce the vision part.
    const asked = beside !== undefined && file.projectorFound !== true;
    if (!(error instanceof ModelError) || asked) throw error;
    const where = beside === undefined ? 'that the configuration announces' : 'beside the model';
    return { problem: `the vision part ${where} is left out: ${error.message}; text works` };
  }
}

/**
 * Returns the vision part: in the file `beside` the language model, or in the same file. `architecture` is undefined
 * for a composite model of which only the language model is supported. Throws `ModelError('architecture')` for an
 * unsupported vision part.
 */
function visionOf(
  { metadata }: ModelFile,
  beside: ModelFile | undefined,
): { readonly name: string; readonly architecture: VisionArchitecture | undefined } | undefined {
  if (beside === undefined) {
    if (metadata.kind === 'gguf') return undefined;
    const { model_type: name, vision_config: vision } = metadata.config;
    if (typeof name !== 'string' || vision === undefined) return undefined;
    return { name, architecture: VISION.find(({ huggingface }) => huggingface.includes(name)) };
  }
  const name = projectorName(beside.metadata);
  const architecture = VISION.find(({ projectors }) => projectors.includes(name));
  if (architecture !== undefined) return { name, architecture };
  const known = VISION.flatMap(({ projectors }) => projectors).filter((one) => one !== '');
  throw new ModelError(
    'architecture',
    `${beside.name}: vision parts with the projector ${JSON.stringify(name.slice(0, 80))} are not supported; take one of ${known.join(', ')}, or load the language model alone`,
    { architecture: name, known },
  );
}

/** The id of a token by its name. */
function tokenId(metadata: ModelMetadata, token: string): number | undefined {
  if (metadata.kind !== 'gguf') return undefined;
  const tokens = metadata.values.get('tokenizer.ggml.tokens');
  const id = Array.isArray(tokens) ? (tokens as readonly unknown[]).indexOf(token) : -1;
  return id < 0 ? undefined : id;
}
