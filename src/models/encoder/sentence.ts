/**
 * Reads from a model's files how its vectors are computed: sentence-transformers' modules (modules.json, 1_Pooling,
 * 2_Dense, ...) and prompts, and GGUF's `pooling_type`. Also holds what is known about models whose files do not state
 * it.
 */
import type { Activation } from '../../backend/backend.ts';
import { ModelError } from '../../errors.ts';
import { isObject } from '../../load/json.ts';
import type { JsonObject, JsonValue, ModelFile, SentenceModule } from '../../load/model-file.ts';
import { both, MOST } from '../config.ts';
import { Facts, wrong } from '../facts.ts';
import { named, type DenseSpec, type Pooling } from './spec.ts';

/** The prefix put before a text, by the text's purpose. */
export interface Prefixes {
  readonly query: string;
  readonly document: string;
}

export interface SentenceFacts {
  /** Undefined if the file does not state it. */
  readonly pooling: Pooling | undefined;
  /** Whether GGUF's pooling type says that the model scores pairs. */
  readonly ranks: boolean;
  readonly dense: readonly DenseSpec[];
  /** The largest number of tokens of a text, if it is less than the encoder can read. */
  readonly window: number | undefined;
  readonly prefixes: Prefixes;
}

const NONE: Prefixes = { query: '', document: '' };
/** The values of LLAMA_POOLING_TYPE_*. */
const GGUF_POOLING: readonly (Pooling | undefined)[] = [undefined, 'mean', 'cls', 'last', undefined];
const RANK = 4;
/** Modules of torch, under the names that sentence-transformers uses. */
const ACTIVATIONS: Readonly<Record<string, Activation | 'tanh' | undefined>> = {
  'torch.nn.modules.linear.Identity': undefined,
  'torch.nn.modules.activation.Tanh': 'tanh',
  'torch.nn.modules.activation.GELU': 'gelu',
  'torch.nn.modules.activation.SiLU': 'silu',
};

export function sentenceFacts(file: ModelFile, architecture: string): SentenceFacts {
  const { metadata, tensors } = file;
  const known = knownPrefixes(architecture, namesOf(file));
  if (metadata.kind === 'gguf') {
    const type = new Facts(metadata, architecture).integer(both('pooling_type', []), {
      least: -1,
      most: 16,
      default: 0,
    });
    const dense = ['dense_2', 'dense_3'].filter((name) => tensors.has(`${name}.weight`));
    return {
      pooling: GGUF_POOLING[type],
      ranks: type === RANK,
      dense: dense.map((name) => ({ name: named(name, ''), bias: tensors.has(`${name}.bias`) })),
      window: undefined,
      prefixes: known,
    };
  }
  const { modules = [], limits = {}, settings = {} } = metadata.sentence ?? {};
  const length = limits['max_seq_length'];
  return {
    pooling: poolingOf(modules),
    ranks: false,
    dense: modules.flatMap((module) => (kindOf(module) === 'Dense' ? [denseOf(module)] : [])),
    window:
      typeof length === 'number' && Number.isInteger(length) && length > 0 ? Math.min(length, MOST.context) : undefined,
    prefixes: ownPrefixes(settings) ?? known,
  };
}

/** Returns the last part of a type such as `sentence_transformers.models.Pooling`. */
function kindOf({ type }: SentenceModule): string {
  return type.replace(/^.*\./, '');
}

function poolingOf(modules: readonly SentenceModule[]): Pooling | undefined {
  const unknown = modules.find((module) => !/^(Transformer|Pooling|Dense|Normalize|Dropout)$/.test(kindOf(module)));
  if (unknown !== undefined)
    throw new ModelError(
      'config',
      `modules.json has a module ${JSON.stringify(unknown.type.slice(0, 80))}, which is not supported`,
      { module: unknown.type },
    );
  const pooling = modules.find((module) => kindOf(module) === 'Pooling');
  if (pooling === undefined) return undefined;
  const { config } = pooling;
  if (config === undefined)
    throw new ModelError(
      'config',
      `modules.json names ${pooling.path}, whose config.json is not there; give all files of the model, with their folders`,
      { module: pooling.path },
    );
  if (config['include_prompt'] === false)
    throw wrong(
      `include_prompt of ${pooling.path}`,
      false,
      'should be true; leaving the prompt out of the mean is not supported',
    );
  const given = config['pooling_mode'];
  const on = Object.entries(config)
    .filter(([name, value]) => name.startsWith('pooling_mode_') && value === true)
    .map(([name]) => name.replace('pooling_mode_', '').replace(/_tokens?$/, ''));
  const modes = typeof given === 'string' ? [given] : on;
  const [mode] = modes;
  if (modes.length === 1 && mode === 'mean') return 'mean';
  if (modes.length === 1 && mode === 'cls') return 'cls';
  if (modes.length === 1 && mode === 'lasttoken') return 'last';
  throw wrong('the pooling mode', modes, 'should be one of mean, cls and lasttoken; others are not supported');
}

function denseOf({ path, config = {} }: SentenceModule): DenseSpec {
  const activation = config['activation_function'] ?? 'torch.nn.modules.activation.Tanh';
  if (typeof activation !== 'string' || !Object.hasOwn(ACTIVATIONS, activation))
    throw wrong(
      `activation_function of ${path}`,
      activation,
      `should be one of ${Object.keys(ACTIVATIONS).join(', ')}`,
    );
  return {
    name: named('', `${path}/linear`),
    bias: config['bias'] !== false,
    activation: ACTIVATIONS[activation],
  };
}

/** Returns the prompts of config_sentence_transformers.json; undefined if there are none for queries and documents. */
function ownPrefixes(settings: JsonObject): Prefixes | undefined {
  const { prompts } = settings;
  if (!isObject(prompts)) return undefined;
  const of = (...names: readonly string[]): JsonValue | undefined =>
    names.map((name) => prompts[name]).find((prompt) => typeof prompt === 'string');
  const query = of('query', 's2p_query');
  const document = of('document', 'passage');
  // sentence-transformers writes empty prompts for both when nobody has set any.
  if (query === undefined || (query === '' && (document ?? '') === '')) return undefined;
  return { query: String(query), document: String(document ?? '') };
}

/** Returns the names that a file gives itself. */
export function namesOf({ name, metadata }: Pick<ModelFile, 'name' | 'metadata'>): string {
  const own =
    metadata.kind === 'gguf'
      ? ['general.name', 'general.basename', 'general.base_model.0.name'].map((key) => metadata.values.get(key))
      : [metadata.config['_name_or_path']];
  return [name, ...own].filter((value) => typeof value === 'string').join(' ');
}

/** The prefixes that the models' own cards state. */
function knownPrefixes(architecture: string, names: string): Prefixes {
  if (/^nomic.bert/.test(architecture)) return { query: 'search_query: ', document: 'search_document: ' };
  if (architecture.startsWith('gemma'))
    return { query: 'task: search result | query: ', document: 'title: none | text: ' };
  if (/qwen3.?emb/i.test(names)) return { ...NONE, query: QWEN_QUERY };
  if (/bge-(small|base|large)-en|bge-.*-en-v/i.test(names))
    return { ...NONE, query: 'Represent this sentence for searching relevant passages: ' };
  if (/bge-(small|base|large)-zh/i.test(names)) return { ...NONE, query: '为这个句子生成表示以用于检索相关文章：' };
  if (/\be5-(small|base|large)/i.test(names) && !/instruct/i.test(names))
    return { query: 'query: ', document: 'passage: ' };
  return NONE;
}

const QWEN_QUERY = 'Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:';
