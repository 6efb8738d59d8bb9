/** `Take`: what a file stores differently from what the graph wants is undone while it is read; what does not fit is refused before. */
import { describe, expect, test } from '@jest/globals';
import type { Weight } from '../../src/backend/backend.ts';
import { weightBytes, type WeightFormat } from '../../src/backend/weight.ts';
import type { TensorInfo } from '../../src/load/model-file.ts';
import { TensorPlan, type Take } from '../../src/models/weights.ts';
import { createReferenceBackend } from '../reference/backend.ts';
import { dequantise } from '../reference/dequantise.ts';
import { random } from '../support/random.ts';
import { quantise } from '../support/quantise.ts';

interface Stored extends TensorInfo {
  readonly data: Uint8Array;
}

function tensor(name: string, shape: readonly number[], format: WeightFormat = 'F32', seed = 1): Stored {
  const values = random(seed).normals(shape.reduce((product, n) => product * n, 1));
  const spec = { name, shape, format };
  return { ...spec, bytes: weightBytes(spec), data: new Uint8Array(quantise(format, values)) };
}

/** Both runs of `body`, the file's bytes arriving in chunks of `chunk`. */
async function load<T>(tensors: readonly Stored[], body: (take: Take) => T, chunk = 7): Promise<T> {
  const backend = createReferenceBackend();
  const plan = new TensorPlan(new Map(tensors.map((it) => [it.name, it])), { missing: 'it is needed' });
  body(plan.take);
  await plan.prepare();
  for (const it of tensors) {
    const writer = plan.writer(it, backend);
    for (let at = 0; writer !== undefined && at < it.data.length; at += chunk)
      await writer.write(it.data.subarray(at, at + chunk));
    await writer?.finish();
  }
  return body(plan.read());
}

/** Rows of a weight as numbers, by multiplying it with the unit matrix. */
async function values(weight: Weight): Promise<Float32Array> {
  const backend = createReferenceBackend();
  const cols = weight.shape.at(-1)!;
  if (weight.shape.length === 1) {
    const ones = backend.upload(new Float32Array(cols).fill(1), [1, cols]);
    return backend.download(backend.norm(ones, { kind: 'rms', weight, epsilon: 0 }));
  }
  const unit = Float32Array.from({ length: cols * cols }, (_, i) => Number(i % (cols + 1) === 0));
  const rows = weight.shape[0]!;
  const product = await backend.download(backend.linear(backend.upload(unit, [cols, cols]), [weight]));
  return Float32Array.from({ length: rows * cols }, (_, i) => product[(i % cols) * rows + Math.floor(i / cols)]! + 0);
}

// `+ 0`: the product with the unit matrix has no negative zeros.
const floats = (it: Stored): Float32Array =>
  Float32Array.from(
    dequantise(
      it.format,
      it.data,
      it.shape.reduce((product, n) => product * n, 1),
    ),
    (value) => value + 0,
  );

describe('what the file stores differently', () => {
  test.each(['F32', 'Q8_0'] as const)('rows of several matrices in one tensor, %s', async (format) => {
    const it = tensor('qkv', [7, 32], format);
    for (const chunk of [1, 33, 4096]) {
      const parts = await load([it], (take) => take.split('qkv', [4, 2, 1], 32), chunk);
      expect(parts.map(({ shape }) => shape)).toEqual([
        [4, 32],
        [2, 32],
        [1, 32],
      ]);
      const found = await Promise.all(parts.map(values));
      expect(found.flatMap((part) => [...part])).toEqual([...floats(it)]);
    }
  });

  test('an offset of a norm, an axis of 1, another order of rows, and all of them at once', async () => {
    const norm = tensor('norm', [6]);
    const conv = tensor('conv', [6, 1, 4], 'F32', 2);
    const order = [3, 0, 5, 1, 4, 2];
    const [shifted, plain, all] = await load([norm, conv, { ...conv, name: 'other' }], (take) => [
      take.weight('norm', [6], { map: (w) => w + 1 }),
      take.weight('conv', [6, 4], { alsoAs: [[6, 1, 4]] }),
      take.weight('other', [6, 4], { alsoAs: [[6, 1, 4]], order, map: (w) => -Math.exp(w) }),
    ]);
    expect(await values(shifted!)).toEqual(floats(norm).map((w) => w + 1));
    expect(plain!.shape).toEqual([6, 4]);
    expect(await values(plain!)).toEqual(floats(conv));
    const wanted = order.flatMap((row) => [...floats(conv).subarray(4 * row, 4 * row + 4)]);
    expect(await values(all!)).toEqual(Float32Array.from(wanted, (w) => -Math.exp(w)));
  });

  test('rows of a quantised matrix in another order', async () => {
    const it = tensor('w', [4, 64], 'Q4_0');
    const moved = await load([it], (take) => take.weight('w', [4, 64], { order: [2, 3, 0, 1] }));
    const whole = floats(it);
    expect(await values(moved)).toEqual(Float32Array.from([...whole.subarray(128), ...whole.subarray(0, 128)]));
  });

  test('what may be missing, and names by the kind of file', async () => {
    const name = { gguf: 'a', huggingface: 'b' };
    const found = await load([tensor('a', [2, 3])], (take) => [
      take.optional(name, [2, 3])?.name,
      take.optional('none', [2, 3]),
      take.has(name),
      take.rows(name),
      take.rows('none'),
    ]);
    expect(found).toEqual(['a', undefined, true, 2, 0]);
    const plan = new TensorPlan(new Map([['b', tensor('b', [2])]]), { file: 'huggingface', missing: '' });
    expect(plan.take.weight(name, [2]).name).toBe('b');
  });
});

describe('refused before anything is read', () => {
  const table = new Map([
    ['matrix', tensor('matrix', [4, 32], 'Q8_0')],
    ['vector', tensor('vector', [32], 'Q8_0')],
    ['rows', tensor('rows', [4, 3])],
  ]);
  test.each([
    ['a missing tensor', (take: Take) => take.weight('none', [1]), 'tensor-missing', /no tensor none, it is needed/],
    ['another shape', (take: Take) => take.weight('matrix', [32, 4]), 'tensor-shape', /\[4, 32\].*\[32, 4\]/],
    [
      'a shape that is none of several',
      (take: Take) => take.weight('rows', [4, 1], { alsoAs: [[4, 1, 1]] }),
      'tensor-shape',
      /rows/,
    ],
    ['rows that do not add up', (take: Take) => take.split('matrix', [1, 2], 32), 'tensor-shape', /\[3, 32\]/],
    ['a quantised vector', (take: Take) => take.weight('vector', [32]), 'tensor-type', /vector is in Q8_0/],
    ['a quantised table', (take: Take) => take.table('matrix', [4, 32]), 'tensor-type', /matrix is in Q8_0/],
    [
      'a quantised tensor whose values change',
      (take: Take) => take.weight('matrix', [4, 32], { map: (w) => w + 1 }),
      'tensor-type',
      /matrix is in Q8_0/,
    ],
  ] as const)('%s', (_what, body, code, message) => {
    const plan = new TensorPlan(table, { missing: 'it is needed' });
    expect(() => body(plan.take)).toThrow(expect.objectContaining({ code, message: expect.stringMatching(message) }));
  });

  test('a tensor that nobody took', () => {
    const plan = new TensorPlan(table, { missing: '' });
    plan.take.weight('matrix', [4, 32]);
    expect(() => plan.rejectUnknown((name) => name !== 'vector', 'models of this kind')).toThrow(
      /rows, which models of this kind do not have/,
    );
    expect(() => plan.rejectUnknown((name) => name === 'matrix', '')).not.toThrow();
  });
});

test('an abort in the middle of a split tensor leaves nothing on the device', async () => {
  const backend = createReferenceBackend();
  const it = tensor('qkv', [6, 32]);
  const plan = new TensorPlan(new Map([['qkv', it]]), { missing: '' });
  plan.take.split('qkv', [4, 2], 32);
  await plan.prepare();
  const writer = plan.writer(it, backend)!;
  await writer.write(it.data.subarray(0, 5 * 128));
  writer.abort();
  expect(backend.memory()).toMatchObject({ weights: 0, allocations: 0 });
  expect(() => plan.read().split('qkv', [4, 2], 32)).toThrow(/did not deliver qkv/);
});

test('a split tensor that ends too early is reported, and what was finished is freed', async () => {
  const backend = createReferenceBackend();
  const it = tensor('qkv', [6, 32]);
  const plan = new TensorPlan(new Map([['qkv', it]]), { missing: '' });
  plan.take.split('qkv', [4, 2], 32);
  await plan.prepare();
  const writer = plan.writer(it, backend)!;
  await writer.write(it.data.subarray(0, 5 * 128));
  await expect(writer.finish()).rejects.toMatchObject({ code: 'truncated' });
  writer.abort();
  expect(backend.memory()).toMatchObject({ weights: 0, allocations: 0 });
});
