/** From a model file to a language model on a backend: chooses the architecture, checks every tensor, loads, and runs the layers. */
import type { Backend, KvView, NormSpec, Ranges, Tensor, Weight, WeightWriter } from '../backend/backend.ts';
import { ModelError } from '../errors.ts';
import { DecoderBlock } from '../layers/decoder-block.ts';
import { ropeSpec } from '../layers/rope.ts';
import type { ModelFile, ModelMetadata, ReadOptions, TensorInfo } from '../load/model-file.ts';
import type { Architecture } from './architecture.ts';
import type { LanguageModelConfig } from './config.ts';
import { Facts } from './facts.ts';
import { llama } from './llama.ts';
import { qwen2 } from './qwen2.ts';
import { qwen3 } from './qwen3.ts';
import { planWeights, type WeightPlan } from './weight-plan.ts';
import { VectorWriter } from './vector-writer.ts';

export type { LanguageModelConfig } from './config.ts';

/** T tokens through a decoder. Tensors follow the backend's scopes; the KV view is the caller's. */
export interface LanguageModel {
  readonly config: LanguageModelConfig;
  readonly backend: Backend;
  /** Ids `[start, start + count)` of the ring -> [count, hidden]. */
  embed(ring: Tensor, start: number, count: number): Tensor;
  /** [T, hidden] at positions `position ..` -> [T, hidden], before the final norm; appends to the view's pages. */
  forward(x: Tensor, kv: KvView, position: number, ranges: Ranges): Tensor;
  /** Final norm and head: [T, hidden] -> [T, vocabulary]. */
  logits(hidden: Tensor): Tensor;
  /** Frees the weights. */
  free(): void;
}

const ARCHITECTURES: readonly Architecture[] = [llama, qwen2, qwen3];
/** Hugging Face configurations that name their model type in `architectures` only. */
const CLASS_NAME = /^(.*)ForCausalLM$/;

type Tensors = ReadonlyMap<string, TensorInfo>;

/** Throws `ModelError('architecture')` for what is not supported and `ModelError('config')` for what makes no sense. */
export function languageModelConfig(metadata: ModelMetadata, tensors: Tensors): LanguageModelConfig {
  return choose(metadata, tensors).config;
}

function choose(metadata: ModelMetadata, tensors: Tensors): { readonly architecture: Architecture; readonly config: LanguageModelConfig } {
  const name = architectureName(metadata);
  const architecture = ARCHITECTURES.find((candidate) => candidate[metadata.kind].includes(name));
  if (architecture === undefined) {
    const known = ARCHITECTURES.flatMap((candidate) => candidate[metadata.kind]);
    throw new ModelError('architecture', `the architecture ${JSON.stringify(name.slice(0, 80))} is not supported; take a model of ${known.join(', ')}`, { architecture: name, known });
  }
  const gguf = metadata.kind === 'gguf';
  const table = tensors.get(gguf ? 'token_embd.weight' : 'model.embed_tokens.weight');
  const head = tensors.has(gguf ? 'output.weight' : 'lm_head.weight');
  return { architecture, config: architecture.config(new Facts(metadata, name), { vocabulary: table?.shape[0], head }, name) };
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
 */
export async function loadLanguageModel(file: ModelFile, backend: Backend, options?: ReadOptions): Promise<LanguageModel> {
  const { architecture, config } = choose(file.metadata, file.tensors);
  const plan = planWeights(file.tensors, config, architecture.block(config));
  const divisors = new VectorWriter(config.rope.dimension / 2);
  const weights = await file.read((info): WeightWriter | undefined => {
    if (info.name === plan.ropeDivisors) return divisors.begin(info);
    return plan.names.has(info.name) ? backend.weight(info) : undefined;
  }, options);
  return new Decoder(backend, config, plan, weights, divisors.values);
}

class Decoder implements LanguageModel {
  readonly config: LanguageModelConfig;
  readonly backend: Backend;
  readonly #weights: ReadonlyMap<string, Weight>;
  readonly #embedding: Weight; // (vocabulary, hidden)
  readonly #blocks: readonly DecoderBlock[];
  readonly #norm: NormSpec; // (hidden)
  readonly #head: Weight; // (vocabulary, hidden)

  constructor(backend: Backend, config: LanguageModelConfig, plan: WeightPlan, weights: ReadonlyMap<string, Weight>, divisors: Float64Array | undefined) {
    const { heads, headDim, epsilon, activation, slidingWindow } = config;
    const weight = (name: string): Weight => {
      const found = weights.get(name);
      if (found === undefined) throw new ModelError('tensor-missing', `the file's reader did not deliver ${name}`, { tensor: name });
      return found;
    };
    const rope = ropeSpec(config.rope, divisors);
    this.backend = backend;
    this.config = config;
    this.#weights = weights;
    this.#embedding = weight(plan.embedding);
    this.#blocks = plan.blocks.map((names, layer) => {
      const window = slidingWindow?.layers[layer] ? slidingWindow.tokens : undefined;
      return new DecoderBlock(backend, names(weight), { heads, headDim, epsilon, activation, rope, window });
    });
    this.#norm = { kind: 'rms', weight: weight(plan.norm), epsilon };
    this.#head = weight(plan.head);
  }

  embed(ring: Tensor, start: number, count: number): Tensor {
    return this.backend.embed(this.#embedding, ring, start, count);
  }

  /** What a layer makes on its way is given back after it: kept until the last one, 24 layers of a prefill chunk are as large as a third of the weights. */
  forward(x: Tensor, kv: KvView, position: number, ranges: Ranges): Tensor {
    const { backend } = this;
    return this.#blocks.reduce((hidden, block, layer) => {
      const next = backend.scope(() => block.forward(hidden, kv, layer, position, ranges));
      if (hidden !== x) backend.free(hidden);
      return next;
    }, x);
  }

  logits(hidden: Tensor): Tensor {
    return this.backend.linear(hidden, [this.#head], { norm: this.#norm });
  }

  free(): void {
    for (const weight of this.#weights.values()) weight.free();
  }
}
