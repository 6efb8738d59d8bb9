/** The checkpoints of training/parity/language_models.py, and the same as GGUF, as llama.cpp's converter would write them. */
import { readdir, readFile } from 'node:fs/promises';
import type { JsonObject } from '../../src/load/model-file.ts';
import { f32Tensor, writeGguf, type GgufInput, type GgufWriterTensor } from './gguf-writer.ts';

const FOLDER = new URL('../fixtures/', import.meta.url);

export interface Expected {
  readonly upstream: { readonly transformers: string; readonly torch: string };
  readonly prompt: readonly number[];
  readonly greedy: readonly number[];
  readonly positions: readonly number[];
  /** [positions, vocabulary] */
  readonly logits: Float32Array;
}

export interface Fixture {
  readonly name: string;
  readonly files: { readonly 'config.json': Uint8Array; readonly 'model.safetensors': Uint8Array };
  readonly config: JsonObject;
  readonly expected: Expected;
}

export async function fixtures(): Promise<Fixture[]> {
  const names = (await readdir(FOLDER, { withFileTypes: true }))
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort();
  const all = await Promise.all(names.map(fixture));
  return all.filter((it) => it !== undefined);
}

async function fixture(name: string): Promise<Fixture | undefined> {
  const read = async (file: string): Promise<Uint8Array> =>
    new Uint8Array(await readFile(new URL(`${name}/${file}`, FOLDER)));
  const json = async (file: string): Promise<JsonObject> =>
    JSON.parse(new TextDecoder().decode(await read(file))) as JsonObject;
  const expected = await json('expected.json').catch(() => undefined);
  if (expected?.['greedy'] === undefined) return undefined;
  const logits = Uint8Array.from(Buffer.from(expected['logits'] as string, 'base64'));
  return {
    name,
    files: { 'config.json': await read('config.json'), 'model.safetensors': await read('model.safetensors') },
    config: await json('config.json'),
    expected: { ...(expected as unknown as Expected), logits: new Float32Array(logits.buffer) },
  };
}

interface Values {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** All tensors of an F32 safetensors file. */
export function safetensors(bytes: Uint8Array): Map<string, Values> {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const length = Number(view.getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length))) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  const out = new Map<string, Values>();
  for (const [name, { dtype, shape, data_offsets: at }] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    if (dtype !== 'F32') throw new Error(`${name} is ${dtype}`);
    out.set(name, { shape, values: new Float32Array(bytes.slice(8 + length + at[0], 8 + length + at[1]).buffer) });
  }
  return out;
}

const PARTS: readonly (readonly [string, string])[] = [
  ['self_attn.q_norm', 'attn_q_norm'],
  ['self_attn.k_norm', 'attn_k_norm'],
  ['self_attn.q_proj', 'attn_q'],
  ['self_attn.k_proj', 'attn_k'],
  ['self_attn.v_proj', 'attn_v'],
  ['self_attn.o_proj', 'attn_output'],
  ['input_layernorm', 'attn_norm'],
  ['post_attention_layernorm', 'ffn_norm'],
  ['mlp.gate_proj', 'ffn_gate'],
  ['mlp.up_proj', 'ffn_up'],
  ['mlp.down_proj', 'ffn_down'],
  ['model.layers.', 'blk.'],
  ['model.embed_tokens', 'token_embd'],
  ['model.norm', 'output_norm'],
  ['lm_head', 'output'],
];

/** Names that an architecture has in place of those. */
const OWN_PARTS: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
  gemma3: [
    ['post_attention_layernorm', 'post_attention_norm'],
    ['pre_feedforward_layernorm', 'ffn_norm'],
    ['post_feedforward_layernorm', 'post_ffw_norm'],
  ],
  gemma4: [
    ['post_attention_layernorm', 'post_attention_norm'],
    ['pre_feedforward_layernorm', 'ffn_norm'],
    ['post_feedforward_layernorm', 'post_ffw_norm'],
    ['per_layer_input_gate', 'inp_gate'],
    ['post_per_layer_input_norm', 'post_norm'],
    ['model.per_layer_projection_norm', 'per_layer_proj_norm'],
    ['per_layer_projection', 'proj'],
    ['layer_scalar', 'layer_output_scale.weight'],
    ['model.embed_tokens_per_layer', 'per_layer_token_embd'],
    ['model.per_layer_model_projection', 'per_layer_model_proj'],
  ],
  lfm2: [
    ['self_attn.q_layernorm', 'attn_q_norm'],
    ['self_attn.k_layernorm', 'attn_k_norm'],
    ['self_attn.out_proj', 'attn_output'],
    ['operator_norm', 'attn_norm'],
    ['feed_forward.w1', 'ffn_gate'],
    ['feed_forward.w3', 'ffn_up'],
    ['feed_forward.w2', 'ffn_down'],
    ['conv.in_proj', 'shortconv.in_proj'],
    ['conv.out_proj', 'shortconv.out_proj'],
    ['conv.conv', 'shortconv.conv'],
    ['model.embedding_norm', 'token_embd_norm'],
  ],
  qwen35: [
    ['post_attention_layernorm', 'post_attention_norm'],
    ['linear_attn.in_proj_qkv', 'attn_qkv'],
    ['linear_attn.in_proj_z', 'attn_gate'],
    ['linear_attn.in_proj_b', 'ssm_beta'],
    ['linear_attn.in_proj_a', 'ssm_alpha'],
    ['linear_attn.conv1d', 'ssm_conv1d'],
    ['linear_attn.A_log', 'ssm_a'],
    ['linear_attn.dt_bias', 'ssm_dt.bias'],
    ['linear_attn.norm', 'ssm_norm'],
    ['linear_attn.out_proj', 'ssm_out'],
  ],
  phi3: [
    ['self_attn.qkv_proj', 'attn_qkv'],
    ['mlp.gate_up_proj', 'ffn_up'],
  ],
};

/** llama.cpp's permutation of q and k: within each head row i of the first half goes to 2i, of the second half to 2i + 1. */
export function permute({ shape, values }: Values, heads: number): Values {
  const rows = shape[0]!;
  const cols = values.length / rows;
  const dim = rows / heads;
  const out = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    const head = Math.floor(row / dim);
    const i = row % dim;
    const to = head * dim + (i < dim / 2 ? 2 * i : 2 * (i - dim / 2) + 1);
    out.set(values.subarray(row * cols, (row + 1) * cols), to * cols);
  }
  return { shape, values: out };
}

/** Norms hold 1 + w. The scale of attention is always that of the head: what the configuration has beyond it goes into q's norm. */
function gemma(name: string, values: Float32Array, config: JsonObject): Float32Array {
  if (!name.endsWith('norm.weight')) return values;
  const own = Math.sqrt((config['head_dim'] as number) / (config['query_pre_attn_scalar'] as number));
  const factor = /attn_q_norm/.test(name) ? own : 1;
  return values.map((value) => factor * (1 + value));
}

/** Rows of the file from `first` on, in groups of `size`: group n is that of value head (n % keyHeads) * r + floor(n / keyHeads), r value heads having one key head. */
function tiled({ shape, values }: Values, first: number, size: number, keyHeads: number): Values {
  const rows = shape[0]!;
  const cols = values.length / rows;
  const heads = (rows - first) / size;
  const out = values.slice();
  for (let n = 0; n < heads; n++) {
    const from = first + ((n % keyHeads) * (heads / keyHeads) + Math.floor(n / keyHeads)) * size;
    out.set(values.subarray(from * cols, (from + size) * cols), (first + n * size) * cols);
  }
  return { shape, values: out };
}

function transposed({ shape: [rows = 0, cols = 0], values }: Values): Values {
  const out = Float32Array.from(values, (_, i) => values[(i % rows) * cols + Math.floor(i / rows)]!);
  return { shape: [cols, rows], values: out };
}

/** As the converter stores Qwen 3.5: norms of 1 + w (but for the delta nets'), -exp(A_log), and value heads tiled. */
function qwen35(name: string, tensor: Values, config: JsonObject): Values {
  const number = (key: string): number => config[key] as number;
  const [keyHeads, valueDim] = [number('linear_num_key_heads'), number('linear_value_head_dim')];
  const keys = 2 * keyHeads * number('linear_key_head_dim');
  if (/attn_qkv|ssm_conv1d/.test(name)) return tiled(tensor, keys, valueDim, keyHeads);
  if (/attn_gate/.test(name)) return tiled(tensor, 0, valueDim, keyHeads);
  if (/ssm_out/.test(name)) return transposed(tiled(transposed(tensor), 0, valueDim, keyHeads));
  if (/ssm_(beta|alpha|dt)/.test(name)) return tiled(tensor, 0, 1, keyHeads);
  if (name.endsWith('ssm_a')) {
    const { shape, values } = tiled(tensor, 0, 1, keyHeads);
    return { shape, values: values.map((value) => -Math.exp(value)) };
  }
  if (!name.endsWith('norm.weight') || /ssm_norm/.test(name)) return tensor;
  return { shape: tensor.shape, values: tensor.values.map((value) => 1 + value) };
}

const ARCHITECTURE: Readonly<Record<string, string>> = {
  mistral: 'llama',
  ministral3: 'mistral3',
  gemma3_text: 'gemma3',
  gemma4_text: 'gemma4',
  qwen2_vl_text: 'qwen2vl',
  qwen2_5_vl_text: 'qwen2vl',
  qwen3_vl_text: 'qwen3vl',
  qwen3_5_text: 'qwen35',
};

/** Whose converter permutes the rows of q and k. */
const PERMUTED: ReadonlySet<string> = new Set(['llama', 'mistral3', 'smollm3', 'granite']);

/** The fixture as a GGUF. */
export function toGguf(
  { config, files }: Pick<Fixture, 'config' | 'files'>,
  more: Readonly<Record<string, GgufInput>> = {},
  others: readonly GgufWriterTensor[] = [],
): Uint8Array<ArrayBuffer> {
  const number = (key: string): number => config[key] as number;
  const type = config['model_type'] as string;
  const architecture = ARCHITECTURE[type] ?? type;
  const heads = number('num_attention_heads');
  const kvHeads = number('num_key_value_heads');
  const headDim = (config['head_dim'] as number | undefined) ?? number('hidden_size') / heads;
  const parameters = config['rope_parameters'] as Record<string, number | string>;
  const rope = (parameters['full_attention'] ?? parameters) as typeof parameters;
  const tensors: GgufWriterTensor[] = [];
  for (const [name, tensor] of safetensors(files['model.safetensors'])) {
    const rotated = !PERMUTED.has(architecture)
      ? undefined
      : /q_proj/.test(name)
        ? heads
        : /k_proj/.test(name)
          ? kvHeads
          : undefined;
    const own = OWN_PARTS[architecture] ?? [];
    const stored = [...own, ...PARTS].reduce((text, [from, to]) => text.replace(from, to), name);
    const given = architecture === 'qwen35' ? qwen35(stored, tensor, config) : tensor;
    const { shape, values } = rotated === undefined ? given : permute(given, rotated);
    // The converter drops axes of 1, which convolutions have.
    const axes = shape.filter((n, i) => n !== 1 || i === 0);
    tensors.push(f32Tensor(stored, axes, architecture === 'gemma3' ? gemma(stored, values, config) : values));
  }
  const scaling: Record<string, GgufInput> = {};
  const f32 = (value: unknown): GgufInput => ({ type: 'f32', value: value as number });
  if (rope['rope_type'] === 'linear' || rope['rope_type'] === 'yarn') {
    scaling['rope.scaling.type'] = rope['rope_type'];
    scaling['rope.scaling.factor'] = f32(rope['factor']);
  }
  if (rope['rope_type'] === 'yarn') {
    scaling['rope.scaling.original_context_length'] = rope['original_max_position_embeddings']!;
    scaling['rope.scaling.yarn_beta_fast'] = f32(rope['beta_fast'] ?? 32);
    scaling['rope.scaling.yarn_beta_slow'] = f32(rope['beta_slow'] ?? 1);
  }
  if (rope['rope_type'] === 'llama3') {
    const [theta, factor, low, high, original] = [
      'rope_theta',
      'factor',
      'low_freq_factor',
      'high_freq_factor',
      'original_max_position_embeddings',
    ].map((key) => rope[key] as number) as [number, number, number, number, number];
    const divisors = Array.from({ length: headDim / 2 }, (_, i) => {
      const wavelength = 2 * Math.PI * theta ** ((2 * i) / headDim);
      if (wavelength < original / high) return 1;
      if (wavelength > original / low) return factor;
      const smooth = (original / wavelength - low) / (high - low);
      return 1 / ((1 - smooth) / factor + smooth);
    });
    tensors.push(f32Tensor('rope_freqs.weight', [headDim / 2], divisors));
  }
  const own: Record<string, GgufInput> = {};
  const rotated = headDim * ((rope['partial_rotary_factor'] as number | undefined) ?? 1);
  if (rope['rope_type'] === 'longrope') {
    const original = rope['original_max_position_embeddings'] as number;
    const ratio = number('max_position_embeddings') / original;
    own['rope.scaling.original_context_length'] = original;
    own['rope.scaling.attn_factor'] = f32(ratio > 1 ? Math.sqrt(1 + Math.log(ratio) / Math.log(original)) : 1);
    for (const kind of ['long', 'short']) {
      const factors = rope[`${kind}_factor`] as unknown as readonly number[];
      tensors.push(f32Tensor(`rope_factors_${kind}.weight`, [factors.length], Float32Array.from(factors)));
    }
  }
  if (rope['mrope_section'] !== undefined)
    own['rope.dimension_sections'] = { type: 'i32', value: [...(rope['mrope_section'] as unknown as number[]), 0] };
  if (architecture === 'mistral3') {
    own['attention.temperature_scale'] = f32(rope['llama_4_scaling_beta']);
    own['rope.scaling.yarn_log_multiplier'] = f32(rope['mscale_all_dim']);
  }
  if (architecture === 'granite') {
    own['embedding_scale'] = f32(config['embedding_multiplier']);
    own['residual_scale'] = f32(config['residual_multiplier']);
    own['attention.scale'] = f32(config['attention_multiplier']);
    own['logit_scale'] = f32(config['logits_scaling']);
  }
  const types = config['layer_types'] as readonly string[] | undefined;
  if (architecture === 'lfm2') own['shortconv.l_cache'] = number('conv_L_cache');
  if (architecture === 'qwen35') {
    const [keyHeads, valueHeads] = [number('linear_num_key_heads'), number('linear_num_value_heads')];
    own['full_attention_interval'] = 4;
    own['ssm.conv_kernel'] = number('linear_conv_kernel_dim');
    own['ssm.state_size'] = number('linear_key_head_dim');
    own['ssm.group_count'] = keyHeads;
    own['ssm.time_step_rank'] = valueHeads;
    own['ssm.inner_size'] = valueHeads * number('linear_value_head_dim');
    own['rope.dimension_sections'] = [...(rope['mrope_section'] as unknown as readonly number[]), 0];
  }
  const window = config['sliding_window'];
  if (architecture === 'gemma4') {
    const layer = config['per_layer_config'] as Record<string, Record<string, number>>;
    const full = layer['1']!['head_dim']!;
    const readers = number('num_kv_shared_layers');
    const layers = number('num_hidden_layers');
    const wide = config['use_double_wide_mlp'] === true ? 2 : 1;
    own['attention.key_length'] = full;
    own['attention.value_length'] = full;
    own['attention.key_length_swa'] = headDim;
    own['attention.value_length_swa'] = headDim;
    own['rope.dimension_count'] = full;
    own['rope.dimension_count_swa'] = headDim;
    own['rope.freq_base_swa'] = f32((parameters['sliding_attention'] as unknown as typeof rope)['rope_theta']);
    own['attention.sliding_window_pattern'] = types!.map((type) => type === 'sliding_attention');
    own['attention.head_count_kv'] = types!.map((_, i) => layer[i]?.['num_key_value_heads'] ?? kvHeads);
    own['attention.shared_kv_layers'] = readers;
    own['feed_forward_length'] = types!.map((_, i) => number('intermediate_size') * (i >= layers - readers ? wide : 1));
    own['embedding_length_per_layer_input'] = number('hidden_size_per_layer_input');
    own['final_logit_softcapping'] = f32(config['final_logit_softcapping']);
    const rotating = (full / 2) * (rope['partial_rotary_factor'] as number);
    tensors.push(
      f32Tensor(
        'rope_freqs.weight',
        [full / 2],
        Float32Array.from({ length: full / 2 }, (_, i) => (i < rotating ? 1 : 1e30)),
      ),
    );
  }
  const metadata: Record<string, GgufInput> = {
    block_count: number('num_hidden_layers'),
    context_length: number('max_position_embeddings') * (rope['rope_type'] === 'yarn' ? (rope['factor'] as number) : 1),
    embedding_length: number('hidden_size'),
    feed_forward_length: number('intermediate_size'),
    'attention.head_count': heads,
    'attention.head_count_kv':
      architecture === 'lfm2' ? types!.map((type) => (type === 'conv' ? 0 : kvHeads)) : kvHeads,
    'attention.key_length': headDim,
    'attention.value_length': headDim,
    'attention.layer_norm_rms_epsilon': f32(config['rms_norm_eps'] ?? config['norm_eps']),
    'rope.dimension_count': rotated,
    'rope.freq_base': f32(rope['rope_theta']),
    vocab_size: number('vocab_size'),
    ...(typeof window === 'number' ? { 'attention.sliding_window': window } : {}),
    ...scaling,
    ...own,
  };
  return writeGguf(
    {
      'general.architecture': architecture,
      ...Object.fromEntries(Object.entries(metadata).map(([key, value]) => [`${architecture}.${key}`, value])),
      ...more,
    },
    [...tensors, ...others],
  );
}
