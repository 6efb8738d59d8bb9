/** The only list of architectures: which file belongs to which. */
import { ModelError } from '../errors.ts';
import { isObject } from '../load/json.ts';
import type { ModelFile, ModelMetadata, TensorInfo } from '../load/model-file.ts';
import type { Architecture } from './architecture.ts';
import type { EncoderPlan } from './encoder/index.ts';
import type { DecoderSpec } from './decoder-spec.ts';
import { tensorFacts } from './decoder-weights.ts';
import { Facts } from './facts.ts';
import { llama } from './llama.ts';
import { qwen2, qwen3 } from './qwen.ts';

/**
 * `gguf`: values of `general.architecture`. `huggingface`: values of `model_type`. All architectures except Llama and
 * Qwen are downloaded when such a file is loaded.
 */
interface Entry extends Readonly<Record<ModelMetadata['kind'], readonly string[]>> {
  readonly load: () => Architecture | Promise<Architecture>;
}

const ARCHITECTURES: readonly Entry[] = [
  { gguf: ['llama'], huggingface: ['llama', 'mistral'], load: () => llama },
  { gguf: ['qwen2'], huggingface: ['qwen2'], load: () => qwen2 },
  { gguf: ['qwen3'], huggingface: ['qwen3'], load: () => qwen3 },
  {
    gguf: ['qwen2vl'],
    huggingface: ['qwen2_vl', 'qwen2_vl_text', 'qwen2_5_vl', 'qwen2_5_vl_text'],
    load: async () => (await import('./qwen-vl.ts')).qwen2vl,
  },
  {
    gguf: ['qwen3vl'],
    huggingface: ['qwen3_vl', 'qwen3_vl_text'],
    load: async () => (await import('./qwen-vl.ts')).qwen3vl,
  },
  { gguf: ['gemma3'], huggingface: ['gemma3_text', 'gemma3'], load: async () => (await import('./gemma.ts')).gemma3 },
  { gguf: ['gemma4'], huggingface: ['gemma4_text', 'gemma4'], load: async () => (await import('./gemma4.ts')).gemma4 },
  { gguf: ['phi3'], huggingface: ['phi3'], load: async () => (await import('./phi.ts')).phi3 },
  { gguf: ['smollm3'], huggingface: ['smollm3'], load: async () => (await import('./smollm3.ts')).smollm3 },
  { gguf: ['mistral3'], huggingface: ['ministral3'], load: async () => (await import('./ministral.ts')).ministral3 },
  { gguf: ['granite'], huggingface: ['granite'], load: async () => (await import('./granite.ts')).granite },
  { gguf: ['lfm2'], huggingface: ['lfm2'], load: async () => (await import('./lfm2.ts')).lfm2 },
  {
    gguf: ['qwen35'],
    huggingface: ['qwen3_5_text', 'qwen3_5'],
    load: async () => (await import('./qwen35.ts')).qwen35,
  },
];

const GEMMA_EMBEDDING = 'gemma-embedding';
/** What reads whole texts at once, for vectors and scores; encoder/architectures.ts has a file for each. */
const ENCODERS: Readonly<Record<ModelMetadata['kind'], readonly string[]>> = {
  gguf: ['bert', 'nomic-bert', 'modern-bert', GEMMA_EMBEDDING],
  huggingface: ['bert', 'roberta', 'xlm-roberta', 'nomic_bert', 'modernbert', 'mpnet', GEMMA_EMBEDDING],
};

/**
 * Files that hold parts for images beside a language model, whose own architecture they name (docs/unipic-format.md).
 */
export const UNIPIC = 'unipic';
/** Hugging Face configurations that name their model type in `architectures` only. */
const CLASS_NAME = /^(.*)ForCausalLM$/;

/**
 * `window`: the most tokens of a context, if fewer are wanted than the model was trained for. Throws
 * `ModelError('architecture')` for unsupported models and `ModelError('config')` for invalid configurations.
 */
export async function decoderOf(
  metadata: ModelMetadata,
  tensors: ReadonlyMap<string, TensorInfo>,
  window?: number,
): Promise<DecoderSpec> {
  const file = architectureName(metadata);
  const name = file === UNIPIC ? languageArchitecture(metadata) : file;
  const entry = ARCHITECTURES.find((candidate) => candidate[metadata.kind].includes(name));
  if (entry === undefined) throw unsupported(name, metadata.kind);
  const create = await entry.load();
  const facts = { ...tensorFacts(tensors, metadata.kind), has: (tensor: string) => tensors.has(tensor), window };
  return create(new Facts(metadata, name), facts, name);
}

/** Names of all architectures in files of one kind: of models that generate, and of those that read whole texts. */
export function architectures(kind: ModelMetadata['kind']): {
  readonly generate: readonly string[];
  readonly encode: readonly string[];
} {
  return { generate: ARCHITECTURES.flatMap((entry) => entry[kind]), encode: ENCODERS[kind] };
}

/** Names the supported architecture that comes nearest, which often has a model of the same makers and size. */
function unsupported(name: string, kind: ModelMetadata['kind']): ModelError {
  const { generate, encode } = architectures(kind);
  const known = [...generate, ...encode];
  const near = nearestArchitecture(name, known);
  const other = near === undefined ? `take a model of ${known.join(', ')}` : `${near} comes nearest and is supported`;
  return new ModelError(
    'architecture',
    `the architecture ${JSON.stringify(name.slice(0, 80))} is not supported; ${other} (docs/models.md lists what is, and what is planned)`,
    { architecture: name, nearest: near, known },
  );
}

/** Letters that two names of one family have in common at least: phi2 and phi3. */
const FAMILY = 3;

/** The known name with the longest common beginning, and the shortest of those. */
function nearestArchitecture(name: string, known: readonly string[]): string | undefined {
  const common = (other: string): number => {
    let length = 0;
    while (length < name.length && name[length] === other[length]) length++;
    return length;
  };
  const [best] = known.toSorted((a, b) => common(b) - common(a) || a.length - b.length);
  return best !== undefined && common(best) >= FAMILY ? best : undefined;
}

/** A file of an encoder, checked before anything is read; undefined for any other file. Throws as `decoderOf`. */
export async function encoderOf(file: ModelFile): Promise<EncoderPlan | undefined> {
  const { metadata } = file;
  const name = architectureName(metadata);
  if (!ENCODERS[metadata.kind].includes(name)) return undefined;
  return (await import('./encoder/architectures.ts')).planEncoderFile(file, name);
}

/** The name that the file gives to its architecture; empty if it has none. */
export function architectureName(metadata: ModelMetadata): string {
  if (metadata.kind === 'gguf') {
    const name = metadata.values.get('general.architecture');
    return typeof name === 'string' ? name : '';
  }
  const { model_type: type, architectures, text_config: text } = metadata.config;
  if (metadata.config['use_bidirectional_attention'] === true && type === 'gemma3_text') return GEMMA_EMBEDDING;
  // A composite model names its language model inside.
  if (isObject(text) && typeof text['model_type'] === 'string') return text['model_type'];
  if (typeof type === 'string') return type;
  const [first] = Array.isArray(architectures) ? architectures : [];
  return typeof first === 'string' ? (CLASS_NAME.exec(first)?.[1] ?? first).toLowerCase() : '';
}

function languageArchitecture(metadata: ModelMetadata): string {
  return new Facts(metadata, UNIPIC).text({ gguf: 'language_model', huggingface: [] }, '');
}
