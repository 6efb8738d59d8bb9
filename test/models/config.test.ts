/**
 * Configurations from both kinds of metadata, and the errors for files that cannot be run.
 * The file is long because it is mostly tables of cases, one for each architecture and fault.
 */
import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import type { WeightFormat } from '../../src/backend/weight.ts';
import { weightBytes } from '../../src/backend/weight.ts';
import { ModelError } from '../../src/errors.ts';
import { ropeSpec } from '../../src/layers/rope.ts';
import { openModel } from '../../src/load/index.ts';
import type { GgufValue, JsonObject, ModelFile, TensorInfo } from '../../src/load/model-file.ts';
import { languageModelConfig, loadModel } from '../../src/models/model.ts';
import { createReferenceBackend } from '../reference/backend.ts';
import { fixtures, toGguf } from '../support/fixtures.ts';
import { tinyModel } from '../support/tiny-model.ts';
import { expectNmse } from '../support/tolerance.ts';
import { logitsOf } from '../support/language.ts';

type Config = Awaited<ReturnType<typeof languageModelConfig>>;
const NONE = new Map<string, TensorInfo>();

const LLAMA: JsonObject = {
  model_type: 'llama',
  hidden_size: 64,
  num_attention_heads: 4,
  num_hidden_layers: 2,
  intermediate_size: 96,
  max_position_embeddings: 2048,
  vocab_size: 100,
  rms_norm_eps: 1e-5,
};
const hf = (change: JsonObject = {}): Promise<Config> =>
  languageModelConfig({ kind: 'huggingface', config: { ...LLAMA, ...change } }, NONE);

const GGUF: Record<string, GgufValue> = {
  'general.architecture': 'qwen2',
  'qwen2.embedding_length': 64,
  'qwen2.attention.head_count': 4,
  'qwen2.attention.head_count_kv': 2,
  'qwen2.block_count': 2,
  'qwen2.feed_forward_length': 96,
  'qwen2.context_length': 2048,
  'qwen2.attention.layer_norm_rms_epsilon': 1e-6,
  'qwen2.vocab_size': 100,
};
const gguf = (change: Record<string, GgufValue> = {}): Promise<Config> =>
  languageModelConfig({ kind: 'gguf', values: new Map(Object.entries({ ...GGUF, ...change })) }, NONE);

/** The error's code and message. */
async function problem(body: () => unknown): Promise<{ code: string; message: string }> {
  try {
    await body();
  } catch (error) {
    expect(error).toBeInstanceOf(ModelError);
    const { code, message } = error as ModelError;
    return { code, message };
  }
  throw new Error('nothing was thrown');
}

describe('configuration', () => {
  test('the least that a file says, and its defaults', async () => {
    expect(await hf()).toEqual({
      architecture: 'llama',
      source: 'huggingface',
      layers: 2,
      cacheLayers: 2,
      hidden: 64,
      heads: 4,
      kvHeads: 4,
      headDim: 16,
      mlp: 96,
      vocabulary: 100,
      contextWindow: 2048,
      epsilon: 1e-5,
      activation: 'silu',
      rope: { dimension: 16, base: 10000, style: 'half', scaling: { kind: 'none' } },
      tied: true,
      slidingWindow: undefined,
    });
    expect(await gguf()).toMatchObject({
      architecture: 'qwen2',
      kvHeads: 2,
      headDim: 16,
      rope: { style: 'half', base: 10000 },
    });
    expect(
      (
        await gguf({
          'general.architecture': 'qwen3',
          ...Object.fromEntries(
            Object.entries(GGUF)
              .slice(1)
              .map(([k, v]) => [k.replace('qwen2', 'qwen3'), v]),
          ),
          'qwen3.attention.key_length': 128,
        })
      ).headDim,
    ).toBe(128);
    expect(
      (
        await gguf({
          ...Object.fromEntries(
            Object.entries(GGUF)
              .slice(1)
              .map(([k, v]) => [k.replace('qwen2', 'llama'), v]),
          ),
          'general.architecture': 'llama',
        })
      ).rope.style,
    ).toBe('interleaved');
  });

  test('null is as good as missing; a model type may be told by the class', async () => {
    expect(await hf({ head_dim: null, rope_scaling: null, sliding_window: null, num_key_value_heads: null })).toEqual(
      await hf(),
    );
    expect(await hf({ model_type: null, architectures: ['LlamaForCausalLM'] })).toEqual(await hf());
  });

  test('RoPE scaling: rope_scaling of old files and rope_parameters of new ones are the same', async () => {
    const llama3 = { factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 8192 };
    const old = (await hf({ rope_theta: 500000, rope_scaling: { rope_type: 'llama3', ...llama3 } })).rope;
    expect(old).toEqual((await hf({ rope_parameters: { rope_theta: 500000, rope_type: 'llama3', ...llama3 } })).rope);
    expect(old).toMatchObject({ base: 500000, scaling: { kind: 'llama3', factor: 8, originalContext: 8192 } });
    expect((await hf({ rope_scaling: { type: 'linear', factor: 4 } })).rope.scaling).toEqual({
      kind: 'linear',
      factor: 4,
    });
    expect((await hf({ rope_scaling: { type: 'dynamic', factor: 4 } })).rope.scaling).toEqual({ kind: 'none' });
    expect((await gguf({ 'qwen2.rope.scaling.type': 'linear', 'qwen2.rope.scaling.factor': 4 })).rope.scaling).toEqual({
      kind: 'linear',
      factor: 4,
    });
    expect((await gguf({ 'qwen2.rope.scale_linear': 2 })).rope.scaling).toEqual({ kind: 'linear', factor: 2 });
    expect((await gguf({ 'qwen2.rope.scaling.type': 'none' })).rope.scaling).toEqual({ kind: 'none' });
  });

  test('YaRN as Qwen2.5 asks for it, from both kinds of file', async () => {
    const wanted = {
      kind: 'yarn',
      factor: 4,
      originalContext: 32768,
      betaFast: 32,
      betaSlow: 1,
      magnitude: 0.1 * Math.log(4) + 1,
      truncate: true,
    };
    const folder = await hf({
      max_position_embeddings: 32768,
      rope_scaling: { factor: 4, original_max_position_embeddings: 32768, type: 'yarn' },
    });
    expect(folder.rope.scaling).toEqual(wanted);
    expect(folder.contextWindow).toBe(131072);
    const file = await gguf({
      'qwen2.context_length': 131072,
      'qwen2.rope.scaling.type': 'yarn',
      'qwen2.rope.scaling.factor': 4,
      'qwen2.rope.scaling.original_context_length': 32768,
    });
    expect(file.rope.scaling).toEqual(wanted);
    expect(file.contextWindow).toBe(131072);
    // DeepSeek's: two coefficients that cancel.
    expect(
      (
        await hf({
          rope_scaling: {
            factor: 40,
            original_max_position_embeddings: 4096,
            type: 'yarn',
            mscale: 1,
            mscale_all_dim: 1,
          },
        })
      ).rope.scaling,
    ).toMatchObject({ magnitude: 1 });
    expect((await hf({ rope_scaling: { factor: 4, type: 'yarn', attention_factor: 1.5 } })).rope.scaling).toMatchObject(
      {
        magnitude: 1.5,
        originalContext: 2048,
      },
    );
  });

  test('frequencies: unscaled, linear and by divisors', async () => {
    const rope = { dimension: 8, base: 10000, style: 'half', scaling: { kind: 'none' } } as const;
    const close = (found: Float64Array, wanted: number[]): void =>
      found.forEach((value, i) => expect(value / wanted[i]!).toBeCloseTo(1, 12));
    close(ropeSpec(rope).inverseFrequency, [1, 0.1, 0.01, 0.001]);
    close(ropeSpec({ ...rope, scaling: { kind: 'linear', factor: 2 } }).inverseFrequency, [0.5, 0.05, 0.005, 0.0005]);
    close(ropeSpec(rope, [1, 1, 4, 8]).inverseFrequency, [1, 0.1, 0.0025, 0.000125]);
  });

  test('sliding windows: always for Mistral, on request for Qwen, by layer types', async () => {
    expect((await hf({ sliding_window: 7 })).slidingWindow).toBeUndefined();
    expect((await hf({ model_type: 'mistral', sliding_window: 7 })).slidingWindow).toEqual({
      tokens: 7,
      layers: [true, true],
    });
    const qwen = { model_type: 'qwen2', sliding_window: 7 };
    expect((await hf(qwen)).slidingWindow).toBeUndefined();
    expect((await hf({ ...qwen, use_sliding_window: true, max_window_layers: 1 })).slidingWindow).toEqual({
      tokens: 7,
      layers: [false, true],
    });
    expect(
      (await hf({ ...qwen, use_sliding_window: true, layer_types: ['sliding_attention', 'full_attention'] }))
        .slidingWindow,
    ).toEqual({ tokens: 7, layers: [true, false] });
  });

  test.each([
    ['another architecture', { model_type: 'mamba' }, 'architecture', /"mamba".*llama, mistral, qwen2, qwen3/],
    ['none at all', { model_type: null }, 'architecture', /""/],
    ['a mixture of experts', { num_local_experts: 8 }, 'architecture', /8 experts/],
    ['a missing number', { hidden_size: null }, 'config', /config\.json does not have hidden_size/],
    ['a string for a number', { hidden_size: '64' }, 'config', /hidden_size is "64"/],
    ['a fraction', { num_hidden_layers: 2.5 }, 'config', /2\.5.*whole/],
    ['a hostile number', { num_hidden_layers: 1e9 }, 'config', /1000000000.*from 1 to 512/],
    ['heads that do not divide', { num_key_value_heads: 3 }, 'config', /3.*divide.*4/],
    ['heads of a broken size', { num_attention_heads: 5, num_key_value_heads: 5 }, 'config', /head_dim|12\.8/],
    ['an unknown activation', { hidden_act: 'relu2' }, 'config', /relu2.*silu/],
    ['an activation named like a method', { hidden_act: 'toString' }, 'config', /toString/],
    ['an unknown RoPE scaling', { rope_scaling: { type: 'spiral', factor: 4 } }, 'config', /spiral/],
    ['LongRoPE without its factors', { rope_scaling: { type: 'longrope' } }, 'config', /short_factor/],
    ['a scaling without its factor', { rope_scaling: { type: 'yarn' } }, 'config', /factor/],
  ] as const)('%s is refused by name', async (_what, change, code, message) => {
    const found = await problem(() => hf(change));
    expect(found.code).toBe(code);
    expect(found.message).toMatch(message);
  });

  test('whatever the values are: a sound configuration or a ModelError, at once', async () => {
    const value = fc.oneof(
      fc.integer(),
      fc.double(),
      fc.boolean(),
      fc.string(),
      fc.constant(null),
      fc.array(fc.integer(), { maxLength: 3 }),
      fc.constantFrom('yarn', 'llama3', 'linear', 'silu', 0, 1, 2, 64),
    );
    const scaling = fc.dictionary(
      fc.constantFrom(
        'type',
        'rope_type',
        'factor',
        'rope_theta',
        'original_max_position_embeddings',
        'low_freq_factor',
        'beta_fast',
        'mscale',
        'mscale_all_dim',
        '__proto__',
      ),
      value,
    );
    const names = [
      ...Object.keys(LLAMA).slice(1),
      'head_dim',
      'num_key_value_heads',
      'sliding_window',
      'use_sliding_window',
      'layer_types',
      'rope_theta',
      'partial_rotary_factor',
      'hidden_act',
      'tie_word_embeddings',
    ];
    await fc.assert(
      fc.asyncProperty(
        fc.dictionary(fc.constantFrom(...names), value, { maxKeys: 3 }),
        fc.option(scaling),
        async (change, rope) => {
          try {
            const {
              rope: found,
              layers,
              heads,
              kvHeads,
            } = await hf({ ...change, ...(rope === null ? {} : { rope_scaling: rope }) });
            expect(heads % kvHeads).toBe(0);
            expect(layers).toBeLessThanOrEqual(512);
            expect(ropeSpec(found).inverseFrequency.every((f) => f >= 0 && Number.isFinite(f))).toBe(true);
          } catch (error) {
            if (!(error instanceof ModelError)) throw error;
          }
        },
      ),
      { numRuns: 3000 },
    );
  });

  test('a GGUF without a key names the key', async () => {
    const values = new Map(Object.entries(GGUF));
    values.delete('qwen2.block_count');
    expect(await problem(() => languageModelConfig({ kind: 'gguf', values }, NONE))).toMatchObject({
      code: 'config',
      message: expect.stringContaining('qwen2.block_count'),
    });
    expect(await problem(() => gguf({ 'qwen2.attention.head_count': 2n ** 40n }))).toMatchObject({ code: 'config' });
    expect(await problem(() => gguf({ 'qwen2.feed_forward_length': Float32Array.of(1, 2.5) }))).toMatchObject({
      code: 'config',
      message: expect.stringContaining('whole numbers'),
    });
  });

  test('what GGUF gives by layer', async () => {
    const count = Number(GGUF['qwen2.block_count']);
    const widths = Int32Array.from({ length: count }, (_, i) => 32 * (i + 1));
    expect((await gguf({ 'qwen2.feed_forward_length': widths })).mlp).toBe(32 * count);
    const kvHeads = Uint32Array.from({ length: count }, () => 2);
    expect((await gguf({ 'qwen2.attention.head_count_kv': kvHeads })).kvHeads).toBe(2);
    const pattern = Array.from({ length: count }, (_, i) => i % 2 === 0);
    expect(
      (await gguf({ 'qwen2.attention.sliding_window': 8, 'qwen2.attention.sliding_window_pattern': pattern }))
        .slidingWindow,
    ).toEqual({ tokens: 8, layers: pattern });
    // A layer with fewer writes each of its KV heads to several of the pool's.
    kvHeads[0] = 1;
    expect((await gguf({ 'qwen2.attention.head_count_kv': kvHeads })).kvHeads).toBe(2);
    kvHeads[0] = 3;
    for (const [change, message] of [
      [{ 'qwen2.attention.head_count_kv': kvHeads }, /should divide the number of heads/],
      [{ 'qwen2.feed_forward_length': new Int32Array(count + 1).fill(32) }, /feed_forward_length/],
      [{ 'qwen2.attention.sliding_window': 8, 'qwen2.attention.sliding_window_pattern': [true] }, /one a layer/],
    ] as const)
      expect(await problem(() => gguf(change))).toMatchObject({
        code: 'config',
        message: expect.stringMatching(message),
      });
  });

  test('a composite model says what its language model is in text_config', async () => {
    const { model_type: _, ...text } = LLAMA;
    const config = await languageModelConfig(
      { kind: 'huggingface', config: { model_type: 'mistral3', text_config: { ...text, model_type: 'qwen3' } } },
      NONE,
    );
    expect(config).toMatchObject({ architecture: 'qwen3', hidden: 64 });
  });

  test('LongRoPE takes the factors of the context that is wanted', async () => {
    const found = (await fixtures()).find(({ name }) => name === 'phi3-long');
    const file = await openModel({ ...found!.files });
    const of = async (contextWindow?: number): Promise<Float64Array> => {
      const model = await loadModel(file, createReferenceBackend(), { contextWindow });
      return model.language.rope(0).inverseFrequency;
    };
    const [long, short] = [await of(), await of(8)];
    expect(long).toEqual(await of(9));
    const plain = Float64Array.from({ length: 6 }, (_, i) => 10000 ** (-i / 6));
    const { long_factor: wide, short_factor: narrow } = found!.config['rope_parameters'] as unknown as Record<
      string,
      number[]
    >;
    expectNmse(
      long,
      plain.map((w, i) => w / wide![i]!),
      1e-20,
      'long factors',
    );
    expectNmse(
      short,
      plain.map((w, i) => w / narrow![i]!),
      1e-20,
      'short factors',
    );
  });
});

describe('tensors', () => {
  /** The tiny model with its tensor table changed; nothing may be read of it. */
  async function changed(change: (tensors: Map<string, TensorInfo>) => void): Promise<ModelFile> {
    const file = await openModel(tinyModel());
    const tensors = new Map(file.tensors);
    change(tensors);
    const { name, metadata, bytes, fingerprint } = file;
    return {
      name,
      metadata,
      bytes,
      fingerprint,
      tensors,
      close: async () => {},
      read: () => Promise.reject(new Error('was read')),
    };
  }
  const info = (name: string, shape: readonly number[], format: WeightFormat = 'F32'): TensorInfo => ({
    name,
    shape,
    format,
    bytes: weightBytes({ name, shape, format }),
  });

  test.each([
    [
      'missing',
      (t: Map<string, TensorInfo>) => t.delete('blk.1.ffn_up.weight'),
      'tensor-missing',
      /blk\.1\.ffn_up\.weight/,
    ],
    [
      'missing embeddings',
      (t: Map<string, TensorInfo>) => t.delete('token_embd.weight'),
      'tensor-missing',
      /token_embd\.weight/,
    ],
    [
      'misshapen',
      (t: Map<string, TensorInfo>) => t.set('blk.0.attn_k.weight', info('blk.0.attn_k.weight', [64, 64])),
      'tensor-shape',
      /blk\.0\.attn_k\.weight is \[64, 64\].*\[32, 64\]/,
    ],
    [
      'transposed',
      (t: Map<string, TensorInfo>) => t.set('blk.0.ffn_down.weight', info('blk.0.ffn_down.weight', [96, 64])),
      'tensor-shape',
      /ffn_down/,
    ],
    [
      'a quantised norm',
      (t: Map<string, TensorInfo>) => t.set('output_norm.weight', info('output_norm.weight', [64], 'Q8_0')),
      'tensor-type',
      /output_norm\.weight.*Q8_0/,
    ],
    [
      'of another variant',
      (t: Map<string, TensorInfo>) => t.set('blk.0.attn_q_norm.weight', info('blk.0.attn_q_norm.weight', [32])),
      'tensor-type',
      /attn_q_norm/,
    ],
    [
      'of a layer too many',
      (t: Map<string, TensorInfo>) => t.set('blk.2.attn_norm.weight', info('blk.2.attn_norm.weight', [64])),
      'tensor-type',
      /blk\.2/,
    ],
  ] as const)('%s: refused before anything is read', async (_what, change, code, message) => {
    const file = await changed(change);
    const found = loadModel(file, createReferenceBackend());
    await expect(found).rejects.toBeInstanceOf(ModelError);
    await expect(found).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  test('other parts of a multimodal file and stored frequencies are passed over', async () => {
    const file = await changed((t) => {
      t.set('v.patch_embd.weight', info('v.patch_embd.weight', [4, 4]));
      t.set('blk.0.attn_rot_embd.weight', info('blk.0.attn_rot_embd.weight', [16]));
    });
    await expect(loadModel(file, createReferenceBackend())).rejects.toThrow('was read');
  });

  test('without an output matrix the head is the embedding table', async () => {
    const [llama3] = (await fixtures()).filter(({ name }) => name === 'llama-llama3');
    const file = await openModel(toGguf(llama3!));
    expect(file.tensors.has('output.weight')).toBe(false);
    expect((await languageModelConfig(file.metadata, file.tensors)).tied).toBe(true);
  });

  test('a divisor of RoPE that is no number is refused, and nothing stays on the device', async () => {
    const [llama3] = (await fixtures()).filter(({ name }) => name === 'llama-llama3');
    const bytes = toGguf(llama3!);
    bytes.fill(0, bytes.length - 32);
    const backend = createReferenceBackend();
    await expect(openModel(bytes).then((file) => loadModel(file, backend))).rejects.toMatchObject({ code: 'config' });
    expect(backend.memory()).toMatchObject({ weights: 0, allocations: 0 });
  });
});

describe('the graph', () => {
  test('a decode step takes six operations a layer', async () => {
    const backend = createReferenceBackend();
    const model = (await loadModel(await openModel(tinyModel({ layers: 3 })), backend)).language;
    const counts = new Map<string, number>();
    for (const operation of ['embed', 'linear', 'gatedMlp', 'norm', 'rows', 'ropeAppend', 'attention'] as const) {
      const original = backend[operation] as (...args: unknown[]) => unknown;
      (backend as unknown as Record<string, unknown>)[operation] = (...args: unknown[]) => {
        counts.set(operation, (counts.get(operation) ?? 0) + 1);
        return original.apply(backend, args);
      };
    }
    await logitsOf(model, [5], []);
    expect(Object.fromEntries(counts)).toEqual({
      embed: 1,
      linear: 3 * 3 + 1,
      gatedMlp: 3,
      ropeAppend: 3,
      attention: 3,
    });
  });

  test('a weight that is no number is refused by the name of its tensor', async () => {
    const damage = (name: string, values: Float32Array): void => {
      if (name === 'blk.1.attn_v.weight') values[7] = NaN;
    };
    const loading = loadModel(await openModel(tinyModel({ damage })), createReferenceBackend());
    await expect(loading).rejects.toThrow('blk.1.attn_v.weight');
  });
});
