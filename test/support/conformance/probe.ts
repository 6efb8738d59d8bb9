/** Contract 5: attention mass by key and by span; and what pages hold, decoded or as means. */
import { describe, expect, test } from '@jest/globals';
import type { Backend, KvFormat, KvSpec, Ranges, Tensor } from '../../../src/backend/backend.ts';
import { bidirectional, denseCausal, slidingWindow } from '../../../src/kv/ranges.ts';
import { random } from '../random.ts';
import { expectNmse, TOLERANCE } from '../tolerance.ts';
import type { Subject } from './harness.ts';
import { mixedView, sparseRuns, type MixedView } from './mixed.ts';

interface ProbeCall {
  readonly queries: number;
  readonly position: number;
  readonly ranges: Ranges;
  readonly spans?: Uint32Array;
}

export function probe(subject: Subject): void {
  /** Runs `body` over the same pages on both, downloads its tensors and compares them. */
  async function same(
    what: string,
    spec: KvSpec,
    blocks: number,
    formats: readonly KvFormat[],
    body: (b: Backend, view: MixedView) => readonly Tensor[],
  ): Promise<Float32Array[]> {
    const program = async (b: Backend): Promise<{ shape: readonly number[]; values: Float32Array }[]> => {
      const view = mixedView(random(blocks * 100 + spec.headDim), b, spec, blocks, formats);
      const tensors = b.scope(() => body(b, view));
      const found: { shape: readonly number[]; values: Float32Array }[] = [];
      for (const tensor of tensors) {
        found.push({ shape: [...tensor.shape], values: await b.download(tensor) });
        b.free(tensor);
      }
      view.pool.free();
      return found;
    };
    const wanted = await subject.once(() => program(subject.truth));
    const found = await program(subject.device);
    found.forEach(({ shape, values }, i) => {
      expect(shape).toEqual(wanted[i]!.shape);
      expectNmse(
        values,
        wanted[i]!.values,
        TOLERANCE.reduction,
        `${what}, ${spec.kvHeads} KV heads of ${spec.headDim}, ${formats.join('+')}, result ${i}`,
      );
    });
    return found.map(({ values }) => values);
  }

  async function sameProbe(
    what: string,
    spec: KvSpec,
    heads: number,
    formats: readonly KvFormat[],
    calls: readonly ProbeCall[],
  ): Promise<Float32Array[]> {
    const blocks = Math.ceil(Math.max(...calls.map(({ queries, position }) => queries + position)) / 32);
    return same(what, spec, blocks, formats, (b, view) => {
      const r = random(3 * heads + spec.headDim);
      return calls.map(({ queries, position, ranges, spans }) => {
        const q = b.upload(r.normals(queries * heads * spec.headDim), [queries, heads * spec.headDim]);
        return b.probe(q, view, spec.layers - 1, position, ranges, {
          heads,
          scale: 0.7 / Math.sqrt(spec.headDim),
          ...(spans && { spans }),
        });
      });
    });
  }

  describe('probe', () => {
    test.each([
      [4, 2, 32],
      [14, 2, 64],
      [2, 2, 80],
      [2, 1, 128],
      [1, 1, 256],
    ])(
      '%i/%i heads of %i: keys and spans, causal, both ways, windows, runs, biases',
      async (heads, kvHeads, headDim) => {
        const r = random(heads);
        const spec: KvSpec = { layers: 2, kvHeads, headDim, format: 'f32' };
        const spans = Uint32Array.of(40, 70, 0, 3, 3, 3, 10, 64, 69, 96, 0, 96);
        const found = await sameProbe(
          'probe',
          spec,
          heads,
          ['f32', 'q8', 'q4', 'q2'],
          [
            { queries: 7, position: 60, ranges: denseCausal(7, 67) },
            { queries: 33, position: 0, ranges: denseCausal(33, 33) },
            { queries: 1, position: 69, ranges: denseCausal(1, 70) },
            { queries: 6, position: 64, ranges: bidirectional(6, 70), spans },
            { queries: 6, position: 64, ranges: denseCausal(6, 70), spans },
            { queries: 20, position: 50, ranges: slidingWindow(20, 50, 16, 2) },
            { queries: 11, position: 50, ranges: sparseRuns(r, 11, 50, kvHeads) },
            { queries: 11, position: 50, ranges: sparseRuns(r, 11, 50, kvHeads, { biased: true }), spans },
          ],
        );
        // Every query's mass is one: so are the heads' means, and what the last span, which holds all, receives.
        for (const call of [0, 1, 2]) {
          const keys = found[call]!.length / heads;
          for (let h = 0; h < heads; h++)
            expect(found[call]!.subarray(h * keys, (h + 1) * keys).reduce((a, b) => a + b, 0)).toBeCloseTo(1, 5);
        }
        for (const call of [3, 4]) for (let h = 0; h < heads; h++) expect(found[call]![h * 6 + 5]).toBeCloseTo(1, 5);
        for (let h = 0; h < heads; h++) expect(found[3]![h * 6 + 2]).toBe(0);
      },
    );

    test('f16 pages, and each closed format by itself', async () => {
      for (const formats of [['f16'], ['f16', 'q4'], ['q8'], ['q4'], ['q2']] as KvFormat[][]) {
        const spec: KvSpec = { layers: 1, kvHeads: 2, headDim: 64, format: formats.includes('f16') ? 'f16' : 'f32' };
        await sameProbe('probe', spec, 4, formats, [
          { queries: 5, position: 60, ranges: denseCausal(5, 65) },
          { queries: 1, position: 80, ranges: denseCausal(1, 81), spans: Uint32Array.of(0, 40, 40, 81) },
        ]);
      }
    });

    test('queries that see nothing count as zeros', async () => {
      const none: Ranges = {
        queryBlock: 2,
        shared: true,
        causal: true,
        offsets: Uint32Array.of(0, 0, 1),
        runs: Uint32Array.of(0, 34),
      };
      const [found] = await sameProbe(
        'probe',
        { layers: 1, kvHeads: 1, headDim: 32, format: 'f32' },
        2,
        ['f32'],
        [{ queries: 4, position: 30, ranges: none }],
      );
      const keys = found!.length / 2;
      expect(keys).toBe(34);
      for (let h = 0; h < 2; h++)
        expect(found!.subarray(h * keys, (h + 1) * keys).reduce((a, b) => a + b, 0)).toBeCloseTo(0.5, 5);
    });

    test('more than a thousand keys', async () => {
      await sameProbe(
        'probe',
        { layers: 1, kvHeads: 2, headDim: 32, format: 'f32' },
        4,
        ['f32', 'q4'],
        [
          { queries: 1, position: 1090, ranges: denseCausal(1, 1091) },
          { queries: 1, position: 1090, ranges: sparseRuns(random(7), 1, 1090, 2, { biased: true }) },
          {
            queries: 1,
            position: 1090,
            // No key of the first split, three that lie alone, and a tail that is no multiple of four.
            ranges: {
              ...denseCausal(1, 1091),
              offsets: Uint32Array.of(0, 4),
              runs: Uint32Array.of(600, 601, 603, 604, 700, 701, 1050, 1087),
            },
            spans: Uint32Array.of(0, 512, 500, 604, 0, 1087),
          },
          {
            queries: 4,
            position: 1090,
            ranges: denseCausal(4, 1094),
            spans: Uint32Array.from({ length: 70 }, (_, i) => 16 * i - 8 * (i % 2)).map((v, i) =>
              i % 2 === 1 ? v + 20 : v,
            ),
          },
        ],
      );
    });
  });

  describe('what pages hold', () => {
    test.each([
      [2, 32],
      [1, 80],
      [3, 20],
      [1, 256],
    ])('%i KV heads of %i: decoded rows and means of spans, zeros in holes', async (kvHeads, headDim) => {
      for (const formats of [['f32', 'q8', 'q4', 'q2'], ['f16', 'q2'], ['f16']] as KvFormat[][]) {
        const spec: KvSpec = { layers: 2, kvHeads, headDim, format: formats[0] as 'f32' | 'f16' };
        await same('cached and spanMeans', spec, 4, formats, (b, view) => {
          // Block 2 of the last head of layer 1 is a hole.
          view.table[(2 * kvHeads - 1) * 4 + 2] = -1;
          view.version++;
          const spans = Uint32Array.of(0, 4, 1, 5, 30, 70, 64, 96, 5, 5, 127, 128, 0, 128);
          return (['keys', 'values'] as const).flatMap((part) => [
            b.cached(view, 0, part, 0, 128),
            b.cached(view, 1, part, 31, 33),
            b.cached(view, 1, part, 60, 100),
            b.cached(view, 1, part, 127, 128),
            b.spanMeans(view, 1, part, spans),
            b.spanMeans(view, 0, part, Uint32Array.of(33, 34)),
          ]);
        });
      }
    });

    test('means of many spans', async () => {
      const spans = new Uint32Array(2 * 500);
      for (let i = 0; i < 500; i++) spans.set([i, Math.min(512, i + 4)], 2 * i);
      await same('spanMeans', { layers: 1, kvHeads: 2, headDim: 32, format: 'f32' }, 16, ['f32', 'q4'], (b, view) => [
        b.spanMeans(view, 0, 'keys', spans),
        b.spanMeans(view, 0, 'values', Uint32Array.of(0, 512, 100, 400)),
      ]);
    });

    test.each([1, 3, 64, 130])('means of rows of %i columns', async (cols) => {
      const r = random(cols);
      const x = r.normals(300 * cols);
      await subject.same(`rowMeans of ${cols} columns`, TOLERANCE.reduction, [], (b) =>
        b.rowMeans(b.upload(x, [300, cols]), Uint32Array.of(0, 128, 128, 256, 256, 300, 7, 7, 299, 300, 0, 300, 5, 6)),
      );
    });
  });

  describe('what probing refuses', () => {
    const q = (b: Backend): Tensor => b.upload(new Float32Array(32), [1, 32]);
    const cases: [string, (b: Backend, view: MixedView) => unknown][] = [
      [
        'probe: spans without an end',
        (b, view) => b.probe(q(b), view, 0, 63, denseCausal(1, 64), { heads: 1, scale: 1, spans: Uint32Array.of(0) }),
      ],
      [
        'probe: a span that ends before it begins',
        (b, view) =>
          b.probe(q(b), view, 0, 63, denseCausal(1, 64), { heads: 1, scale: 1, spans: Uint32Array.of(5, 4) }),
      ],
      ['probe: heads', (b, view) => b.probe(q(b), view, 0, 63, denseCausal(1, 64), { heads: 2, scale: 1 })],
      ['probe: layer', (b, view) => b.probe(q(b), view, 1, 63, denseCausal(1, 64), { heads: 1, scale: 1 })],
      [
        'probe: offsets',
        (b, view) =>
          b.probe(
            q(b),
            view,
            0,
            63,
            { ...denseCausal(1, 64), offsets: Uint32Array.of(0, 1, 1) },
            { heads: 1, scale: 1 },
          ),
      ],
      ['cached: beyond the view', (b, view) => b.cached(view, 0, 'keys', 0, 65)],
      ['cached: backwards', (b, view) => b.cached(view, 0, 'keys', 5, 4)],
      ['cached: layer', (b, view) => b.cached(view, -1, 'keys', 0, 4)],
      ['spanMeans: beyond the view', (b, view) => b.spanMeans(view, 0, 'values', Uint32Array.of(60, 65))],
      ['spanMeans: spans', (b, view) => b.spanMeans(view, 0, 'values', Uint32Array.of(6, 5))],
      ['rowMeans: beyond x', (b) => b.rowMeans(q(b), Uint32Array.of(0, 2))],
      ['rowMeans: ids', (b) => b.rowMeans(b.ids(4), Uint32Array.of(0, 2))],
    ];
    test.each(cases)('%s', (what, act) =>
      subject.refused(new RegExp(what.slice(0, what.indexOf(':'))), (b) => {
        const view = mixedView(random(17), b, { layers: 1, kvHeads: 1, headDim: 32, format: 'f32' }, 2, ['f32']);
        try {
          b.scope(() => void act(b, view));
        } finally {
          view.pool.free();
        }
      }),
    );
  });
}
