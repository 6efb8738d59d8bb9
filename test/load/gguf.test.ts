import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { gguf as oracle } from '@huggingface/gguf';
import { describe, expect, test } from '@jest/globals';
import { rowBytes, WEIGHT_FORMATS, type WeightFormat } from '../../src/backend/weight.ts';
import type { FileError } from '../../src/errors.ts';
import { openModel } from '../../src/load/index.ts';
import type { GgufValue, ModelFile } from '../../src/load/model-file.ts';
import { f32Tensor, writeGguf, type GgufWriterTensor } from '../support/gguf-writer.ts';
import { Device, readAll, weightNoise } from './collect.ts';

const VOCABULARIES = '../shared/data/tokenizers/gguf-vocab';
const STORIES = '../shared/data/weights/stories260K/stories260K-f32.gguf';
const FORMATS = Object.keys(WEIGHT_FORMATS) as WeightFormat[];

function values(model: ModelFile): Record<string, GgufValue> {
  if (model.metadata.kind !== 'gguf') throw new Error('not GGUF');
  return Object.fromEntries(model.metadata.values);
}

/** Where `text` begins, as GGUF stores it (its length lies 8 bytes before). */
function find(file: Uint8Array, text: string): number {
  return Buffer.from(file.buffer, file.byteOffset, file.byteLength).indexOf(text);
}

describe('GGUF', () => {
  test.each([2, 3])('version %i: every kind of value and every format comes back', async (version) => {
    const tensors: GgufWriterTensor[] = FORMATS.map((format, i) => ({
      name: `t${format}`,
      shape: [3, 512],
      format,
      data: weightNoise(3 * rowBytes(format, 512), i + 1),
    }));
    const file = writeGguf(
      {
        u8: { type: 'u8', value: 255 },
        i8: { type: 'i8', value: -128 },
        u16: { type: 'u16', value: 65535 },
        i16: { type: 'i16', value: -32768 },
        u32: 4294967295,
        i32: -5,
        f32: 0.5,
        f64: { type: 'f64', value: 0.1 },
        u64: { type: 'u64', value: 2n ** 53n },
        u64max: 2n ** 64n - 1n,
        i64: { type: 'i64', value: -(2n ** 62n) },
        yes: true,
        no: false,
        text: 'grüße 𝄞',
        empty: '',
        list: ['a', '', 'ü', '𝄞x', '\u0000', '\ufeff'],
        flags: [true, false, true],
        none: { type: 'string', value: [] },
        au8: Uint8Array.of(1, 255),
        ai8: Int8Array.of(-1, 5),
        au16: Uint16Array.of(65535),
        ai16: Int16Array.of(-2),
        au32: Uint32Array.of(4294967295),
        ai32: Int32Array.of(-7, 8, 9),
        af32: Float32Array.of(0.5, -1),
        af64: Float64Array.of(0.1),
        au64: BigUint64Array.of(2n ** 64n - 1n),
        ai64: BigInt64Array.of(-1n),
        whole: [1, -2],
        broken: [0.5],
      },
      tensors,
      { version },
    );
    const model = await openModel(file);
    expect(values(model)).toEqual({
      u8: 255,
      i8: -128,
      u16: 65535,
      i16: -32768,
      u32: 4294967295,
      i32: -5,
      f32: 0.5,
      f64: 0.1,
      u64: 2n ** 53n,
      u64max: 2n ** 64n - 1n,
      i64: -(2n ** 62n),
      yes: true,
      no: false,
      text: 'grüße 𝄞',
      empty: '',
      list: ['a', '', 'ü', '𝄞x', '\u0000', '\ufeff'],
      flags: [true, false, true],
      none: [],
      au8: Uint8Array.of(1, 255),
      ai8: Int8Array.of(-1, 5),
      au16: Uint16Array.of(65535),
      ai16: Int16Array.of(-2),
      au32: Uint32Array.of(4294967295),
      ai32: Int32Array.of(-7, 8, 9),
      af32: Float32Array.of(0.5, -1),
      af64: Float64Array.of(0.1),
      au64: [2n ** 64n - 1n],
      ai64: [-1n],
      whole: Int32Array.of(1, -2),
      broken: Float32Array.of(0.5),
    });
    expect([...model.tensors.keys()]).toEqual(tensors.map(({ name }) => name));
    const read = await readAll(model);
    for (const { name, data, shape, format } of tensors) {
      expect(model.tensors.get(name)).toEqual({ name, shape, format, bytes: data.length, stored: format });
      expect(read.get(name)).toEqual(data);
    }
    expect(model.bytes).toBe(file.length);
    await model.close();
  });

  test('vectors in F16 and BF16 are delivered as F32', async () => {
    const half = {
      name: 'h',
      shape: [3],
      format: 'F16',
      data: new Uint8Array(Uint16Array.of(0x3c00, 0xc000, 0x0001).buffer),
    } as const;
    const brain = {
      name: 'b',
      shape: [2],
      format: 'BF16',
      data: new Uint8Array(Uint16Array.of(0x3f80, 0xc000).buffer),
    } as const;
    const model = await openModel(writeGguf({}, [half, brain]));
    expect(model.tensors.get('h')).toEqual({ name: 'h', shape: [3], format: 'F32', bytes: 12, stored: 'F16' });
    const read = await readAll(model);
    expect(new Float32Array(read.get('h')!.buffer)).toEqual(Float32Array.of(1, -2, 2 ** -24));
    expect(new Float32Array(read.get('b')!.buffer)).toEqual(Float32Array.of(1, -2));
  });

  test('strings that are not UTF-8 stay within themselves', async () => {
    const file = writeGguf({ list: ['ab', 'cd', 'é'] });
    const broken = file.slice();
    broken.set([0x61, 0xe2], find(file, 'ab'));
    broken.set([0x82, 0xac], find(file, 'cd'));
    expect(values(await openModel(broken))['list']).toEqual(['a\ufffd', '\ufffd\ufffd', 'é']);
  });

  test('a header longer than the first read, with other alignments, from a Blob', async () => {
    const tokens = Array.from({ length: 70_000 }, (_, i) => `token ${i} ü`);
    for (const alignment of [1, 64, 4096]) {
      const file = writeGguf({ tokens }, [f32Tensor('a', [3], [1, 2, 3]), f32Tensor('b', [2, 2], [4, 5, 6, 7])], {
        alignment,
      });
      const model = await openModel(new File([file], 'aligned.gguf'));
      expect(model.name).toBe('aligned.gguf');
      expect((values(model)['tokens'] as string[]).join()).toBe(tokens.join());
      const read = await readAll(model);
      expect(new Float32Array(read.get('b')!.buffer)).toEqual(Float32Array.of(4, 5, 6, 7));
    }
  });

  test('a multi-megabyte tensor comes in chunks, only what is wanted, with progress', async () => {
    const big = f32Tensor('big', [1024, 3000], new Float32Array(weightNoise(4 * 3072000).buffer));
    const file = writeGguf({}, [f32Tensor('a', [3], [1, 2, 3]), big, f32Tensor('c', [1], [9])]);
    const model = await openModel(new Blob([file]));
    const device = new Device();
    const heard: number[] = [];
    await model.read((info) => (info.name === 'a' ? undefined : device.writer(info)), {
      monitor: ({ loaded, phase, total }) => {
        expect(phase).toBe('load');
        expect(loaded).toBeLessThanOrEqual(total);
        heard.push(loaded);
      },
    });
    expect(Buffer.compare(device.bytes.get('big')!, big.data)).toBe(0);
    expect(device.largestChunk).toBeLessThanOrEqual(4 << 20);
    expect(heard.length).toBeGreaterThanOrEqual(4);
    expect([...device.bytes.keys()]).toEqual(['big', 'c']);
  });

  test('the fingerprint follows header and data', async () => {
    const print = async (x: number, name: string): Promise<string> =>
      (await openModel(writeGguf({ name }, [f32Tensor('a', [2], [x, 2])]))).fingerprint;
    expect(await print(1, 'm')).toBe(await print(1, 'm'));
    expect(await print(1, 'm')).toMatch(/^[0-9a-f]{64}$/);
    expect(await print(2, 'm')).not.toBe(await print(1, 'm').then((p) => p.slice(1)));
    expect(await print(1, 'n')).not.toBe(await print(1, 'm'));
  });
});

describe('an aborted or failing read', () => {
  const file = writeGguf(
    {},
    Array.from({ length: 8 }, (_, i) => f32Tensor(`t${i}`, [512, 1024], new Float32Array(512 * 1024))),
  );

  test('aborts unfinished writers, frees finished weights, and rejects with the reason', async () => {
    const model = await openModel(new Blob([file]));
    const device = new Device();
    const control = new AbortController();
    const reason = new Error('stop');
    await expect(
      model.read(device.writer, {
        signal: control.signal,
        monitor: ({ loaded }) => {
          if (loaded > 5 << 20) control.abort(reason);
        },
      }),
    ).rejects.toBe(reason);
    expect(device.finished).toBeGreaterThan(0);
    expect(device.freed).toBe(device.finished);
    expect(device.aborted).toBe(8 - device.finished);
    expect(device.bytes.size).toBe(0);
    expect((await readAll(model)).size).toBe(8);
  });

  test('so does a writer that throws, or the device when asked for one', async () => {
    for (const bad of ['write', 'make'] as const) {
      const model = await openModel(file);
      const device = new Device();
      const broken = new Error('device lost');
      await expect(
        model.read((info) => {
          if (bad === 'make' && info.name === 't3') throw broken;
          const writer = device.writer(info);
          return info.name === 't3'
            ? {
                ...writer,
                write: async () => {
                  throw broken;
                },
              }
            : writer;
        }),
      ).rejects.toBe(broken);
      expect(device.freed).toBe(device.finished);
      expect(device.aborted + device.finished).toBe(device.made);
    }
  });

  test('a SHA-256 is checked in the same pass', async () => {
    const right = await import('node:crypto').then(({ createHash }) => createHash('sha256').update(file).digest('hex'));
    expect((await readAll(await openModel(file, { sha256: right.toUpperCase() }))).size).toBe(8);
    const device = new Device();
    const model = await openModel(file, { sha256: right.replace(/^./, (c) => (c === '0' ? '1' : '0')) });
    await expect(model.read(device.writer)).rejects.toMatchObject({ name: 'FileError', code: 'checksum' });
    expect(device.freed).toBe(8);
    await expect(openModel(file, { sha256: 'abc' })).rejects.toMatchObject({ name: 'InputError' });
  });
});

describe('a split model', () => {
  const parts = [0, 1, 2].map((i) =>
    writeGguf(
      {
        'split.no': { type: 'u16', value: i },
        'split.count': { type: 'u16', value: 3 },
        'split.tensors.count': { type: 'i32', value: 3 },
        ...(i === 0 ? { 'general.architecture': 'llama' } : {}),
      },
      [f32Tensor(`t${i}`, [2], [i, i + 0.5])],
    ),
  );
  const name = (i: number): string => `m-0000${i + 1}-of-00003.gguf`;
  const files = parts.map((part, i) => new File([part], name(i)));

  test('from Files in any order', async () => {
    const model = await openModel([files[2]!, files[0]!, files[1]!]);
    expect(values(model)['general.architecture']).toBe('llama');
    const read = await readAll(model);
    expect([...read.keys()]).toEqual(['t0', 't1', 't2']);
    expect(new Float32Array(read.get('t2')!.buffer)).toEqual(Float32Array.of(2, 2.5));
  });

  test('from bytes by name', async () => {
    expect((await openModel(Object.fromEntries(parts.map((part, i) => [name(i), part])))).tensors.size).toBe(3);
  });

  test.each<[string, () => ReturnType<typeof openModel>, string, RegExp]>([
    ['one missing', () => openModel([files[0]!, files[2]!]), 'missing', /m-00002-of-00003.gguf is missing/],
    ['alone', () => openModel(parts[0]!), 'missing', /split into 3 files/],
    [
      'renamed',
      () => openModel([new File([parts[1]!], name(0)), new File([parts[0]!], name(1)), files[2]!]),
      'malformed',
      /renamed/,
    ],
    [
      'of another model',
      () => openModel([files[0]!, new File([writeGguf({})], name(1)), files[2]!]),
      'malformed',
      /different models/,
    ],
    [
      'a tensor twice',
      () =>
        openModel([
          files[0]!,
          new File([writeGguf({ 'split.no': 1, 'split.count': 3 }, [f32Tensor('t0', [1], [1])])], name(1)),
          files[2]!,
        ]),
      'malformed',
      /two files/,
    ],
    [
      'a tensor too few',
      () => openModel([files[0]!, new File([writeGguf({ 'split.no': 1, 'split.count': 3 })], name(1)), files[2]!]),
      'malformed',
      /3 tensors are announced/,
    ],
    ['a silly count', () => openModel(writeGguf({ 'split.count': 60000 })), 'malformed', /up to 1024/],
  ])('%s', async (_, open, code, message) => {
    const error = await open().catch((error: unknown) => error as FileError);
    expect(error).toMatchObject({ name: 'FileError', code });
    expect((error as FileError).message).toMatch(message);
  });
});

/** As the oracle tells values: arrays plain, 64-bit numbers as bigint. */
function plain(value: GgufValue): unknown {
  return typeof value === 'object' ? Array.from(value as ArrayLike<unknown>) : value;
}
/** The oracle's decoder drops byte order marks, which are a token of llama's vocabulary. */
function loose(value: unknown): unknown {
  if (typeof value === 'string') return value.replace(/^\ufeff/, '');
  return typeof value === 'bigint' ? Number(value) : Array.isArray(value) ? value.map(loose) : value;
}

const real = existsSync(VOCABULARIES)
  ? [
      ...readdirSync(VOCABULARIES)
        .filter((file) => file.endsWith('.gguf'))
        .map((file) => `${VOCABULARIES}/${file}`),
      STORIES,
    ]
  : [];
(real.length === 0 ? describe.skip : describe)('real files, against @huggingface/gguf', () => {
  test.each(real)('%s', async (path) => {
    const bytes = readFileSync(path);
    const model = await openModel(bytes);
    const told = await oracle(path, { allowLocalFile: true });
    const ours = values(model);
    const {
      version: _,
      tensor_count: tensors,
      kv_count: entries,
      ...theirs
    } = told.metadata as unknown as Record<string, unknown>;
    expect(model.tensors.size).toBe(Number(tensors));
    expect(Object.keys(ours).length).toBe(Number(entries));
    // As text: jest's own comparison takes seconds for 150,000 strings.
    for (const [key, value] of Object.entries(ours))
      expect(JSON.stringify(loose(plain(value)))).toBe(JSON.stringify(loose(theirs[key])));
    const read = await readAll(model);
    for (const { name, shape, dtype, offset } of told.tensorInfos) {
      const info = model.tensors.get(name)!;
      expect(info.shape).toEqual(shape.map(Number).toReversed());
      expect(WEIGHT_FORMATS[info.format].ggml).toBe(dtype);
      const at = Number(told.tensorDataOffset) + Number(offset);
      expect(Buffer.compare(read.get(name)!, bytes.subarray(at, at + info.bytes))).toBe(0);
    }
  });
});
