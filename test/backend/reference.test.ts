/** The reference passes the suite that it is the truth of, and agrees with values worked out by hand. */
import { describe, expect, test } from '@jest/globals';
import type { Backend, Tensor, Weight } from '../../src/backend/backend.ts';
import { denseCausal } from '../../src/kv/ranges.ts';
import { createReferenceBackend } from '../reference/backend.ts';
import { activate, erf } from '../reference/maths.ts';
import { distribution } from '../reference/sample.ts';
import { conformance } from '../support/conformance.ts';

conformance('reference', async () => createReferenceBackend());

async function weight(backend: Backend, shape: number[], values: number[]): Promise<Weight> {
  const writer = backend.weight({ name: 'w', shape, format: 'F32' });
  await writer.write(new Uint8Array(Float32Array.from(values).buffer));
  return writer.finish();
}
async function values(backend: Backend, body: () => Tensor): Promise<number[]> {
  return [...(await backend.download(backend.scope(body)))];
}
const close = (found: number[], wanted: number[]): void => {
  expect(found).toHaveLength(wanted.length);
  found.forEach((value, i) =>
    expect(Math.abs(value - wanted[i]!)).toBeLessThan(1e-6 * Math.max(1, Math.abs(wanted[i]!))),
  );
};

describe('by hand', () => {
  test('activations (values of the error function from Abramowitz and Stegun, table 7.1)', () => {
    close([0.5, 1, 2, 3, -1].map(erf), [0.5204998778, 0.8427007929, 0.995322265, 0.9999779095, -0.8427007929]);
    close(
      [activate('silu', 1), activate('gelu', 1), activate('geluTanh', 1), activate('silu', -20)],
      [0.7310585786, 0.8413447461, 0.8411919906, -4.12230724e-8],
    );
  });

  test('linear: norm, then product, bias, activation, residual', async () => {
    const b = createReferenceBackend();
    const w = await weight(b, [2, 2], [1, 2, 3, 4]);
    const norm = await weight(b, [2], [2, 1]);
    const bias = await weight(b, [2], [10, 20]);
    // [3, 4] has mean square 12.5; with epsilon 12.5 the norm divides by 5: [6/5, 4/5].
    const x = (): Tensor => b.upload(Float32Array.of(3, 4), [1, 2]);
    const spec = { kind: 'rms', weight: norm, epsilon: 12.5 } as const;
    close(await values(b, () => b.norm(x(), spec)), [1.2, 0.8]);
    close(await values(b, () => b.linear(x(), [w], { norm: spec })), [2.8, 6.8]);
    close(await values(b, () => b.linear(x(), [w, w], { bias: [bias, undefined] })), [21, 45, 11, 25]);
    // Layer norm of [3, 4]: mean 3.5, variance 0.25; epsilon 0: [-1, 1].
    close(await values(b, () => b.norm(x(), { kind: 'layer', weight: norm, bias, epsilon: 0 })), [8, 21]);
    const residual = (): Tensor => b.upload(Float32Array.of(100, 200), [1, 2]);
    close(await values(b, () => b.linear(x(), [w], { activation: 'silu', residual: residual() })), [
      100 + 11 / (1 + Math.exp(-11)),
      225,
    ]);
    close(await values(b, () => b.gatedMlp(b.upload(Float32Array.of(1, 0), [1, 2]), w, w, { activation: 'silu' })), [
      0.7310585786,
      9 / (1 + Math.exp(-3)),
    ]);
  });

  test('RoPE at a quarter turn, both styles; attention over two keys', async () => {
    const b = createReferenceBackend();
    const inverseFrequency = Float64Array.of(Math.PI / 2, 0);
    const view = (): { pool: ReturnType<Backend['kvPool']>; blocks: number; table: Int32Array; version: number } => {
      const pool = b.kvPool({ layers: 1, kvHeads: 1, headDim: 4, format: 'f32' });
      pool.reserve(1);
      return { pool, blocks: 1, table: Int32Array.of(0), version: 1 };
    };
    const qkv = Float32Array.of(1, 2, 3, 4, 0, 0, 0, 0, 5, 0, 0, 0, 1, 2, 3, 4, 0, 0, 0, 0, 7, 0, 0, 0);
    const turn = (style: 'half' | 'interleaved'): Promise<number[]> =>
      values(b, () =>
        b.ropeAppend(b.upload(qkv, [2, 12]), view(), 0, 0, {
          heads: 1,
          rope: { inverseFrequency, magnitude: 1, style },
        }),
      );
    // Position 1 turns the first pair by 90 degrees: (a, b) -> (-b, a).
    close(await turn('half'), [1, 2, 3, 4, -3, 2, 1, 4]);
    close(await turn('interleaved'), [1, 2, 3, 4, -2, 1, 3, 4]);

    const kv = view();
    const rope = { inverseFrequency: new Float64Array(2), magnitude: 1, style: 'half' } as const;
    b.scope(() => {
      b.ropeAppend(
        b.upload(Float32Array.of(0, 0, 0, 0, 1, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 20, 0, 0, 0), [2, 12]),
        kv,
        0,
        0,
        { heads: 1, rope },
      );
    });
    // Scores ln 3 and 0: weights 3/4 and 1/4 for the second query; the first sees one key.
    const q = Float32Array.of(9, 9, 9, 9, Math.log(3), 0, 0, 0);
    close(
      await values(b, () => b.attention(b.upload(q, [2, 4]), kv, 0, 0, denseCausal(2, 2), { heads: 1, scale: 1 })),
      [10, 0, 0, 0, 12.5, 0, 0, 0],
    );
  });

  test('convolution: kernel order, padding, stride, upsampling; pictures of one channel', async () => {
    const b = createReferenceBackend();
    const p = await b.pictureOperations();
    // | 1 2 3 |     kernel | 1 10 |
    // | 4 5 6 |            | 100 1000 |
    const kernel = await weight(b, [1, 4], [1, 10, 100, 1000]);
    const x = (): Tensor => b.upload(Float32Array.of(1, 2, 3, 4, 5, 6), [6, 1]);
    const shape = { height: 2, width: 3, kernel: 2 } as const;
    close(await values(b, () => p.conv2d(x(), kernel, { ...shape, padding: [0, 0, 0, 0] })), [5421, 6532]);
    // Zeros to the right and below.
    close(
      await values(b, () => p.conv2d(x(), kernel, { ...shape, padding: [0, 1, 1, 0] })),
      [5421, 6532, 603, 54, 65, 6],
    );
    close(await values(b, () => p.conv2d(x(), kernel, { ...shape, padding: [1, 0, 0, 1], stride: 2 })), [1000, 3200]);
    // Rows 112233, 112233, 445566, 445566, every second place.
    close(
      await values(b, () => p.conv2d(x(), kernel, { ...shape, padding: [0, 0, 0, 0], stride: 2, upsample: true })),
      [1111, 2222, 3333, 4444, 5555, 6666],
    );
    // Two channels in, two rows out, bias, activation, residual.
    const two = await weight(b, [2, 2], [1, 0, 1, 2]);
    const bias = await weight(b, [2], [0, 1]);
    const pixel = (): Tensor => b.upload(Float32Array.of(3, 4), [1, 2]);
    const options = { height: 1, width: 1, kernel: 1, padding: [0, 0, 0, 0], bias } as const;
    close(await values(b, () => p.conv2d(pixel(), two, options)), [3, 12]);
    close(await values(b, () => p.conv2d(pixel(), two, { ...options, activation: 'silu', residual: pixel() })), [
      3 + 3 / (1 + Math.exp(-3)),
      4 + 12 / (1 + Math.exp(-12)),
    ]);
  });

  test('group norm: moments over bands, then the affine part by channel', async () => {
    const b = createReferenceBackend();
    const p = await b.pictureOperations();
    const w = await weight(b, [4], [1, 2, 3, 4]);
    const bias = await weight(b, [4], [0, 0, 0, 100]);
    // Group 0 holds 1, 3, 5, 7 (mean 4, variance 5), group 1 holds 0, 0, 0, 8 (mean 2, variance 12); epsilon 4: deviations 3 and 4.
    const bands = (): [Tensor, Tensor] => [
      b.upload(Float32Array.of(1, 3, 0, 0), [1, 4]),
      b.upload(Float32Array.of(5, 7, 0, 8), [1, 4]),
    ];
    close(await values(b, () => p.moments(bands(), 2, 4)), [4, 1 / 3, 2, 1 / 4]);
    close(
      await values(b, () => {
        const [first, second] = bands();
        return p.groupNorm(second, { moments: p.moments([first, second], 2, 4), weight: w, bias });
      }),
      [1 / 3, 2, -1.5, 106],
    );
  });

  test('rows, modulation and gate', async () => {
    const b = createReferenceBackend();
    const x = (): Tensor => b.upload(Float32Array.of(3, 4, 10, 20), [2, 2]);
    close(await values(b, () => b.take(x(), Int32Array.of(1, -1, 1, 0))), [10, 20, 0, 0, 10, 20, 3, 4]);
    close(await values(b, () => b.stack([x(), b.rows(x(), 1, 1)])), [3, 4, 10, 20, 10, 20]);
    close(await values(b, () => b.add(x(), b.upload(Float32Array.of(1, -1), [1, 2]))), [4, 3, 11, 19]);
    const modulation = (): Tensor => b.upload(Float32Array.of(0, 1, 2, 3, 0, 10, 20, 30), [2, 4]);
    // Both rows normalise to [-1, 1]; shift from column 1, scale from column 2.
    close(await values(b, () => b.modulate(x(), { modulation: modulation(), shift: 1, scale: 2, epsilon: 0 })), [
      1 - 3,
      2 + 4,
      10 - 21,
      20 + 31,
    ]);
    close(await values(b, () => b.gatedAdd(x(), x(), modulation(), 1)), [3 + 3, 4 + 8, 10 + 100, 20 + 400]);
  });

  test('one denoising step', async () => {
    const b = createReferenceBackend();
    const p = await b.pictureOperations();
    const spec = {
      alpha: 0.5,
      sigma: 2,
      x0FromX: 3,
      x0FromEps: 2,
      meanFromX0: 0.5,
      meanFromX: 0.25,
      lowLogVariance: 0,
      highLogVariance: 2 * Math.log(4),
      noiseScale: 0.5,
    } as const;
    const step = (rows: number[], more: object): Promise<number[]> =>
      values(b, () =>
        p.denoise(
          b.upload(Float32Array.of(4), [1, 1]),
          b.upload(Float32Array.from(rows), [rows.length / 2, 2]),
          b.upload(Float32Array.of(10), [1, 1]),
          { prediction: 'eps', ...spec, ...more },
        ),
      );
    // eps 1: x0 = 12 - 2 = 10, mean = 5 + 1 = 6; variance column 0 is half way: noise times 2, by 0.5.
    close(await step([1, 0], {}), [16]);
    close(await step([1, -1], {}), [11]);
    close(await step([1, 1], { noiseScale: 0 }), [6]);
    // Guidance 3 from 0.5 towards 1: eps 2; the unconditional variance does not count.
    close(await step([1, 0, 0.5, 77], { guidance: 3 }), [15]);
    // v 1: eps = 2 * 4 + 0.5 = 8.5: x0 = -5, mean -1.5.
    close(await step([1, 0], { prediction: 'v' }), [8.5]);
  });

  test('what sampling keeps', () => {
    const spec = { temperature: 1, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, presencePenalty: 0, seed: 0 };
    const logits = [0.5, 0.25, 0.125, 0.125].map(Math.log);
    const kept = (part: object, seen: number[] = []): readonly number[] | undefined =>
      distribution(logits, { ...spec, ...part }, new Set(seen))?.ids;
    expect(kept({ topP: 0.5 })).toEqual([0]);
    expect(kept({ topP: 0.51 })).toEqual([0, 1]);
    expect(kept({ topP: 0.8 })).toEqual([0, 1, 2, 3]);
    expect(kept({ topK: 2 })).toEqual([0, 1]);
    expect(kept({ topK: 3 })).toEqual([0, 1, 2, 3]);
    expect(kept({ minP: 0.4 })).toEqual([0, 1]);
    // After top-k 2 the probabilities are 2/3 and 1/3.
    expect(kept({ topK: 2, topP: 0.6 })).toEqual([0]);
    // ln 0.5 is negative, so the penalty multiplies: ln 0.5 * 2 = ln 0.25.
    const penalised = distribution(logits, { ...spec, repetitionPenalty: 2 }, new Set([0]));
    close([...penalised!.probabilities], [1 / 3, 1 / 3, 1 / 6, 1 / 6]);
    close(
      [...distribution(logits, { ...spec, temperature: 0.5 }, new Set())!.probabilities],
      [16 / 22, 4 / 22, 1 / 22, 1 / 22],
    );
  });
});
