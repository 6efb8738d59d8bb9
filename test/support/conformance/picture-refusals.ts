/** What does not fit the operations of pictures is refused, by operation, before anything runs. */
import { describe, test } from '@jest/globals';
import type { Backend, Conv2dOptions, PictureOperations, Tensor, Weight } from '../../../src/backend/backend.ts';
import { random } from '../random.ts';
import { matrix, put, vector, type Subject } from './harness.ts';

const around = (n: number): readonly [number, number, number, number] => [n, n, n, n];

export function pictureRefusals(subject: Subject): void {
  describe('pictures: what does not fit is refused, naming the operation', () => {
    type Held = Record<'w' | 'v8' | 'v40', Weight>;
    const conv = { height: 3, width: 2, kernel: 3, padding: around(1) } as const;
    const tensor = (b: Backend, ...shape: number[]): Tensor =>
      b.upload(new Float32Array(shape.reduce((p, n) => p * n, 1)), shape);
    const convolve = (b: Backend, p: PictureOperations, w: Weight, options: Partial<Conv2dOptions>, rows = 6): Tensor =>
      p.conv2d(tensor(b, rows, 8), w, { ...conv, ...options });
    const denoise = (
      b: Backend,
      p: PictureOperations,
      x: number[],
      predicted: number[],
      noise: number[],
      guidance?: number,
    ): Tensor =>
      p.denoise(tensor(b, ...x), tensor(b, ...predicted), tensor(b, ...noise), {
        prediction: 'eps',
        alpha: 1,
        sigma: 1,
        x0FromX: 1,
        x0FromEps: 1,
        meanFromX0: 1,
        meanFromX: 1,
        lowLogVariance: 0,
        highLogVariance: 0,
        noiseScale: 1,
        ...(guidance === undefined ? {} : { guidance }),
      });
    const cases: [string, RegExp, (b: Backend, w: Held, p: PictureOperations) => unknown][] = [
      ['take: beyond x', /take/, (b) => b.take(tensor(b, 3, 2), Int32Array.of(0, 3))],
      ['take: below -1', /take/, (b) => b.take(tensor(b, 3, 2), Int32Array.of(-2))],
      ['take: nothing', /take/, (b) => b.take(tensor(b, 3, 2), new Int32Array(0))],
      ['take: not a matrix', /take/, (b) => b.take(tensor(b, 3), Int32Array.of(0))],
      ['fold: no multiple', /fold: 3 rows/, (b) => b.fold(tensor(b, 3, 4), 2)],
      ['fold: by nothing', /fold/, (b) => b.fold(tensor(b, 3, 4), 0)],
      ['stack: nothing', /stack/, (b) => b.stack([])],
      ['stack: widths', /stack/, (b) => b.stack([tensor(b, 2, 3), tensor(b, 2, 4)])],
      ['add: widths', /add/, (b) => b.add(tensor(b, 2, 3), tensor(b, 2, 4))],
      ['add: rows', /add/, (b) => b.add(tensor(b, 3, 4), tensor(b, 2, 4))],
      [
        'modulate: rows',
        /modulat/,
        (b) => b.modulate(tensor(b, 3, 4), { modulation: tensor(b, 2, 8), shift: 0, scale: 4, epsilon: 1 }),
      ],
      [
        'modulate: shift',
        /modulat/,
        (b) => b.modulate(tensor(b, 3, 4), { modulation: tensor(b, 3, 8), shift: 5, scale: 4, epsilon: 1 }),
      ],
      [
        'modulate: scale',
        /modulat/,
        (b) => b.modulate(tensor(b, 3, 4), { modulation: tensor(b, 3, 8), shift: 0, scale: -1, epsilon: 1 }),
      ],
      [
        'modulate: weight alone',
        /modulat/,
        (b, { v8 }) =>
          b.modulate(tensor(b, 3, 8), { modulation: tensor(b, 3, 16), shift: 0, scale: 8, epsilon: 1, weight: v8 }),
      ],
      [
        'modulate: weight',
        /modulat/,
        (b, { v8, v40 }) =>
          b.modulate(tensor(b, 3, 8), {
            modulation: tensor(b, 3, 16),
            shift: 0,
            scale: 8,
            epsilon: 1,
            weight: v40,
            bias: v8,
          }),
      ],
      ['gatedAdd: y', /gatedAdd/, (b) => b.gatedAdd(tensor(b, 3, 4), tensor(b, 1, 4), tensor(b, 3, 4), 0)],
      [
        'gatedAdd: rows of the gate',
        /gatedAdd/,
        (b) => b.gatedAdd(tensor(b, 3, 4), tensor(b, 3, 4), tensor(b, 1, 4), 0),
      ],
      ['gatedAdd: column', /gatedAdd/, (b) => b.gatedAdd(tensor(b, 3, 4), tensor(b, 3, 4), tensor(b, 3, 4), 1)],
      ['moments: groups', /moments/, (b, _, p) => p.moments([tensor(b, 3, 8)], 3, 1)],
      ['moments: no groups', /moments/, (b, _, p) => p.moments([tensor(b, 3, 8)], 0, 1)],
      ['moments: nothing', /moments/, (_b, _w, p) => p.moments([], 1, 1)],
      ['moments: widths', /moments/, (b, _, p) => p.moments([tensor(b, 3, 8), tensor(b, 3, 4)], 2, 1)],
      [
        'groupNorm: moments',
        /groupNorm.*moments/s,
        (b, { v8 }, p) => p.groupNorm(tensor(b, 3, 8), { moments: tensor(b, 3, 2), weight: v8, bias: v8 }),
      ],
      [
        'groupNorm: moments of one column',
        /groupNorm.*moments/s,
        (b, { v8 }, p) => p.groupNorm(tensor(b, 3, 8), { moments: tensor(b, 2, 1), weight: v8, bias: v8 }),
      ],
      [
        'groupNorm: weight',
        /groupNorm/,
        (b, { v8, v40 }, p) => p.groupNorm(tensor(b, 3, 8), { moments: tensor(b, 2, 2), weight: v40, bias: v8 }),
      ],
      [
        'groupNorm: bias',
        /groupNorm/,
        (b, { v8, v40 }, p) => p.groupNorm(tensor(b, 3, 8), { moments: tensor(b, 2, 2), weight: v8, bias: v40 }),
      ],
      ['conv2d: rows of x', /conv2d/, (b, { w }, p) => convolve(b, p, w, {}, 5)],
      ['conv2d: columns of the weight', /conv2d/, (b, { w }, p) => convolve(b, p, w, { kernel: 2 })],
      ['conv2d: kernel of none', /conv2d/, (b, { w }, p) => convolve(b, p, w, { kernel: 0, padding: around(0) })],
      ['conv2d: kernel beyond 7', /conv2d/, (b, { w }, p) => convolve(b, p, w, { kernel: 8 })],
      [
        'conv2d: padding as wide as the kernel',
        /conv2d.*padding/s,
        (b, { w }, p) => convolve(b, p, w, { padding: [1, 1, 3, 1] }),
      ],
      [
        'conv2d: padding below none',
        /conv2d.*padding/s,
        (b, { w }, p) => convolve(b, p, w, { padding: [1, -1, 1, 1] }),
      ],
      ['conv2d: a kernel wider than the picture', /conv2d/, (b, { w }, p) => convolve(b, p, w, { padding: around(0) })],
      ['conv2d: bias', /conv2d.*bias/s, (b, { w, v8 }, p) => convolve(b, p, w, { bias: v8 })],
      ['conv2d: residual', /conv2d.*residual/s, (b, { w }, p) => convolve(b, p, w, { residual: tensor(b, 5, 40) })],
      [
        'conv2d: moments',
        /conv2d.*moments/s,
        (b, { w, v8 }, p) => convolve(b, p, w, { norm: { moments: tensor(b, 3, 2), weight: v8, bias: v8 } }),
      ],
      [
        'conv2d: norm',
        /conv2d/,
        (b, { w, v8, v40 }, p) => convolve(b, p, w, { norm: { moments: tensor(b, 2, 2), weight: v8, bias: v40 } }),
      ],
      ['denoise: rows without guidance', /denoise.*predicted/s, (b, _, p) => denoise(b, p, [3, 4], [6, 8], [3, 4])],
      ['denoise: rows with guidance', /denoise.*predicted/s, (b, _, p) => denoise(b, p, [3, 4], [3, 8], [3, 4], 2)],
      ['denoise: columns', /denoise.*predicted/s, (b, _, p) => denoise(b, p, [3, 4], [3, 4], [3, 4])],
      ['denoise: noise', /denoise.*noise/s, (b, _, p) => denoise(b, p, [3, 4], [3, 8], [3, 8])],
    ];
    test.each(cases)('%s', (_what, message, act) =>
      subject.refused(message, async (b) => {
        const r = random(82);
        const pictures = await b.pictureOperations();
        const w: Held = {
          w: await put(b, matrix(r, 'w', 'F32', [40, 72])),
          v8: await put(b, vector(r, 'v8', 8)),
          v40: await put(b, vector(r, 'v40', 40)),
        };
        try {
          b.scope(() => {
            act(b, w, pictures);
          });
        } finally {
          for (const weight of Object.values(w)) weight.free();
        }
      }),
    );
  });
}
