/** A file as training/convert/ writes it (the parity script uses its writer): header, names, shapes and tokenizer as docs/unipic-format.md has them. */
import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { openModel } from '../../src/load/index.ts';
import type { GgufValue, ModelFile } from '../../src/load/model-file.ts';
import { Device } from '../load/collect.ts';
import { safetensors } from '../support/fixtures.ts';
import { openTokenizer } from '../support/tokenizers.ts';

const FOLDER = new URL('../fixtures/unipic/', import.meta.url);
const bytes = (name: string): Uint8Array => new Uint8Array(readFileSync(new URL(name, FOLDER)));
const open = (): Promise<ModelFile> => openModel(bytes('model.gguf'));

interface Prompts {
  readonly texts: readonly string[];
  readonly ids: readonly (readonly number[])[];
}

const facts = JSON.parse(new TextDecoder().decode(bytes('fixtures.json'))) as {
  readonly paint: Prompts;
  readonly edit: Prompts;
  readonly see: {
    readonly routes: Readonly<Record<'mar' | 'siglip', { readonly text: string; readonly ids: readonly number[] }>>;
  };
};

test('metadata', async () => {
  const { metadata } = await open();
  if (metadata.kind !== 'gguf') throw new Error('no GGUF');
  const value = (key: string): GgufValue | undefined => metadata.values.get(key);
  expect(value('general.architecture')).toBe('unipic');
  expect(value('unipic.language_model')).toBe('qwen2');
  expect(value('unipic.image_sizes')).toEqual(Uint32Array.of(16, 24, 32));
  expect(value('unipic.vae.multipliers')).toEqual(Uint32Array.of(1, 2, 1));
  expect(value('unipic.vae.latent_std')).toEqual(new Float32Array(16).fill(1 / 0.2325));
  expect(value('unipic.diffusion.max_beta')).toBe(Math.fround(0.2));
  expect(value('unipic.template.edit')).toBe(
    '<|im_start|>user\n{image}\n{instruction}<|im_end|>\n<|im_start|>assistant\n',
  );
  const tokens = value('tokenizer.ggml.tokens') as readonly string[];
  expect(tokens).toHaveLength(320);
  expect(tokens[value('unipic.image_token_id') as number]).toBe('<image>');
});

test('tensors: one of every kind, and values where the fixtures have them too', async () => {
  const file = await open();
  const shapes = Object.fromEntries([...file.tensors].map(([name, { shape }]) => [name, shape]));
  expect(shapes).toMatchObject({
    'token_embd.weight': [320, 64],
    'blk.2.attn_k.weight': [32, 64],
    'mar.mask_token': [1, 160],
    'mar.encoder_pos_embed_learned': [44, 160],
    'mar.decoder_blocks.1.attn.qkv.weight': [480, 160],
    'mar.diffloss.net.final_layer.linear.weight': [32, 64],
    'proj_out.2.bias': [160],
    'siglip2.embeddings.patch_embedding.weight': [144, 192],
    'vae.encoder.conv_in.weight': [32, 27],
    'vae.encoder.down.2.attn.0.q.weight': [32, 32],
    'vae.decoder.up.1.block.0.nin_shortcut.weight': [64, 32],
    'vae.post_quant_conv.weight': [16, 16],
  });
  expect(new Set([...file.tensors.values()].map(({ format }) => format))).toEqual(new Set(['F32']));
  const device = new Device();
  await file.read((info) => (info.name.includes('pos_embed') ? device.writer(info) : undefined));
  const fixtures = safetensors(bytes('fixtures.safetensors'));
  for (const side of ['encoder', 'decoder', 'diffusion']) {
    const found = device.bytes.get(`mar.${side}_pos_embed_learned`)!;
    expect(new Float32Array(found.buffer)).toEqual(fixtures.get(`positions.${side}.6`)!.values);
  }
});

test('tokenizer: the ids of every prompt', async () => {
  const tokenizer = await openTokenizer((await open()).metadata);
  const { paint, edit, see } = facts;
  const pairs = [paint, edit].flatMap(({ texts, ids }) => texts.map((text, i) => ({ text, ids: ids[i]! })));
  for (const { text, ids } of [...pairs, see.routes.mar, see.routes.siglip])
    expect([...tokenizer.encode(text, { special: true })]).toEqual(ids);
  tokenizer.free();
});
