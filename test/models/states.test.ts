/** Models whose layers carry states: what their files say, what is refused, and texts that are embedded side by side. */
import { describe, expect, test } from '@jest/globals';
import { ModelError } from '../../src/errors.ts';
import { openModel } from '../../src/load/index.ts';
import type { JsonObject } from '../../src/load/model-file.ts';
import { CausalEncoder } from '../../src/models/encoder/causal.ts';
import { languageModelConfig, loadModel } from '../../src/models/model.ts';
import { atOnce } from '../../src/layers/steps.ts';
import { createReferenceBackend } from '../reference/backend.ts';
import { writeSafetensors, type SafetensorsTensor } from '../load/safetensors-writer.ts';
import { fixtures, safetensors, toGguf } from '../support/fixtures.ts';
import { f32Tensor } from '../support/gguf-writer.ts';
import { logitsOf } from '../support/language.ts';
import { tinyModel } from '../support/tiny-model.ts';
import { expectNmse, TOLERANCE } from '../support/tolerance.ts';

const LFM2: JsonObject = {
  model_type: 'lfm2',
  hidden_size: 2048,
  num_attention_heads: 32,
  num_key_value_heads: 8,
  num_hidden_layers: 16,
  max_position_embeddings: 128000,
  vocab_size: 65536,
  norm_eps: 1e-5,
};
const QWEN: JsonObject = {
  model_type: 'qwen3_5_text',
  hidden_size: 1024,
  num_attention_heads: 8,
  num_key_value_heads: 2,
  head_dim: 256,
  num_hidden_layers: 24,
  intermediate_size: 3584,
  max_position_embeddings: 32768,
  vocab_size: 248320,
  linear_num_key_heads: 16,
  linear_num_value_heads: 16,
  rope_parameters: { rope_theta: 1e7, rope_type: 'default', mrope_section: [11, 11, 10], mrope_interleaved: true },
};
const configOf = (config: JsonObject): ReturnType<typeof languageModelConfig> =>
  languageModelConfig({ kind: 'huggingface', config }, new Map());

describe('what files say', () => {
  test('of LFM2: layers with attention by their indices, and the width of the MLP adjusted', async () => {
    const config = await configOf({ ...LFM2, block_ff_dim: 12288, full_attn_idxs: [2, 5, 8, 10, 12, 14] });
    expect(config).toMatchObject({ layers: 16, cacheLayers: 6, mlp: 8192, kvHeads: 8, headDim: 64, epsilon: 1e-5 });
    const types = Array.from({ length: 16 }, (_, i) => (i === 3 ? 'full_attention' : 'conv'));
    const other = await configOf({
      ...LFM2,
      intermediate_size: 8192,
      block_auto_adjust_ff_dim: false,
      layer_types: types,
    });
    expect(other).toMatchObject({ cacheLayers: 1, mlp: 8192 });
  });

  test('of Qwen 3.5: every fourth layer has attention, whose heads rotate in part', async () => {
    const config = await configOf(QWEN);
    expect(config).toMatchObject({ layers: 24, cacheLayers: 6, headDim: 256 });
    expect(config.rope).toMatchObject({ dimension: 64 });
  });

  test.each<[string, JsonObject, RegExp]>([
    ['biases of convolutions', { ...LFM2, conv_bias: true, intermediate_size: 8192 }, /conv_bias/],
    ['no layer with attention', { ...LFM2, intermediate_size: 8192, full_attn_idxs: [] }, /layers with attention/],
    ['value heads', { ...QWEN, linear_num_value_heads: 24 }, /value heads is 24/],
    ['the size of a head', { ...QWEN, linear_key_head_dim: 130 }, /130/],
    ['a head that is too large', { ...QWEN, linear_key_head_dim: 512 }, /512/],
    ['sections of RoPE', { ...QWEN, rope_parameters: { rope_theta: 1e7, mrope_section: [9, 9, 9] } }, /add up to 32/],
  ])('%s: refused', async (_what, config, message) => {
    const refused = await configOf(config).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(ModelError);
    expect((refused as ModelError).message).toMatch(message);
  });
});

test('layers that predict further tokens are not read', async () => {
  const backend = createReferenceBackend();
  const it = (await fixtures()).find(({ name }) => name === 'qwen3_5')!;
  const load = async (bytes: Uint8Array<ArrayBuffer>) => (await loadModel(await openModel(bytes), backend)).language;
  const plain = await load(toGguf(it));
  const more = { 'qwen35.block_count': 5, 'qwen35.nextn_predict_layers': 1 };
  const withSpare = toGguf(it, more, [f32Tensor('blk.4.nextn.eh_proj.weight', [2, 2], [1, 2, 3, 4])]);
  const other = await load(withSpare);
  expect(other.config.layers).toBe(4);
  expect(plain.rope(0).sections).toEqual({ order: 'interleaved', pairs: [2, 1, 1] });
  const ids = it.expected.prompt.slice(0, 6);
  expect(await logitsOf(other, ids, [6])).toEqual(await logitsOf(plain, ids, [6]));
  await expect(load(toGguf(it, {}, [f32Tensor('blk.4.attn_norm.weight', [2], [1, 2])]))).rejects.toThrow(/blk\.4/);
  plain.free();
  other.free();
});

test('a composite checkpoint, as on the hub: its language model is read, parts that predict and see are not', async () => {
  const backend = createReferenceBackend();
  const it = (await fixtures()).find(({ name }) => name === 'qwen3_5')!;
  const { tie_word_embeddings: tied, ...text } = it.config;
  const config = { model_type: 'qwen3_5', tie_word_embeddings: tied!, text_config: text, vision_config: { depth: 1 } };
  const rounded = [...safetensors(it.files['model.safetensors'])].map(([name, { shape, values }]) => ({
    name,
    shape,
    // The hub's files are in BF16: the upper half of an F32.
    words: new Uint32Array(values.slice().buffer).map((word) => (word & 0xffff0000) >>> 0),
  }));
  const file = (root: string, half: boolean, more: Record<string, SafetensorsTensor> = {}): Uint8Array<ArrayBuffer> =>
    writeSafetensors({
      ...more,
      ...Object.fromEntries(
        rounded.map(({ name, shape, words }) => [
          name.replace(/^model\./, root),
          half
            ? { dtype: 'BF16', shape, data: new Uint8Array(Uint16Array.from(words, (word) => word >>> 16).buffer) }
            : { dtype: 'F32', shape, data: new Uint8Array(words.buffer) },
        ]),
      ),
    });
  const other = { dtype: 'F32', shape: [1, 2], data: new Uint8Array(8) };
  const json = (value: JsonObject): Uint8Array<ArrayBuffer> => new TextEncoder().encode(JSON.stringify(value));
  const load = async (settings: JsonObject, weights: Uint8Array<ArrayBuffer>) =>
    loadModel(await openModel({ 'config.json': json(settings), 'model.safetensors': weights }), backend);
  const composite = await load(
    config,
    file('model.language_model.', true, { 'mtp.fc.weight': other, 'model.visual.pos_embed.weight': other }),
  );
  const plain = await load(it.config, file('model.', false));
  const ids = it.expected.prompt.slice(0, 6);
  expect(await logitsOf(composite.language, ids, [6])).toEqual(await logitsOf(plain.language, ids, [6]));
  expect(composite.missing.join()).toMatch(
    /vision part that the configuration announces is left out: .*patch_embed.*; text works/,
  );
  composite.free();
  plain.free();
});

test.each(['conv', 'delta'] as const)(
  'texts that are embedded side by side do not mix, layers of kind %s',
  async (states) => {
    const backend = createReferenceBackend();
    const { language } = await loadModel(await openModel(tinyModel({ states, window: 256 })), backend);
    const encoder = new CausalEncoder(language, 16);
    const texts = [7, 20, 33].map((length, i) => Int32Array.from({ length }, (_, t) => (i * 50 + t * 13) % 250));
    const vectors = async (some: readonly Int32Array[]): Promise<Float32Array> => {
      const stride = Math.max(...some.map(({ length }) => length));
      const ids = new Int32Array(stride * some.length);
      for (const [i, text] of some.entries()) ids.set(text, i * stride);
      const packed = { ids, stride, lengths: Int32Array.from(some, ({ length }) => length) };
      const made = atOnce(encoder.encode(packed, 'last'));
      const values = await backend.download(made);
      backend.free(made);
      return values;
    };
    const together = await vectors(texts);
    const { hidden } = language.config;
    for (const [i, text] of texts.entries())
      expectNmse(
        together.subarray(i * hidden, (i + 1) * hidden),
        await vectors([text]),
        TOLERANCE.reduction,
        `text ${i} beside others`,
      );
    encoder.free();
    language.free();
    expect(backend.memory().activations).toBe(0);
  },
);
