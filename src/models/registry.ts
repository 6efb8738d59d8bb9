/** The only list of architectures: which files are whose. */
import { ModelError } from '../errors.ts';
import { isObject } from '../load/json.ts';
import type { ModelMetadata, TensorInfo } from '../load/model-file.ts';
import type { Architecture } from './architecture.ts';
import type { DecoderSpec } from './decoder-spec.ts';
import { tensorFacts } from './decoder-weights.ts';
import { Facts } from './facts.ts';
import { gemma3 } from './gemma.ts';
import { granite } from './granite.ts';
import { llama } from './llama.ts';
import { ministral3 } from './ministral.ts';
import { phi3 } from './phi.ts';
import { qwen2, qwen3 } from './qwen.ts';
import { smollm3 } from './smollm3.ts';

const ARCHITECTURES: readonly Architecture[] = [llama, qwen2, qwen3, gemma3, phi3, smollm3, ministral3, granite];

/** Files that hold picture parts beside a language model, whose own architecture they name (docs/unipic-format.md). */
export const UNIPIC = 'unipic';
/** Hugging Face configurations that name their model type in `architectures` only. */
const CLASS_NAME = /^(.*)ForCausalLM$/;

/**
 * `window`: most tokens of a context, where fewer are wanted than the model was trained for. Throws `ModelError('architecture')` for what is
 * not supported and `ModelError('config')` for what makes no sense.
 */
export function decoderOf(
  metadata: ModelMetadata,
  tensors: ReadonlyMap<string, TensorInfo>,
  window?: number,
): DecoderSpec {
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
  return architecture.create(new Facts(metadata, name), { ...tensorFacts(tensors, metadata.kind), window }, name);
}

/** What the file calls itself; empty where it does not. */
export function architectureName(metadata: ModelMetadata): string {
  if (metadata.kind === 'gguf') {
    const name = metadata.values.get('general.architecture');
    return typeof name === 'string' ? name : '';
  }
  const { model_type: type, architectures, text_config: text } = metadata.config;
  // A composite model names its language model inside.
  if (isObject(text) && typeof text['model_type'] === 'string') return text['model_type'];
  if (typeof type === 'string') return type;
  const [first] = Array.isArray(architectures) ? architectures : [];
  return typeof first === 'string' ? (CLASS_NAME.exec(first)?.[1] ?? first).toLowerCase() : '';
}

function languageArchitecture(metadata: ModelMetadata): string {
  return new Facts(metadata, UNIPIC).text({ gguf: 'language_model', huggingface: [] }, '');
}
