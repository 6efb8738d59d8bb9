/**
 * The operations of image models: row moves and sums, adaptive norm, group norm, convolution and the denoising step.
 * The file is long because it is one suite, in the order of the contract.
 */
import { describe, expect, test } from '@jest/globals';
import type {
  Activation,
  Backend,
  DenoiseSpec,
  GroupNormSpec,
  PictureOperations,
  Tensor,
  Weight,
} from '../../../src/backend/backend.ts';
import type { WeightFormat } from '../../../src/backend/weight.ts';
import { random } from '../random.ts';
import { expectClose, expectNmse, expectSame, productTolerance, TOLERANCE } from '../tolerance.ts';
import { matrix, run, vector, type Subject } from './harness.ts';
import { pictureRefusals } from './picture-refusals.ts';

const NO_PADDING = [0, 0, 0, 0] as const;
const around = (n: number): readonly [number, number, number, number] => [n, n, n, n];

interface ConvCase {
  readonly what?: string;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly rows: number;
  readonly kernel: number;
  readonly stride?: 1 | 2;
  readonly padding?: readonly [number, number, number, number];
  readonly upsample?: boolean;
  /** With a group norm of so many groups before it. */
  readonly groups?: number;
  readonly normActivation?: Activation;
  readonly activation?: Activation;
  readonly bias?: boolean;
  readonly residual?: boolean;
}

const name = (it: ConvCase): string =>
  `${it.height} x ${it.width} x ${it.channels} -> ${it.rows}, kernel ${it.kernel}${it.stride === 2 ? ', stride 2' : ''}, padding ${(it.padding ?? around(it.kernel >> 1)).join()}` +
  `${it.upsample ? ', upsampled' : ''}${it.groups ? `, norm of ${it.groups} groups ${it.normActivation ?? ''}` : ''}${it.bias ? ', bias' : ''}` +
  `${it.activation ? `, ${it.activation}` : ''}${it.residual ? ', residual' : ''}`;

function outputs(it: ConvCase): number {
  const [top, right, bottom, left] = it.padding ?? around(it.kernel >> 1);
  const factor = it.upsample ? 2 : 1;
  const side = (length: number, pad: number): number =>
    Math.floor((length * factor + pad - it.kernel) / (it.stride ?? 1)) + 1;
  return side(it.height, top + bottom) * side(it.width, left + right);
}

/** Every format of block 32 can take the ones whose kernel * kernel * channels is a multiple of 32. */
const CONVOLUTIONS: readonly ConvCase[] = [
  { height: 1, width: 1, channels: 3, rows: 5, kernel: 1 },
  { height: 1, width: 1, channels: 32, rows: 5, kernel: 3, bias: true },
  { height: 1, width: 1, channels: 3, rows: 40, kernel: 3, upsample: true },
  { height: 5, width: 7, channels: 3, rows: 33, kernel: 3, bias: true },
  { height: 7, width: 5, channels: 16, rows: 8, kernel: 3, groups: 8, normActivation: 'silu', residual: true },
  { height: 7, width: 5, channels: 16, rows: 20, kernel: 1 },
  { height: 6, width: 6, channels: 16, rows: 17, kernel: 2, stride: 2, padding: NO_PADDING, bias: true },
  { height: 8, width: 9, channels: 8, rows: 24, kernel: 4, padding: [1, 2, 2, 1], groups: 1 },
  { height: 9, width: 6, channels: 32, rows: 48, kernel: 3, stride: 2, padding: [0, 1, 1, 0], bias: true },
  { height: 8, width: 8, channels: 64, rows: 33, kernel: 3, stride: 2, padding: [0, 1, 1, 0], groups: 32 },
  { height: 7, width: 9, channels: 32, rows: 16, kernel: 3, stride: 2 },
  { height: 4, width: 3, channels: 32, rows: 32, kernel: 3, upsample: true, bias: true },
  {
    height: 5,
    width: 4,
    channels: 64,
    rows: 16,
    kernel: 3,
    upsample: true,
    stride: 2,
    groups: 8,
    normActivation: 'silu',
  },
  { height: 3, width: 2, channels: 32, rows: 6, kernel: 1, upsample: true, bias: true },
  {
    height: 6,
    width: 7,
    channels: 32,
    rows: 17,
    kernel: 5,
    groups: 8,
    normActivation: 'gelu',
    activation: 'silu',
    bias: true,
    residual: true,
  },
  { height: 9, width: 8, channels: 32, rows: 9, kernel: 7, padding: [6, 0, 3, 1] },
  {
    height: 11,
    width: 13,
    channels: 96,
    rows: 64,
    kernel: 3,
    groups: 32,
    normActivation: 'silu',
    bias: true,
    residual: true,
  },
  {
    height: 6,
    width: 11,
    channels: 64,
    rows: 96,
    kernel: 1,
    groups: 32,
    normActivation: 'silu',
    bias: true,
    activation: 'geluTanh',
  },
  { height: 9, width: 7, channels: 96, rows: 70, kernel: 1, residual: true },
  { height: 6, width: 5, channels: 32, rows: 12, kernel: 1, stride: 2, groups: 1, normActivation: 'geluTanh' },
  { height: 1, width: 40, channels: 32, rows: 16, kernel: 3, padding: [1, 1, 1, 1], groups: 32 },
  { height: 23, width: 1, channels: 32, rows: 16, kernel: 3, padding: [2, 2, 0, 0] },
  // More output pixels than any backend computes at once.
  { height: 33, width: 37, channels: 32, rows: 16, kernel: 3, groups: 8, normActivation: 'silu', bias: true },
  { height: 50, width: 30, channels: 3, rows: 16, kernel: 3, bias: true },
];

interface Picture {
  readonly weights: readonly Weight[];
  readonly x: Float32Array;
  readonly residual: Float32Array;
}

function convolution(
  b: Backend,
  p: PictureOperations,
  it: ConvCase,
  { weights: [weight, bias, normWeight, normBias], x, residual }: Picture,
): Tensor {
  const picture = b.upload(x, [it.height * it.width, it.channels]);
  const norm: GroupNormSpec | undefined = it.groups
    ? {
        moments: p.moments([picture], it.groups, 1e-6),
        weight: normWeight!,
        bias: normBias!,
        ...(it.normActivation ? { activation: it.normActivation } : {}),
      }
    : undefined;
  return p.conv2d(picture, weight!, {
    height: it.height,
    width: it.width,
    kernel: it.kernel,
    padding: it.padding ?? around(it.kernel >> 1),
    ...(it.stride ? { stride: it.stride } : {}),
    ...(it.upsample ? { upsample: true } : {}),
    ...(norm ? { norm } : {}),
    ...(it.bias ? { bias: bias! } : {}),
    ...(it.activation ? { activation: it.activation } : {}),
    ...(it.residual ? { residual: b.upload(residual, [outputs(it), it.rows]) } : {}),
  });
}

export function pictures(subject: Subject): void {
  describe('take, stack, add', () => {
    test('take: rows in any order, again, and zeros for -1', async () => {
      for (const [t, cols] of [
        [1, 1],
        [9, 67],
        [40, 128],
        [300, 3],
      ] as const) {
        const r = random(t + cols);
        const data = r.normals(t * cols);
        for (const count of [1, 5, 270]) {
          const indices = Int32Array.from({ length: count }, () => r.integer(-1, t));
          const wanted = Float32Array.from(
            [...indices].flatMap((row) => [
              ...(row < 0 ? new Float32Array(cols) : data.subarray(row * cols, (row + 1) * cols)),
            ]),
          );
          const out = subject.device.scope(() => subject.device.take(subject.device.upload(data, [t, cols]), indices));
          expect(out.shape).toEqual([count, cols]);
          expectSame(await subject.device.download(out), wanted, `take ${count} of [${t}, ${cols}]`);
          subject.device.free(out);
        }
      }
    });

    test('take: indices may be reused at once', async () => {
      const { device } = subject;
      const indices = Int32Array.of(2, 0);
      const outs = device.scope(() => {
        const x = device.upload(Float32Array.of(1, 2, 3), [3, 1]);
        const first = device.take(x, indices);
        indices.set([1, 1]);
        return [first, device.take(x, indices)];
      });
      expectSame(await device.download(outs[0]!), Float32Array.of(3, 1), 'the first take');
      expectSame(await device.download(outs[1]!), Float32Array.of(2, 2), 'the second take');
      for (const out of outs) device.free(out);
    });

    test('stack', async () => {
      for (const cols of [1, 5, 64]) {
        for (const counts of [[3], [1, 1], [4, 1, 7], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]]) {
          const parts = counts.map((n, i) => random(i + cols).normals(n * cols));
          const out = subject.device.scope(() =>
            subject.device.stack(parts.map((part, i) => subject.device.upload(part, [counts[i]!, cols]))),
          );
          expect(out.shape).toEqual([counts.reduce((a, b) => a + b, 0), cols]);
          expectSame(
            await subject.device.download(out),
            Float32Array.from(parts.flatMap((part) => [...part])),
            `stack of ${counts.join()} rows of ${cols}`,
          );
          subject.device.free(out);
        }
      }
      const twice = subject.device.scope(() => {
        const x = subject.device.upload(Float32Array.of(4, 5), [1, 2]);
        return subject.device.stack([x, x]);
      });
      expectSame(await subject.device.download(twice), Float32Array.of(4, 5, 4, 5), 'stack of a tensor on itself');
      subject.device.free(twice);
    });

    test('fold: groups of rows side by side', async () => {
      for (const cols of [1, 5, 64]) {
        for (const count of [1, 2, 3, 16]) {
          const values = random(cols + count).normals(2 * count * cols);
          const out = subject.device.scope(() =>
            subject.device.fold(subject.device.upload(values, [2 * count, cols]), count),
          );
          expect(out.shape).toEqual([2, count * cols]);
          expectSame(await subject.device.download(out), values, `fold of ${cols} columns by ${count}`);
          subject.device.free(out);
        }
      }
    });

    test('add: row by row, or one row to all', async () => {
      for (const [t, cols] of [
        [1, 1],
        [1, 64],
        [7, 33],
        [130, 128],
      ] as const) {
        const r = random(t * 3 + cols);
        const a = r.normals(t * cols);
        for (const rows of [t, 1]) {
          const b = r.normals(rows * cols);
          for (const activation of [undefined, 'silu', 'gelu', 'geluTanh'] as const) {
            const program = (d: Backend): Tensor =>
              d.add(d.upload(a, [t, cols]), d.upload(b, [rows, cols]), activation);
            const what = `add [${t}, ${cols}] + [${rows}, ${cols}] ${activation ?? ''}`;
            if (activation) await subject.same(what, TOLERANCE.reduction, [], program);
            else
              expectClose(
                await run(subject.device, [], program),
                await subject.once(() => run(subject.truth, [], program)),
                TOLERANCE.elementwise,
                what,
              );
          }
        }
      }
    });
  });

  describe('modulate and gatedAdd', () => {
    const shapes = [
      [1, 1],
      [1, 64],
      [3, 33],
      [5, 1536],
      [66, 130],
    ] as const;
    test.each(shapes)('modulate [%i, %i]', async (t, cols) => {
      const r = random(t + cols);
      // Far from zero, so that a variance by the difference of two sums would show.
      const x = r.normals(t * cols).map((v) => v + 20);
      const weights = [vector(r, 'weight', cols), vector(r, 'bias', cols, 0, 1)];
      for (const [width, shift, scale] of [
        [2 * cols, 0, cols],
        [6 * cols + 1, 4 * cols, cols],
        [3 * cols, 2, 1],
      ] as const) {
        if (Math.max(shift, scale) + cols > width) continue;
        const modulation = r.normals(t * width);
        for (const affine of [false, true]) {
          await subject.same(
            `modulate [${t}, ${cols}], shift at ${shift}, scale at ${scale} of ${width}${affine ? ', affine' : ''}`,
            TOLERANCE.reduction,
            weights,
            (b, [weight, bias]) =>
              b.modulate(b.upload(x, [t, cols]), {
                modulation: b.upload(modulation, [t, width]),
                shift,
                scale,
                epsilon: 1e-6,
                ...(affine ? { weight: weight!, bias: bias! } : {}),
              }),
          );
        }
      }
    });

    test.each(shapes)('gatedAdd [%i, %i]', async (t, cols) => {
      const r = random(t * 5 + cols);
      const [x, y] = [r.normals(t * cols), r.normals(t * cols)];
      for (const [width, column] of [
        [cols, 0],
        [3 * cols, 2 * cols],
        [2 * cols + 3, 1],
      ] as const) {
        const modulation = r.normals(t * width);
        const program = (b: Backend): Tensor =>
          b.gatedAdd(b.upload(x, [t, cols]), b.upload(y, [t, cols]), b.upload(modulation, [t, width]), column);
        const wanted = await subject.once(() => run(subject.truth, [], program));
        expectClose(
          await run(subject.device, [], program),
          wanted,
          TOLERANCE.elementwise,
          `gatedAdd [${t}, ${cols}], gate at ${column} of ${width}`,
        );
      }
    });
  });

  describe('moments and groupNorm', () => {
    const shapes = [
      { rows: [1], channels: 8, groups: 8 },
      { rows: [1], channels: 3, groups: 1 },
      { rows: [35], channels: 16, groups: 8 },
      { rows: [49], channels: 30, groups: 6 },
      { rows: [63], channels: 64, groups: 32 },
      { rows: [20, 1, 44], channels: 128, groups: 32 },
      { rows: [257], channels: 96, groups: 1 },
      { rows: [700, 640, 3], channels: 32, groups: 8 },
      { rows: [4096], channels: 32, groups: 32 },
      { rows: [2500, 1500], channels: 24, groups: 2 },
    ];
    test.each(shapes)('$rows rows of $channels channels in $groups groups', async ({ rows, channels, groups }) => {
      const r = random(channels * 7 + groups);
      // Each channel far from zero in its own way; deviations from 0.1 to 1.
      const bands = rows.map((n) =>
        r
          .normals(n * channels)
          .map(
            (v, i) =>
              v * (0.1 + (0.9 * (i % channels)) / channels) +
              10 * Math.floor(((i % channels) * groups) / channels) -
              15,
          ),
      );
      const weights = [vector(r, 'weight', channels), vector(r, 'bias', channels, 0, 1)];
      const what = `[${rows.join('+')}, ${channels}], ${groups} groups`;
      const statistics = (b: Backend, _: Weight[], p: PictureOperations): Tensor =>
        p.moments(
          bands.map((band, i) => b.upload(band, [rows[i]!, channels])),
          groups,
          1e-3,
        );
      const wanted = await subject.once(() => run(subject.truth, [], statistics));
      const found = await run(subject.device, [], statistics);
      for (const [part, named] of ['mean', '1 / deviation'].entries()) {
        expectNmse(
          found.filter((_, i) => i % 2 === part),
          wanted.filter((_, i) => i % 2 === part),
          TOLERANCE.reduction,
          `moments ${what}: ${named}`,
        );
      }
      for (const activation of [undefined, 'silu', 'gelu'] as const) {
        await subject.same(
          `groupNorm ${what} ${activation ?? ''}`,
          TOLERANCE.reduction,
          weights,
          (b, [weight, bias], p) => {
            const tensors = bands.map((band, i) => b.upload(band, [rows[i]!, channels]));
            const moments = p.moments(tensors, groups, 1e-3);
            return b.stack(
              tensors.map((x) =>
                p.groupNorm(x, { moments, weight: weight!, bias: bias!, ...(activation ? { activation } : {}) }),
              ),
            );
          },
        );
      }
    });

    test('a large mean beside a small deviation', async () => {
      const x = random(62)
        .normals(1500 * 32)
        .map((v) => 300 + v);
      await subject.same('moments around 300', TOLERANCE.reduction, [], (b, _, p) =>
        p.moments([b.upload(x, [1500, 32])], 4, 1e-6),
      );
      const found = await run(subject.device, [], (b, _, p) => p.moments([b.upload(x, [1500, 32])], 4, 1e-6));
      const wanted = await run(subject.truth, [], (b, _, p) => p.moments([b.upload(x, [1500, 32])], 4, 1e-6));
      expectNmse(
        found.filter((_, i) => i % 2 === 1),
        wanted.filter((_, i) => i % 2 === 1),
        TOLERANCE.reduction,
        'deviations of 1 around 300',
      );
    });
  });

  describe('conv2d', () => {
    const formats: readonly WeightFormat[] = ['F32', 'F16', 'Q8_0', 'Q4_0'];
    const takes = (format: WeightFormat, it: ConvCase): boolean =>
      format === 'F32' || format === 'F16' || (it.kernel ** 2 * it.channels) % 32 === 0;
    describe.each(formats)('%s', (format) => {
      test.each(CONVOLUTIONS.filter((it) => takes(format, it)).map((it) => [name(it), it] as const))(
        '%s',
        async (_name, it) => {
          const cols = it.kernel ** 2 * it.channels;
          const r = random(it.height * 31 + it.width * 7 + it.channels + it.kernel);
          const few = outputs(it) * it.rows < 60;
          const data = r.normals(it.height * it.width * it.channels);
          const x = few ? data.map(Math.abs) : data;
          const residual = r.normals(outputs(it) * it.rows);
          const weights = [
            matrix(r, 'w', format, [it.rows, cols], few),
            vector(r, 'bias', it.rows, 0, 1),
            vector(r, 'norm', it.channels),
            vector(r, 'norm.bias', it.channels, 0, 0.3),
          ];
          await subject.same(`conv2d ${format}, ${name(it)}`, productTolerance(format), weights, (b, held, p) =>
            convolution(b, p, it, { weights: held, x, residual }),
          );
        },
      );
    });

    test('other formats go the same way', async () => {
      const it: ConvCase = {
        height: 9,
        width: 8,
        channels: 32,
        rows: 40,
        kernel: 3,
        groups: 8,
        normActivation: 'silu',
        bias: true,
      };
      for (const [format, channels] of [
        ['BF16', 32],
        ['Q4_1', 32],
        ['Q5_0', 64],
        ['Q5_1', 32],
        ['Q4_K', 256],
        ['Q6_K', 256],
      ] as const) {
        const wide = { ...it, channels };
        const r = random(channels);
        const x = r.normals(72 * channels);
        const weights = [
          matrix(r, 'w', format, [40, 9 * channels]),
          vector(r, 'bias', 40, 0, 1),
          vector(r, 'norm', channels),
          vector(r, 'norm.bias', channels, 0, 0.3),
        ];
        await subject.same(`conv2d ${format}, ${name(wide)}`, productTolerance(format), weights, (b, held, p) =>
          convolution(b, p, wide, { weights: held, x, residual: x }),
        );
      }
    });

    test('bands with a halo are the whole', async () => {
      const r = random(63);
      const [height, width, channels, rows] = [11, 6, 32, 24];
      const x = r.normals(height * width * channels);
      const weights = [
        matrix(r, 'w', 'F32', [rows, 9 * channels]),
        vector(r, 'norm', channels),
        vector(r, 'norm.bias', channels, 0, 0.3),
      ];
      const inBands =
        (borders: readonly number[]) =>
        (b: Backend, [weight, normWeight, normBias]: Weight[], p: PictureOperations): Tensor => {
          const picture = b.upload(x, [height * width, channels]);
          const halves = [b.rows(picture, 0, 4 * width), b.rows(picture, 4 * width, 7 * width)];
          const norm = {
            moments: p.moments(halves, 8, 1e-6),
            weight: normWeight!,
            bias: normBias!,
            activation: 'silu',
          } as const;
          const bands: Tensor[] = [];
          for (let i = 0; i + 1 < borders.length; i++) {
            const [first, last] = [Math.max(0, borders[i]! - 1), Math.min(height, borders[i + 1]! + 1)];
            const padding = [borders[i] === 0 ? 1 : 0, 1, borders[i + 1] === height ? 1 : 0, 1] as const;
            bands.push(
              p.conv2d(b.rows(picture, first * width, (last - first) * width), weight!, {
                height: last - first,
                width,
                kernel: 3,
                padding,
                norm,
              }),
            );
          }
          return b.stack(bands);
        };
      await subject.same('conv2d in one band', TOLERANCE.reduction, weights, inBands([0, 11]));
      await subject.same('conv2d in three bands', TOLERANCE.reduction, weights, inBands([0, 4, 5, 11]));
    });

    test('what is no number reaches the outputs whose kernel covers it, and no other', async () => {
      const [height, width, channels, rows] = [7, 6, 32, 20];
      for (const format of ['F32', 'F16', 'Q8_0', 'Q4_0'] as const) {
        const r = random(64);
        const data = matrix(r, 'w', format, [rows, 9 * channels]);
        for (const bad of [NaN, Infinity]) {
          const x = r.normals(height * width * channels);
          x[(2 * width + 5) * channels + 7] = bad;
          const out = await run(subject.device, [data], (b, [w], p) =>
            p.conv2d(b.upload(x, [height * width, channels]), w!, { height, width, kernel: 3, padding: around(1) }),
          );
          const found = Array.from(
            { length: height * width },
            (_, pixel) => out.subarray(pixel * rows, (pixel + 1) * rows).filter(Number.isFinite).length,
          );
          const wanted = Array.from({ length: height * width }, (_, pixel) =>
            Math.abs(Math.floor(pixel / width) - 2) < 2 && pixel % width > 3 ? 0 : rows,
          );
          expect({ format, bad, found }).toEqual({ format, bad, found: wanted });
        }
      }
    });
  });

  describe('denoise', () => {
    const step: DenoiseSpec = {
      prediction: 'eps',
      alpha: 0.8,
      sigma: 0.6,
      x0FromX: 1.25,
      x0FromEps: 0.75,
      meanFromX0: 0.3,
      meanFromX: 0.65,
      lowLogVariance: -6,
      highLogVariance: -2.5,
      noiseScale: 0.9,
    };
    test.each([
      [1, 1],
      [1, 16],
      [7, 5],
      [300, 16],
    ])('%i rows of %i', async (n, cols) => {
      for (const prediction of ['eps', 'v'] as const) {
        for (const guidance of [undefined, 0, 1, 3.5]) {
          for (const noiseScale of [0.9, 0]) {
            const r = random(n + cols);
            const [x, noise] = [r.normals(n * cols), r.normals(n * cols)];
            const rows = guidance === undefined ? n : 2 * n;
            const predicted = r.normals(rows * 2 * cols);
            const spec = { ...step, prediction, noiseScale, ...(guidance === undefined ? {} : { guidance }) };
            await subject.same(
              `denoise [${n}, ${cols}], ${prediction}, guidance ${guidance}, noise ${noiseScale}`,
              TOLERANCE.reduction,
              [],
              (b, _, p) =>
                p.denoise(
                  b.upload(x, [n, cols]),
                  b.upload(predicted, [rows, 2 * cols]),
                  b.upload(noise, [n, cols]),
                  spec,
                ),
            );
          }
        }
      }
    });
  });

  pictureRefusals(subject);
}
