/** The only list of architectures: which files are whose. */
import { ModelError } from '../errors.ts';
import type { ModelMetadata, TensorInfo } from '../load/model-file.ts';
import type { Architecture } from './architecture.ts';
import type { LanguageModelConfig } from './config.ts';
import { Facts } from './facts.ts';
import { llama } from './llama.ts';
import { qwen2 } from './qwen2.ts';
import { qwen3 } from './qwen3.ts';

const ARCHITECTURES: readonly Architecture[] = [llama, qwen2, qwen3];

/** Files that hold picture parts beside a language model, whose own architecture they name (docs/unipic-format.md). */
export const UNIPIC = 'unipic';
/** Hugging Face configurations that name their model type in `architectures` only. */
const CLASS_NAME = /^(.*)ForCausalLM$/;

/** Throws `ModelError('architecture')` for what is not supported and `ModelError('config')` for what makes no sense. */
export function choose(
  metadata: ModelMetadata,
  tensors: ReadonlyMap<string, TensorInfo>,
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

/** What the file calls itself; empty where it does not. */
export function architectureName(metadata: ModelMetadata): string {
  if (metadata.kind === 'gguf') {
    const name = metadata.values.get('general.architecture');
    return typeof name === 'string' ? name : '';
  }
  const { model_type: type, architectures } = metadata.config;
  if (typeof type === 'string') return type;
  const [first] = Array.isArray(architectures) ? architectures : [];
  return typeof first === 'string' ? (CLASS_NAME.exec(first)?.[1] ?? first).toLowerCase() : '';
}

function languageArchitecture(metadata: ModelMetadata): string {
  return new Facts(metadata, UNIPIC).text({ gguf: 'language_model', huggingface: [] }, '');
}
