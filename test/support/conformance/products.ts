/** Embedding, products, gated MLP, norms and row copies; and a whole decoder layer. */
import { describe, expect, test } from '@jest/globals';
import type { Activation, Backend, KvView, Tensor, Weight } from '../../../src/backend/backend.ts';
import { WEIGHT_FORMATS, type WeightFormat } from '../../../src/backend/weight.ts';
import { denseCausal } from '../../../src/kv/ranges.ts';
import { dequantise } from '../../reference/dequantise.ts';
import { random } from '../random.ts';
import { expectClose, expectNmse, expectSame, productTolerance, TOLERANCE } from '../tolerance.ts';
import { FORMATS, matrix, put, rope, run, shuffledView, vector, type Subject } from './harness.ts';

export function products(subject: Subject): void {
  describe('embed', () => {
    test.each(FORMATS)('%s rows', async (format) => {
      const cols = WEIGHT_FORMATS[format].block === 256 ? 512 : 96;
      const r = random(11);
      const ids = Int32Array.from({ length: 33 }, () => r.integer(0, 37));
      await subject.same(
        `embed ${format} [37, ${cols}]`,
        TOLERANCE.reduction,
        [matrix(r, 'table', format, [37, cols])],
        (b, [table]) => {
          const ring = b.ids(40);
          b.writeIds(ring, 5, ids);
          const out = b.embed(table!, ring, 5, 33);
          b.free(ring);
          return out;
        },
      );
    });
    test('rows times a factor', async () => {
      const r = random(13);
      for (const [format, cols] of [
        ['F32', 33],
        ['Q4_0', 96],
        ['Q4_K', 256],
      ] as const) {
        const table = matrix(r, 'table', format, [37, cols]);
        const what = `embed ${format} [37, ${cols}] times 25.3`;
        await subject.same(what, TOLERANCE.reduction, [table], (b, [weight]) => {
          const ring = b.ids(3);
          b.writeIds(ring, 0, Int32Array.of(36, 0, 5));
          const out = b.embed(weight!, ring, 0, 3, 25.3);
          b.free(ring);
          return out;
        });
      }
    });
    test.each(FORMATS)('rows of a table in %s that a device may leave elsewhere', async (format) => {
      const cols = WEIGHT_FORMATS[format].block * 3;
      const table = { ...matrix(random(14), 'table', format, [300, cols]), rowsOnly: true };
      await subject.same(`embed ${format} [300, ${cols}], rows only`, TOLERANCE.reduction, [table], (b, [weight]) => {
        const ring = b.ids(64);
        b.writeIds(
          ring,
          3,
          Int32Array.from({ length: 40 }, (_, i) => (i * 71) % 300),
        );
        const out = b.embed(weight!, ring, 3, 40, 0.5);
        b.free(ring);
        return out;
      });
    });
    test.each([false, true])('ids that are none do no harm (rows only: %s)', async (rowsOnly) => {
      const table = { ...matrix(random(12), 'table', 'Q8_0', [37, 64]), rowsOnly };
      const weight = await put(subject.device, table);
      const ring = subject.device.ids(3);
      subject.device.writeIds(ring, 0, Int32Array.of(-1, 3, 1 << 30));
      const rows = subject.device.scope(() => subject.device.embed(weight, ring, 0, 3));
      const values = await subject.device.download(rows);
      expectNmse(
        values.subarray(64, 128),
        dequantise('Q8_0', table.bytes, 37 * 64).subarray(192, 256),
        TOLERANCE.reduction,
        'embed beside ids that are none',
      );
      subject.device.free(rows);
      subject.device.free(ring);
      weight.free();
    });
  });

  describe('linear', () => {
    async function plain(format: WeightFormat, t: number, rows: number, cols: number): Promise<void> {
      const r = random(t * 7 + rows * 3 + cols);
      const few = t * rows < 24;
      const data = r.normals(t * cols);
      const x = few ? data.map(Math.abs) : data;
      await subject.same(
        `linear ${format}, x [${t}, ${cols}], weight [${rows}, ${cols}]`,
        productTolerance(format),
        [matrix(r, 'w', format, [rows, cols], few)],
        (b, [w]) => b.linear(b.upload(x, [t, cols]), [w!]),
      );
    }

    describe.each(FORMATS)('%s', (format) => {
      test('every number of tokens', async () => {
        for (const t of [1, 2, 3, 4, 5, 8, 31, 33, 64]) await plain(format, t, 40, 256);
      });
      test('awkward shapes', async () => {
        const wide = WEIGHT_FORMATS[format].block === 256;
        const shapes = wide
          ? [
              [1, 1, 256],
              [1, 3, 512],
              [5, 67, 768],
              [17, 129, 256],
              [2, 130, 1280],
            ]
          : [
              [1, 1, 32],
              [1, 3, 64],
              [5, 67, 96],
              [17, 129, 160],
              [2, 130, 896],
              [1, 257, 736],
              [65, 6, 32],
            ];
        for (const [t, rows, cols] of shapes) await plain(format, t!, rows!, cols!);
      });
    });

    test('formats of one value a block take any number of columns', async () => {
      for (const format of ['F32', 'F16', 'BF16'] as const) {
        for (const [t, rows, cols] of [
          [1, 1, 1],
          [1, 7, 3],
          [3, 5, 33],
          [2, 66, 127],
          [34, 9, 65],
        ])
          await plain(format, t!, rows!, cols!);
      }
    });

    test('values far apart: one large activation among small ones in another block', async () => {
      for (const format of ['Q8_0', 'Q4_0', 'Q4_K', 'Q6_K'] as const) {
        const r = random(21);
        const x = r.normals(3 * 512).map((v, i) => (i % 97 === 5 ? v * 30 : v));
        await subject.same(`linear ${format} with outliers`, 1e-3, [matrix(r, 'w', format, [64, 512])], (b, [w]) =>
          b.linear(b.upload(x, [3, 512]), [w!]),
        );
      }
      await subject.same('linear Q8_0 of zeros', 0, [matrix(random(22), 'w', 'Q8_0', [8, 64])], (b, [w]) =>
        b.linear(b.upload(new Float32Array(128), [2, 64]), [w!]),
      );
    });

    test('more rows than a grid has workgroups in one direction', async () => {
      const r = random(23);
      const table = matrix(r, 'head', 'Q8_0', [70001, 32]);
      for (const t of [1, 3]) {
        const x = r.normals(t * 32);
        await subject.same(`linear Q8_0, x [${t}, 32], weight [70001, 32]`, TOLERANCE.quantised, [table], (b, [w]) =>
          b.linear(b.upload(x, [t, 32]), [w!]),
        );
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
            const out = await run(subject.device, [data], (b, [w]) => b.linear(b.upload(x, [t, 512]), [w!]));
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
            await subject.same(what, allowed, weights, (b, [w0, w1, w2, b0, b1, b2, weight, bias]) =>
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
        await subject.same(`linear Q4_0 [${t}, 96] with bias`, TOLERANCE.quantised, weights, (b, [w, bias]) =>
          b.linear(b.upload(x, [t, 96]), [w!], { bias: [bias!] }),
        );
        await subject.same(`linear Q4_0 [${t}, 96] with residual`, TOLERANCE.quantised, weights, (b, [w]) =>
          b.linear(b.upload(x, [t, 96]), [w!], { residual: b.upload(residual, [t, 70]) }),
        );
        await subject.same(`linear Q4_0 [${t}, 96] with silu`, TOLERANCE.quantised, weights, (b, [w]) =>
          b.linear(b.upload(x, [t, 96]), [w!], { activation: 'silu' }),
        );
        await subject.same(`linear Q4_0 [${t}, 96] with a soft cap`, TOLERANCE.quantised, weights, (b, [w]) =>
          b.linear(b.upload(x, [t, 96]), [w!], { activation: 'tanh', scale: 0.7 }),
        );
        await subject.same(`linear Q4_0 [${t}, 96] with tanh`, TOLERANCE.quantised, weights, (b, [w]) =>
          b.linear(b.upload(x, [t, 96]), [w!], { activation: 'tanh' }),
        );
        await subject.same(`linear Q4_0 [${t}, 96] with norm`, TOLERANCE.quantised, weights, (b, [w, , n]) =>
          b.linear(b.upload(x, [t, 96]), [w!], { norm: { kind: 'rms', weight: n!, epsilon: 1e-5 } }),
        );
        await subject.same(`linear Q4_0 [${t}, 96] with a factor`, TOLERANCE.quantised, weights, (b, [w]) =>
          b.linear(b.upload(x, [t, 96]), [w!], { scale: 0.22 }),
        );
        await subject.same(`linear Q4_0 [${t}, 96] with all`, TOLERANCE.quantised, weights, (b, [w, bias, n]) =>
          b.linear(b.upload(x, [t, 96]), [w!], {
            norm: { kind: 'rms', weight: n!, epsilon: 1e-5 },
            bias: [bias!],
            activation: 'geluTanh',
            scale: -3.5,
            residual: b.upload(residual, [t, 70]),
          }),
        );
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
      const weights = [
        matrix(r, 'gate', gate, [rows, cols]),
        matrix(r, 'up', up, [rows, cols]),
        vector(r, 'norm', cols),
      ];
      for (const t of [1, 2, 31, 33]) {
        const x = r.normals(t * cols, 2);
        for (const normed of t < 3 ? [true, false] : [t === 31]) {
          const what = `gatedMlp ${gate}/${up} [${rows}, ${cols}], x [${t}, ${cols}], ${activation}${normed ? ', rms norm' : ''}`;
          await subject.same(what, allowed, weights, (b, [g, u, n]) =>
            b.gatedMlp(b.upload(x, [t, cols]), g!, u!, {
              activation,
              ...(normed ? { norm: { kind: 'rms', weight: n!, epsilon: 1e-5 } } : {}),
            }),
          );
        }
      }
    });
  });

  describe('norm and rows', () => {
    test.each([
      [1, 1],
      [1, 64],
      [2, 63],
      [5, 896],
      [33, 130],
      [64, 257],
      [1, 4096],
    ])('norm of [%i, %i]', async (t, cols) => {
      const r = random(t + cols);
      // Far from zero, so that a variance by the difference of two sums would show.
      const x = r.normals(t * cols).map((v) => v + 20);
      const weights = [vector(r, 'weight', cols), vector(r, 'bias', cols, 0, 1)];
      await subject.same(`rms norm [${t}, ${cols}]`, TOLERANCE.reduction, weights, (b, [w]) =>
        b.norm(b.upload(x, [t, cols]), { kind: 'rms', weight: w!, epsilon: 1e-5 }),
      );
      if (cols > 1) {
        await subject.same(`layer norm [${t}, ${cols}]`, TOLERANCE.reduction, weights, (b, [w, bias]) =>
          b.norm(b.upload(x, [t, cols]), { kind: 'layer', weight: w!, bias: bias!, epsilon: 1e-5 }),
        );
      }
      const residual = r.normals(t * cols, 5);
      await subject.same(`rms norm [${t}, ${cols}] and a residual`, TOLERANCE.reduction, weights, (b, [w]) =>
        b.norm(b.upload(x, [t, cols]), { kind: 'rms', weight: w!, epsilon: 1e-5 }, b.upload(residual, [t, cols])),
      );
      const small = x.map((v) => (v - 20) * 1e-4);
      await subject.same(`rms norm [${t}, ${cols}] where epsilon counts`, TOLERANCE.reduction, weights, (b, [w]) =>
        b.norm(b.upload(small, [t, cols]), { kind: 'rms', weight: w!, epsilon: 1e-6 }),
      );
    });

    test.each([
      [1, 3, 32],
      [5, 2, 96],
      [17, 35, 8],
    ])('norm of [%i, %i parts of %i], each on its own', async (t, parts, cols) => {
      const r = random(t + cols);
      const size = t * parts * cols;
      const [x, residual] = [r.normals(size), r.normals(size, 5)];
      const shape = [t, parts * cols];
      await subject.same(`rms norm in ${parts} parts`, TOLERANCE.reduction, [vector(r, 'w', cols)], (b, [w]) =>
        b.norm(b.upload(x, shape), { kind: 'rms', weight: w!, epsilon: 1e-5 }, b.upload(residual, shape), 0.3),
      );
      await subject.same(`scaled, without a residual`, TOLERANCE.reduction, [vector(r, 'w', cols)], (b, [w]) =>
        b.norm(b.upload(x, shape), { kind: 'rms', weight: w!, epsilon: 1e-5 }, undefined, -2),
      );
    });

    test('rows are a copy', async () => {
      const data = random(41).normals(9 * 67);
      for (const [start, count] of [
        [0, 9],
        [0, 1],
        [8, 1],
        [3, 4],
      ] as const) {
        const out = subject.device.scope(() => subject.device.rows(subject.device.upload(data, [9, 67]), start, count));
        expect(out.shape).toEqual([count, 67]);
        expectSame(
          await subject.device.download(out),
          data.subarray(start * 67, (start + count) * 67),
          `rows [${start}, ${start + count}) of [9, 67]`,
        );
        subject.device.free(out);
      }
    });
  });

  test('a whole decoder layer', async () => {
    const [hidden, heads, kvHeads, headDim, mlp] = [128, 4, 2, 32, 192];
    const r = random(91);
    const weights = [
      matrix(r, 'q', 'F32', [heads * headDim, hidden]),
      matrix(r, 'k', 'F32', [kvHeads * headDim, hidden]),
      matrix(r, 'v', 'F32', [kvHeads * headDim, hidden]),
      matrix(r, 'o', 'F32', [hidden, heads * headDim]),
      matrix(r, 'gate', 'F32', [mlp, hidden]),
      matrix(r, 'up', 'F32', [mlp, hidden]),
      matrix(r, 'down', 'F32', [hidden, mlp]),
      vector(r, 'n1', hidden),
      vector(r, 'n2', hidden),
    ];
    const x = r.normals(34 * hidden);
    const layer = (
      b: Backend,
      [q, k, v, o, gate, up, down, n1, n2]: Weight[],
      view: KvView,
      start: number,
      count: number,
    ): Tensor => {
      const input = b.upload(x.subarray(start * hidden, (start + count) * hidden), [count, hidden]);
      const query = b.ropeAppend(
        b.linear(input, [q!, k!, v!], { norm: { kind: 'rms', weight: n1!, epsilon: 1e-5 } }),
        view,
        0,
        start,
        { heads, rope: rope(headDim, 'half') },
      );
      const seen = b.attention(query, view, 0, start, denseCausal(count, start + count), {
        heads,
        scale: headDim ** -0.5,
      });
      const mid = b.linear(seen, [o!], { residual: input });
      return b.linear(
        b.gatedMlp(mid, gate!, up!, { norm: { kind: 'rms', weight: n2!, epsilon: 1e-5 }, activation: 'silu' }),
        [down!],
        { residual: mid },
      );
    };
    const withView =
      (body: (b: Backend, w: Weight[], view: KvView) => Tensor) =>
      (b: Backend, w: Weight[]): Tensor => {
        const view = shuffledView(random(92), b, { layers: 1, kvHeads, headDim, format: 'f32' }, 2);
        const out = body(b, w, view);
        view.pool.free();
        return out;
      };
    await subject.same(
      'decoder layer, 34 tokens at once',
      TOLERANCE.reduction,
      weights,
      withView((b, w, view) => layer(b, w, view, 0, 34)),
    );
    const stepped = withView((b, w, view) => {
      layer(b, w, view, 0, 31);
      layer(b, w, view, 31, 1);
      layer(b, w, view, 32, 1);
      return layer(b, w, view, 33, 1);
    });
    await subject.same('decoder layer, 31 tokens, then one by one', TOLERANCE.reduction, weights, stepped);
    const whole = await run(
      subject.device,
      weights,
      withView((b, w, view) => b.rows(layer(b, w, view, 0, 34), 33, 1)),
    );
    expectClose(await run(subject.device, weights, stepped), whole, 1e-4, 'one by one against at once');
  });
}
