/** assembly/select/{chunks,dhsa,boundary,flex}.ts against naive f64 loops: the same inputs, the same sets. */
import { expect, test, describe } from '@jest/globals';
import { keepPeaks, scoreGaps, similarityScorer } from '../../../src/select/prefill/dhsa-boundaries.ts';
import { chooseChunks } from '../../../src/select/prefill/dhsa-choice.ts';
import { BoundaryPredictor } from '../../../src/select/prefill/dhsa-predictor.ts';
import { boundarySizes } from '../../../src/select/prefill/dhsa-weights.ts';
import { withScratch } from '../../../src/select/prefill/dhsa-scratch.ts';
import type { Wasm } from '../../../src/wasm.ts';
import { rotate } from '../../reference/maths.ts';
import * as reference from '../../reference/select.ts';
import { random, type Random } from '../../support/random.ts';
import { expectClose, TOLERANCE } from '../../support/tolerance.ts';
import { openWasm, TEST_BUILDS } from '../../support/wasm.ts';

const CASES = 1000;
const singles = (data: Float32Array, width: number): Float32Array[] =>
  Array.from({ length: data.length / width }, (_, i) => data.subarray(i * width, (i + 1) * width));
/** Small whole numbers: scores that are equal, and exact. */
const coarse = (r: Random, count: number): Float32Array => Float32Array.from({ length: count }, () => r.integer(-1, 2));

function expand(runs: ArrayLike<number>, end: number): boolean[] {
  const seen = Array.from({ length: end }, () => false);
  for (let i = 0; i < runs.length; i += 2) {
    expect(runs[i]!).toBeGreaterThan(i === 0 ? -1 : runs[i - 1]!);
    for (let key = runs[i]!; key < runs[i + 1]!; key++) seen[key] = true;
  }
  return seen;
}

function chunkCases(wasm: Wasm, seed: number): void {
  const r = random(seed);
  const kvHeads = r.integer(1, 4);
  const group = r.integer(1, 4);
  const headDim = 4 * r.integer(1, 6);
  const heads = kvHeads * group;
  const whole = r.uniform() < 0.3;
  const starts = [0];
  const chunks = r.pick([1, 2, 5, r.integer(3, 40)]);
  for (let c = 1; c < chunks; c++) starts.push(starts[c - 1]! + r.integer(1, 40));
  const keys = starts.at(-1)! + r.integer(1, 40);
  const values = r.uniform() < 0.5 ? coarse : (from: Random, n: number) => from.normals(n);
  const vectors = values(r, chunks * kvHeads * headDim);
  if (r.uniform() < 0.05) vectors[r.integer(0, vectors.length)] = NaN;
  const blocks = Array.from({ length: r.integer(1, 4) }, () => {
    const end = r.integer(1, keys + 1);
    return {
      start: 0,
      queries: 1,
      row: r.integer(0, 3),
      pooled: 0,
      local: r.integer(0, end),
      end,
      budget: r.integer(0, end + 2),
    };
  });
  const pooled = [r.integer(1, 129), 128, r.integer(1, 129)];
  blocks.forEach((block, i) => (blocks[i] = { ...block, pooled: pooled[block.row]! }));
  const queries = values(r, 3 * heads * headDim);
  const sinks = r.integer(0, 9);
  const bytes = vectors.length * 4;
  const pointer = wasm.alloc(bytes);
  wasm.f32(pointer, vectors.length).set(vectors);
  const ranges = chooseChunks(wasm, {
    heads,
    kvHeads,
    headDim,
    blocks,
    queries,
    vectors: pointer,
    starts,
    end: keys,
    sinks,
    whole,
  });
  wasm.free(pointer);
  const perHead = singles(vectors, headDim);
  const means = singles(queries, headDim);
  blocks.forEach(({ row, pooled: count, local, end, budget }, block) => {
    for (let head = 0; head < kvHeads; head++) {
      const list = block * kvHeads + head;
      const wanted = reference.chosenKeys({
        means: means.slice(row * heads + head * group, row * heads + (head + 1) * group),
        queries: count,
        vectors: starts.map((_, c) => perHead[c * kvHeads + head]!),
        bounds: [...starts, keys],
        sinks: Math.min(sinks, local),
        local,
        end,
        budget,
        whole,
      });
      const runs = ranges.runs.subarray(2 * ranges.offsets[list]!, 2 * ranges.offsets[list + 1]!);
      expect({ seed, block, head, seen: expand(runs, end).map(Number).join('') }).toEqual({
        seed,
        block,
        head,
        seen: wanted.map(Number).join(''),
      });
    }
  });
}

function peakCase(wasm: Wasm, seed: number): void {
  const r = random(seed);
  const count = r.integer(1, 120);
  const first = r.integer(4, 400);
  const scores = Array.from({ length: count }, () =>
    r.uniform() < 0.5 ? r.integer(0, 5) / 4 : Math.fround(r.uniform()),
  );
  if (r.uniform() < 0.1) scores[r.integer(0, count)] = NaN;
  const threshold = r.pick([0, 0.25, 0.7]);
  const most = r.integer(0, 12);
  const last = r.pick([-1, 0, first - r.integer(1, 12)]);
  const forced = r.pick([-1, r.integer(0, 600), first + r.integer(0, count), first + count + 3]);
  const found = keepPeaks(wasm, {
    scores: Float32Array.from(scores),
    first,
    threshold,
    most,
    last: Math.max(-1, last),
    forced,
  });
  expect({ seed, found }).toEqual({
    seed,
    found: reference.keptPeaks({ scores, first, threshold, radius: 8, most, last: Math.max(-1, last), forced }),
  });
}

function coverCase(wasm: Wasm, seed: number): void {
  const r = random(seed);
  const n = r.integer(1, 300);
  // Sums of eighths are exact in any order; normals' absolute values are never equal.
  const exact = r.uniform() < 0.5;
  const mass = Float32Array.from({ length: n }, () => (exact ? r.integer(0, 5) / 8 : Math.abs(r.normal())));
  const share = exact ? r.pick([0.25, 0.5, 1]) : 0.9;
  const most = r.pick([n, 0, r.integer(0, n + 1)]);
  const found = withScratch(wasm, [n, 4 * n, 8 * 2048], (marks = 0, at = 0, histogram = 0) => {
    wasm.f32(at, n).set(mass);
    const count = wasm.exports.cover(marks, at, n, share, most, histogram);
    const chosen = [...wasm.bytes(marks, n)].flatMap((mark, i) => (mark === 0 ? [] : [i]));
    expect(chosen.length).toBe(count);
    return chosen;
  });
  expect({ seed, found }).toEqual({ seed, found: reference.covering(mass, share, most) });
}

function lineCase(wasm: Wasm, seed: number): void {
  const r = random(seed);
  const start = r.integer(0, 200);
  const end = start + r.integer(1, 60);
  const local = r.integer(0, start + 1);
  const sinks = r.integer(0, 6);
  const width = r.pick([4, 32]);
  const bins = Math.ceil(end / width);
  const vertical = Array.from({ length: local }, (_, i) => i).filter(() => r.uniform() < 0.1);
  const slash = Array.from({ length: bins }, (_, i) => i).filter(() => r.uniform() < 0.15);
  const runs = withScratch(
    wasm,
    [8 * (local + 4), local + 1, local + 1, bins],
    (out = 0, seen = 0, columns = 0, lines = 0) => {
      wasm.bytes(columns, local).fill(0);
      for (const key of vertical) wasm.bytes(columns, local)[key] = 1;
      wasm.bytes(lines, bins).fill(0);
      for (const bin of slash) wasm.bytes(lines, bins)[bin] = 1;
      return wasm
        .u32(out, 2 * wasm.exports.lineRuns(out, seen, columns, lines, bins, width, start, end, sinks, local))
        .slice();
    },
  );
  expect({ seed, seen: expand(runs, end) }).toEqual({
    seed,
    seen: reference.lineKeys(vertical, slash, { width, start, end, sinks: Math.min(sinks, local), local }),
  });
}

describe.each(TEST_BUILDS)('%s', (build) => {
  test(`the choice of chunks, ${CASES} cases`, async () => {
    const wasm = await openWasm(build);
    for (let seed = 0; seed < CASES; seed++) chunkCases(wasm, seed);
    expect(wasm.exports.allocated() >>> 0).toBe(0);
  });

  test('the peaks that are kept', async () => {
    const wasm = await openWasm(build);
    for (let seed = 0; seed < CASES; seed++) peakCase(wasm, seed);
  });

  test('gap scores of keys that are rotated back', async () => {
    const wasm = await openWasm(build);
    const r = random(7);
    for (const [kvHeads, headDim, rotary, style, from, rows] of [
      [2, 16, 16, 'half', 0, 9],
      [1, 12, 8, 'interleaved', 1000, 40],
      [3, 6, 4, 'half', 31000, 21],
    ] as const) {
      const rope = {
        inverseFrequency: Float64Array.from({ length: rotary / 2 }, (_, i) => 10 ** (-2 * i)),
        magnitude: 1.3,
        style,
      };
      const width = kvHeads * headDim;
      const keys = r.normals(rows * width);
      const cached = singles(keys, headDim).map((key) => Float64Array.from(key));
      cached.forEach((key, i) => rotate(key, from + Math.floor(i / kvHeads), rope));
      const found = scoreGaps(wasm, similarityScorer, Float32Array.from(cached.flatMap((key) => [...key])), {
        kvHeads,
        headDim,
        rope,
        from,
      });
      expectClose(found, reference.gapScores(singles(keys, width), 4), 1e-5, `gaps of ${style}`);
    }
  });

  test('gap scores of given keys: bit for bit', async () => {
    const wasm = await openWasm(build);
    const r = random(8);
    const [count, width, w] = [37, 10, 4];
    const keys = r.normals((count + 2 * w - 1) * width);
    keys.fill(0, 5 * width, 14 * width);
    const found = withScratch(wasm, [4 * keys.length, 4 * count], (at = 0, out = 0) => {
      wasm.f32(at, keys.length).set(keys);
      wasm.exports.gapScores(out, at, count, width, w);
      return wasm.f32(out, count).slice();
    });
    const wanted = reference.gapScores(singles(keys, width), w);
    expect([...found]).toEqual(wanted);
    expect(found[5]).toBe(0);
  });

  test('the learned predictor', async () => {
    const wasm = await openWasm(build);
    for (const [width, hidden, w, count] of [
      [16, 8, 4, 21],
      [10, 3, 2, 5],
    ] as const) {
      const r = random(width);
      const sizes = boundarySizes(width, hidden);
      const t = (name: keyof typeof sizes): Float32Array => r.normals(sizes[name], name === 'outputBias' ? 1 : 0.4);
      const tensors = {
        query: t('query'),
        key: t('key'),
        value: t('value'),
        normWeight: t('normWeight'),
        normBias: t('normBias'),
        hiddenWeight: t('hiddenWeight'),
        hiddenBias: t('hiddenBias'),
        outputWeight: t('outputWeight'),
        outputBias: t('outputBias'),
      };
      const predictor = new BoundaryPredictor(wasm, { layer: 0, window: w, threshold: 0.5, width, hidden, tensors });
      const keys = r.normals((count + 2 * w - 1) * width);
      const found = withScratch(wasm, [4 * keys.length, 4 * count], (at = 0, out = 0) => {
        wasm.f32(at, keys.length).set(keys);
        predictor.score(wasm, out, at, count, width);
        return wasm.f32(out, count).slice();
      });
      predictor.free();
      const wanted = reference.predicted({
        ...tensors,
        outputBias: tensors.outputBias[0]!,
        keys: singles(keys, width),
        w,
      });
      expect(Math.max(...wanted) - Math.min(...wanted)).toBeGreaterThan(0.05);
      expectClose(found, wanted, 20 * TOLERANCE.elementwise, `predictor of ${width}`);
      expect(() => predictor.score(wasm, 0, 0, 1, width + 1)).toThrow(/trained on/);
    }
    expect(wasm.exports.allocated() >>> 0).toBe(0);
  });

  test('what covers a share of the mass', async () => {
    const wasm = await openWasm(build);
    for (let seed = 0; seed < CASES; seed++) coverCase(wasm, seed);
  });

  test('vertical and slash lines', async () => {
    const wasm = await openWasm(build);
    for (let seed = 0; seed < CASES / 2; seed++) lineCase(wasm, seed);
  });

  test('distances of distributions, and what block means promise', async () => {
    const wasm = await openWasm(build);
    const r = random(3);
    for (const [n, group, dim] of [
      [1, 1, 4],
      [7, 3, 6],
      [40, 2, 16],
    ] as const) {
      const p = r.normals(n).map(Math.abs);
      const q = r.normals(n).map((v, i) => (i % 3 === 0 ? 0 : Math.abs(v)));
      if (n === 1) q[0] = 2;
      const queries = r.normals(group * dim);
      const vectors = r.normals(n * dim);
      const [distance, mass] = withScratch(
        wasm,
        [4 * n, 4 * n, 4 * queries.length, 4 * vectors.length, 8 * (n + dim)],
        (a = 0, b = 0, at = 0, k = 0, scratch = 0) => {
          wasm.f32(a, n).set(p);
          wasm.f32(b, n).set(q);
          const js = wasm.exports.jensenShannon(a, b, n);
          wasm.f32(at, queries.length).set(queries);
          wasm.f32(k, vectors.length).set(vectors);
          wasm.exports.blockMass(a, at, k, dim, n, dim, group, 0.5, 0.3, scratch);
          return [js, wasm.f32(a, n).slice()] as const;
        },
      );
      expect(distance).toBeCloseTo(reference.jensenShannon(p, q), 12);
      expectClose(
        mass,
        reference.blockMass(singles(queries, dim), singles(vectors, dim), 0.5, 0.3),
        TOLERANCE.elementwise,
        'mass',
      );
    }
  });
});
