/** Choices of keys, spans and pages on every build: the same sets as naive f64, ties and NaN among the scores, over 1,000 seeded cases each. */
import { describe, expect, test } from '@jest/globals';
import { shareOut, strongest } from '../../../src/select/evict/budgets.ts';
import {
  framed,
  highest,
  nearest,
  pageMasses,
  relativeError,
  tokensOf,
  topKeys,
} from '../../../src/select/keys.ts';
import { best, dot, fill, pageSums, pool, runsOf, shares, sumRows } from '../../reference/keys.ts';
import { random, type Random } from '../../support/random.ts';
import { openWasm, TEST_BUILDS } from '../../support/wasm.ts';

const CASES = 1000;

/** Masses as a probe gives them, or few values so that ties abound, now and then with a NaN. */
function masses(r: Random, count: number): Float32Array {
  const coarse = r.uniform() < 0.5;
  const x = Float32Array.from({ length: count }, () => (coarse ? r.integer(0, 4) / 4 : r.uniform() ** 4));
  if (r.uniform() < 0.1) x[r.integer(0, count)] = NaN;
  return x;
}

describe.each(TEST_BUILDS)('%s', (build) => {
  test('the keys with the most mass, summed over heads', async () => {
    const wasm = await openWasm(build);
    for (let seed = 0; seed < CASES; seed++) {
      const r = random(seed);
      const heads = r.integer(1, 7);
      const keys = r.integer(1, 200);
      const x = masses(r, heads * keys);
      const start = r.integer(0, keys);
      const end = r.integer(start, keys + 1);
      const budget = r.integer(0, keys + 2);
      const found = topKeys(wasm, x, [heads, keys], { start, end, budget });
      const sums = sumRows(
        x,
        keys,
        Array.from({ length: heads }, (_, h) => h),
      ).slice(start, end);
      expect([seed, ...found]).toEqual([seed, ...runsOf([...best(sums, budget)].map((i) => i + start))]);
    }
  });

  test('the highest of f64 scores, far more than one bin of the histogram holds', async () => {
    const wasm = await openWasm(build);
    for (let seed = 0; seed < CASES; seed++) {
      const r = random(seed + 7);
      const count = r.integer(1, seed % 50 === 0 ? 20_000 : 120);
      const near = r.uniform() < 0.3;
      const scores = Float64Array.from({ length: count }, () => {
        if (near) return 1 + r.integer(0, 50) * 2 ** -52;
        return r.pick([r.normal(), r.normal(), -r.uniform(), 0, -0, -Infinity, 1e-310 * r.integer(-3, 3)]);
      }).map((score) => score + 0);
      const k = r.integer(0, count + 1);
      const marks = highest(wasm, scores, k);
      const wanted = best([...scores], k);
      const wrong = marks.findIndex((mark, i) => (mark === 1) !== wanted.has(i));
      expect([seed, wrong]).toEqual([seed, -1]);
    }
  });

  test('spans nearest to a query, as many as fit', async () => {
    const wasm = await openWasm(build);
    for (let seed = 0; seed < CASES; seed++) {
      const r = random(seed + 11);
      const cols = r.integer(1, 40);
      const column = r.integer(0, 9);
      const stride = column + cols + r.integer(0, 5);
      const count = r.integer(0, 60);
      const coarse = r.uniform() < 0.5;
      const values = (n: number): Float32Array =>
        coarse ? Float32Array.from({ length: n }, () => r.integer(-1, 2)) : r.normals(n);
      const vectors = values(count * stride);
      const query = values(cols);
      const lengths = Uint32Array.from({ length: count }, () => r.integer(1, 30));
      const budget = r.integer(0, 400);
      const marks = nearest(wasm, { vectors, stride, column, query, lengths }, budget);
      const scores = Array.from({ length: count }, (_, i) =>
        dot(vectors.subarray(i * stride + column, i * stride + column + cols), query),
      );
      expect([seed, ...marks]).toEqual([seed, ...fill(scores, lengths, budget)]);
    }
  });

  test('pooled masses of pages, and the pages kept by them', async () => {
    const wasm = await openWasm(build);
    for (let seed = 0; seed < CASES; seed++) {
      const r = random(seed + 13);
      const heads = r.integer(1, 7);
      const keys = r.integer(1, 300);
      const x = Float32Array.from({ length: heads * keys }, () => (seed % 2 === 0 ? r.integer(0, 3) / 2 : r.uniform()));
      const rows = Array.from({ length: heads }, (_, h) => h).filter(() => r.uniform() < 0.7);
      const kind = r.pick(['max', 'mean'] as const);
      const width = r.pick([1, 3, 5, 7]);
      const found = pageMasses(wasm, x, keys, rows, { kind, width });
      const wanted = pageSums(pool(sumRows(x, keys, rows), kind, width));
      expect([seed, ...found]).toEqual([seed, ...wanted]);
      const k = r.integer(0, wanted.length + 1);
      expect([...highest(wasm, found, k)]).toEqual(wanted.map((_, i) => Number(best(wanted, k).has(i))));
    }
  });

  test('the error of an eviction', async () => {
    const wasm = await openWasm(build);
    const r = random(5);
    for (const count of [1, 2, 3, 63, 500]) {
      const full = r.normals(count);
      const kept = full.map((v) => v + 0.1 * r.normal());
      let error = 0;
      let power = 0;
      full.forEach((v, i) => {
        error += (v - kept[i]!) ** 2;
        power += v ** 2;
      });
      expect(relativeError(wasm, full, kept)).toBeCloseTo(error / power, 12);
    }
    expect(relativeError(wasm, new Float32Array(8), new Float32Array(8))).toBe(0);
  });

  test('a mean that goes on', async () => {
    const wasm = await openWasm(build);
    const r = random(9);
    for (const cols of [1, 2, 7, 64]) {
      const rows = Array.from({ length: 96 }, () => r.normals(cols));
      const at = wasm.alloc(8 * cols);
      const added = wasm.alloc(4 * cols);
      new Float64Array(wasm.memory.buffer, at, cols).fill(0);
      const mean = (from: number, to: number): Float32Array =>
        Float32Array.from(
          { length: cols },
          (_, i) => rows.slice(from, to).reduce((sum, row) => sum + row[i]!, 0) / (to - from),
        );
      let weight = 0;
      for (const [from, to] of [
        [0, 32],
        [32, 64],
        [64, 96],
      ] as const) {
        wasm.f32(added, cols).set(mean(from, to));
        wasm.exports.mergeMeans(at, weight, added, to - from, cols);
        weight += to - from;
      }
      const found = new Float64Array(wasm.memory.buffer, at, cols);
      const wanted = rows.reduce(
        (sums, row) => sums.map((s, i) => s + row[i]! / 96),
        Array.from({ length: cols }, () => 0),
      );
      wanted.forEach((v, i) => expect(Math.abs(found[i]! - v)).toBeLessThan(1e-6));
      wasm.free(at);
      wasm.free(added);
    }
  });
});

test('layers share pages by their errors', () => {
  for (let seed = 0; seed < CASES; seed++) {
    const r = random(seed + 17);
    const layers = r.integer(1, 9);
    const most = r.integer(1, 30);
    const common = r.integer(0, most + 1);
    const least = Math.ceil(common / 4);
    const errors = Array.from({ length: layers }, () => (r.uniform() < 0.2 ? 0 : r.uniform() ** 3));
    const found = shareOut(common * layers, errors, { least, most });
    expect([seed, ...found]).toEqual([seed, ...shares(common * layers, errors, least, most)]);
    expect(found.reduce((a, b) => a + b, 0)).toBe(common * layers);
    expect(Math.max(...found)).toBeLessThanOrEqual(most);
  }
  expect(strongest([1, 3, 3, 2], 2)).toEqual([1, 2]);
  expect(strongest([3, 1, 3, 3], 2)).toEqual([0, 2]);
});

test('a list of the first, the chosen and the newest keys', () => {
  const list = (sinks: number, middle: readonly number[], local: number, end: number): number[] => [
    ...framed(sinks, Uint32Array.from(middle), local, end).runs,
  ];
  expect(list(4, [10, 12, 20, 25], 30, 40)).toEqual([0, 4, 10, 12, 20, 25, 30, 40]);
  expect(list(4, [4, 12, 20, 30], 30, 40)).toEqual([0, 12, 20, 40]);
  expect(list(10, [2, 5, 8, 12], 11, 40)).toEqual([0, 40]);
  expect(list(0, [], 0, 5)).toEqual([0, 5]);
  expect(list(9, [], 9, 5)).toEqual([0, 5]);
  expect(list(0, [3, 9], 7, 8)).toEqual([3, 8]);
  expect([tokensOf(0.25, 10), tokensOf(1, 10), tokensOf(7, 10)]).toEqual([3, 10, 7]);
});
