/**
 * Pages in five formats: their bytes, conversion to the bit, and attention over tables that mix them.
 * The file is long because all cases share the contents of the pages and their reference.
 */
import { describe, expect, test } from '@jest/globals';
import {
  KV_FORMATS,
  pageNumber,
  type Backend,
  type KvFormat,
  type KvSpec,
  type Ranges,
} from '../../../src/backend/backend.ts';
import { checkRanges } from '../../../src/backend/page-checks.ts';
import { bidirectional, denseCausal, slidingWindow } from '../../../src/kv/ranges.ts';
import { encodePage, pageSize } from '../../reference/pages.ts';
import { random } from '../random.ts';
import { expectNmse, expectSame, TOLERANCE } from '../tolerance.ts';
import { codeTolerance, rope, type Subject } from './harness.ts';
import { mixedView, pageValues, sparseRuns } from './mixed.ts';

const DIMENSIONS = [8, 20, 32, 64, 72, 80, 128, 256];

export function pages(subject: Subject): void {
  const pool = (b: Backend, headDim: number, format: 'f32' | 'f16' = 'f32') =>
    b.kvPool({ layers: 1, kvHeads: 1, headDim, format });

  describe('pages in seven formats', () => {
    test.each(DIMENSIONS)('heads of %i: sizes, and bytes come back as they were written', async (headDim) => {
      const r = random(headDim);
      const { kv: held } = subject.device.memory();
      const memory = pool(subject.device, headDim);
      for (const format of KV_FORMATS) {
        expect(memory.pageBytes(format)).toBe(pageSize(format, headDim));
        expect(memory.pages(format)).toBe(0);
        memory.reserve(3, format);
        expect(memory.pages(format)).toBeGreaterThanOrEqual(3);
      }
      const list = KV_FORMATS.flatMap((format) => [pageNumber(format, 2), pageNumber(format, 0)]);
      const bytes = list.map((_, i) => encodePage(KV_FORMATS[i >> 1]!, headDim, pageValues(r, headDim)));
      const all = Uint8Array.from(bytes.flatMap((part) => [...part]));
      const written = all.slice();
      memory.write(Int32Array.from(list), written);
      written.fill(0xff);
      expectSame(await memory.read(Int32Array.from(list)), all, 'read after write');
      // In another order, some only, and unchanged by growth.
      for (const format of KV_FORMATS) memory.reserve(40, format);
      const some = [7, 0, 4];
      expectSame(
        await memory.read(Int32Array.from(some, (i) => list[i]!)),
        some.flatMap((i) => [...bytes[i]!]),
        'read of some pages after growth',
      );
      for (const [i, format] of KV_FORMATS.entries()) memory.copy(pageNumber(format, 2), pageNumber(format, 1 + i));
      expectSame(
        await memory.read(Int32Array.from(KV_FORMATS, (format, i) => pageNumber(format, 1 + i))),
        KV_FORMATS.flatMap((_, i) => [...bytes[2 * i]!]),
        'copies',
      );
      expect(await memory.read(new Int32Array(0))).toHaveLength(0);
      // What is left keeps its bytes; what grows anew can be written.
      for (const [i, format] of KV_FORMATS.entries()) {
        memory.shrink(3 + i, format);
        expect(memory.pages(format)).toBe(3 + i);
        expect(() => memory.copy(pageNumber(format, 3 + i), pageNumber(format, 0))).toThrow(/copy/);
        memory.reserve(40, format);
        memory.copy(pageNumber(format, 2), pageNumber(format, 39));
      }
      expectSame(
        await memory.read(Int32Array.from(KV_FORMATS, (format) => pageNumber(format, 39))),
        KV_FORMATS.flatMap((_, i) => [...bytes[2 * i]!]),
        'pages after shrinking and growing',
      );
      for (const format of KV_FORMATS) memory.shrink(0, format);
      expect(subject.device.memory().kv).toBe(held);
      memory.free();
    });

    const converted = async (
      b: Backend,
      headDim: number,
      steps: readonly KvFormat[],
      values: readonly Float64Array[],
    ): Promise<Uint8Array[]> => {
      const memory = pool(b, headDim, steps[0] as 'f32' | 'f16');
      const found: Uint8Array[] = [];
      const at = (format: KvFormat, step: number): Int32Array =>
        Int32Array.from(values, (_, i) => pageNumber(format, step * values.length + values.length - 1 - i));
      for (const [step, format] of steps.entries()) {
        memory.reserve((step + 1) * values.length, format);
        if (step === 0)
          memory.write(at(format, step), Uint8Array.from(values.flatMap((v) => [...encodePage(format, headDim, v)])));
        else memory.convert(at(steps[step - 1]!, step - 1), at(format, step));
        found.push(await memory.read(at(format, step)));
      }
      memory.free();
      return found;
    };
    const PATHS: readonly (readonly KvFormat[])[] = [
      ['f32', 'q8', 'q4', 'q2', 'f32'],
      ['f32', 'q4', 'f32', 'q4'],
      ['f32', 'q2', 'f16'],
      ['f32', 'f16', 'q8'],
      ['f16', 'q8', 'f16', 'q4'],
      ['f16', 'q4', 'q2', 'q8'],
      ['f16', 'q2', 'f32'],
      ['f32', 'k8v4', 'k4v2', 'f16'],
      ['f16', 'k4v2', 'q4', 'k8v4'],
    ];
    test.each(DIMENSIONS)('heads of %i: conversions give the same bytes on every backend', async (headDim) => {
      const r = random(1000 + headDim);
      const values = [pageValues(r, headDim), pageValues(r, headDim)];
      // Wide heads differ in their groups and rows only.
      for (const path of headDim > 80 ? PATHS.slice(0, 1) : PATHS) {
        const wanted = await subject.once(() => converted(subject.truth, headDim, path, values));
        const found = await converted(subject.device, headDim, path, values);
        found.forEach((bytes, i) =>
          expectSame(bytes, wanted[i]!, `bytes after ${path.slice(0, i + 1).join(' -> ')}, heads of ${headDim}`),
        );
      }
    });

    test('conversions at the edges: constants, ties, ranges beyond f16', async () => {
      const headDim = 32;
      const r = random(7);
      const constant = new Float64Array(64 * headDim).fill(-1.75);
      // Whole steps and half steps between 0 and 255 (15, 3): codes are exact, and halves are rounded up.
      const ties = Float64Array.from({ length: 64 * headDim }, (_, i) =>
        i % 37 === 0 ? 0 : i % 41 === 0 ? 255 : r.integer(0, 511) / 2,
      );
      const far = Float64Array.from({ length: 64 * headDim }, () => Math.fround(1e5 * r.normal()));
      const zero = new Float64Array(64 * headDim);
      for (const path of [
        ['f32', 'q8', 'f32'],
        ['f32', 'q4', 'f32'],
        ['f32', 'q2', 'q4'],
      ] as const) {
        const wanted = await subject.once(() => converted(subject.truth, headDim, path, [constant, ties, far, zero]));
        const found = await converted(subject.device, headDim, path, [constant, ties, far, zero]);
        found.forEach((bytes, i) => expectSame(bytes, wanted[i]!, `edges, ${path.slice(0, i + 1).join(' -> ')}`));
      }
    });

    test('what is no number stays seen', async () => {
      const headDim = 32;
      const values = pageValues(random(8), headDim);
      values[5 * headDim + 7] = NaN;
      values[(32 + 9) * headDim + 1] = NaN;
      for (const format of ['q8', 'q4', 'q2', 'k8v4', 'k4v2'] as const) {
        const [, , bytes] = await converted(subject.device, headDim, ['f32', format, 'f32'], [values]);
        const back = new Float32Array(bytes!.slice().buffer);
        // All of the key's channel, and all of the value's group, and no others.
        back.forEach((v, i) =>
          expect(Number.isNaN(v)).toBe(i < 32 * headDim ? i % headDim === 7 : Math.floor(i / headDim) === 41),
        );
      }
    });
  });

  /** Attention over the same pages and queries on both; `ranges` by queries, position and KV heads. */
  async function sameAttention(
    what: string,
    spec: KvSpec,
    heads: number,
    formats: readonly KvFormat[],
    calls: readonly { readonly queries: number; readonly position: number; readonly ranges: Ranges }[],
  ): Promise<void> {
    const blocks = Math.ceil(Math.max(...calls.map(({ queries, position }) => queries + position)) / 32);
    const program = async (b: Backend): Promise<Float32Array[]> => {
      const r = random(blocks * 1000 + spec.headDim);
      const view = mixedView(r, b, spec, blocks, formats);
      const found: Float32Array[] = [];
      for (const { queries, position, ranges } of calls) {
        checkRanges('test', ranges, { queryCount: queries, kvHeads: spec.kvHeads, keyCount: position + queries });
        const q = r.normals(queries * heads * spec.headDim);
        const out = b.scope(() =>
          b.attention(b.upload(q, [queries, heads * spec.headDim]), view, spec.layers - 1, position, ranges, {
            heads,
            scale: 0.5 / Math.sqrt(spec.headDim),
          }),
        );
        found.push(await b.download(out));
        b.free(out);
      }
      view.pool.free();
      return found;
    };
    const wanted = await subject.once(() => program(subject.truth));
    const found = await program(subject.device);
    found.forEach((values, i) =>
      expectNmse(
        values,
        wanted[i]!,
        formats.every((format) => ['f32', 'f16'].includes(format))
          ? TOLERANCE.reduction
          : codeTolerance(subject.device),
        `${what}, ${heads}/${spec.kvHeads} heads of ${spec.headDim}, ${formats.join('+')}, call ${i}`,
      ),
    );
  }

  describe('attention over pages of', () => {
    const SETS: readonly (readonly KvFormat[])[] = [
      ...KV_FORMATS.map((format) => [format]),
      ['f32', 'q8', 'q4', 'q2'],
      ['f16', 'q8', 'q4', 'q2'],
      ['f16', 'q4'],
      ['f32', 'k8v4', 'k4v2'],
    ];
    test.each(SETS.map((formats) => ({ formats, name: formats.join(' and ') })))('$name', async ({ formats }) => {
      const format = formats.includes('f16') ? 'f16' : 'f32';
      for (const [heads, kvHeads, headDim] of [
        [4, 2, 32],
        [2, 2, 80],
        [3, 1, 64],
      ] as const) {
        const spec: KvSpec = { layers: 2, kvHeads, headDim, format };
        await sameAttention('causal', spec, heads, formats, [
          { queries: 70, position: 0, ranges: denseCausal(70, 70) },
          { queries: 1, position: 100, ranges: denseCausal(1, 101) },
          { queries: 9, position: 60, ranges: bidirectional(9, 69) },
        ]);
      }
    });

    test.each([
      [4, 2, 32],
      [2, 1, 64],
      [6, 2, 80],
      [2, 2, 128],
      [2, 1, 256],
    ])('%i/%i heads of %i: windows, runs of their own for each head, biases', async (heads, kvHeads, headDim) => {
      const r = random(headDim);
      const spec: KvSpec = { layers: 1, kvHeads, headDim, format: 'f32' };
      const biased = sparseRuns(r, 1, 99, kvHeads, { biased: true });
      await sameAttention(
        'runs',
        spec,
        heads,
        ['f32', 'q8', 'q4', 'q2'],
        [
          { queries: 20, position: 75, ranges: slidingWindow(20, 75, 33, 4) },
          { queries: 37, position: 50, ranges: sparseRuns(r, 37, 50, kvHeads) },
          { queries: 19, position: 50, ranges: sparseRuns(r, 19, 50, kvHeads, { biased: true }) },
          { queries: 1, position: 99, ranges: biased },
          { queries: 5, position: 40, ranges: { ...bidirectional(5, 45), bias: Float32Array.of(3) } },
        ],
      );
    });

    test('a bias of ln n makes a key count n times', async () => {
      const b = subject.device;
      const r = random(12);
      const view = mixedView(r, b, { layers: 1, kvHeads: 1, headDim: 32, format: 'f32' }, 1, ['f32']);
      const value = new Float32Array((await view.pool.read(view.table)).slice().buffer);
      const scores = [0.3, -0.2];
      const q = new Float32Array(32);
      // A query whose scores with keys 0 and 1 are as wanted: their least-norm solution.
      const [k0, k1] = [value.subarray(0, 32), value.subarray(32, 64)];
      const dot = (x: Float32Array, y: Float32Array): number => x.reduce((sum, v, i) => sum + v * y[i]!, 0);
      const [a, c, d] = [dot(k0, k0), dot(k0, k1), dot(k1, k1)];
      const [x, y] = [
        (scores[0]! * d - scores[1]! * c) / (a * d - c * c),
        (scores[1]! * a - scores[0]! * c) / (a * d - c * c),
      ];
      q.forEach((_, i) => (q[i] = x * k0[i]! + y * k1[i]!));
      const ranges: Ranges = {
        queryBlock: 1,
        shared: true,
        causal: true,
        offsets: Uint32Array.of(0, 2),
        runs: Uint32Array.of(0, 1, 1, 2),
        bias: Float32Array.of(Math.log(5), 0),
      };
      const found = await b.download(
        b.scope(() => b.attention(b.upload(q, [1, 32]), view, 0, 31, ranges, { heads: 1, scale: 1 })),
      );
      const [w0, w1] = [5 * Math.exp(scores[0]!), Math.exp(scores[1]!)];
      expectNmse(
        found,
        Float64Array.from({ length: 32 }, (_, i) => (w0 * value[1024 + i]! + w1 * value[1056 + i]!) / (w0 + w1)),
        TOLERANCE.reduction,
        'a weighted key',
      );
      view.pool.free();
    });

    test('more than a thousand keys, one query and a few', async () => {
      const r = random(13);
      for (const [heads, kvHeads, headDim, formats] of [
        [4, 2, 64, ['f32', 'q8', 'q4', 'q2']],
        [2, 1, 32, ['f16', 'q4']],
        [7, 1, 32, ['f32']],
      ] as const) {
        await sameAttention('long', { layers: 1, kvHeads, headDim, format: formats[0] }, heads, formats, [
          { queries: 1, position: 1090, ranges: denseCausal(1, 1091) },
          { queries: 3, position: 1050, ranges: denseCausal(3, 1053) },
          { queries: 1, position: 1100, ranges: sparseRuns(r, 1, 1100, kvHeads, { biased: true }) },
          { queries: 1, position: 1100, ranges: slidingWindow(1, 1100, 300, 7) },
        ]);
      }
    });

    test('holes that no range names are not read', async () => {
      const ranges: Ranges = {
        queryBlock: 1,
        shared: false,
        causal: true,
        offsets: Uint32Array.of(0, 2, 3),
        runs: Uint32Array.of(0, 32, 64, 90, 32, 90),
      };
      const program = async (b: Backend): Promise<Float32Array> => {
        const r = random(14);
        const view = mixedView(r, b, { layers: 1, kvHeads: 2, headDim: 32, format: 'f32' }, 3, ['f32', 'q4']);
        view.table[1] = -1;
        view.table[3] = -1;
        view.version++;
        const found = await b.download(
          b.scope(() => b.attention(b.upload(r.normals(64), [1, 64]), view, 0, 89, ranges, { heads: 2, scale: 0.2 })),
        );
        view.pool.free();
        return found;
      };
      expectNmse(
        await program(subject.device),
        await subject.once(() => program(subject.truth)),
        codeTolerance(subject.device),
        'attention around holes',
      );
    });

    test('converted and written pages are seen by what comes after, and not by what came before', async () => {
      const program = async (b: Backend): Promise<Float32Array[]> => {
        const r = random(15);
        const view = mixedView(r, b, { layers: 1, kvHeads: 1, headDim: 32, format: 'f32' }, 2, ['f32', 'q8']);
        const q = r.normals(32);
        const look = () =>
          b.keep(
            b.scope(() => b.attention(b.upload(q, [1, 32]), view, 0, 63, denseCausal(1, 64), { heads: 1, scale: 0.3 })),
          );
        const bytes = encodePage('q2', 32, pageValues(r, 32));
        const before = look();
        view.pool.reserve(2, 'q2');
        view.pool.write(Int32Array.of(pageNumber('q2', 1)), bytes);
        view.table[0] = pageNumber('q2', 1);
        const seen = { ...view, version: 2, formats: [...view.formats!, 'q2' as const] };
        const after = b.keep(
          b.scope(() => b.attention(b.upload(q, [1, 32]), seen, 0, 63, denseCausal(1, 64), { heads: 1, scale: 0.3 })),
        );
        const found = [await b.download(before), await b.download(after)];
        b.free(before);
        b.free(after);
        view.pool.free();
        return found;
      };
      const wanted = await subject.once(() => program(subject.truth));
      (await program(subject.device)).forEach((values, i) =>
        expectNmse(
          values,
          wanted[i]!,
          codeTolerance(subject.device),
          `attention ${['before', 'after'][i]} a page was replaced`,
        ),
      );
    });
  });

  describe('what pages refuse', () => {
    const made = (b: Backend) =>
      mixedView(random(16), b, { layers: 1, kvHeads: 1, headDim: 32, format: 'f32' }, 2, ['f32']);
    type Case = [string, (b: Backend, view: ReturnType<typeof made>) => unknown];
    const cases: Case[] = [
      ['convert: unequal numbers', (_, { pool, table }) => pool.convert(table, table.subarray(0, 1))],
      [
        'convert: no such page',
        (_, { pool, table }) => pool.convert(table.subarray(0, 1), Int32Array.of(pageNumber('q4', 0))),
      ],
      ['convert: a hole', (_, { pool, table }) => pool.convert(Int32Array.of(-1), table.subarray(0, 1))],
      ['copy: two formats', (_, { pool, table }) => (pool.reserve(1, 'q8'), pool.copy(table[0]!, pageNumber('q8', 0)))],
      ['copy: no such page', (_, { pool, table }) => pool.copy(table[0]!, 99)],
      [
        'convert: a page that is written twice',
        (_, { pool, table }) => (
          pool.reserve(1, 'q8'),
          pool.convert(table, Int32Array.of(pageNumber('q8', 0), pageNumber('q8', 0)))
        ),
      ],
      [
        'convert: a page that is read and written',
        (_, { pool, table }) => pool.convert(table, table.slice().reverse()),
      ],
      ['write: too few bytes', (_, { pool, table }) => pool.write(table, new Uint8Array(8192))],
      ['write: no such page', (_, { pool }) => pool.write(Int32Array.of(99), new Uint8Array(8192))],
      ['read: no such page', (_, { pool }) => pool.read(Int32Array.of(99))],
      [
        'attention: a hole in the ranges',
        (b, view) => (
          (view.table[0] = -1),
          view.version++,
          b.attention(b.upload(new Float32Array(32), [1, 32]), view, 0, 63, denseCausal(1, 64), { heads: 1, scale: 1 })
        ),
      ],
      [
        'attention: a page of a format that the view does not name',
        (b, view) => {
          view.pool.reserve(1, 'q8');
          view.table[1] = pageNumber('q8', 0);
          view.version++;
          return b.attention(b.upload(new Float32Array(32), [1, 32]), view, 0, 63, denseCausal(1, 64), {
            heads: 1,
            scale: 1,
          });
        },
      ],
      [
        'cached: a page beyond the pool',
        (b, view) => ((view.table[1] = pageNumber('f32', 99)), view.version++, b.cached(view, 0, 'keys', 0, 64)),
      ],
      [
        "attention: biases that are no run's",
        (b, view) =>
          b.attention(
            b.upload(new Float32Array(32), [1, 32]),
            view,
            0,
            63,
            { ...denseCausal(1, 64), bias: new Float32Array(2) },
            { heads: 1, scale: 1 },
          ),
      ],
      [
        'ropeAppend: a closed page',
        (b, view) => {
          view.pool.reserve(1, 'q8');
          view.table[0] = pageNumber('q8', 0);
          view.version++;
          return b.ropeAppend(b.upload(new Float32Array(96), [1, 96]), { ...view, formats: ['f32', 'q8'] }, 0, 5, {
            heads: 1,
            rope: rope(32, 'half'),
          });
        },
      ],
    ];
    test.each(cases)('%s', (what, act) =>
      subject.refused(new RegExp(what.slice(0, what.indexOf(':'))), async (b) => {
        const view = made(b);
        try {
          let result: unknown;
          b.scope(() => {
            result = act(b, view);
          });
          await result;
        } finally {
          view.pool.free();
        }
      }),
    );
  });
}
