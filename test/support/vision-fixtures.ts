/** The checkpoints of training/parity/vision_models.py, and the same as a language model and a projector in GGUF, as llama.cpp's converters would write them. */
import { readdir, readFile } from 'node:fs/promises';
import type { JsonObject } from '../../src/load/model-file.ts';
import { writeSafetensors } from '../load/safetensors-writer.ts';
import { permute, safetensors, toGguf } from './fixtures.ts';
import type { Message } from '../../src/chat/messages.ts';
import type { Rgba } from '../../src/vision/image.ts';
import { f32Tensor, writeGguf, type GgufInput } from './gguf-writer.ts';

export interface VisionExpected {
  /** Sides of the images of the conversation. */
  readonly shown: readonly (readonly [width: number, height: number])[];
  /** `sha256` of all tiles' bytes, null for an image that upstream refuses; or `sample`, each so many of the `bytes`, base64. */
  readonly preprocessing: readonly {
    readonly width: number;
    readonly height: number;
    readonly tiles: number;
    readonly sha256?: string | null;
    readonly bytes?: number;
    readonly sample?: string;
  }[];
  readonly ids: readonly number[];
  readonly generated: readonly number[];
  readonly positions: readonly number[];
  /** [positions, vocabulary] */
  readonly logits: Float32Array;
  /** [tokens of all images, hidden] */
  readonly embeddings: Float32Array;
}

export interface VisionFixture {
  readonly files: Readonly<Record<string, Uint8Array>>;
  readonly expected: VisionExpected;
}

export async function visionFixture(name: string): Promise<VisionFixture> {
  const folder = new URL(`../fixtures/vision-models/${name}/`, import.meta.url);
  const names = await readdir(folder);
  const files = Object.fromEntries(
    await Promise.all(
      names.map(async (file) => [file, new Uint8Array(await readFile(new URL(file, folder)))] as const),
    ),
  );
  const expected = json(files, 'expected.json') as unknown as Omit<VisionExpected, 'logits' | 'embeddings'> & {
    readonly logits: string;
    readonly embeddings: string;
  };
  const floats = (text: string): Float32Array => new Float32Array(Uint8Array.from(Buffer.from(text, 'base64')).buffer);
  return {
    files,
    expected: { ...expected, logits: floats(expected.logits), embeddings: floats(expected.embeddings) },
  };
}

function json(files: Readonly<Record<string, Uint8Array>>, name: string): JsonObject {
  return JSON.parse(new TextDecoder().decode(files[name])) as JsonObject;
}

/** Names of a tower's and a projector's tensors in Hugging Face files, as the converters of llama.cpp rename them one after the other. */
type Renaming = readonly (readonly [from: string | RegExp, to: string])[];

const SIGLIP: Renaming = [
  [/^(model\.)?vision_(model|tower)\./, 'v.'],
  ['v.embeddings.class_embedding', 'v.class_embd'],
  ['v.embeddings.patch_embedding', 'v.patch_embd'],
  ['v.embeddings.position_embedding', 'v.position_embd'],
  ['v.pre_layrnorm', 'v.pre_ln'],
  ['v.post_layernorm', 'v.post_ln'],
  ['v.encoder.layers.', 'v.blk.'],
  ['layer_norm1', 'ln1'],
  ['layer_norm2', 'ln2'],
  [/self_attn\.([qkv])_proj/, 'attn_$1'],
  ['self_attn.out_proj', 'attn_out'],
  ['mlp.fc1', 'ffn_up'],
  ['mlp.fc2', 'ffn_down'],
];
const QWEN: Renaming = [
  [/^(model\.)?visual\./, 'v.'],
  [/^v\.merger\.(ln_q|norm)/, 'v.post_ln'],
  [/^v\.merger\.(mlp\.0|linear_fc1)/, 'mm.0'],
  [/^v\.merger\.(mlp\.2|linear_fc2)/, 'mm.2'],
  ['v.patch_embed.proj', 'v.patch_embd'],
  ['v.pos_embed', 'v.position_embd'],
  ['v.deepstack_merger_list.', 'v.deepstack.'],
  [/(v\.deepstack\.\d+\.)linear_/, '$1'],
  ['v.blocks.', 'v.blk.'],
  ['attn.qkv', 'attn_qkv'],
  ['attn.proj', 'attn_out'],
  ['norm1', 'ln1'],
  ['norm2', 'ln2'],
  ['mlp.gate_proj', 'ffn_gate'],
  [/mlp\.(fc1|linear_fc1|up_proj)/, 'ffn_up'],
  [/mlp\.(fc2|linear_fc2|down_proj)/, 'ffn_down'],
];
const INTERN: Renaming = [
  [/^(model\.)?vision_tower\./, 'v.'],
  ['v.embeddings.cls_token', 'v.class_embd'],
  ['v.embeddings.position_embeddings', 'v.position_embd.weight'],
  ['v.embeddings.patch_embeddings.projection', 'v.patch_embd'],
  ['v.encoder.layer.', 'v.blk.'],
  [/attention\.([qkv])_proj/, 'attn_$1'],
  ['attention.projection_layer', 'attn_out'],
  ['layernorm_before', 'ln1'],
  ['layernorm_after', 'ln2'],
  ['lambda_1', 'ls1.weight'],
  ['lambda_2', 'ls2.weight'],
  ['mlp.fc1', 'ffn_up'],
  ['mlp.fc2', 'ffn_down'],
  ['multi_modal_projector.layer_norm', 'mm.model.mlp.0'],
  ['multi_modal_projector.linear_1', 'mm.model.mlp.1'],
  ['multi_modal_projector.linear_2', 'mm.model.mlp.3'],
];
const PIXTRAL: Renaming = [
  [/^(model\.)?vision_tower\./, 'v.'],
  [/^(model\.)?multi_modal_projector\.linear_/, 'mm.'],
  [/^(model\.)?multi_modal_projector\.norm/, 'mm.input_norm'],
  [/^(model\.)?multi_modal_projector\.patch_merger\.merging_layer/, 'mm.patch_merger'],
  ['v.patch_conv', 'v.patch_embd'],
  ['v.ln_pre', 'v.pre_ln'],
  ['v.transformer.layers.', 'v.blk.'],
  [/attention\.([qkv])_proj/, 'attn_$1'],
  ['attention.o_proj', 'attn_out'],
  ['attention_norm', 'ln1'],
  ['ffn_norm', 'ln2'],
  [/feed_forward\.(gate|up|down)_proj/, 'ffn_$1'],
];
/** As llama.cpp's later converter has it; the one that exchanged the MLP's names called the first `mm.0`. */
const LLAVA: Renaming = [
  ['multi_modal_projector.linear_1', 'mm.1'],
  ['multi_modal_projector.linear_2', 'mm.2'],
  ...SIGLIP,
];

const f32 = (value: number) => ({ type: 'f32', value }) as const;
const f32s = (value: readonly number[]) => ({ type: 'f32', value }) as const;

interface Twin {
  readonly projector: string;
  readonly names: Renaming;
  readonly facts: (config: JsonObject, vision: JsonObject, preprocessor: JsonObject) => Record<string, GgufInput>;
  /** Whether the rows of q and k are permuted as the language model's. */
  readonly permuted?: boolean;
}

const TWINS: Readonly<Record<string, Twin>> = {
  idefics3: {
    projector: 'idefics3',
    names: [['model.connector.modality_projection.proj', 'mm.model.fc'], ...SIGLIP],
    facts: (config, _, preprocessor) => ({
      'clip.use_gelu': true,
      'clip.vision.projector.scale_factor': config['scale_factor'] as number,
      'clip.vision.preproc_image_size': (preprocessor['size'] as Record<string, number>)['longest_edge']!,
    }),
  },
  gemma3: {
    projector: 'gemma3',
    names: [
      ['multi_modal_projector.mm_soft_emb_norm', 'mm.soft_emb_norm'],
      ['multi_modal_projector.mm_input_projection_weight', 'mm.input_projection.weight'],
      ...SIGLIP,
    ],
    facts: () => ({ 'clip.use_gelu': true, 'clip.vision.projector.scale_factor': 2 }),
  },
  qwen2_vl: { projector: 'qwen2vl_merger', names: QWEN, facts: (_, __, preprocessor) => area(preprocessor) },
  qwen2_5_vl: {
    projector: 'qwen2.5vl_merger',
    names: QWEN,
    facts: (_, vision, preprocessor) => ({
      ...area(preprocessor),
      'clip.use_silu': true,
      'clip.vision.window_size': vision['window_size'] as number,
      'clip.vision.n_wa_pattern': 2,
    }),
  },
  qwen3_vl: {
    projector: 'qwen3vl_merger',
    names: QWEN,
    facts: (_, vision, preprocessor) => ({
      ...area(preprocessor),
      'clip.use_gelu': true,
      'clip.vision.is_deepstack_layers': Array.from({ length: 3 }, (_, i) =>
        (vision['deepstack_visual_indexes'] as number[]).includes(i),
      ),
    }),
  },
  qwen3_5: {
    projector: 'qwen3vl_merger',
    names: QWEN,
    facts: (_, __, preprocessor) => ({ ...area(preprocessor), 'clip.use_gelu': true }),
  },
  llava: { projector: 'mlp', names: LLAVA, facts: () => ({ 'clip.vision.block_count': 2 }) },
  lfm2_vl: {
    projector: 'lfm2',
    names: [
      [/^(model\.)?multi_modal_projector\.layer_norm/, 'mm.input_norm'],
      [/^(model\.)?multi_modal_projector\.linear_/, 'mm.'],
      [/^model\.vision_tower\.vision_model\./, 'vision_tower.'],
      ...SIGLIP,
    ],
    facts: (config) => ({
      'clip.use_gelu': true,
      'clip.vision.projector.scale_factor': config['downsample_factor'] as number,
      'clip.vision.image_min_pixels': 4 * 64,
      'clip.vision.image_max_pixels': 16 * 64,
      'clip.vision.preproc_image_size': 32,
      'clip.vision.preproc_min_tiles': 2,
      'clip.vision.preproc_max_tiles': 4,
    }),
  },
  mistral3: {
    projector: 'pixtral',
    names: PIXTRAL,
    permuted: true,
    facts: (config) => ({
      'clip.use_silu': true,
      'clip.vision.spatial_merge_size': config['spatial_merge_size'] as number,
      'clip.vision.attention.layer_norm_epsilon': f32(1e-5),
    }),
  },
  internvl: {
    projector: 'internvl',
    names: INTERN,
    facts: () => ({
      'clip.use_gelu': true,
      'clip.vision.projector.scale_factor': 2,
      'clip.vision.preproc_max_tiles': 6,
    }),
  },
};

function area(preprocessor: JsonObject): Record<string, GgufInput> {
  const { shortest_edge: least, longest_edge: most } = preprocessor['size'] as Record<string, number>;
  return { 'clip.vision.image_min_pixels': least!, 'clip.vision.image_max_pixels': most! };
}

const LANGUAGE = /^(model\.text_model\.|language_model\.model\.|model\.language_model\.|model\.(?=layers|embed|norm))/;

type Tensors = readonly (readonly [
  name: string,
  tensor: { readonly shape: readonly number[]; readonly values: Float32Array },
])[];

/** What converters do to a tower's tensor besides renaming it. */
function converted(name: string, { shape, values }: Tensors[number][1], deep: readonly number[]): Tensors {
  if (name === 'mm.soft_emb_norm.weight') return [[name, { shape, values: values.map((value) => value + 1) }]];
  if (name.startsWith('v.deepstack.')) {
    // Numbered by the tower's layers.
    const renamed = name.replace(/\d+/, (place) => String(deep[Number(place)]));
    return [[renamed, { shape, values }]];
  }
  const [rows = 0, values3 = 0] = shape;
  if (name === 'v.patch_embd.weight' && shape.length === 2) {
    // From pixel after pixel to channel after channel.
    const side = Math.sqrt(values3 / 3);
    const moved = values.map((_, i) => {
      const [row, channel, pixel] = [
        Math.floor(i / values3),
        Math.floor((i % values3) / (side * side)),
        i % (side * side),
      ];
      return values[row * values3 + pixel * 3 + channel]!;
    });
    return [[name, { shape: [rows, 3, side, side], values: moved }]];
  }
  if (name === 'v.class_embd') return [[name, { shape: [shape.at(-1)!], values }]];
  if (name === 'v.position_embd.weight') return [[name, { shape: shape.slice(-2), values }]];
  if (name !== 'v.patch_embd.weight' || shape.length < 5) return [[name, { shape, values }]];
  const [out = 0, channels = 0, frames = 0, y = 0, x = 0] = shape;
  return [0, 1].map((frame) => {
    const picked = new Float32Array(out * channels * y * x);
    for (let row = 0; row < out * channels; row++)
      picked.set(values.subarray((row * frames + frame) * y * x, (row * frames + frame + 1) * y * x), row * y * x);
    return [`v.patch_embd.weight${frame === 0 ? '' : '.1'}`, { shape: [out, channels, y, x], values: picked }] as const;
  });
}

/** The fixture as a language model and a projector; `swapped`: with the names of the two MLP matrices exchanged, as older converters wrote them. */
export function ggufPair({ files }: VisionFixture, swapped = false): Record<string, Uint8Array> {
  const config = json(files, 'config.json');
  const text = config['text_config'] as JsonObject;
  const vision = config['vision_config'] as JsonObject;
  const preprocessor = json(files, 'preprocessor_config.json');
  const twin = TWINS[config['model_type'] as string]!;
  const language: Parameters<typeof writeSafetensors>[0] = {};
  const tower = [];
  for (const [name, { shape, values }] of safetensors(files['model.safetensors']!)) {
    const data = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    const own = name.replace(/^language_model\.lm_head/, 'lm_head').replace(LANGUAGE, 'model.');
    if (LANGUAGE.test(name) || own.startsWith('lm_head'))
      Object.assign(language, { [own]: { dtype: 'F32', shape, data } });
    else {
      const renamed = twin.names.reduce((done, [from, to]) => done.replace(from, to), name);
      const other: Record<string, string> = { ffn_up: 'ffn_down', ffn_down: 'ffn_up' };
      const older = twin.projector === 'mlp' ? renamed.replace(/^mm\.1\./, 'mm.0.') : renamed;
      const exchanged = swapped ? older.replace(/ffn_(up|down)/, (part) => other[part] ?? part) : renamed;
      const deep = (vision['deepstack_visual_indexes'] as number[] | undefined) ?? [];
      const heads = vision['num_attention_heads'] as number;
      const permuted = twin.permuted === true && /attn_[qk]\.weight/.test(exchanged);
      const given = permuted ? permute({ shape, values }, heads) : { shape, values };
      for (const [stored, tensor] of converted(exchanged, given, deep))
        tower.push(f32Tensor(stored, tensor.shape, tensor.values));
    }
  }
  const tokenizer = json(files, 'tokenizer.json') as unknown as {
    readonly model: { readonly vocab: Readonly<Record<string, number>> };
    readonly added_tokens: readonly { readonly id: number; readonly content: string }[];
  };
  const tokens: string[] = [];
  for (const [token, id] of Object.entries(tokenizer.model.vocab)) tokens[id] = token;
  for (const { id, content } of tokenizer.added_tokens) tokens[id] = content;
  const special = new Set(tokenizer.added_tokens.map(({ id }) => id));
  const number = (...names: readonly string[]): number =>
    names.map((name) => vision[name]).find((value) => value !== undefined) as number;
  const side = (name: string): number => [vision[name] ?? 560].flat()[0] as number;
  const width = number('embed_dim', 'hidden_size');
  return {
    'text.gguf': toGguf(
      { config: text, files: { 'config.json': new Uint8Array(), 'model.safetensors': writeSafetensors(language) } },
      {
        'tokenizer.ggml.model': 'gpt2',
        'tokenizer.ggml.pre': 'gpt-2',
        'tokenizer.ggml.tokens': tokens,
        'tokenizer.ggml.token_type': { type: 'i32', value: tokens.map((_, id) => (special.has(id) ? 3 : 1)) },
        'tokenizer.ggml.merges': { type: 'string', value: [] },
        'tokenizer.ggml.eos_token_id': text['eos_token_id'] as number,
        'tokenizer.chat_template': new TextDecoder().decode(files['chat_template.jinja']),
      },
    ),
    'mmproj-model.gguf': writeGguf(
      {
        'general.architecture': 'clip',
        'clip.has_vision_encoder': true,
        'clip.projector_type': twin.projector,
        'clip.vision.image_size': side('image_size'),
        'clip.vision.patch_size': side('patch_size'),
        'clip.vision.embedding_length': width,
        'clip.vision.feed_forward_length': number('intermediate_size') ?? 0,
        'clip.vision.block_count': number('num_hidden_layers', 'depth'),
        'clip.vision.attention.head_count': number('num_attention_heads', 'num_heads'),
        'clip.vision.attention.layer_norm_epsilon': f32(number('layer_norm_eps') ?? 1e-6),
        'clip.vision.projection_dim': text['hidden_size'] as number,
        'clip.vision.image_mean': f32s(preprocessor['image_mean'] as number[]),
        'clip.vision.image_std': f32s(preprocessor['image_std'] as number[]),
        ...twin.facts(config, vision, preprocessor),
      },
      tower,
    ),
  };
}

/** The same numbers as `picture` of training/parity/vision_models.py. */
export function picture(width: number, height: number): Rgba {
  const data = new Uint8ClampedArray(4 * width * height).fill(255);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      data.set([(x * 7 + y * 3) % 256, (x * y + 40) % 256, ((x ^ y) * 5) % 256], 4 * (y * width + x));
  return { data, width, height };
}

/** The conversation of expected.json. */
export function conversation({ expected: { shown } }: VisionFixture): Message[] {
  const [first, second] = shown.map(([width, height]) => ({ type: 'image' as const, value: picture(width, height) }));
  return [
    {
      role: 'user',
      content: [first!, { type: 'text', value: 'Which of them? ' }, second!, { type: 'text', value: 'Say.' }],
    },
  ];
}

/** The folder as a page would give it. */
export function folderOf({ files }: VisionFixture): Record<string, Uint8Array> {
  const { 'expected.json': _, ...folder } = files;
  return folder;
}
