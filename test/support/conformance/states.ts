/** Layers that carry a state from token to token: results and states against the f64 loops, refusals, and the same bits however the tokens are divided into calls. */
import { beforeAll, describe, test } from '@jest/globals';
import type { Backend, StateOperations, Tensor, Weight } from '../../../src/backend/backend.ts';
import { random } from '../random.ts';
import { expectNmse, expectSame, TOLERANCE } from '../tolerance.ts';
import { matrix, put, run, vector, type Subject } from './harness.ts';

/** `both`: which of an operation's two results. */
const pick = (pair: readonly [Tensor, Tensor], both: number): Tensor => (both === 0 ? pair[0] : pair[1]);

const CONV_SHAPES: readonly {
  readonly t: number;
  readonly channels: number;
  readonly taps: number;
  readonly gated: boolean;
  readonly more: number;
  readonly known: boolean;
}[] = [
  { t: 1, channels: 4, taps: 3, gated: true, more: 0, known: true },
  { t: 1, channels: 68, taps: 4, gated: false, more: 8, known: true },
  { t: 2, channels: 32, taps: 4, gated: false, more: 0, known: false },
  { t: 3, channels: 260, taps: 3, gated: true, more: 4, known: false },
  { t: 37, channels: 36, taps: 2, gated: false, more: 5, known: true },
  { t: 70, channels: 64, taps: 4, gated: true, more: 3, known: true },
];

const DELTA_SHAPES: readonly {
  readonly t: number;
  readonly keyHeads: number;
  readonly valueHeads: number;
  readonly keyDim: number;
  readonly valueDim: number;
  readonly tiled: boolean;
  readonly column: number;
  readonly known: boolean;
}[] = [
  { t: 1, keyHeads: 2, valueHeads: 4, keyDim: 8, valueDim: 8, tiled: false, column: 0, known: true },
  { t: 1, keyHeads: 1, valueHeads: 1, keyDim: 128, valueDim: 128, tiled: false, column: 0, known: true },
  { t: 2, keyHeads: 2, valueHeads: 6, keyDim: 4, valueDim: 12, tiled: true, column: 7, known: false },
  { t: 17, keyHeads: 3, valueHeads: 3, keyDim: 20, valueDim: 40, tiled: true, column: 1, known: true },
  { t: 66, keyHeads: 2, valueHeads: 4, keyDim: 32, valueDim: 16, tiled: true, column: 0, known: false },
  { t: 131, keyHeads: 1, valueHeads: 2, keyDim: 64, valueDim: 36, tiled: false, column: 4, known: true },
];

type DeltaShape = Omit<(typeof DELTA_SHAPES)[number], 't' | 'column' | 'known'>;

const widths = ({ keyHeads, valueHeads, keyDim, valueDim }: DeltaShape): readonly [qkv: number, rest: number] => [
  2 * keyHeads * keyDim + valueHeads * valueDim,
  valueHeads * (valueDim + 2),
];

function deltaWeights(seed: number, { valueHeads, valueDim }: DeltaShape) {
  const r = random(seed);
  return [
    vector(r, 'decay', valueHeads, -0.6, 0.15),
    vector(r, 'time bias', valueHeads, 0.2, 0.8),
    vector(r, 'norm', valueDim),
  ];
}

const deltaSpec = (shape: DeltaShape, [decay, timeBias, norm]: readonly Weight[]) => ({
  ...shape,
  decay: decay!,
  timeBias: timeBias!,
  norm: { kind: 'rms' as const, weight: norm!, epsilon: 1e-6 },
});

export function states(subject: Subject): void {
  describe('states', () => {
    const operations = new Map<Backend, StateOperations>();
    beforeAll(async () => {
      for (const b of [subject.device, subject.truth]) operations.set(b, await b.stateOperations());
    });

    test.each(CONV_SHAPES)(
      'shortConv of $t tokens, $channels channels, $taps taps, gated: $gated, state: $known',
      async ({ t, channels, taps, gated, more, known }) => {
        const r = random(31 + t + channels);
        const cols = (gated ? 3 : 1) * channels + more;
        const x = r.normals(t * cols);
        const state = r.normals((taps - 1) * channels);
        const weight = vector(r, 'conv', taps * channels, 0, 0.7);
        for (const both of [0, 1])
          await subject.same(
            `shortConv: ${both === 0 ? 'result' : 'state'}`,
            TOLERANCE.reduction,
            [weight],
            (b, [kernel]) =>
              pick(
                operations
                  .get(b)!
                  .shortConv(
                    b.upload(x, [t, cols]),
                    kernel!,
                    taps,
                    known ? b.upload(state, [taps - 1, channels]) : undefined,
                    gated ? { gated } : { activation: 'silu' },
                  ),
                both,
              ),
          );
      },
    );

    test.each(DELTA_SHAPES)(
      'deltaRule of $t tokens, $keyHeads/$valueHeads heads of $keyDim and $valueDim, tiled: $tiled, state: $known',
      async ({ t, column, known, ...shape }) => {
        const r = random(41 + t);
        const [width, own] = widths(shape);
        const cols = column + own + 3;
        const qkv = r.normals(t * (width + 4));
        const rest = r.normals(t * cols);
        const size = [shape.valueHeads * shape.keyDim, shape.valueDim] as const;
        const state = r.normals(size[0] * size[1]);
        for (const both of [0, 1])
          await subject.same(
            `deltaRule: ${both === 0 ? 'result' : 'state'}`,
            TOLERANCE.reduction,
            deltaWeights(t, shape),
            (b, weights) =>
              pick(
                operations
                  .get(b)!
                  .deltaRule(
                    b.upload(qkv, [t, width + 4]),
                    b.upload(rest, [t, cols]),
                    column,
                    known ? b.upload(state, size) : undefined,
                    deltaSpec(shape, weights),
                  ),
                both,
              ),
          );
      },
    );

    test('gates far from 0: what is forgotten, and what is kept, exactly', async () => {
      const shape = { keyHeads: 1, valueHeads: 3, keyDim: 8, valueDim: 8, tiled: false };
      const r = random(51);
      const [width, own] = widths(shape);
      const t = 40;
      const qkv = r.normals(t * width);
      const rest = r.normals(t * own);
      for (let i = 0; i < t; i++) rest.set([-60, 60, 0, -90, 40, -12], i * own + 24);
      for (const both of [0, 1])
        await subject.same('deltaRule', TOLERANCE.reduction, deltaWeights(3, shape), (b, weights) =>
          pick(
            operations
              .get(b)!
              .deltaRule(b.upload(qkv, [t, width]), b.upload(rest, [t, own]), 0, undefined, deltaSpec(shape, weights)),
            both,
          ),
        );
    });

    test('products with a gate alone', async () => {
      const r = random(61);
      const [t, cols] = [5, 24];
      const y = r.normals(t * cols);
      const gate = r.normals(t * (cols + 3));
      await subject.same('gatedAdd without x', TOLERANCE.reduction, [], (b) =>
        b.gatedAdd(undefined, b.upload(y, [t, cols]), b.upload(gate, [t, cols + 3]), 3),
      );
    });

    test('the sigmoid of a product', async () => {
      const r = random(62);
      const x = r.normals(3 * 64, 4);
      await subject.same('sigmoid', TOLERANCE.reduction, [matrix(r, 'w', 'F32', [40, 64])], (b, [w]) =>
        b.linear(b.upload(x, [3, 64]), [w!], { activation: 'sigmoid' }),
      );
    });

    test('one call or many: the same result, on the CPU engine to the bit', async () => {
      const { device } = subject;
      const shape = { keyHeads: 2, valueHeads: 4, keyDim: 32, valueDim: 40, tiled: true };
      const r = random(71);
      const t = 75;
      const [width, own] = widths(shape);
      const x = r.normals(t * (width + own));
      const weights = await Promise.all(
        [vector(r, 'conv', 4 * width, 0, 0.6), ...deltaWeights(9, shape)].map((data) => put(device, data)),
      );
      const [kernel, ...others] = weights;
      const read = async (pieces: readonly number[]): Promise<Float32Array[]> => {
        let [columns, state]: (Tensor | undefined)[] = [];
        const rows: Float32Array[] = [];
        for (let from = 0, i = 0; from < t; i++) {
          const count = Math.min(pieces[i % pieces.length]!, t - from);
          const made = device.scope(() => {
            const part = device.upload(x.slice(from * (width + own), (from + count) * (width + own)), [
              count,
              width + own,
            ]);
            const [mixed, columnsAfter] = operations
              .get(device)!
              .shortConv(part, kernel!, 4, columns, { activation: 'silu' });
            const [out, after] = operations.get(device)!.deltaRule(mixed, part, width, state, deltaSpec(shape, others));
            return [out, columnsAfter, after];
          });
          for (const old of [columns, state]) if (old) device.free(old);
          [, columns, state] = made;
          rows.push(await device.download(made[0]!));
          device.free(made[0]!);
          from += count;
        }
        const last = [columns!, state!];
        const kept = await Promise.all(last.map((tensor) => device.download(tensor)));
        for (const tensor of last) device.free(tensor);
        return [Float32Array.from(rows.flatMap((row) => [...row])), ...kept];
      };
      const wanted = await read([t]);
      for (const pieces of [[1], [2, 1], [7, 33], [64]]) {
        const found = await read(pieces);
        for (const [i, values] of found.entries()) {
          const what = `in pieces of ${pieces.join(', ')}: ${['result', 'columns', 'state'][i]}`;
          if (device.kind === 'wasm') expectSame(values, wanted[i]!, what);
          else expectNmse(values, wanted[i]!, TOLERANCE.reduction, what);
        }
      }
      for (const weight of weights) weight.free();
    });

    const x = (b: Backend): Tensor => b.upload(new Float32Array(2 * 96), [2, 96]);
    const shape = { keyHeads: 1, valueHeads: 2, keyDim: 8, valueDim: 8, tiled: false };
    const cases: [string, RegExp, (b: Backend, weights: Weight[]) => unknown][] = [
      [
        'shortConv: taps',
        /shortConv: 1 taps/,
        (b, [, , , conv]) => operations.get(b)!.shortConv(x(b), conv!, 1, undefined),
      ],
      [
        'shortConv: weight',
        /channels of 5 taps/,
        (b, [, , , conv]) => operations.get(b)!.shortConv(x(b), conv!, 5, undefined),
      ],
      [
        'shortConv: columns',
        /shortConv: x has 96 columns; 48 channels need 144/,
        (b, [, , , conv]) => operations.get(b)!.shortConv(x(b), conv!, 2, undefined, { gated: true }),
      ],
      ['shortConv: state', /shortConv.*state/, (b, [, , , conv]) => operations.get(b)!.shortConv(x(b), conv!, 2, x(b))],
      [
        'deltaRule: heads',
        /deltaRule: 2 value heads on 3 key heads/,
        (b, w) => operations.get(b)!.deltaRule(x(b), x(b), 0, undefined, deltaSpec({ ...shape, keyHeads: 3 }, w)),
      ],
      [
        'deltaRule: head size',
        /keyDim is 6/,
        (b, w) => operations.get(b)!.deltaRule(x(b), x(b), 0, undefined, deltaSpec({ ...shape, keyDim: 6 }, w)),
      ],
      [
        'deltaRule: qkv',
        /qkv has 96 columns; q, k and v need 144/,
        (b, w) => operations.get(b)!.deltaRule(x(b), x(b), 0, undefined, deltaSpec({ ...shape, keyDim: 64 }, w)),
      ],
      [
        'deltaRule: rest',
        /columns \[80, 100\)/,
        (b, w) => operations.get(b)!.deltaRule(x(b), x(b), 80, undefined, deltaSpec(shape, w)),
      ],
      [
        'deltaRule: state',
        /deltaRule.*state/,
        (b, w) => operations.get(b)!.deltaRule(x(b), x(b), 0, x(b), deltaSpec(shape, w)),
      ],
    ];
    test.each(cases)('refuses %s', async (_what, message, act) => {
      const r = random(81);
      const data = [...deltaWeights(1, shape), vector(r, 'conv', 96)];
      await subject.refused(message, (b) =>
        run(b, data, (backend, weights) => {
          act(backend, weights);
          return x(backend);
        }),
      );
    });
  });
}
