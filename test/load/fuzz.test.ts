/**
 * Hostile files. Whatever the bytes: a typed error that names file and field, or a model; never another exception,
 * never an endless loop, and no more memory than the file's size times a stated constant, which is counted here.
 */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { FileError } from '../../src/errors.ts';
import { ALLOCATION_FACTOR } from '../../src/load/gguf/header.ts';
import { openModel, type ModelInput } from '../../src/load/index.ts';
import { f32Tensor, writeGguf } from '../support/gguf-writer.ts';
import { weightNoise } from './collect.ts';
import { writeSafetensors } from './safetensors-writer.ts';

/** Independent of the file: the table of halves (256 KiB, made once) and some small records. */
const FIXED_BYTES = 320 << 10;
const RUNS = 400;
const TYPED = [
  'Uint8Array',
  'Int8Array',
  'Uint16Array',
  'Int16Array',
  'Uint32Array',
  'Int32Array',
  'Float32Array',
  'Float64Array',
  'BigUint64Array',
  'BigInt64Array',
] as const;

let allocated = 0;
const restore: (() => void)[] = [];
beforeEach(() => {
  const all = globalThis as unknown as Record<
    string,
    { new (...parameters: unknown[]): Uint8Array; prototype: Uint8Array }
  >;
  for (const name of TYPED) {
    const original = all[name]!;
    all[name] = new Proxy(original, {
      construct(target, parameters, from) {
        // Counted before it is made, so that a huge wish shows even where the engine refuses it.
        if (typeof parameters[0] === 'number')
          allocated += parameters[0] * (target as unknown as typeof Uint8Array).BYTES_PER_ELEMENT;
        else if (!(parameters[0] instanceof ArrayBuffer))
          allocated +=
            ((parameters[0] as ArrayLike<unknown>)?.length ?? 0) *
            (target as unknown as typeof Uint8Array).BYTES_PER_ELEMENT;
        return Reflect.construct(target, parameters, from);
      },
    });
    restore.push(() => {
      all[name] = original;
    });
  }
  const { slice } = Uint8Array.prototype;
  Uint8Array.prototype.slice = function (this: Uint8Array, ...range) {
    const copy = slice.apply(this, range) as Uint8Array<ArrayBuffer>;
    allocated += copy.length;
    return copy;
  };
  restore.push(() => {
    Uint8Array.prototype.slice = slice;
  });
});
afterEach(() => {
  for (const undo of restore.splice(0)) undo();
});

function sizeOf(input: ModelInput): number {
  return input instanceof Uint8Array
    ? input.length
    : Object.values(input as Record<string, Uint8Array>).reduce((sum, { length }) => sum + length, 0);
}

/** Opens and reads; the device's own memory is not counted. True if it is a model after all. */
async function survive(input: ModelInput): Promise<boolean> {
  allocated = 0;
  try {
    const model = await openModel(input, { quantize: 'q8' });
    for (const { bytes } of model.tensors.values()) expect(bytes).toBeLessThanOrEqual(2 * sizeOf(input));
    await model.read(() => ({
      write: async () => {},
      abort: () => {},
      finish: async () => ({ name: '', shape: [], format: 'F32', bytes: 0, free: () => {} }),
    }));
    return true;
  } catch (fault) {
    if (!(fault instanceof FileError)) throw fault;
    expect(fault.facts['file']).toBeTruthy();
    expect(fault.facts['field']).toBeTruthy();
    expect(fault.message.length).toBeLessThan(70_000);
    return false;
  } finally {
    expect(allocated).toBeLessThanOrEqual(ALLOCATION_FACTOR * sizeOf(input) + FIXED_BYTES);
  }
}

const gguf = writeGguf(
  {
    'general.architecture': 'llama',
    'general.alignment': 32,
    tokens: ['a', 'bc', 'é', ''],
    scores: [0.5, 1.5, 2.5, 3.5],
    types: [1, 2, 3, 4],
    flag: true,
    flags: [true, false],
    long: 2n ** 60n,
    longs: BigUint64Array.of(1n, 2n),
  },
  [
    f32Tensor('a', [4, 32], new Float32Array(128)),
    { name: 'q', shape: [2, 64], format: 'Q4_0', data: weightNoise(72) },
    { name: 'h', shape: [40], format: 'F16', data: weightNoise(80) },
  ],
);
const text = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
const folder = {
  'config.json': text({ model_type: 'llama', hidden_size: 64, rope_scaling: { factor: 2, list: [1, 2, [3]] } }),
  'tokenizer.json': text({
    model: { type: 'BPE', vocab: { a: 0, é: 1 }, merges: ['a b'] },
    added_tokens: [{ id: 1, content: '<s>' }],
  }),
  'model.safetensors.index.json': text({
    metadata: { total_size: 272 },
    weight_map: { t: 'a.safetensors', v: 'a.safetensors' },
  }),
  'a.safetensors': writeSafetensors({
    t: { dtype: 'F32', shape: [2, 32], data: new Uint8Array(256) },
    v: { dtype: 'BF16', shape: [8], data: new Uint8Array(16) },
  }),
};
type Part = keyof typeof folder;

/** Ways to damage bytes: bits flipped, bytes set to telling values, cut short, a piece doubled or dropped. */
const damage = fc.oneof(
  fc.record({ kind: fc.constant('flip' as const), at: fc.nat(1 << 16), bit: fc.nat(7) }),
  fc.record({
    kind: fc.constant('set' as const),
    at: fc.nat(1 << 16),
    bytes: fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 9 }),
      fc.constantFrom(
        new Uint8Array(8).fill(255),
        Uint8Array.of(255, 255, 255, 127),
        new Uint8Array(8),
        Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 128),
      ),
    ),
  }),
  fc.record({ kind: fc.constant('cut' as const), at: fc.nat(1 << 16) }),
  fc.record({ kind: fc.constant('drop' as const), at: fc.nat(1 << 16), length: fc.integer({ min: 1, max: 40 }) }),
  fc.record({ kind: fc.constant('double' as const), at: fc.nat(1 << 16), length: fc.integer({ min: 1, max: 200 }) }),
);

function damaged(
  bytes: Uint8Array,
  wounds: readonly (typeof damage extends fc.Arbitrary<infer D> ? D : never)[],
): Uint8Array {
  let list = [...bytes];
  for (const wound of wounds) {
    if (list.length === 0) break;
    const at = wound.at % list.length;
    if (wound.kind === 'flip') list[at]! ^= 1 << wound.bit;
    else if (wound.kind === 'set')
      for (let i = 0; i < wound.bytes.length && at + i < list.length; i++) list[at + i] = wound.bytes[i]!;
    else if (wound.kind === 'cut') list = list.slice(0, at);
    else if (wound.kind === 'drop') list.splice(at, wound.length);
    else list.splice(at, 0, ...list.slice(at, at + wound.length));
  }
  return Uint8Array.from(list);
}
const wounds = fc.array(damage, { minLength: 1, maxLength: 4 });

describe('hostile GGUF', () => {
  test('the sound one is read', async () => expect(await survive(gguf)).toBe(true));

  test('cut at every byte: always an error', async () => {
    for (let length = 0; length < gguf.length - 16; length++) {
      // What is cut off at the very end may be padding.
      if (await survive(gguf.slice(0, length))) throw new Error(`${length} bytes pass for the whole`);
    }
  });

  test('every byte of the header at its extremes', async () => {
    for (let at = 0; at < 600; at++)
      for (const value of [0, 0x7f, 0x80, 0xff]) {
        const copy = gguf.slice();
        copy[at] = value;
        await survive(copy);
      }
  });

  test('damaged at random', () =>
    fc.assert(
      fc.asyncProperty(wounds, async (list) => {
        await survive(damaged(gguf, list));
      }),
      { numRuns: RUNS },
    ));
  test('random bytes, with and without a right beginning', () =>
    fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 400 }), fc.boolean(), async (bytes, begun) => {
        await survive(begun ? Uint8Array.from([...gguf.slice(0, 24), ...bytes]) : bytes);
      }),
      { numRuns: RUNS },
    ));

  test('a small file that announces much', async () => {
    const big = 2n ** 40n;
    for (const counts of [
      [big, 0n],
      [0n, big],
      [2n ** 64n - 1n, 2n ** 64n - 1n],
      [3n, 0n],
    ] as const) {
      const file = gguf.slice(0, 64);
      const view = new DataView(file.buffer);
      view.setBigUint64(8, counts[0], true);
      view.setBigUint64(16, counts[1], true);
      expect(await survive(file)).toBe(false);
    }
  });

  test('many empty strings, the most memory for the fewest bytes', async () => {
    expect(await survive(writeGguf({ list: Array.from({ length: 50_000 }, () => '') }))).toBe(true);
    expect(await survive(writeGguf({ flags: Array.from({ length: 100_000 }, () => true) }))).toBe(true);
    expect(await survive(writeGguf({ longs: new BigUint64Array(20_000) }))).toBe(true);
  });
});

describe('hostile folders', () => {
  const parts = Object.keys(folder) as Part[];
  test('the sound one is read', async () => expect(await survive(folder)).toBe(true));

  test('each file cut at every byte: always an error', async () => {
    for (const part of parts)
      for (let length = 0; length < folder[part].length; length++) {
        if (await survive({ ...folder, [part]: folder[part].slice(0, length) }))
          throw new Error(`${part}: ${length} bytes pass for the whole`);
      }
  });

  test('damaged at random', () =>
    fc.assert(
      fc.asyncProperty(fc.constantFrom(...parts), wounds, async (part, list) => {
        await survive({ ...folder, [part]: damaged(folder[part], list) });
      }),
      { numRuns: RUNS },
    ));

  test('JSON of any shape in the place of each file', () =>
    fc.assert(
      fc.asyncProperty(fc.constantFrom(...parts), fc.json({ maxDepth: 4 }), async (part, json) => {
        const bytes = new TextEncoder().encode(json);
        await survive({
          ...folder,
          [part]:
            part === 'a.safetensors'
              ? writeSafetensors({ t: { dtype: 'F32', shape: [1], data: new Uint8Array(4) } }, json)
              : bytes,
        });
      }),
      { numRuns: RUNS },
    ));

  test('names that objects have by nature', async () => {
    for (const name of ['__proto__', 'constructor', 'toString']) {
      const json = `{"${name}":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`;
      const { 'model.safetensors.index.json': _, 'a.safetensors': __, ...rest } = folder;
      const model = await openModel({
        ...rest,
        'model.safetensors': writeSafetensors({ t: { dtype: 'F32', shape: [1], data: new Uint8Array(4) } }, json),
      });
      expect([...model.tensors.keys()]).toEqual([name]);
      expect(
        await survive({
          ...rest,
          'model.safetensors': writeSafetensors({ t: { dtype: name, shape: [1], data: new Uint8Array(4) } }),
        }),
      ).toBe(false);
    }
  });
});
