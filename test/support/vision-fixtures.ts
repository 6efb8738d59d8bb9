/** The checkpoints of training/parity/vision_models.py, and the same as a language model and a projector in GGUF, as llama.cpp's converters would write them. */
import { readdir, readFile } from 'node:fs/promises';
import type { JsonObject } from '../../src/load/model-file.ts';
import { writeSafetensors } from '../load/safetensors-writer.ts';
import { safetensors, toGguf } from './fixtures.ts';
import { f32Tensor, writeGguf } from './gguf-writer.ts';

export interface VisionExpected {
  readonly preprocessing: readonly {
    readonly width: number;
    readonly height: number;
    readonly rows: number;
    readonly columns: number;
    readonly sha256: string;
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

const TOWER: readonly (readonly [string | RegExp, string])[] = [
  ['model.connector.modality_projection.proj', 'mm.model.fc'],
  ['model.vision_model.', 'v.'],
  ['v.embeddings.patch_embedding', 'v.patch_embd'],
  ['v.embeddings.position_embedding', 'v.position_embd'],
  ['v.post_layernorm', 'v.post_ln'],
  ['v.encoder.layers.', 'v.blk.'],
  ['layer_norm1', 'ln1'],
  ['layer_norm2', 'ln2'],
  [/self_attn\.([qkv])_proj/, 'attn_$1'],
  ['self_attn.out_proj', 'attn_out'],
  ['mlp.fc1', 'ffn_up'],
  ['mlp.fc2', 'ffn_down'],
];

/** `swapped`: with the names of the two MLP matrices exchanged, as older converters wrote them. */
export function ggufPair({ files }: VisionFixture, swapped = false): Record<string, Uint8Array> {
  const config = json(files, 'config.json');
  const text = config['text_config'] as JsonObject;
  const vision = config['vision_config'] as Record<string, number>;
  const preprocessor = json(files, 'preprocessor_config.json');
  const all = safetensors(files['model.safetensors']!);
  const language: Parameters<typeof writeSafetensors>[0] = {};
  const tower = [];
  for (const [name, { shape, values }] of all) {
    const data = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    if (name.startsWith('model.text_model.') || name.startsWith('lm_head'))
      Object.assign(language, { [name.replace('model.text_model.', 'model.')]: { dtype: 'F32', shape, data } });
    else {
      const renamed = TOWER.reduce((done, [from, to]) => done.replace(from, to), name);
      const other: Record<string, string> = { ffn_up: 'ffn_down', ffn_down: 'ffn_up' };
      tower.push(
        f32Tensor(swapped ? renamed.replace(/ffn_(up|down)/, (part) => other[part] ?? part) : renamed, shape, values),
      );
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
  const f32 = (value: number) => ({ type: 'f32', value }) as const;
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
        'clip.projector_type': 'idefics3',
        'clip.use_gelu': true,
        'clip.vision.image_size': vision['image_size']!,
        'clip.vision.patch_size': vision['patch_size']!,
        'clip.vision.embedding_length': vision['hidden_size']!,
        'clip.vision.feed_forward_length': vision['intermediate_size']!,
        'clip.vision.block_count': vision['num_hidden_layers']!,
        'clip.vision.attention.head_count': vision['num_attention_heads']!,
        'clip.vision.attention.layer_norm_epsilon': f32(vision['layer_norm_eps']!),
        'clip.vision.projection_dim': text['hidden_size'] as number,
        'clip.vision.projector.scale_factor': config['scale_factor'] as number,
        'clip.vision.preproc_image_size': (preprocessor['size'] as Record<string, number>)['longest_edge']!,
        'clip.vision.image_mean': { type: 'f32', value: [0.5, 0.5, 0.5] },
        'clip.vision.image_std': { type: 'f32', value: [0.5, 0.5, 0.5] },
      },
      tower,
    ),
  };
}
