/** What the conformance suite cannot ask for: weights split over several buffers, and the self-check on a right and a wrong device. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Backend, PictureOperations, Tensor, Weight } from '../../src/backend/backend.ts';
import { compareBackends, selfCheck } from '../../src/backend/self-check.ts';
import { createWebGpuBackend, type WebGpuBackend } from '../../src/backend/webgpu.ts';
import type { WeightFormat } from '../../src/backend/weight.ts';
import { createReferenceBackend } from '../reference/backend.ts';
import { hasGpu, testGpu } from '../support/gpu.ts';
import { quantise } from '../support/quantise.ts';
import { random } from '../support/random.ts';
import { expectNmse, productTolerance } from '../support/tolerance.ts';
import { openWasmBackend } from '../support/wasm.ts';

const ifGpu = (await hasGpu()) ? test : test.skip;

describe('weights above what a binding holds', () => {
  const truth = createReferenceBackend();
  let split: WebGpuBackend;
  beforeAll(async () => {
    if (await hasGpu()) split = await createWebGpuBackend({ gpu: testGpu(), largestPart: 4096 });
  });
  afterAll(() => split?.destroy());

  async function same(
    what: string,
    format: WeightFormat,
    shapes: number[][],
    body: (backend: Backend, weights: Weight[], pictures: PictureOperations) => Tensor,
  ): Promise<void> {
    const r = random(5);
    const bytes = shapes.map((shape) =>
      quantise(
        format,
        r.normals(
          shape.reduce((a, b) => a * b, 1),
          0.1,
        ),
      ),
    );
    const results: Float32Array[] = [];
    for (const backend of [split, truth]) {
      const pictures = await backend.pictureOperations();
      const weights: Weight[] = [];
      for (const [i, shape] of shapes.entries()) {
        const writer = backend.weight({ name: `w${i}`, shape, format });
        for (let at = 0; at < bytes[i]!.length; at += 777) await writer.write(bytes[i]!.subarray(at, at + 777));
        weights.push(await writer.finish());
      }
      const out = backend.scope(() => body(backend, weights, pictures));
      results.push(await backend.download(out));
      backend.free(out);
      for (const weight of weights) weight.free();
    }
    expectNmse(results[0]!, results[1]!, productTolerance(format), `${what}, ${format}`);
  }

  for (const format of ['F32', 'Q8_0', 'Q6_K'] as const) {
    ifGpu(`${format}: products, gated MLP, convolutions and embeddings take the parts`, async () => {
      const x = random(6).normals(40 * 256);
      for (const t of [1, 40]) {
        // Parts of 4 rows (F32) to 19 (Q6_K): more parts than one dispatch takes.
        await same(
          `linear of ${t}`,
          format,
          [
            [67, 256],
            [33, 256],
          ],
          (b, weights) => b.linear(b.upload(x.subarray(0, t * 256), [t, 256]), weights),
        );
        await same(
          `gatedMlp of ${t}`,
          format,
          [
            [35, 256],
            [35, 256],
          ],
          (b, [gate, up]) => b.gatedMlp(b.upload(x.subarray(0, t * 256), [t, 256]), gate!, up!, { activation: 'silu' }),
        );
      }
      const picture = random(7).normals(42 * 256);
      await same('conv2d', format, [[67, 256]], (b, [w], p) =>
        p.conv2d(b.upload(picture.subarray(0, 42 * 64), [42, 64]), w!, {
          height: 6,
          width: 7,
          kernel: 2,
          padding: [1, 0, 0, 1],
        }),
      );
      await same('conv2d of kernel 1', format, [[67, 256]], (b, [w], p) =>
        p.conv2d(b.upload(picture, [42, 256]), w!, { height: 6, width: 7, kernel: 1, padding: [0, 0, 0, 0] }),
      );
      await same('embed', format, [[67, 256]], (b, [table]) =>
        b.embed(table!, b.upload(Int32Array.of(66, 0, 31, 4, 5, 15, 16), [7]), 0, 7),
      );
    });
  }

  ifGpu('a row above what a binding holds is refused with numbers', () => {
    expect(() => split.weight({ name: 'wide', shape: [2, 2048], format: 'F32' })).toThrow(
      expect.objectContaining({ code: 'out-of-memory', facts: { bytes: 8192, limit: 4096 } }),
    );
  });
});

describe('the self-check', () => {
  ifGpu('passes on this device, and leaves nothing behind', async () => {
    const backend = await createWebGpuBackend({ gpu: testGpu() });
    const result = await selfCheck(backend, createReferenceBackend());
    expect(result).toMatchObject({ ok: true });
    expect(result.worst).toBeLessThan(1e-5);
    expect(backend.memory()).toEqual({ weights: 0, kv: 0, activations: 0, allocations: 0 });
    backend.destroy();
  });

  test('takes the CPU engine, its judge in practice, for right', async () => {
    const judge = await openWasmBackend('simd');
    expect(await compareBackends(createReferenceBackend(), judge)).toMatchObject({ ok: true });
    judge.destroy();
  });

  test('finds a device that computes one operation wrongly, and names it', async () => {
    const judge = createReferenceBackend();
    for (const [method, name] of [
      ['linear', 'linear'],
      ['attention', 'attention'],
      ['norm', 'norm'],
      ['gatedMlp', 'gated MLP'],
      ['ropeAppend', 'rope'],
      ['moments', 'moments'],
      ['conv2d', 'convolution'],
    ] as const) {
      const wrong: Backend = new Proxy(createReferenceBackend(), {
        get(target, key) {
          const value: unknown = Reflect.get(target, key, target);
          if (typeof value !== 'function') return value;
          return (...args: unknown[]): unknown => {
            // The reference's operations on images are its own methods.
            if (key === 'pictureOperations') return Promise.resolve(wrong);
            const result: unknown = (value as (...given: unknown[]) => unknown).apply(target, args);
            if (key !== method) return result;
            // Swaps two neighbouring values, as a wrong lane would.
            const { values } = result as { values: Float64Array };
            [values[0], values[1]] = [values[1]!, values[0]!];
            values[2]! += 5;
            return result;
          };
        },
      });
      expect(await compareBackends(wrong, judge)).toMatchObject({
        ok: false,
        operation: expect.stringContaining(name),
      });
      await expect(selfCheck(wrong, judge)).rejects.toMatchObject({ name: 'DeviceError', code: 'self-check' });
    }
  });
});
