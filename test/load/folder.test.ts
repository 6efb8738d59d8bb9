import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import type { FileError } from '../../src/errors.ts';
import { openModel } from '../../src/load/index.ts';
import { nodeFiles } from '../../src/platform/node-files.ts';
import { dequantise } from '../reference/dequantise.ts';
import { noise, readAll } from './collect.ts';
import { writeSafetensors, type SafetensorsTensor } from './safetensors-writer.ts';

const text = (value: unknown): Uint8Array<ArrayBuffer> =>
  new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value)) as Uint8Array<ArrayBuffer>;
const brains = (count: number, seed: number): Uint8Array =>
  new Uint8Array(Uint16Array.from(noise(count, seed), (byte) => 0x3c00 + byte * 4).buffer);
const widened = (bytes: Uint8Array): Float32Array =>
  new Float32Array(Uint32Array.from(new Uint16Array(bytes.buffer), (bits) => bits << 16).buffer);

const embedding: SafetensorsTensor = { dtype: 'BF16', shape: [8, 64], data: brains(512, 1) };
const up: SafetensorsTensor = { dtype: 'BF16', shape: [4, 64], data: brains(256, 2) };
const norm: SafetensorsTensor = { dtype: 'BF16', shape: [64], data: brains(64, 3) };
const buffer: SafetensorsTensor = { dtype: 'I64', shape: [1, 4], data: new Uint8Array(32) };
const folder = {
  'config.json': text({ model_type: 'qwen2', hidden_size: 64 }),
  'generation_config.json': text({ eos_token_id: [1] }),
  'tokenizer.json': text({ model: { type: 'BPE' } }),
  'tokenizer_config.json': text({ chat_template: 'x' }),
  'chat_template.jinja': text('{{ messages }}'),
  'model.safetensors': writeSafetensors({
    'model.embed_tokens.weight': embedding,
    'model.up.weight': up,
    'model.norm.weight': norm,
    'model.positions': buffer,
  }),
};
const sharded = {
  'config.json': folder['config.json'],
  'model.safetensors.index.json': text({
    weight_map: { 'model.embed_tokens.weight': 'a.safetensors', 'model.up.weight': 'b.safetensors' },
  }),
  'a.safetensors': writeSafetensors({ 'model.embed_tokens.weight': embedding }),
  'b.safetensors': writeSafetensors({ 'model.up.weight': up }),
};

describe('a Hugging Face folder', () => {
  test('metadata and tensors come back; vectors widened, integer buffers left out', async () => {
    const model = await openModel(folder);
    expect(model.metadata).toEqual({
      kind: 'huggingface',
      config: { model_type: 'qwen2', hidden_size: 64 },
      generationConfig: { eos_token_id: [1] },
      tokenizer: { model: { type: 'BPE' } },
      tokenizerConfig: { chat_template: 'x' },
      chatTemplate: '{{ messages }}',
    });
    expect([...model.tensors.values()]).toEqual([
      { name: 'model.embed_tokens.weight', shape: [8, 64], format: 'BF16', bytes: 1024, stored: 'BF16' },
      { name: 'model.up.weight', shape: [4, 64], format: 'BF16', bytes: 512, stored: 'BF16' },
      { name: 'model.norm.weight', shape: [64], format: 'F32', bytes: 256, stored: 'BF16' },
    ]);
    const read = await readAll(model);
    expect(read.get('model.up.weight')).toEqual(up.data);
    expect(new Float32Array(read.get('model.norm.weight')!.buffer)).toEqual(widened(norm.data));
  });

  test('quantised while loading', async () => {
    const model = await openModel(
      Object.entries(folder).map(([name, bytes]) => new File([bytes], name)),
      { quantize: 'q4' },
    );
    expect([...model.tensors.values()].map(({ format }) => format)).toEqual(['Q8_0', 'Q4_0', 'F32']);
    const read = await readAll(model);
    for (const [name, { data }, format] of [
      ['model.embed_tokens.weight', embedding, 'Q8_0'],
      ['model.up.weight', up, 'Q4_0'],
    ] as const) {
      const exact = widened(data);
      const decoded = dequantise(format, read.get(name)!, exact.length);
      const most = Math.max(...exact.map(Math.abs));
      for (const [i, value] of exact.entries())
        expect(Math.abs(decoded[i]! - value)).toBeLessThanOrEqual((most / (format === 'Q8_0' ? 254 : 8)) * 1.01);
    }
  });

  test('shards, and a directory in Node', async () => {
    const read = await readAll(await openModel(sharded));
    expect(read.get('model.embed_tokens.weight')).toEqual(embedding.data);
    expect(read.get('model.up.weight')).toEqual(up.data);
    const directory = mkdtempSync(join(tmpdir(), 'octavo-'));
    try {
      for (const [name, bytes] of Object.entries(sharded)) writeFileSync(join(directory, name), bytes);
      const model = await openModel(directory, { files: nodeFiles });
      expect(await readAll(model)).toEqual(read);
      await model.close();
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});

describe('bad folders', () => {
  const one = (tensor: Partial<SafetensorsTensor>, header?: string): Record<string, Uint8Array> => ({
    ...folder,
    'model.safetensors': writeSafetensors(
      { t: { dtype: 'F32', shape: [2], data: new Uint8Array(8), ...tensor } },
      header,
    ),
  });
  const { 'config.json': _, ...noConfig } = folder;
  const { 'model.safetensors': __, ...noWeights } = folder;
  const { 'b.safetensors': ___, ...noShard } = sharded;

  test.each<[string, Record<string, Uint8Array>, string, string, RegExp]>([
    ['no config', noConfig, 'missing', 'config.json', /needs it/],
    ['no weights', noWeights, 'missing', 'model.safetensors', /no weights/],
    ['no shard', noShard, 'missing', 'b.safetensors', /names it/],
    [
      'config that ends early',
      { ...folder, 'config.json': text('{"model_type": "qw') },
      'truncated',
      'config.json',
      /at byte 18: .*ends before/,
    ],
    [
      'config that is no JSON',
      { ...folder, 'config.json': text('{"é": 1, ]}') },
      'malformed',
      'config.json',
      /at byte 10: not JSON/,
    ],
    ['config that is a list', { ...folder, 'config.json': text('[1]') }, 'malformed', 'config.json', /object/],
    [
      'config that is no UTF-8',
      { ...folder, 'config.json': Uint8Array.of(0x7b, 0xff, 0x7d) },
      'malformed',
      'config.json',
      /not UTF-8/,
    ],
    [
      'config that is empty',
      { ...folder, 'config.json': new Uint8Array(0) },
      'truncated',
      'config.json',
      /ends before/,
    ],
    [
      'config that is too deep',
      { ...folder, 'config.json': text('['.repeat(100_000)) },
      'limit',
      'config.json',
      /at byte 64: .*levels/,
    ],
    [
      'a GPTQ checkpoint',
      { ...folder, 'config.json': text({ quantization_config: { quant_method: 'gptq' } }) },
      'unsupported',
      'quantization_config',
      /gptq.*GGUF/,
    ],
    [
      'an index outside the folder',
      { ...sharded, 'model.safetensors.index.json': text({ weight_map: { x: '../a.safetensors' } }) },
      'malformed',
      'weight_map, x',
      /same folder/,
    ],
    [
      'an index without a map',
      { ...sharded, 'model.safetensors.index.json': text({}) },
      'malformed',
      'weight_map',
      /object/,
    ],
    [
      'an index that is wrong',
      {
        ...sharded,
        'model.safetensors.index.json': text({
          weight_map: { 'model.embed_tokens.weight': 'b.safetensors', 'model.up.weight': 'a.safetensors' },
        }),
      },
      'malformed',
      'model.embed_tokens.weight',
      /it is in/,
    ],
    [
      'empty weights',
      { ...folder, 'model.safetensors': new Uint8Array(0) },
      'truncated',
      'header length',
      /8 at least/,
    ],
    [
      'a header beyond the end',
      { ...folder, 'model.safetensors': Uint8Array.of(255, 255, 255, 255, 255, 255, 255, 255, 0x7b) },
      'truncated',
      'header length',
      /announced/,
    ],
    ['a header that is no JSON', one({}, '{"t": nope}'), 'malformed', 'header', /at byte 14: not JSON/],
    ['FP8', one({ dtype: 'F8_E4M3', data: new Uint8Array(2) }), 'unsupported', 't, dtype', /F8_E4M3/],
    ['F64', one({ dtype: 'F64', data: new Uint8Array(16) }), 'unsupported', 't, dtype', /F64/],
    ['an unknown type', one({ dtype: 'Q9' }), 'unsupported', 't, dtype', /Q9/],
    ['a wrong size', one({ range: [0, 4] }), 'malformed', 't, data_offsets', /takes 8/],
    ['a negative size', one({ range: [8, 0] }), 'malformed', 't, data_offsets', /takes 8/],
    ['a fraction', one({ shape: [0.5] }), 'malformed', 't, shape', /whole numbers/],
    ['a huge shape', one({ shape: [2 ** 40, 2 ** 40] }), 'malformed', 't, data_offsets', /takes/],
    ['a hole', one({ range: [4, 12] }), 'malformed', 't, data_offsets', /hole of 4/],
    ['bytes that belong to none', one({ shape: [1], range: [0, 4] }), 'malformed', 'data', /belong to no tensor/],
    ['an entry that is no object', one({}, '{"t": 5}'), 'malformed', 't, entry', /object/],
  ])('%s', async (_name, files, code, field, message) => {
    const error = await openModel(files).catch((error: unknown) => error as FileError);
    expect(error).toMatchObject({ name: 'FileError', code });
    expect((error as FileError).message).toContain(field);
    expect((error as FileError).message).toMatch(message);
  });

  test('an overlap, and a truncated file', async () => {
    const tensors = {
      a: { dtype: 'F32', shape: [2], data: new Uint8Array(8) },
      b: { dtype: 'F32', shape: [2], data: new Uint8Array(8), range: [4, 12] },
    };
    await expect(openModel({ ...folder, 'model.safetensors': writeSafetensors(tensors) })).rejects.toMatchObject({
      code: 'malformed',
      message: expect.stringMatching(/overlaps/),
    });
    const whole = folder['model.safetensors'];
    await expect(openModel({ ...folder, 'model.safetensors': whole.slice(0, -1) })).rejects.toMatchObject({
      code: 'truncated',
      message: expect.stringMatching(/incomplete/),
    });
  });

  test('not finite, when quantised', async () => {
    const data = new Uint8Array(Float32Array.from({ length: 64 }, (_, i) => (i === 40 ? NaN : i)).buffer);
    const model = await openModel(one({ shape: [2, 32], data }), { quantize: 'q8' });
    await expect(readAll(model)).rejects.toMatchObject({ name: 'FileError', code: 'malformed', facts: { field: 't' } });
  });
});
