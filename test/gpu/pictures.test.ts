/** Pictures on WebGPU beyond the conformance suite: what a step makes, sizes above one dispatch's, and limits of the device. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { elementGrid } from '../../gpu/lib/elements.ts';
import { TAKE_INDICES } from '../../gpu/kernels/take.ts';
import type { Backend, KvView, PictureOperations, Tensor, Weight } from '../../src/backend/backend.ts';
import { createWebGpuBackend, type WebGpuBackend } from '../../src/backend/webgpu.ts';
import { bidirectional } from '../../src/kv/ranges.ts';
import { createReferenceBackend } from '../reference/backend.ts';
import { matrix, put, run, shuffledView, vector } from '../support/conformance/harness.ts';
import { hasGpu, testGpu } from '../support/gpu.ts';
import { random } from '../support/random.ts';
import { expectNmse, expectSame, TOLERANCE } from '../support/tolerance.ts';

const present = await hasGpu();
const ifGpu = present ? test : test.skip;

const CHANNELS = 32;
const SIDE = 6;

/** A residual block of an autoencoder, its wide attention head, and a modulated step of diffusion: every operation of pictures. */
const WEIGHTS = (() => {
  const r = random(71);
  return [
    matrix(r, 'conv1', 'F16', [CHANNELS, 9 * CHANNELS]),
    matrix(r, 'conv2', 'Q8_0', [CHANNELS, 9 * CHANNELS]),
    matrix(r, 'shortcut', 'F16', [CHANNELS, CHANNELS]),
    matrix(r, 'up', 'F16', [CHANNELS, 9 * CHANNELS]),
    matrix(r, 'qkv', 'F16', [3 * 512, CHANNELS]),
    matrix(r, 'proj', 'F16', [CHANNELS, 512]),
    matrix(r, 'adaptive', 'F16', [3 * CHANNELS, CHANNELS]),
    matrix(r, 'final', 'F16', [2 * CHANNELS, CHANNELS]),
    vector(r, 'weight', CHANNELS),
    vector(r, 'bias', CHANNELS, 0, 0.3),
  ];
})();

function step(
  b: Backend,
  p: PictureOperations,
  [conv1, conv2, shortcut, up, qkv, proj, adaptive, final, weight, bias]: Weight[],
  x: Tensor,
  noise: Tensor,
  view: KvView,
): Tensor {
  const norm = (of: Tensor) =>
    ({
      moments: p.moments([b.rows(of, 0, 12), b.rows(of, 12, SIDE * SIDE - 12)], 8, 1e-6),
      weight: weight!,
      bias: bias!,
      activation: 'silu',
    }) as const;
  const picture = { height: SIDE, width: SIDE, kernel: 3, padding: [1, 1, 1, 1] } as const;
  const middle = p.conv2d(x, conv1!, { ...picture, norm: norm(x), bias: bias! });
  const around = p.conv2d(x, shortcut!, { ...picture, kernel: 1, padding: [0, 0, 0, 0] });
  const block = p.conv2d(middle, conv2!, { ...picture, norm: norm(middle), residual: around });
  const q = b.ropeAppend(b.linear(p.groupNorm(block, norm(block)), [qkv!]), view, 0, 0, { heads: 1 });
  const attended = b.linear(
    b.attention(q, view, 0, 0, bidirectional(SIDE * SIDE, SIDE * SIDE), { heads: 1, scale: 512 ** -0.5 }),
    [proj!],
    { residual: block },
  );
  const large = p.conv2d(attended, up!, { ...picture, upsample: true });
  const small = b.take(
    large,
    Int32Array.from({ length: SIDE * SIDE }, (_, i) => 3 * i),
  );
  const modulation = b.linear(b.add(small, b.rows(x, 0, 1), 'silu'), [adaptive!]);
  const changed = b.gatedAdd(
    small,
    b.modulate(small, { modulation, shift: 0, scale: CHANNELS, epsilon: 1e-6 }),
    modulation,
    2 * CHANNELS,
  );
  const predicted = b.linear(b.stack([changed, small]), [final!]);
  return p.denoise(x, predicted, noise, {
    prediction: 'eps',
    guidance: 3,
    alpha: 0.8,
    sigma: 0.6,
    x0FromX: 1.25,
    x0FromEps: 0.75,
    meanFromX0: 0.3,
    meanFromX: 0.65,
    lowLogVariance: -6,
    highLogVariance: -2.5,
    noiseScale: 0.9,
  });
}

const x = random(72).normals(SIDE * SIDE * CHANNELS);
const noise = random(73).normals(SIDE * SIDE * CHANNELS);

function once(b: Backend, weights: Weight[], p: PictureOperations): Tensor {
  const view = shuffledView(random(74), b, { layers: 1, kvHeads: 1, headDim: 512, format: 'f16' }, 2);
  const out = step(b, p, weights, b.upload(x, [SIDE * SIDE, CHANNELS]), b.upload(noise, [SIDE * SIDE, CHANNELS]), view);
  view.pool.free();
  return out;
}

describe('a step with every operation of pictures', () => {
  ifGpu('makes nothing, waits for nothing and submits once when it is repeated', async () => {
    const backend = await createWebGpuBackend({ gpu: testGpu() });
    const pictures = await backend.pictureOperations();
    const weights: Weight[] = [];
    for (const data of WEIGHTS) weights.push(await put(backend, data));
    const view = shuffledView(random(74), backend, { layers: 1, kvHeads: 1, headDim: 512, format: 'f16' }, 2);
    const [input, random1] = [
      backend.keep(backend.upload(x, [SIDE * SIDE, CHANNELS])),
      backend.keep(backend.upload(noise, [SIDE * SIDE, CHANNELS])),
    ];
    const again = (): void => {
      backend.scope(() => {
        step(backend, pictures, weights, input, random1, view);
      });
      backend.flush();
    };
    for (let i = 0; i < 3; i += 1) again();
    await backend.idle();
    const before = backend.counters();
    for (let i = 0; i < 5; i += 1) again();
    const { bindGroups, pipelines, waits, buffers, submits } = backend.counters();
    expect({ bindGroups, pipelines, waits, buffers }).toEqual({
      bindGroups: before.bindGroups,
      pipelines: before.pipelines,
      waits: before.waits,
      buffers: before.buffers,
    });
    expect(submits - before.submits).toBe(5);
    for (const tensor of [input, random1]) backend.free(tensor);
    view.pool.free();
    for (const weight of weights) weight.free();
    expect(backend.memory()).toEqual({ weights: 0, kv: 0, activations: 0, allocations: 0 });
    backend.destroy();
  });

  ifGpu("is right on a device of WebGPU's default limits", async () => {
    const backend = await createWebGpuBackend({ gpu: testGpu(), defaultLimits: true });
    expectNmse(
      await run(backend, WEIGHTS, once),
      await run(createReferenceBackend(), WEIGHTS, once),
      TOLERANCE.half,
      'a step of pictures',
    );
    backend.destroy();
  });
});

describe('sizes above what one dimension of a grid, or one dispatch, takes', () => {
  let backend: WebGpuBackend;
  beforeAll(async () => {
    if (present) backend = await createWebGpuBackend({ gpu: testGpu(), defaultLimits: true });
  });
  afterAll(() => backend?.destroy());

  test('a grid covers its elements within the limit and wastes less than a row of workgroups', () => {
    for (const count of [1, 64, 65, 65535 * 64, 65535 * 64 + 1, 33_554_432, 268_435_456]) {
      const [gx, gy, gz] = elementGrid(count);
      expect(Math.max(gx, gy, gz)).toBeLessThanOrEqual(65535);
      expect(64 * gx * gy).toBeGreaterThanOrEqual(count);
      expect(64 * gx * gy - count).toBeLessThan(64 * (gy + 1));
    }
  });

  ifGpu('the elements of a picture of more rows than that are all computed', async () => {
    const rows = 1_100_000;
    const values = Float32Array.from({ length: 4 * rows }, (_, i) => i % 1000);
    const last = backend.scope(() => {
      const big = backend.upload(values, [rows, 4]);
      const wide = backend.stack([big, big, big, big]);
      return backend.rows(backend.add(wide, backend.upload(Float32Array.of(1, 2, 3, 4), [1, 4])), 4 * rows - 3, 3);
    });
    expectSame(
      await backend.download(last),
      values.subarray(4 * rows - 12).map((v, i) => v + 1 + (i % 4)),
      'the last rows of a sum',
    );
    backend.free(last);
  });

  ifGpu('indices above what a dispatch carries', async () => {
    const indices = Int32Array.from({ length: TAKE_INDICES + 3 }, (_, i) => (i % 4) - 1);
    const out = backend.scope(() => {
      const all = backend.take(backend.upload(Float32Array.of(5, 6, 7), [3, 1]), indices);
      return backend.rows(all, TAKE_INDICES - 4, 7);
    });
    expectSame(
      await backend.download(out),
      Float32Array.of(0, 5, 6, 7, 0, 5, 6),
      'rows around the border of two dispatches',
    );
    backend.free(out);
  });

  ifGpu(
    'a tensor above what a binding holds can be moved, but is refused by name and with numbers where it would be bound',
    async () => {
      const pictures = await backend.pictureOperations();
      backend.scope(() => {
        const part = backend.upload(new Float32Array(1 << 22), [1 << 18, 16]);
        const whole = backend.stack(Array.from({ length: 9 }, () => part));
        expect(backend.rows(whole, (1 << 18) - 5, 10).shape).toEqual([10, 16]);
        const refused = (what: string): unknown =>
          expect.objectContaining({
            name: 'InputError',
            code: 'argument',
            message: expect.stringMatching(new RegExp(`^${what} .*134217728; work on fewer rows`)),
            facts: expect.objectContaining({ limit: 134217728, bytes: expect.any(Number) }),
          });
        expect(() => backend.add(whole, backend.rows(part, 0, 1))).toThrow(refused('add: a'));
        expect(() => pictures.moments([part, whole], 4, 1e-5)).toThrow(refused('moments: bands\\[1\\]'));
        expect(() => backend.take(whole, Int32Array.of(1))).toThrow(refused('take: x'));
      });
    },
  );
});
