/** ToDRE's choice on the GPU, by sums and by k-center: the same as in f64, by whoever chooses in the end. */
import { describe, expect, test } from '@jest/globals';
import { createWebGpuBackend } from '../../src/backend/webgpu.ts';
import { farthestFromMean, maxMin, maxSum } from '../reference/visual-select.ts';
import { hasGpu, testGpu } from '../support/gpu.ts';
import { random, type Random } from '../support/random.ts';

const available = await hasGpu();

function clustered(r: Random, n: number, d: number, spread: number): Float32Array {
  const common = r.normals(d, 2);
  const centres = Array.from({ length: 5 }, () => r.normals(d));
  const rows = Array.from({ length: n }, () => {
    const centre = r.pick(centres);
    return r.normals(d, spread).map((value, i) => value + common[i]! + centre[i]!);
  });
  return Float32Array.from(rows.flatMap((row) => [...row]));
}

(available ? describe : describe.skip)('diverse', () => {
  const SPREADS = [
    ['center', maxMin],
    ['sum', maxSum],
  ] as const;

  test.each(SPREADS)(
    '%s: random and clustered rows, from the farthest one and from a given one',
    async (by, choose) => {
      const backend = await createWebGpuBackend({ gpu: testGpu() });
      const r = random(1);
      let chosen = 0;
      for (const [n, d, k] of [
        [1, 4, 1],
        [2, 3, 2],
        [5, 7, 5],
        [65, 64, 20],
        [40, 130, 40],
        [150, 70, 20],
        [40, 1, 7],
      ] as const) {
        for (const spread of [0.3, 3]) {
          const values = clustered(r, n, d, spread);
          const x = backend.upload(values, [n, d]);
          // A part of the rows, not in order.
          const rows = Int32Array.from(r.shuffle([...Array.from({ length: n }).keys()]));
          const truth = Array.from(rows, (row) => Float64Array.from(values.subarray(row * d, (row + 1) * d)));
          for (const pivot of [-1, n >> 1]) {
            const found = await backend.diverse(x, rows, k, pivot, by);
            if (found === undefined) continue;
            chosen++;
            expect([...found]).toEqual(choose(truth, k, pivot < 0 ? farthestFromMean(truth) : pivot));
          }
        }
      }
      // Most are decided here and not left to the host.
      expect(chosen).toBeGreaterThan(16);
      backend.destroy();
    },
  );

  test.each(SPREADS)('%s: copies, multiples, opposites and zeros: ties go to the lowest place', async (by, choose) => {
    const backend = await createWebGpuBackend({ gpu: testGpu() });
    const r = random(2);
    for (let i = 0; i < 5; i++) {
      const [n, d] = [30, 12];
      const values = clustered(r, n, d, 1);
      for (let row = 1; row < n; row++) {
        const kind = r.integer(0, 5);
        if (kind === 0) values.copyWithin(row * d, (row - 1) * d, row * d);
        if (kind === 1) for (let j = 0; j < d; j++) values[row * d + j] = 2 * values[(row - 1) * d + j]!;
        if (kind === 2) values.fill(0, row * d, (row + 1) * d);
        if (kind === 3) for (let j = 0; j < d; j++) values[row * d + j] = -values[(row - 1) * d + j]!;
      }
      const rows = Int32Array.from({ length: n }, (_, row) => row);
      const truth = Array.from(rows, (row) => Float64Array.from(values.subarray(row * d, (row + 1) * d)));
      const found = await backend.diverse(backend.upload(values, [n, d]), rows, 12, 3, by);
      expect(found === undefined ? undefined : [...found]).toEqual(choose(truth, 12, 3));
    }
    backend.destroy();
  });

  test("what f32 cannot hold is the host's; what is no choice is refused", async () => {
    const backend = await createWebGpuBackend({ gpu: testGpu() });
    const rows = Int32Array.of(0, 1, 2);
    for (const bad of [NaN, Infinity, 1e30, 1e-30]) {
      const values = Float32Array.of(1, 2, 3, 4, bad, 0);
      expect(await backend.diverse(backend.upload(values, [3, 2]), rows, 2, 0, 'center')).toBeUndefined();
    }
    const x = backend.upload(new Float32Array(6), [3, 2]);
    await expect(backend.diverse(x, rows, 4, 0, 'sum')).rejects.toMatchObject({ name: 'InputError' });
    await expect(backend.diverse(x, Int32Array.of(3), 1, 0, 'sum')).rejects.toMatchObject({ name: 'InputError' });
    await expect(backend.diverse(x, rows, 0, 0, 'center')).rejects.toMatchObject({ name: 'InputError' });
    backend.destroy();
  });
});
