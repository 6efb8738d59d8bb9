/** The checkpoints of training/parity/encoders.py, and the same as GGUF, as llama.cpp's converter would write them. */
import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { JsonObject } from '../../src/load/model-file.ts';
import { safetensors } from './fixtures.ts';
import { f32Tensor, writeGguf, type GgufInput, type GgufWriterTensor } from './gguf-writer.ts';

const FOLDER = fileURLToPath(new URL('../fixtures/encoders/', import.meta.url));

export interface EncoderFixture {
  readonly name: string;
  /** By name, with their folders. */
  readonly files: Readonly<Record<string, Uint8Array<ArrayBuffer>>>;
  readonly config: JsonObject;
  readonly upstream: { readonly transformers: string; readonly torch: string };
  readonly texts: readonly {
    readonly ids: readonly number[];
    readonly second?: number;
    readonly placeholder?: number;
  }[];
  readonly width: number;
  /** [texts, width]: vectors of length 1, or scores. */
  readonly results: Float32Array;
}

export async function encoderFixtures(): Promise<EncoderFixture[]> {
  return Promise.all((await readdir(FOLDER)).sort().map(fixture));
}

async function fixture(name: string): Promise<EncoderFixture> {
  const root = join(FOLDER, name);
  const found = await readdir(root, { recursive: true, withFileTypes: true });
  const files: Record<string, Uint8Array<ArrayBuffer>> = {};
  for (const entry of found.filter((one) => one.isFile())) {
    const path = join(entry.parentPath, entry.name);
    files[relative(root, path).replaceAll('\\', '/')] = new Uint8Array(await readFile(path));
  }
  const json = (file: string): JsonObject => JSON.parse(new TextDecoder().decode(files[file])) as JsonObject;
  const expected = json('expected.json') as unknown as EncoderFixture & { results: string };
  delete files['expected.json'];
  const bytes = Uint8Array.from(Buffer.from(expected.results, 'base64'));
  return { ...expected, name, files, config: json('config.json'), results: new Float32Array(bytes.buffer) };
}

type Renaming = readonly (readonly [RegExp, string])[];

const BERT: Renaming = [
  [/^(bert|roberta)\./, ''],
  [/^embeddings\.word_embeddings/, 'token_embd'],
  [/^embeddings\.position_embeddings/, 'position_embd'],
  [/^embeddings\.token_type_embeddings/, 'token_types'],
  [/^embeddings\.LayerNorm|^emb_ln/, 'token_embd_norm'],
  [/^encoder\.layers?\./, 'blk.'],
  [/attention\.self\.(.)[a-z]+/, 'attn_$1'],
  [/attention\.output\.dense|attn\.out_proj/, 'attn_output'],
  [/attention\.output\.LayerNorm|norm1/, 'attn_output_norm'],
  [/intermediate\.dense/, 'ffn_up'],
  [/output\.dense/, 'ffn_down'],
  [/output\.LayerNorm|norm2/, 'layer_output_norm'],
  [/attn\.Wqkv/, 'attn_qkv'],
  [/mlp\.fc11/, 'ffn_up'],
  [/mlp\.fc12/, 'ffn_gate'],
  [/mlp\.fc2/, 'ffn_down'],
  [/^pooler\.dense|^classifier\.dense/, 'cls'],
  [/^classifier(\.out_proj)?\.(weight|bias)/, 'cls.output.$2'],
];

const MODERN: Renaming = [
  [/^model\./, ''],
  [/^embeddings\.tok_embeddings/, 'token_embd'],
  [/^embeddings\.norm/, 'token_embd_norm'],
  [/^layers\./, 'blk.'],
  [/attn\.Wqkv/, 'attn_qkv'],
  [/attn\.Wo/, 'attn_output'],
  [/mlp_norm/, 'ffn_norm'],
  [/mlp\.Wi/, 'ffn_up'],
  [/mlp\.Wo/, 'ffn_down'],
  [/^final_norm/, 'output_norm'],
  [/^head\.(dense|norm)/, 'cls.$1'],
  [/^cls\.dense/, 'cls'],
  [/^classifier/, 'cls.output'],
];

const DECODER: Renaming = [
  [/^model\./, ''],
  [/^layers\./, 'blk.'],
  [/^embed_tokens/, 'token_embd'],
  [/^norm/, 'output_norm'],
  [/self_attn\.q_norm/, 'attn_q_norm'],
  [/self_attn\.k_norm/, 'attn_k_norm'],
  [/self_attn\.([qkv])_proj/, 'attn_$1'],
  [/self_attn\.o_proj/, 'attn_output'],
  [/input_layernorm/, 'attn_norm'],
  [/mlp\.(gate|up|down)_proj/, 'ffn_$1'],
];

const QWEN: Renaming = [...DECODER, [/post_attention_layernorm/, 'ffn_norm']];
const GEMMA: Renaming = [
  ...DECODER,
  [/post_attention_layernorm/, 'post_attention_norm'],
  [/pre_feedforward_layernorm/, 'ffn_norm'],
  [/post_feedforward_layernorm/, 'post_ffw_norm'],
];

const KINDS: Readonly<Record<string, { readonly architecture: string; readonly names: Renaming }>> = {
  bert: { architecture: 'bert', names: BERT },
  'xlm-roberta': { architecture: 'bert', names: BERT },
  nomic_bert: { architecture: 'nomic-bert', names: BERT },
  modernbert: { architecture: 'modern-bert', names: MODERN },
  gemma3_text: { architecture: 'gemma-embedding', names: GEMMA },
  qwen3: { architecture: 'qwen3', names: QWEN },
};

/** Ids of the answers of qwen3-reranker. */
export const ANSWERS = { yes: 7, no: 11 } as const;

const POOLING: Readonly<Record<string, number>> = { mean_tokens: 1, cls_token: 2, lasttoken: 3 };

/** Undefined for MPNet and for dense modules with an activation, which GGUF does not know. */
export function encoderGguf(
  { config, files }: Pick<EncoderFixture, 'config' | 'files'>,
  more: Readonly<Record<string, GgufInput>> = {},
  keep: (name: string) => boolean = () => true,
): Uint8Array<ArrayBuffer> | undefined {
  const kind = KINDS[config['model_type'] as string];
  const text = (file: string): string => new TextDecoder().decode(files[file]);
  if (kind === undefined || text('2_Dense/config.json').includes('Tanh')) return undefined;
  const { architecture, names } = kind;
  const number = (key: string): number => config[key] as number;
  const roberta = config['model_type'] === 'xlm-roberta';
  const f32 = (value: unknown): GgufInput => ({ type: 'f32', value: value as number });
  const tensors: GgufWriterTensor[] = [];
  const weights = [...safetensors(files['model.safetensors']!)];
  for (const i of [2, 3]) {
    const dense = files[`${i}_Dense/model.safetensors`];
    if (dense === undefined) continue;
    for (const [name, values] of safetensors(dense)) weights.push([name.replace('linear', `dense_${i}`), values]);
  }
  for (const [name, { shape, values }] of weights) {
    const stored = names.reduce((text, [from, to]) => text.replace(from, to), name);
    if (!keep(stored)) continue;
    // The rows of padding go.
    const first = roberta && stored.startsWith('position_embd') ? 2 : 0;
    const own =
      architecture === 'gemma-embedding' && stored.endsWith('norm.weight') ? gemmaNorm(stored, values, config) : values;
    tensors.push(f32Tensor(stored, [shape[0]! - first, ...shape.slice(1)], own.subarray(first * (shape[1] ?? 1))));
  }
  const parameters = config['rope_parameters'] as Record<string, unknown> | undefined;
  const full = (parameters?.['full_attention'] ?? parameters) as Record<string, number> | undefined;
  const pooling = text('1_Pooling/config.json');
  const mode = Object.keys(POOLING).find((name) => new RegExp(`"pooling_mode_${name}": true`).test(pooling));
  if (architecture === 'qwen3' && mode === undefined && keep('cls.output.weight')) {
    const { shape, values } = weights.find(([name]) => /embed_tokens/.test(name))![1];
    const rows = [ANSWERS.yes, ANSWERS.no].flatMap((id) => [...values.subarray(id * shape[1]!, (id + 1) * shape[1]!)]);
    tensors.push(f32Tensor('cls.output.weight', [2, shape[1]!], rows));
  }
  const decoder = config['num_key_value_heads'] !== undefined;
  const metadata: Record<string, GgufInput> = {
    block_count: number('num_hidden_layers'),
    context_length: number('max_position_embeddings') - (roberta ? 2 : 0),
    embedding_length: number('hidden_size'),
    feed_forward_length: number('intermediate_size'),
    'attention.head_count': number('num_attention_heads'),
    ...(decoder
      ? {
          'attention.head_count_kv': number('num_key_value_heads'),
          'attention.key_length': number('head_dim'),
          'attention.value_length': number('head_dim'),
          'attention.layer_norm_rms_epsilon': f32(config['rms_norm_eps']),
        }
      : {
          'attention.layer_norm_epsilon': f32(config['layer_norm_eps'] ?? config['norm_eps']),
          'attention.causal': false,
        }),
    ...(full !== undefined && { 'rope.freq_base': f32(full['rope_theta']) }),
    ...(typeof config['sliding_window'] === 'number' && { 'attention.sliding_window': config['sliding_window'] }),
    ...(typeof config['local_attention'] === 'number' && { 'attention.sliding_window': config['local_attention'] }),
    pooling_type: mode === undefined ? 4 : POOLING[mode]!,
  };
  return writeGguf(
    {
      'general.architecture': architecture,
      ...Object.fromEntries(Object.entries(metadata).map(([key, value]) => [`${architecture}.${key}`, value])),
      ...more,
    },
    tensors,
  );
}

/** Norms hold 1 + w; what the scale of attention has beyond that of the head goes into q's norm. */
function gemmaNorm(name: string, values: Float32Array, config: JsonObject): Float32Array {
  const own = Math.sqrt((config['head_dim'] as number) / (config['query_pre_attn_scalar'] as number));
  const factor = name.includes('attn_q_norm') ? own : 1;
  return values.map((value) => factor * (1 + value));
}
