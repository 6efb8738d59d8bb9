import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Backend, Weight } from '../../src/backend/backend.ts';
import { createWebGpuBackend, type WebGpuBackend } from '../../src/backend/webgpu.ts';
import { WEIGHT_FORMATS, weightBytes, type WeightFormat } from '../../src/backend/weight.ts';
import { createReferenceBackend } from '../reference/backend.ts';
import { hasGpu, testGpu } from '../support/gpu.ts';
import { quantise } from '../support/quantise.ts';
import { expectNmse, productTolerance } from '../support/tolerance.ts';

const formats = Object.keys(WEIGHT_FORMATS) as WeightFormat[];
let seed = 1;
const random = (n: number): Float32Array => Float32Array.from({ length: n }, () => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return seed / 0x80000000 - 1;
});

async function both(backends: readonly Backend[], name: string, shape: number[], format: WeightFormat): Promise<Weight[]> {
  const bytes = quantise(format, random(shape.reduce((a, b) => a * b, 1)));
  return Promise.all(backends.map(async (backend) => {
    const writer = backend.weight({ name, shape, format });
    for (let at = 0; at < bytes.length; at += 1001) await writer.write(bytes.subarray(at, at + 1001));
    return writer.finish();
  }));
}

describe('products', () => {
  let gpu: WebGpuBackend;
  let split: WebGpuBackend;
  const reference = createReferenceBackend();
  let skip = false;
  beforeAll(async () => {
    skip = !(await hasGpu());
    if (skip) return;
    gpu = await createWebGpuBackend({ gpu: testGpu() });
    split = await createWebGpuBackend({ gpu: testGpu(), largestPart: 20_000 });
  });
  afterAll(() => { gpu?.destroy(); split?.destroy(); });

  test.each(formats)('%s', async (format) => {
    if (skip) return;
    const cols = 256;
    const backends = [gpu, reference];
    const [weight, truth] = await both(backends, 'w', [40, cols], format);
    for (const t of [1, 3, 33]) {
      const x = random(t * cols);
      const found = await gpu.download(gpu.linear(gpu.upload(x, [t, cols]), [weight!]));
      const wanted = await reference.download(reference.linear(reference.upload(x, [t, cols]), [truth!]));
      expectNmse(found, wanted, productTolerance(format), `${format} ${t}`);
      expectNmse(found, wanted, 1e-6, `${format} ${t} tight`);
    }
    expect(weightBytes({ name: '', shape: [40, cols], format })).toBeGreaterThan(0);
  });
});
