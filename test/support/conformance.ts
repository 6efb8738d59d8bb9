/**
 * The suite that every backend passes: each operation of the contract against `test/reference`, on the same bytes.
 * A failure names operation, shape, format, and the NMSE found and allowed (test/support/tolerance.ts).
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Activation, Backend, KvSpec, KvView, NormSpec, Ranges, RopeSpec, SampleSpec, Tensor, Weight } from '../../src/backend/backend.ts';
import { PAGE_TOKENS } from '../../src/backend/backend.ts';
import { WEIGHT_FORMATS, weightBytes, type WeightFormat } from '../../src/backend/weight.ts';
import { bidirectional, checkRanges, denseCausal, slidingWindow } from '../../src/context/ranges.ts';
import { FileError, InputError } from '../../src/errors.ts';
import { uniform } from '../../src/backend/random.ts';
import { createReferenceBackend } from '../reference/backend.ts';
import { dequantise } from '../reference/dequantise.ts';
import { distribution, draw } from '../reference/sample.ts';
import { quantise } from './quantise.ts';
import { random, type Random } from './random.ts';
import { expectClose, expectNmse, expectSame, productTolerance, TOLERANCE } from './tolerance.ts';

const FORMATS = Object.keys(WEIGHT_FORMATS) as WeightFormat[];

/** A weight's values in its format, to be put on any backend. */
interface WeightData {
  readonly name: string;
  readonly shape: readonly number[];
  readonly format: WeightFormat;
  readonly bytes: Uint8Array;
}

/** Normal values of about unit output variance; all positive where one output could cancel to nearly nothing. */
function matrix(r: Random, name: string, format: WeightFormat, shape: readonly number[], positive = false): WeightData {
  const values = r.normals(shape.reduce((a, b) => a * b, 1), 1 / Math.sqrt(shape.at(-1)!));
  return { name, shape, format, bytes: quantise(format, positive ? values.map(Math.abs) : values) };
}

function vector(r: Random, name: string, length: number, mean = 1, spread = 0.3): WeightData {
  return { name, shape: [length], format: 'F32', bytes: quantise('F32', r.normals(length, spread).map((v) => v + mean)) };
}

async function put(backend: Backend, data: WeightData): Promise<Weight> {
  const writer = backend.weight(data);
  await writer.write(data.bytes);
  return writer.finish();
}

/** Runs `body` with its weights in a scope and takes its result to the host; everything is freed. */
async function run(backend: Backend, weights: readonly WeightData[], body: (backend: Backend, weights: Weight[]) => Tensor): Promise<Float32Array> {
  const held: Weight[] = [];
  for (const data of weights) held.push(await put(backend, data));
  try {
    const result = backend.scope(() => body(backend, held));
    const values = await backend.download(result);
    backend.free(result);
    return values;
  } finally {
    for (const weight of held) weight.free();
  }
}

/** A page table that maps blocks to pages in random order, with spare pages between them. */
function shuffledView(r: Random, backend: Backend, spec: KvSpec, blocks: number): KvView & { version: number } {
  const pool = backend.kvPool(spec);
  const used = spec.layers * spec.kvHeads * blocks;
  pool.reserve(used + 3);
  const table = Int32Array.from(r.shuffle(Array.from({ length: used + 3 }, (_, i) => i)).slice(0, used));
  return { pool, blocks, table, version: 1 };
}

function rope(headDim: number, style: RopeSpec['style'], { base = 10000, rotary = headDim, magnitude = 1 } = {}): RopeSpec {
  return { inverseFrequency: Float64Array.from({ length: rotary / 2 }, (_, i) => base ** ((-2 * i) / rotary)), magnitude, style };
}

/** What the reference found, by test and call: the same for every backend of a test file. */
const TRUTH = new Map<string, unknown>();

const NO_SAMPLING: SampleSpec = { temperature: 1, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, presencePenalty: 0, seed: 1 };

export function conformance(name: string, create: () => Promise<Backend>): void {
  describe(`conformance: ${name}`, () => {
    let device: Backend;
    const truth = createReferenceBackend();
    beforeAll(async () => {
      device = await create();
    });
    afterAll(() => {
      device.destroy();
    });

    let calls = 0;
    beforeEach(() => {
      calls = 0;
    });
    async function once<T>(compute: () => Promise<T>): Promise<T> {
      const key = `${expect.getState().currentTestName?.replace(name, '')} ${calls++}`;
      if (!TRUTH.has(key)) TRUTH.set(key, await compute());
      return TRUTH.get(key) as T;
    }

    /** Both backends run the same program on the same bytes. */
    async function same(what: string, allowed: number, weights: readonly WeightData[], body: (backend: Backend, weights: Weight[]) => Tensor): Promise<void> {
      const wanted = await once(() => run(truth, weights, body));
      expectNmse(await run(device, weights, body), wanted, allowed, what);
    }

    describe('memory', () => {
      test('upload and download are copies', async () => {
        const r = random(1);
        for (const shape of [[1, 1], [3, 7], [33, 65], [1, 5000]] as const) {
          const data = r.normals(shape[0] * shape[1]);
          const tensor = device.upload(data, shape);
          expect(tensor).toMatchObject({ shape, type: 'f32' });
          const kept = data.slice();
          data.fill(0);
          expectSame(await device.download(tensor), kept, `upload/download [${shape.join()}]`);
          device.free(tensor);
        }
      });

      test('ids: written, read and overwritten in order', async () => {
        const ring = device.ids(100);
        device.writeIds(ring, 0, Int32Array.from({ length: 100 }, (_, i) => 1000 - i));
        device.writeIds(ring, 7, Int32Array.of(-1, 2147483647, 0));
        const early = device.readIds(ring, 5, 12);
        device.writeIds(ring, 5, Int32Array.of(1, 2, 3));
        expectSame(await early, [995, 994, -1, 2147483647, 0, 990, 989], 'readIds sees what was issued before it');
        expectSame(await device.readIds(ring, 5, 9), [1, 2, 3, 2147483647], 'readIds');
        expect(await device.readIds(ring, 3, 3)).toHaveLength(0);
        device.free(ring);
      });

      test.each(FORMATS)('a %s weight written in chunks of any size is the same weight', async (format) => {
        const r = random(2);
        const data = matrix(r, 'chunked', format, [5, 512]);
        const ids = Int32Array.of(4, 0, 3, 2, 1);
        const chunks: number[][] = [[data.bytes.length], [], []];
        for (let left = data.bytes.length; left > 0; ) {
          const size = Math.min(left, r.pick([1, 2, 3, 17, 500]));
          chunks[1]!.push(size);
          left -= size;
        }
        chunks[2] = Array.from(data.bytes, () => 1);
        const wanted = dequantise(format, data.bytes, 5 * 512);
        for (const sizes of chunks) {
          const writer = device.weight(data);
          let at = 0;
          const buffer = new Uint8Array(500);
          for (const size of sizes) {
            // The chunk's memory is reused at once, as the contract allows.
            const chunk = size > buffer.length ? data.bytes : buffer.subarray(0, size);
            if (chunk !== data.bytes) chunk.set(data.bytes.subarray(at, at + size));
            await writer.write(chunk);
            if (chunk !== data.bytes) chunk.fill(0xa5);
            at += size;
          }
          const weight = await writer.finish();
          expect(weight).toMatchObject({ name: 'chunked', shape: [5, 512], format });
          const ring = device.ids(5);
          device.writeIds(ring, 0, ids);
          const rows = device.scope(() => device.embed(weight, ring, 0, 5));
          const expected = [...ids].flatMap((id) => [...wanted.subarray(id * 512, id * 512 + 512)]);
          expectNmse(await device.download(rows), expected, TOLERANCE.reduction, `embed of ${format} written in ${sizes.length} chunks`);
          device.free(rows);
          device.free(ring);
          weight.free();
        }
      });

      test('a weight that ends early or is aborted leaves nothing behind', async () => {
        const before = device.memory();
        const data = matrix(random(3), 'short', 'Q8_0', [4, 64]);
        const short = device.weight(data);
        await short.write(data.bytes.subarray(0, data.bytes.length - 1));
        await expect(short.finish()).rejects.toThrow(FileError);
        short.abort();
        const aborted = device.weight(data);
        await aborted.write(data.bytes.subarray(0, 5));
        aborted.abort();
        expect(device.memory()).toMatchObject({ weights: before.weights });
      });

      test('scopes free what does not leave them, in any nesting, and after an error', async () => {
        const data = random(4).normals(640);
        const settle = async (): Promise<number> => {
          await device.idle();
          return device.memory().activations;
        };
        const start = await settle();
        const kept: Tensor[] = [];
        const [a, b] = device.scope(() => {
          device.upload(data, [10, 64]);
          const inner = device.scope(() => {
            const x = device.upload(data, [10, 64]);
            kept.push(device.keep(device.rows(x, 2, 3)));
            return device.rows(x, 1, 2);
          });
          return [inner, device.rows(inner, 1, 1)] as const;
        });
        expectSame(await device.download(a), data.subarray(64, 192), 'a tensor returned through two scopes');
        expectSame(await device.download(b), data.subarray(128, 192), 'a tensor returned in a list');
        expectSame(await device.download(kept[0]!), data.subarray(128, 320), 'a kept tensor');
        for (const tensor of [a, b, ...kept]) device.free(tensor);
        expect(() =>
          device.scope(() => {
            device.upload(data, [10, 64]);
            throw new Error('from the body');
          }),
        ).toThrow('from the body');
        expect(device.scope(() => undefined)).toBeUndefined();
        expect(await settle()).toBe(start);
      });

      test('memory returns to its start after every kind of work', async () => {
        const r = random(5);
        const spec: KvSpec = { layers: 1, kvHeads: 1, headDim: 32, format: 'f32' };
        const weights = [matrix(r, 'w', 'Q4_0', [96, 64]), matrix(r, 'o', 'F32', [64, 32]), vector(r, 'n', 64), matrix(r, 'g', 'Q8_0', [32, 64])];
        const x = r.normals(4 * 64);
        const frequencies = rope(32, 'half');
        const round = async (): Promise<void> => {
          const held: Weight[] = [];
          for (const data of weights) held.push(await put(device, data));
          const [w, o, n, g] = held as [Weight, Weight, Weight, Weight];
          const view = shuffledView(random(6), device, spec, 2);
          const ring = device.ids(8);
          const sampler = device.sampler(64);
          const logits = device.scope(() => {
            const input = device.upload(x, [4, 64]);
            const norm: NormSpec = { kind: 'rms', weight: n, epsilon: 1e-5 };
            const q = device.ropeAppend(device.linear(input, [w], { norm }), view, 0, 0, { heads: 1, rope: frequencies });
            const y = device.linear(device.attention(q, view, 0, 0, denseCausal(4, 4), { heads: 1, scale: 0.2 }), [o], { residual: input });
            device.gatedMlp(y, g, g, { norm, activation: 'silu' });
            return device.rows(device.norm(y, norm), 3, 1);
          });
          sampler.reset(Int32Array.of(1, 2));
          sampler.mask(new Uint32Array(2).fill(0xffffffff));
          device.sample(logits, sampler, NO_SAMPLING, ring, 0);
          sampler.mask(undefined);
          device.flush();
          await device.readIds(ring, 0, 1);
          device.free(logits);
          device.free(ring);
          sampler.free();
          view.pool.free();
          for (const weight of held) weight.free();
          await device.idle();
        };
        const start = device.memory();
        await round();
        const first = device.memory();
        expect(first).toMatchObject({ weights: start.weights, kv: start.kv });
        for (let i = 0; i < 5; i++) await round();
        expect(device.memory()).toEqual(first);
      });
    });

    describe('embed', () => {
      test.each(FORMATS)('%s rows', async (format) => {
        const cols = WEIGHT_FORMATS[format].block === 256 ? 512 : 96;
        const r = random(11);
        const ids = Int32Array.from({ length: 33 }, () => r.integer(0, 37));
        await same(`embed ${format} [37, ${cols}]`, TOLERANCE.reduction, [matrix(r, 'table', format, [37, cols])], (b, [table]) => {
          const ring = b.ids(40);
          b.writeIds(ring, 5, ids);
          const out = b.embed(table!, ring, 5, 33);
          b.free(ring);
          return out;
        });
      });
      test('ids that are none do no harm', async () => {
        const table = matrix(random(12), 'table', 'Q8_0', [37, 64]);
        const weight = await put(device, table);
        const ring = device.ids(3);
        device.writeIds(ring, 0, Int32Array.of(-1, 3, 1 << 30));
        const rows = device.scope(() => device.embed(weight, ring, 0, 3));
        const values = await device.download(rows);
        expectNmse(values.subarray(64, 128), dequantise('Q8_0', table.bytes, 37 * 64).subarray(192, 256), TOLERANCE.reduction, 'embed beside ids that are none');
        device.free(rows);
        device.free(ring);
        weight.free();
      });
    });

    describe('linear', () => {
      async function plain(format: WeightFormat, t: number, rows: number, cols: number): Promise<void> {
        const r = random(t * 7 + rows * 3 + cols);
        const few = t * rows < 24;
        const data = r.normals(t * cols);
        const x = few ? data.map(Math.abs) : data;
        await same(`linear ${format}, x [${t}, ${cols}], weight [${rows}, ${cols}]`, productTolerance(format), [matrix(r, 'w', format, [rows, cols], few)], (b, [w]) =>
          b.linear(b.upload(x, [t, cols]), [w!]),
        );
      }

      describe.each(FORMATS)('%s', (format) => {
        test('every number of tokens', async () => {
          for (const t of [1, 2, 3, 4, 5, 8, 31, 33, 64]) await plain(format, t, 40, 256);
        });
        test('awkward shapes', async () => {
          const wide = WEIGHT_FORMATS[format].block === 256;
          const shapes = wide
            ? [[1, 1, 256], [1, 3, 512], [5, 67, 768], [17, 129, 256], [2, 130, 1280]]
            : [[1, 1, 32], [1, 3, 64], [5, 67, 96], [17, 129, 160], [2, 130, 896], [1, 257, 736], [65, 6, 32]];
          for (const [t, rows, cols] of shapes) await plain(format, t!, rows!, cols!);
        });
      });

      test('formats of one value a block take any number of columns', async () => {
        for (const format of ['F32', 'F16', 'BF16'] as const) {
          for (const [t, rows, cols] of [[1, 1, 1], [1, 7, 3], [3, 5, 33], [2, 66, 127], [34, 9, 65]]) await plain(format, t!, rows!, cols!);
        }
      });

      test('values far apart: one large activation among small ones in another block', async () => {
        for (const format of ['Q8_0', 'Q4_0', 'Q4_K', 'Q6_K'] as const) {
          const r = random(21);
          const x = r.normals(3 * 512).map((v, i) => (i % 97 === 5 ? v * 30 : v));
          await same(`linear ${format} with outliers`, 1e-3, [matrix(r, 'w', format, [64, 512])], (b, [w]) => b.linear(b.upload(x, [3, 512]), [w!]));
        }
        await same('linear Q8_0 of zeros', 0, [matrix(random(22), 'w', 'Q8_0', [8, 64])], (b, [w]) => b.linear(b.upload(new Float32Array(128), [2, 64]), [w!]));
      });

      test('more rows than a grid has workgroups in one direction', async () => {
        const r = random(23);
        const table = matrix(r, 'head', 'Q8_0', [70001, 32]);
        for (const t of [1, 3]) {
          const x = r.normals(t * 32);
          await same(`linear Q8_0, x [${t}, 32], weight [70001, 32]`, TOLERANCE.quantised, [table], (b, [w]) => b.linear(b.upload(x, [t, 32]), [w!]));
        }
      });

      test('what is no number in x is none in the outputs of its row, and of no other', async () => {
        for (const format of ['F32', 'F16', 'Q8_0', 'Q4_0', 'Q4_K', 'Q6_K'] as const) {
          const r = random(24);
          const data = matrix(r, 'w', format, [40, 512]);
          for (const t of [1, 3, 33]) {
            for (const bad of [NaN, Infinity]) {
              const x = r.normals(t * 512);
              x[(t - 1) * 512 + 77] = bad;
              const out = await run(device, [data], (b, [w]) => b.linear(b.upload(x, [t, 512]), [w!]));
              const what = `linear ${format}, x [${t}, 512] with ${bad}`;
              const finite = out.subarray((t - 1) * 40).findIndex(Number.isFinite);
              if (finite >= 0) throw new Error(`${what}: output ${finite} of the row is ${out[(t - 1) * 40 + finite]}`);
              expect(out.subarray(0, (t - 1) * 40).every(Number.isFinite)).toBe(true);
            }
          }
        }
      });

      const mixes: { formats: WeightFormat[]; rows: number[]; cols: number }[] = [
        { formats: ['Q4_0', 'Q4_0', 'Q8_0'], rows: [64, 32, 32], cols: 64 },
        { formats: ['Q4_K', 'Q4_K', 'Q6_K'], rows: [35, 17, 18], cols: 256 },
        { formats: ['Q5_0', 'F16', 'F32'], rows: [14, 2, 65], cols: 96 },
        { formats: ['Q3_K', 'Q2_K', 'Q5_K'], rows: [33, 33, 31], cols: 512 },
        { formats: ['Q8_0', 'Q8_0', 'Q8_0'], rows: [896, 128, 128], cols: 896 },
        { formats: ['F32', 'F32', 'F32'], rows: [64, 32, 32], cols: 64 },
      ];
      test.each(mixes)('fused $formats with norm, bias, activation and residual', async ({ formats, rows, cols }) => {
        const r = random(cols + rows[0]!);
        const total = rows.reduce((a, b) => a + b, 0);
        const weights = [
          ...formats.map((format, i) => matrix(r, `w${i}`, format, [rows[i]!, cols])),
          ...rows.map((n, i) => vector(r, `b${i}`, n, 0.5, 1)),
          vector(r, 'norm', cols),
          vector(r, 'norm.bias', cols, 0, 0.2),
        ];
        const allowed = Math.max(...formats.map(productTolerance));
        for (const t of [1, 2, 33]) {
          const x = r.normals(t * cols).map((v) => v * 3 + 0.5);
          const residual = r.normals(t * total);
          for (const kind of ['rms', 'layer'] as const) {
            for (const activation of [undefined, 'silu', 'gelu', 'geluTanh'] as const) {
              // Every combination for one token; for more, each norm and each activation once.
              if (t > 1 && activation !== (kind === 'rms' ? 'silu' : t === 2 ? undefined : 'gelu')) continue;
              const what = `linear ${formats.join()} rows ${rows.join()}, x [${t}, ${cols}], ${kind} norm, bias, ${activation ?? 'no activation'}, residual`;
              await same(what, allowed, weights, (b, [w0, w1, w2, b0, b1, b2, weight, bias]) =>
                b.linear(b.upload(x, [t, cols]), [w0!, w1!, w2!], {
                  norm: { kind, weight: weight!, epsilon: 1e-6, ...(kind === 'layer' ? { bias: bias! } : {}) },
                  bias: t === 2 ? [b0!, undefined, b2!] : [b0!, b1!, b2!],
                  ...(activation ? { activation } : {}),
                  residual: b.upload(residual, [t, total]),
                }),
              );
            }
          }
        }
      });

      test('each option alone', async () => {
        const r = random(31);
        const weights = [matrix(r, 'w', 'Q4_0', [70, 96]), vector(r, 'b', 70, 0, 1), vector(r, 'n', 96)];
        for (const t of [1, 7, 40]) {
          const x = r.normals(t * 96);
          const residual = r.normals(t * 70);
          await same(`linear Q4_0 [${t}, 96] with bias`, TOLERANCE.quantised, weights, (b, [w, bias]) => b.linear(b.upload(x, [t, 96]), [w!], { bias: [bias!] }));
          await same(`linear Q4_0 [${t}, 96] with residual`, TOLERANCE.quantised, weights, (b, [w]) => b.linear(b.upload(x, [t, 96]), [w!], { residual: b.upload(residual, [t, 70]) }));
          await same(`linear Q4_0 [${t}, 96] with silu`, TOLERANCE.quantised, weights, (b, [w]) => b.linear(b.upload(x, [t, 96]), [w!], { activation: 'silu' }));
          await same(`linear Q4_0 [${t}, 96] with norm`, TOLERANCE.quantised, weights, (b, [w, , n]) => b.linear(b.upload(x, [t, 96]), [w!], { norm: { kind: 'rms', weight: n!, epsilon: 1e-5 } }));
        }
      });
    });

    describe('gatedMlp', () => {
      const cases: { gate: WeightFormat; up: WeightFormat; rows: number; cols: number; activation: Activation }[] = [
        { gate: 'Q4_0', up: 'Q4_0', rows: 130, cols: 96, activation: 'silu' },
        { gate: 'Q8_0', up: 'Q8_0', rows: 300, cols: 896, activation: 'silu' },
        { gate: 'Q4_K', up: 'Q4_K', rows: 65, cols: 512, activation: 'gelu' },
        { gate: 'Q4_K', up: 'Q6_K', rows: 64, cols: 256, activation: 'silu' },
        { gate: 'Q5_K', up: 'Q5_1', rows: 31, cols: 256, activation: 'geluTanh' },
        { gate: 'F32', up: 'F32', rows: 43, cols: 65, activation: 'silu' },
        { gate: 'F16', up: 'BF16', rows: 7, cols: 33, activation: 'geluTanh' },
      ];
      test.each(cases)('$gate and $up, [$rows, $cols], $activation', async ({ gate, up, rows, cols, activation }) => {
        const r = random(rows + cols);
        // Gate and up each carry a product's error.
        const allowed = 2 * Math.max(productTolerance(gate), productTolerance(up));
        const weights = [matrix(r, 'gate', gate, [rows, cols]), matrix(r, 'up', up, [rows, cols]), vector(r, 'norm', cols)];
        for (const t of [1, 2, 31, 33]) {
          const x = r.normals(t * cols, 2);
          for (const normed of t < 3 ? [true, false] : [t === 31]) {
            const what = `gatedMlp ${gate}/${up} [${rows}, ${cols}], x [${t}, ${cols}], ${activation}${normed ? ', rms norm' : ''}`;
            await same(what, allowed, weights, (b, [g, u, n]) =>
              b.gatedMlp(b.upload(x, [t, cols]), g!, u!, { activation, ...(normed ? { norm: { kind: 'rms', weight: n!, epsilon: 1e-5 } } : {}) }),
            );
          }
        }
      });
    });

    describe('norm and rows', () => {
      test.each([[1, 1], [1, 64], [2, 63], [5, 896], [33, 130], [64, 257], [1, 4096]])('norm of [%i, %i]', async (t, cols) => {
        const r = random(t + cols);
        // Far from zero, so that a variance by the difference of two sums would show.
        const x = r.normals(t * cols).map((v) => v + 20);
        const weights = [vector(r, 'weight', cols), vector(r, 'bias', cols, 0, 1)];
        await same(`rms norm [${t}, ${cols}]`, TOLERANCE.reduction, weights, (b, [w]) => b.norm(b.upload(x, [t, cols]), { kind: 'rms', weight: w!, epsilon: 1e-5 }));
        if (cols > 1) {
          await same(`layer norm [${t}, ${cols}]`, TOLERANCE.reduction, weights, (b, [w, bias]) =>
            b.norm(b.upload(x, [t, cols]), { kind: 'layer', weight: w!, bias: bias!, epsilon: 1e-5 }),
          );
        }
        const small = x.map((v) => (v - 20) * 1e-4);
        await same(`rms norm [${t}, ${cols}] where epsilon counts`, TOLERANCE.reduction, weights, (b, [w]) => b.norm(b.upload(small, [t, cols]), { kind: 'rms', weight: w!, epsilon: 1e-6 }));
      });

      test('rows are a copy', async () => {
        const data = random(41).normals(9 * 67);
        for (const [start, count] of [[0, 9], [0, 1], [8, 1], [3, 4]] as const) {
          const out = device.scope(() => device.rows(device.upload(data, [9, 67]), start, count));
          expect(out.shape).toEqual([count, 67]);
          expectSame(await device.download(out), data.subarray(start * 67, (start + count) * 67), `rows [${start}, ${start + count}) of [9, 67]`);
          device.free(out);
        }
      });
    });

    /** Prefix, then calls: positions are filled in steps, so that pages written by one call are read by the next. */
    interface AttentionCase {
      readonly heads: number;
      readonly kvHeads: number;
      readonly headDim: number;
      readonly format?: 'f32' | 'f16';
      readonly steps: readonly number[];
      readonly style?: RopeSpec['style'];
      readonly rotary?: number;
      readonly magnitude?: number;
      readonly normed?: boolean;
      readonly first?: number;
      readonly ranges?: (queries: number, position: number, kvHeads: number) => Ranges;
    }

    async function attend(backend: Backend, it: AttentionCase): Promise<{ q: Float32Array; out: Float32Array }> {
      const { heads, kvHeads, headDim, format = 'f32', steps, style = 'half', rotary = headDim, magnitude = 1, normed = false, first = 0 } = it;
      const ranges = it.ranges ?? ((queries: number, position: number) => denseCausal(queries, position + queries));
      const r = random(heads * 1000 + headDim);
      const total = first + steps.reduce((a, b) => a + b, 0);
      const layers = 2;
      const view = shuffledView(r, backend, { layers, kvHeads, headDim, format }, Math.ceil(total / PAGE_TOKENS) + 1);
      const spec = rope(headDim, style, { rotary, magnitude });
      const norms = [vector(r, 'q_norm', headDim), vector(r, 'k_norm', headDim)];
      const held: Weight[] = [];
      for (const data of norms) held.push(await put(backend, data));
      const [qWeight, kWeight] = held as [Weight, Weight];
      const options = {
        heads,
        rope: spec,
        ...(normed ? { qNorm: { kind: 'rms', weight: qWeight, epsilon: 1e-6 }, kNorm: { kind: 'rms', weight: kWeight, epsilon: 1e-6 } } as const : {}),
      };
      const cols = (heads + 2 * kvHeads) * headDim;
      const rotated: Float32Array[] = [];
      const found: Float32Array[] = [];
      // Positions before `first` stay unwritten: what is not in the ranges must not be read.
      let position = first;
      for (const count of steps) {
        for (let layer = 0; layer < layers; layer++) {
          const qkv = r.normals(count * cols);
          const allowed = ranges(count, position, kvHeads);
          checkRanges(allowed, { queryCount: count, kvHeads, keyCount: position + count });
          const [q, out] = backend.scope(() => {
            const query = backend.ropeAppend(backend.upload(qkv, [count, cols]), view, layer, position, options);
            return [query, backend.attention(query, view, layer, position, allowed, { heads, scale: 1.3 / Math.sqrt(headDim) })] as const;
          });
          expect(out.shape).toEqual([count, heads * headDim]);
          rotated.push(await backend.download(q));
          found.push(await backend.download(out));
          backend.free(q);
          backend.free(out);
        }
        position += count;
      }
      for (const weight of held) weight.free();
      view.pool.free();
      const join = (parts: Float32Array[]): Float32Array => Float32Array.from(parts.flatMap((part) => [...part]));
      return { q: join(rotated), out: join(found) };
    }

    async function sameAttention(it: AttentionCase): Promise<void> {
      const shape = `${it.heads}/${it.kvHeads} heads of ${it.headDim}, ${it.format ?? 'f32'} pages, steps ${it.steps.join()}${it.first ? ` from ${it.first}` : ''}`;
      const wanted = await once(() => attend(truth, it));
      const found = await attend(device, it);
      const detail = `${it.style ?? 'half'}${it.rotary ? `, rotary ${it.rotary}` : ''}${it.normed ? ', q/k norm' : ''}`;
      expectNmse(found.q, wanted.q, TOLERANCE.reduction, `ropeAppend ${shape}, ${detail}`);
      expectNmse(found.out, wanted.out, it.format === 'f16' ? TOLERANCE.half : TOLERANCE.reduction, `attention ${shape}`);
    }

    describe('ropeAppend and attention', () => {
      const shapes = [
        { heads: 14, kvHeads: 2, headDim: 64 }, { heads: 9, kvHeads: 3, headDim: 64 }, { heads: 4, kvHeads: 4, headDim: 32 }, { heads: 4, kvHeads: 1, headDim: 48 },
        { heads: 2, kvHeads: 1, headDim: 80 }, { heads: 4, kvHeads: 2, headDim: 128 }, { heads: 8, kvHeads: 4, headDim: 8 }, { heads: 1, kvHeads: 1, headDim: 96 },
      ];
      describe.each(shapes)('$heads/$kvHeads heads of $headDim', (shape) => {
        test.each(['f32', 'f16'] as const)('%s pages: prefill, then decode across page borders', async (format) => {
          await sameAttention({ ...shape, format, steps: [31, 1, 1, 2, 33, 1] });
          await sameAttention({ ...shape, format, steps: [1, 1, 64, 1], style: 'interleaved' });
        });
        test('q and k normed, partly rotated, with magnitude', async () => {
          await sameAttention({ ...shape, steps: [33, 1], normed: true });
          await sameAttention({ ...shape, steps: [5, 1], normed: true, style: 'interleaved', rotary: shape.headDim / 2, magnitude: 1.2 });
          await sameAttention({ ...shape, steps: [5, 1], rotary: shape.headDim / 2 });
        });
      });

      test('long contexts', async () => {
        await sameAttention({ heads: 4, kvHeads: 2, headDim: 64, steps: [150, 70, 1, 3] });
        await sameAttention({ heads: 4, kvHeads: 2, headDim: 64, format: 'f16', steps: [170, 1] });
      });

      test('far positions are rotated exactly', async () => {
        const far = (queries: number, position: number): Ranges => ({ ...denseCausal(queries, position + queries), runs: Uint32Array.of(5000, position + queries) });
        await sameAttention({ heads: 2, kvHeads: 1, headDim: 64, steps: [40, 1], first: 5000, ranges: far });
        await sameAttention({ heads: 2, kvHeads: 1, headDim: 64, steps: [3, 1], first: 5000, ranges: far, style: 'interleaved' });
      });

      test('bidirectional', async () => {
        await sameAttention({ heads: 6, kvHeads: 2, headDim: 32, steps: [45], ranges: (queries, position) => bidirectional(queries, position + queries) });
        await sameAttention({ heads: 6, kvHeads: 2, headDim: 32, steps: [20, 33, 1], ranges: (queries, position) => bidirectional(queries, position + queries) });
      });

      test('sliding window with sinks', async () => {
        for (const [window, sinks] of [[16, 0], [40, 4], [1, 0], [7, 40]] as const) {
          await sameAttention({ heads: 4, kvHeads: 2, headDim: 32, steps: [50, 1, 1, 30, 1], ranges: (queries, position) => slidingWindow(queries, position, window, sinks) });
        }
      });

      test('several runs a query block', async () => {
        const runs = (queries: number, position: number): Ranges => {
          const offsets = [0];
          const list: number[] = [];
          const blocks = Math.ceil(queries / 8);
          for (let b = 0; b < blocks; b++) {
            const end = position + queries;
            const pieces = [[0, 3], [5, 6], [9 + b, 20 + b], [33, 34], [40, 70]].map(([s, e]) => [s!, Math.min(e!, end)] as const).filter(([s, e]) => s < e);
            list.push(...pieces.flat(), ...(end > 71 ? [Math.max(71, position), end] : []));
            offsets.push(list.length / 2);
          }
          return { queryBlock: 8, shared: true, causal: true, offsets: Uint32Array.from(offsets), runs: Uint32Array.from(list) };
        };
        await sameAttention({ heads: 4, kvHeads: 2, headDim: 64, steps: [37, 29, 21, 1], ranges: runs });
        await sameAttention({ heads: 4, kvHeads: 2, headDim: 64, format: 'f16', steps: [90, 1], ranges: runs });
      });

      test('every head its own runs', async () => {
        const each = (queries: number, position: number, kvHeads: number): Ranges => {
          const offsets = [0];
          const list: number[] = [];
          for (let b = 0; b < Math.ceil(queries / 16); b++) {
            for (let h = 0; h < kvHeads; h++) {
              const end = position + queries;
              if (h === 0) list.push(0, end);
              else if (h === 1) list.push(0, Math.min(4, end), ...(end > 12 ? [Math.max(4, end - 8), end] : []));
              else list.push(0, 1);
              offsets.push(list.length / 2);
            }
          }
          return { queryBlock: 16, shared: false, causal: true, offsets: Uint32Array.from(offsets), runs: Uint32Array.from(list) };
        };
        await sameAttention({ heads: 6, kvHeads: 3, headDim: 32, steps: [40, 1, 18, 1], ranges: each });
      });

      test('a query that may see nothing gets zeros', async () => {
        const none: Ranges = { queryBlock: 2, shared: true, causal: true, offsets: Uint32Array.of(0, 0, 1), runs: Uint32Array.of(0, 4) };
        await sameAttention({ heads: 2, kvHeads: 1, headDim: 32, steps: [4], ranges: () => none });
      });

      test('large scores do not overflow', async () => {
        const r = random(51);
        const qkv = r.normals(20 * 96, 30);
        const body = (b: Backend): Tensor => {
          const view = shuffledView(random(52), b, { layers: 1, kvHeads: 1, headDim: 32, format: 'f32' }, 1);
          const q = b.ropeAppend(b.upload(qkv, [20, 96]), view, 0, 0, { heads: 1, rope: rope(32, 'half') });
          const out = b.attention(q, view, 0, 0, denseCausal(20, 20), { heads: 1, scale: 1 });
          view.pool.free();
          return out;
        };
        await same('attention with scores of thousands', 1e-5, [], body);
      });
    });

    describe('KV pool', () => {
      test.each(['f32', 'f16'] as const)('%s pages survive growth, can be copied, and a changed table is seen', async (format) => {
        const spec: KvSpec = { layers: 1, kvHeads: 2, headDim: 32, format };
        const r = random(61);
        const qkv = r.normals(40 * 6 * 32);
        const more = r.normals(6 * 32);
        const options = { heads: 2, rope: rope(32, 'half') };
        const program = async (b: Backend): Promise<Float32Array[]> => {
          const pool = b.kvPool(spec);
          expect(pool.spec).toEqual(spec);
          expect(pool.pageBytes).toBe(2 * PAGE_TOKENS * 32 * (format === 'f32' ? 4 : 2));
          pool.reserve(4);
          const view = { pool, blocks: 2, table: Int32Array.of(3, 0, 1, 2), version: 1 };
          const read = async (v: KvView): Promise<Float32Array> => {
            const out = b.scope(() => b.attention(b.upload(more.subarray(0, 64), [1, 64]), v, 0, 39, denseCausal(1, 40), { heads: 2, scale: 0.2 }));
            const values = await b.download(out);
            b.free(out);
            return values;
          };
          b.scope(() => {
            b.ropeAppend(b.upload(qkv, [40, 192]), view, 0, 0, options);
          });
          const results = [await read(view)];
          pool.reserve(11);
          pool.reserve(5);
          expect(pool.pages).toBeGreaterThanOrEqual(11);
          results.push(await read(view));
          // Copy on write: a second view shares the first blocks, has copies of the second, and appends there.
          pool.copy(0, 7);
          pool.copy(2, 9);
          const fork = { pool, blocks: 2, table: Int32Array.of(3, 7, 1, 9), version: 1 };
          results.push(await read(fork));
          b.scope(() => {
            b.ropeAppend(b.upload(more, [1, 192]), fork, 0, 39, options);
          });
          results.push(await read(view), await read(fork));
          // The host changes a table in place and says so.
          fork.table.set([3, 0, 1, 2]);
          fork.version++;
          results.push(await read(fork));
          pool.free();
          return results;
        };
        const before = device.memory().kv;
        const found = await program(device);
        expect(device.memory().kv).toBe(before);
        const wanted = await once(() => program(truth));
        const names = ['first read', 'after growth', 'copied pages', 'original after a write to the copy', 'copy after the write', 'table set back'];
        found.forEach((values, i) => expectNmse(values, wanted[i]!, format === 'f16' ? TOLERANCE.half : TOLERANCE.reduction, `KV pool ${format}: ${names[i]}`));
        expectSame(found[1]!, found[0]!, 'growth keeps contents');
        expectSame(found[2]!, found[0]!, 'a copy is exact');
        expectSame(found[3]!, found[0]!, 'a write to the copy leaves the original');
        expectSame(found[5]!, found[0]!, 'the table is uploaded when its version moves');
      });
    });

    describe('sample', () => {
      async function sampled(
        backend: Backend, logits: Float32Array, spec: Partial<SampleSpec>,
        { index = 0, seen = [], mask }: { index?: number; seen?: number[]; mask?: Uint32Array } = {},
      ): Promise<number> {
        const sampler = backend.sampler(logits.length);
        const ring = backend.ids(index + 1);
        sampler.reset(Int32Array.from(seen));
        sampler.mask(mask);
        backend.scope(() => {
          backend.sample(backend.upload(logits, [1, logits.length]), sampler, { ...NO_SAMPLING, ...spec }, ring, index);
        });
        const [id] = await backend.readIds(ring, index, index + 1);
        backend.free(ring);
        sampler.free();
        return id!;
      }

      test.each([1, 2, 31, 33, 255, 1000, 32003])('greedy among %i: the highest, the lowest id among equals', async (vocabulary) => {
        const r = random(vocabulary);
        const logits = r.normals(vocabulary);
        const best = r.integer(0, vocabulary);
        const equal = r.integer(0, vocabulary);
        logits[best] = 9;
        logits[equal] = 9;
        expect(await sampled(device, logits, { temperature: 0 })).toBe(Math.min(best, equal));
        expect(await sampled(device, logits.map((v) => v - 100), { temperature: 0 })).toBe(Math.min(best, equal));
        expect(await sampled(device, new Float32Array(vocabulary), { temperature: 0 })).toBe(0);
      });

      /** Draws that fall within f32's reach of a border of the CDF are the backend's to decide. */
      async function sameDraws(what: string, logits: Float32Array, spec: SampleSpec, indices: readonly number[], seen: number[] = [], mask?: Uint32Array): Promise<void> {
        const exact = distribution(logits, spec, new Set(seen), mask)!;
        const kept = new Set(exact.ids);
        let decided = 0;
        for (const index of indices) {
          const id = await sampled(device, logits, spec, { index, seen, ...(mask ? { mask } : {}) });
          if (!kept.has(id)) throw new Error(`sample ${what}, index ${index}: drew ${id}, which is not among the ${kept.size} ids kept`);
          const u = uniform(spec.seed, index);
          let cumulative = 0;
          let margin = 1;
          for (const p of exact.probabilities) margin = Math.min(margin, Math.abs((cumulative += p) - u));
          if (margin < 1e-6) continue;
          decided++;
          const wanted = draw(exact, spec.seed, index);
          if (id !== wanted) throw new Error(`sample ${what}, index ${index}: drew ${id}, expected ${wanted} (u ${u}, ${kept.size} ids kept)`);
        }
        expect(decided).toBeGreaterThan(indices.length / 2);
      }
      const INDICES = [0, 1, 2, 3, 4, 5, 6, 7, 31, 32, 33, 100];

      test.each([
        { temperature: 1 }, { temperature: 0.3 }, { temperature: 2.5 },
        { topK: 1 }, { topK: 5 }, { topK: 300 }, { topK: 100000 },
        { topP: 0.9 }, { topP: 0.3 }, { topP: 0.01 }, { minP: 0.05 }, { minP: 0.5 }, { minP: 1 },
        { temperature: 0.7, topK: 40, topP: 0.8, minP: 0.02 },
      ])('%j', async (part) => {
        for (const vocabulary of [50, 1000]) {
          const logits = random(vocabulary).normals(vocabulary, 2);
          for (const seed of [0, 7, 4294967295]) {
            const spec = { ...NO_SAMPLING, ...part, seed };
            await sameDraws(`${JSON.stringify(part)}, vocabulary ${vocabulary}, seed ${seed}`, logits, spec, seed === 7 ? INDICES : INDICES.slice(0, 3));
          }
        }
      });

      test('a large vocabulary', async () => {
        const logits = random(71).normals(151936, 3);
        await sameDraws('151936 ids', logits, { ...NO_SAMPLING, temperature: 0.7, topK: 20, topP: 0.8, seed: 5 }, INDICES.slice(0, 4));
        await sameDraws('151936 ids, top-p alone', logits, { ...NO_SAMPLING, topP: 0.5, seed: 5 }, INDICES.slice(0, 4));
      });

      test('equal logits are kept or dropped together', async () => {
        const logits = Float32Array.of(1, 3, 2, 3, 2, 2, 0, 1);
        await sameDraws('top-k 3 with ties', logits, { ...NO_SAMPLING, topK: 3 }, INDICES);
        await sameDraws('top-p 0.5 with ties', logits, { ...NO_SAMPLING, topP: 0.5 }, INDICES);
        await sameDraws('all equal, top-k 2', new Float32Array(40), { ...NO_SAMPLING, topK: 2 }, INDICES);
      });

      test('penalties for ids seen, prompt and drawn alike', async () => {
        const logits = random(72).normals(200, 2);
        const seen = [0, 3, 5, 31, 32, 64, 199, 5];
        await sameDraws('repetition penalty', logits, { ...NO_SAMPLING, repetitionPenalty: 1.7, temperature: 0.5 }, INDICES, seen);
        await sameDraws('presence penalty', logits, { ...NO_SAMPLING, presencePenalty: 1.5, temperature: 0.5 }, INDICES, seen);
        // Greedy with a strong penalty walks down the ranking, because each draw is marked as seen; reset forgets.
        const ranking = [...logits.keys()].sort((a, b) => logits[b]! - logits[a]!);
        const sampler = device.sampler(200);
        const ring = device.ids(8);
        const walk = async (): Promise<Int32Array> => {
          for (let i = 0; i < 6; i++) {
            device.scope(() => {
              device.sample(device.upload(logits, [1, 200]), sampler, { ...NO_SAMPLING, temperature: 0, presencePenalty: 100 }, ring, i);
            });
          }
          return device.readIds(ring, 0, 6);
        };
        sampler.reset(Int32Array.of());
        expectSame(await walk(), ranking.slice(0, 6), 'presence penalty over draws');
        sampler.reset(Int32Array.of(ranking[0]!));
        expectSame(await walk(), ranking.slice(1, 7), 'presence penalty after reset');
        sampler.free();
        device.free(ring);
      });

      test('mask', async () => {
        const logits = random(73).normals(77, 2);
        const mask = new Uint32Array(3);
        for (const id of [1, 4, 31, 32, 40, 76]) mask[id >> 5]! |= 1 << (id & 31);
        await sameDraws('mask', logits, NO_SAMPLING, INDICES, [], mask);
        await sameDraws('mask and top-k', logits, { ...NO_SAMPLING, topK: 2, repetitionPenalty: 1.3 }, INDICES, [4, 5], mask);
        const only = new Uint32Array(3);
        only[2] = 1 << 12;
        expect(await sampled(device, logits, { temperature: 0 }, { mask: only })).toBe(76);
        expect(await sampled(device, logits, { temperature: 0 }, { mask: new Uint32Array(3) })).toBe(-1);
        // NaN behind the mask does not count; the mask can be taken off again.
        const damaged = logits.slice();
        damaged[2] = NaN;
        expect(await sampled(device, damaged, { temperature: 0 }, { mask: only })).toBe(76);
      });

      test('NaN, or nothing above minus infinity, gives -1 and no crash', async () => {
        for (const vocabulary of [33, 5000]) {
          for (const at of [0, 32, vocabulary - 1]) {
            const logits = random(74).normals(vocabulary);
            logits[at] = NaN;
            expect(await sampled(device, logits, { temperature: 0 })).toBe(-1);
            expect(await sampled(device, logits, { temperature: 0.8, topK: 10, topP: 0.9 })).toBe(-1);
          }
          expect(await sampled(device, new Float32Array(vocabulary).fill(-Infinity), {})).toBe(-1);
          const one = new Float32Array(vocabulary).fill(-Infinity);
          one[20] = -5;
          expect(await sampled(device, one, {})).toBe(20);
          expect(await sampled(device, one, { temperature: 0, repetitionPenalty: 2 }, { seen: [0, 20] })).toBe(20);
        }
      });

      test('seeds: the same draws again, others with another', async () => {
        const logits = random(75).normals(500, 0.5);
        const draws = async (seed: number): Promise<number[]> => {
          const out: number[] = [];
          for (const index of INDICES) out.push(await sampled(device, logits, { seed }, { index }));
          return out;
        };
        const first = await draws(1);
        expect(await draws(1)).toEqual(first);
        expect(await draws(2)).not.toEqual(first);
      });

      test('the id drawn feeds the next step on the device', async () => {
        const r = random(76);
        const table = matrix(r, 'table', 'Q8_0', [64, 32]);
        const head = matrix(r, 'head', 'F32', [64, 32]);
        const chain = async (backend: Backend): Promise<Int32Array> => {
          const [t, h] = [await put(backend, table), await put(backend, head)];
          const ring = backend.ids(20);
          const sampler = backend.sampler(64);
          backend.writeIds(ring, 0, Int32Array.of(17));
          for (let i = 0; i < 19; i++) {
            backend.scope(() => {
              backend.sample(backend.linear(backend.embed(t, ring, i, 1), [h]), sampler, { ...NO_SAMPLING, temperature: 0, presencePenalty: 100 }, ring, i + 1);
            });
            backend.flush();
          }
          const ids = await backend.readIds(ring, 0, 20);
          for (const weight of [t, h]) weight.free();
          backend.free(ring);
          sampler.free();
          return ids;
        };
        expectSame(await chain(device), await chain(truth), '19 steps of embed, linear, sample');
      });
    });

    describe('what does not fit is refused before anything runs, naming operation and tensor', () => {
      const cases: [string, RegExp, (b: Backend, w: Record<'w' | 'n' | 'bias' | 'other', Weight>, x: Tensor, view: KvView, ring: Tensor) => unknown][] = [
        ['linear: columns of x', /linear/, (b, { w }) => b.linear(b.upload(new Float32Array(48), [1, 48]), [w])],
        ['linear: residual', /linear.*residual/s, (b, { w }, x) => b.linear(x, [w], { residual: b.upload(new Float32Array(48), [1, 48]) })],
        ['linear: bias', /linear.*bias/s, (b, { w, n }, x) => b.linear(x, [w], { bias: [n] })],
        ['linear: norm', /linear.*bias/s, (b, { w, bias }, x) => b.linear(x, [w], { norm: { kind: 'rms', weight: bias, epsilon: 1 } })],
        ['linear: ids', /linear/, (b, { w }, _x, _view, ring) => b.linear(ring, [w])],
        ['gatedMlp: gate and up', /gatedMlp/, (b, { w, other }, x) => b.gatedMlp(x, w, other, { activation: 'silu' })],
        ['norm', /norm/, (b, { bias }, x) => b.norm(x, { kind: 'rms', weight: bias, epsilon: 1 })],
        ['embed: beyond the ring', /embed/, (b, { w }, _x, _view, ring) => b.embed(w, ring, 3, 2)],
        ['embed: not ids', /embed/, (b, { w }, x) => b.embed(w, x, 0, 1)],
        ['rows: beyond x', /rows/, (b, _w, x) => b.rows(x, 1, 2)],
        ['ropeAppend: columns', /ropeAppend/, (b, _w, x, view) => b.ropeAppend(x, view, 0, 0, { heads: 3, rope: rope(32, 'half') })],
        ['ropeAppend: beyond the view', /ropeAppend/, (b, _w, _x, view) => b.ropeAppend(b.upload(new Float32Array(96), [1, 96]), view, 0, 32, { heads: 1, rope: rope(32, 'half') })],
        ['ropeAppend: layer', /ropeAppend/, (b, _w, _x, view) => b.ropeAppend(b.upload(new Float32Array(96), [1, 96]), view, 1, 0, { heads: 1, rope: rope(32, 'half') })],
        ['attention: columns', /attention/, (b, _w, x, view) => b.attention(x, view, 0, 0, denseCausal(2, 2), { heads: 1, scale: 1 })],
        ['attention: ranges', /attention/, (b, _w, x, view) => b.attention(x, view, 0, 0, { ...denseCausal(2, 2), queryBlock: 1 }, { heads: 2, scale: 1 })],
        ['sample: logits', /sample/, (b, _w, x, _view, ring) => b.sample(x, b.sampler(64), NO_SAMPLING, ring, 0)],
        ['sample: ring', /sample/, (b, _w, _x, _view, ring) => b.sample(b.upload(new Float32Array(64), [1, 64]), b.sampler(64), NO_SAMPLING, ring, 4)],
        ['upload', /upload/, (b) => b.upload(new Float32Array(3), [2, 2])],
        ['writeIds', /writeIds/, (b, _w, _x, _view, ring) => b.writeIds(ring, 3, Int32Array.of(1, 2))],
        ['mask', /mask/, (b) => b.sampler(64).mask(new Uint32Array(1))],
        ['weight: columns that are no multiple of the block', /weight/, (b) => b.weight({ name: 'odd', shape: [2, 48], format: 'Q8_0' })],
      ];
      test.each(cases)('%s', async (_what, message, act) => {
        const r = random(81);
        const data = { w: matrix(r, 'w', 'Q8_0', [40, 64]), n: vector(r, 'norm', 64), bias: vector(r, 'bias', 40), other: matrix(r, 'other', 'Q8_0', [41, 64]) };
        const w = { w: await put(device, data.w), n: await put(device, data.n), bias: await put(device, data.bias), other: await put(device, data.other) };
        const view = shuffledView(r, device, { layers: 1, kvHeads: 1, headDim: 32, format: 'f32' }, 1);
        const ring = device.ids(4);
        let thrown: unknown;
        try {
          device.scope(() => {
            act(device, w, device.upload(new Float32Array(128), [2, 64]), view, ring);
          });
        } catch (error) {
          thrown = error;
        }
        expect(thrown).toBeInstanceOf(InputError);
        expect((thrown as InputError).message).toMatch(message);
        for (const weight of Object.values(w)) weight.free();
        view.pool.free();
        device.free(ring);
      });

      test('a weight takes no more bytes than it has', async () => {
        const spec = { name: 'w', shape: [2, 32], format: 'Q8_0' } as const;
        const writer = device.weight(spec);
        await expect(writer.write(new Uint8Array(weightBytes(spec) + 1))).rejects.toThrow(FileError);
        writer.abort();
      });
    });

    test('a whole decoder layer', async () => {
      const [hidden, heads, kvHeads, headDim, mlp] = [128, 4, 2, 32, 192];
      const r = random(91);
      const weights = [
        matrix(r, 'q', 'F32', [heads * headDim, hidden]), matrix(r, 'k', 'F32', [kvHeads * headDim, hidden]), matrix(r, 'v', 'F32', [kvHeads * headDim, hidden]),
        matrix(r, 'o', 'F32', [hidden, heads * headDim]), matrix(r, 'gate', 'F32', [mlp, hidden]), matrix(r, 'up', 'F32', [mlp, hidden]), matrix(r, 'down', 'F32', [hidden, mlp]),
        vector(r, 'n1', hidden), vector(r, 'n2', hidden),
      ];
      const x = r.normals(34 * hidden);
      const layer = (b: Backend, [q, k, v, o, gate, up, down, n1, n2]: Weight[], view: KvView, start: number, count: number): Tensor => {
        const input = b.upload(x.subarray(start * hidden, (start + count) * hidden), [count, hidden]);
        const query = b.ropeAppend(b.linear(input, [q!, k!, v!], { norm: { kind: 'rms', weight: n1!, epsilon: 1e-5 } }), view, 0, start, { heads, rope: rope(headDim, 'half') });
        const seen = b.attention(query, view, 0, start, denseCausal(count, start + count), { heads, scale: headDim ** -0.5 });
        const mid = b.linear(seen, [o!], { residual: input });
        return b.linear(b.gatedMlp(mid, gate!, up!, { norm: { kind: 'rms', weight: n2!, epsilon: 1e-5 }, activation: 'silu' }), [down!], { residual: mid });
      };
      const withView = (body: (b: Backend, w: Weight[], view: KvView) => Tensor) => (b: Backend, w: Weight[]): Tensor => {
        const view = shuffledView(random(92), b, { layers: 1, kvHeads, headDim, format: 'f32' }, 2);
        const out = body(b, w, view);
        view.pool.free();
        return out;
      };
      await same('decoder layer, 34 tokens at once', TOLERANCE.reduction, weights, withView((b, w, view) => layer(b, w, view, 0, 34)));
      const stepped = withView((b, w, view) => {
        layer(b, w, view, 0, 31);
        layer(b, w, view, 31, 1);
        layer(b, w, view, 32, 1);
        return layer(b, w, view, 33, 1);
      });
      await same('decoder layer, 31 tokens, then one by one', TOLERANCE.reduction, weights, stepped);
      const whole = await run(device, weights, withView((b, w, view) => b.rows(layer(b, w, view, 0, 34), 33, 1)));
      expectClose(await run(device, weights, stepped), whole, 1e-4, 'one by one against at once');
    });
  });
}
