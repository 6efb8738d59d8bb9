/** Choices of visual tokens against f64 by definition, on every build; bad input; budgets. */
import type { VisualTokens } from '../../../src/select/visual/select.ts';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { outliers, readSelection, selectTokens, type VisualSelection } from '../../../src/select/visual/index.ts';
import type { Wasm } from '../../../src/wasm.ts';
import {
  determinantal,
  farthestFromMean,
  flooded,
  loneliest,
  maxMin,
  maxSum,
  relevanceTo,
  type Rows,
} from '../../reference/visual-select.ts';
import { random, type Random } from '../../support/random.ts';
import { openWasm, TEST_BUILDS } from '../../support/wasm.ts';

const CASES = 1000;

interface Case {
  readonly x: Rows;
  readonly tokens: VisualTokens;
  readonly k: number;
}

/** Random rows around few centres, some of them copies, multiples, opposites or zeros of others. */
function makeCase(r: Random): Case {
  const n = r.integer(1, 41);
  const d = r.pick([1, 2, 3, 5, 8, 15, 16, 17, 24, 33]);
  const common = r.normals(d, r.pick([0, 0, 1, 4]));
  const centres = Array.from({ length: r.integer(1, 6) }, () => r.normals(d));
  const spread = r.pick([0, 0.01, 0.3, 1, 1, 3]);
  const rows: Float32Array[] = [];
  for (let i = 0; i < n; i++) {
    const odd = r.uniform();
    if (odd < 0.05) rows.push(new Float32Array(d));
    else if (odd < 0.2 && i > 0) rows.push(r.pick(rows).map((value) => value * r.pick([1, 1, 2, 0.25])));
    else if (odd < 0.22 && i > 0) rows.push(r.pick(rows).map((value) => -value));
    else {
      const centre = r.pick(centres);
      rows.push(r.normals(d, spread).map((value, j) => value + centre[j]! + common[j]!));
    }
  }
  const embeddings = new Float32Array(n * d);
  rows.forEach((row, i) => embeddings.set(row, i * d));
  return {
    x: rows.map((row) => Float64Array.from(row)),
    tokens: { embeddings, count: n, width: d },
    k: r.integer(1, n + 1),
  };
}

const ascending = (kept: readonly number[]): number[] => [...kept].sort((a, b) => a - b);
const choice = (selection: VisualSelection): NonNullable<ReturnType<typeof readSelection>> => readSelection(selection)!;
/** A count, where 1 would be a share. */
const count = (k: number, n: number): number => (k === 1 ? 1 / (2 * n) : k);

/** What f64 chose, by test and case: the same for all builds. */
const truths = new Map<string, string>();

describe.each(TEST_BUILDS)('%s', (build) => {
  let wasm: Wasm;
  beforeAll(async () => {
    wasm = await openWasm(build);
  });

  const agree = (
    seed: number,
    selection: (it: Case) => VisualSelection,
    wanted: (it: Case) => number[],
    more: (it: Case, r: Random) => Partial<VisualTokens> = () => ({}),
  ): void => {
    const r = random(seed);
    for (let i = 0; i < CASES; i++) {
      const it = makeCase(r);
      const tokens = { ...it.tokens, ...more(it, r) };
      const asked = { ...it, tokens };
      const found = [...selectTokens(wasm, tokens, choice(selection(asked)))];
      const name = `${seed} ${i}`;
      const truth = truths.get(name) ?? ascending(wanted(asked)).join();
      truths.set(name, truth);
      if (found.join() !== truth)
        throw new Error(
          `case ${i}: ${it.k} of ${tokens.count} tokens of ${tokens.width}: ${found.join()}, expected ${truth}`,
        );
    }
  };
  const keep = ({ k, tokens }: Case): number => count(k, tokens.count);

  test('ToDRE by k-center, its default: 1,000 choices as in f64', () => {
    agree(
      3,
      (it) => ({ method: 'todre', keep: keep(it) }),
      ({ x, k }) => maxMin(x, k, farthestFromMean(x)),
    );
  });

  test('ToDRE by sums: 1,000 choices as in f64', () => {
    agree(
      1,
      (it) => ({ method: 'todre', spread: 'sum', keep: keep(it) }),
      ({ x, k }) => maxSum(x, k),
    );
  });

  test.each([
    [2, 'sum', maxSum],
    [4, 'center', maxMin],
  ] as const)("ToDRE, 'auto', case %d by %s: 1,000 ends as in f64", (seed, spread, truth) => {
    agree(
      seed,
      () => ({ method: 'todre', spread, keep: 'auto', threshold: 0.3 }),
      ({ x }) => truth(x, x.length, farthestFromMean(x), 0.3),
    );
  });

  test('DivPrune: 1,000 choices as in f64', () => {
    agree(
      5,
      (it) => ({ method: 'divprune', keep: keep(it) }),
      ({ x, k }) => maxMin(x, k, loneliest(x)),
    );
  });

  test.each([false, true])('CDPruner, negated %s: 1,000 choices as in f64', (negated) => {
    const asked = (question: Float32Array, d: number): Rows =>
      Array.from({ length: question.length / d }, (_, i) => Float64Array.from(question.subarray(i * d, (i + 1) * d)));
    const words = (it: Case, r: Random): Partial<VisualTokens> => ({
      question: r.normals(it.tokens.width * r.integer(1, 5)),
    });
    agree(
      negated ? 7 : 6,
      (it) => ({ method: 'cdpruner', negated, keep: keep(it) }),
      ({ x, k, tokens }) => determinantal(x, k, relevanceTo(x, asked(tokens.question!, tokens.width), negated)),
      words,
    );
  });

  test('ShowUI: components as by flooding; each keeps one, and the rest is shared; single ones stay; a share is that of each', () => {
    const r = random(70);
    for (let i = 0; i < 300; i++) {
      const [rows, columns, width] = [r.integer(1, 8), r.integer(1, 8), r.integer(1, 5)];
      const n = rows * columns;
      const values = Float32Array.from({ length: n * width }, () => r.integer(0, 3) / 2);
      const x = Array.from({ length: n }, (_, p) => Float64Array.from(values.subarray(p * width, (p + 1) * width)));
      const threshold = r.pick([0, 0.3, 0.6]);
      const labels = flooded(x, rows, columns, threshold);
      const sizes = new Map<number, number>();
      for (const label of labels) sizes.set(label, (sizes.get(label) ?? 0) + 1);
      const tokens = {
        embeddings: r.normals(n * 2),
        count: n,
        width: 2,
        patches: [{ start: 0, values, rows, columns, width }],
      };
      const one = [...selectTokens(wasm, tokens, choice({ method: 'showui', keep: 'auto', threshold }))];
      expect(new Set(one.map((p) => labels[p]))).toEqual(new Set(labels));
      expect(one).toHaveLength(sizes.size);
      const k = Math.min(n, r.integer(2, n + 2));
      const keep = Math.max(2, k);
      const some = [...selectTokens(wasm, tokens, choice({ method: 'showui', keep, threshold, seed: i }))];
      expect(some).toHaveLength(k);
      for (const [label, size] of sizes) {
        const held = some.filter((p) => labels[p] === label).length;
        const single = [...sizes.values()].filter((one) => one === 1).length;
        if (k < sizes.size) {
          expect(held).toBeLessThanOrEqual(1);
          if (size === 1 && k >= single) expect(held).toBe(1);
          if (size > 1 && k <= single) expect(held).toBe(0);
        } else {
          const share = n === sizes.size ? 1 : 1 + ((k - sizes.size) * (size - 1)) / (n - sizes.size);
          expect(Math.abs(held - share)).toBeLessThan(1);
        }
      }
      const share = r.pick([0.1, 0.5, 0.7]);
      const each = [...selectTokens(wasm, tokens, choice({ method: 'showui', keep: share, threshold, seed: i }))];
      for (const [label, size] of sizes)
        expect(each.filter((p) => labels[p] === label)).toHaveLength(Math.max(1, Math.round(size * share)));
    }
  });

  test('larger ones, with a fixed part and a ragged width: as in f64; int8 keeps as many and most of the same', () => {
    const r = random(8);
    const [n, d, k] = [301, 70, 60];
    const centres = Array.from({ length: 12 }, () => r.normals(d));
    const embeddings = Float32Array.from(
      Array.from({ length: n }, () => r.pick(centres)).flatMap((centre) => [
        ...r.normals(d, 0.5).map((value, j) => value + centre[j]! + 2),
      ]),
    );
    const tokens: VisualTokens = {
      embeddings,
      count: n,
      width: d,
      fixed: [
        [0, 2],
        [295, 301],
      ],
    };
    const x = Array.from({ length: n }, (_, i) => Float64Array.from(embeddings.subarray(i * d, (i + 1) * d)));
    const truth = [0, 1, ...ascending(maxSum(x.slice(2, 295), k - 8)).map((i) => i + 2), 295, 296, 297, 298, 299, 300];
    const sum = { method: 'todre', spread: 'sum', keep: k } as const;
    expect([...selectTokens(wasm, tokens, choice(sum))]).toEqual(truth);
    const quick = [...selectTokens(wasm, tokens, choice({ ...sum, precision: 'int8' }))];
    expect(quick).toHaveLength(k);
    expect(quick.filter((i) => truth.includes(i)).length).toBeGreaterThan(0.8 * k);
  });

  test('memory is given back, after errors too', () => {
    const before = wasm.exports.allocated();
    const embeddings = random(9).normals(50 * 8);
    const question = random(10).normals(8);
    for (const method of ['todre', 'divprune', 'cdpruner', 'random'] as const) {
      selectTokens(wasm, { embeddings, count: 50, width: 8, question }, choice({ method }));
      const broken = embeddings.slice();
      broken[8 * 13 + 3] = NaN;
      for (const bad of [NaN, Infinity]) {
        broken[8 * 13 + 3] = bad;
        for (const kept of [0.2, 1]) {
          const call = (): unknown =>
            selectTokens(wasm, { embeddings: broken, count: 50, width: 8, question }, choice({ method, keep: kept }));
          expect(call).toThrow(
            expect.objectContaining({ name: 'InputError', message: expect.stringContaining('token 13') }),
          );
        }
      }
    }
    expect(wasm.exports.allocated()).toBe(before);
  });
});

describe('odd input', () => {
  let wasm: Wasm;
  beforeAll(async () => {
    wasm = await openWasm('simd');
  });
  const methods = ['todre', 'divprune', 'cdpruner', 'showui', 'random'] as const;

  test.each(methods)('%s: one token, all alike, all zeros, more wanted than there are', (method) => {
    const some = (values: Float32Array, n: number, keep: number): number[] => {
      const patches = [{ start: 0, values: new Float32Array(n), rows: 1, columns: n, width: 1 }];
      return [
        ...selectTokens(
          wasm,
          {
            embeddings: values,
            count: n,
            width: values.length / n,
            question: values.slice(0, values.length / n),
            patches,
          },
          choice({ method, keep }),
        ),
      ];
    };
    expect(some(Float32Array.of(1, 2), 1, 0.1)).toEqual([0]);
    expect(some(Float32Array.of(0, 0), 1, 5)).toEqual([0]);
    expect(some(new Float32Array(40).fill(0.7), 20, 5)).toHaveLength(5);
    expect(some(new Float32Array(40), 20, 5)).toHaveLength(5);
    if (method !== 'random' && method !== 'showui')
      expect(some(new Float32Array(40).fill(0.7), 20, 5)).toEqual([0, 1, 2, 3, 4]);
    expect(some(random(1).normals(40), 20, 21)).toHaveLength(20);
    expect(some(random(1).normals(40), 20, 1)).toHaveLength(20);
  });

  test("'auto' on one colour keeps one token", () => {
    for (const method of ['todre', 'divprune', 'showui'] as const) {
      const patches = [{ start: 0, values: new Float32Array(20), rows: 4, columns: 5, width: 1 }];
      expect(
        selectTokens(
          wasm,
          { embeddings: new Float32Array(40).fill(3), count: 20, width: 2, patches },
          choice({ method, keep: 'auto' }),
        ),
      ).toHaveLength(1);
    }
  });

  test('what never goes, stays; one of the others at least', () => {
    const embeddings = random(2).normals(24);
    const kept = (fixed: [number, number][], keep: number): number[] => [
      ...selectTokens(wasm, { embeddings, count: 12, width: 2, fixed }, choice({ method: 'todre', keep })),
    ];
    // A share counts them.
    expect(kept([[8, 12]], 0.1)).toHaveLength(5);
    expect(kept([[8, 12]], 0.5)).toHaveLength(6);
    expect(kept([[8, 12]], 1)).toHaveLength(12);
    expect(kept([[8, 12]], 0.1).slice(-4)).toEqual([8, 9, 10, 11]);
    expect(kept([[0, 12]], 0.1)).toHaveLength(12);
    expect(
      kept(
        [
          [0, 1],
          [11, 12],
        ],
        6,
      ),
    ).toHaveLength(6);
  });

  test.each([
    [{ method: 'fastv' }, "'todre'"],
    [{ method: 'todre', keep: 0 }, 'share'],
    [{ method: 'todre', keep: -1 }, 'share'],
    [{ method: 'todre', keep: NaN }, 'share'],
    [{ method: 'todre', keep: 2.5 }, 'share'],
    [{ method: 'random', keep: 'auto' }, 'stop'],
    [{ method: 'cdpruner', keep: 'auto' }, 'stop'],
    [{ method: 'todre', budget: 3 }, 'budget'],
    [{ method: 'todre', pivot: 'nearest' }, 'farthest'],
    [{ method: 'todre', seed: 0.5 }, 'whole number'],
    [{ method: 'todre', threshold: 3 }, '0 to 2'],
    [{ method: 'todre', precision: 'int8' }, "spread: 'sum'"],
    [{ method: 'random', spread: 'sum', precision: 'int8' }, "spread: 'sum'"],
    [{ method: 'todre', release: { tau: 2 } }, '0 to 1'],
    [null, 'method'],
    [7, 'method'],
  ])('%j is refused', (asked, message) => {
    expect(() => readSelection(asked as never)).toThrow(
      expect.objectContaining({ name: 'InputError', message: expect.stringContaining(message) }),
    );
  });

  test("DAMRO's outliers: the longest of the tokens that show something, without those that are always kept otherwise", () => {
    const lengths = [1, 9, 2, 8, 3, 7, 100, 100];
    const embeddings = Float32Array.from(lengths.flatMap((length) => [length, 0]));
    const found = (count: number): number[] => [
      ...selectTokens(wasm, { embeddings, count: 8, width: 2, fixed: [[6, 8]] }, outliers(count)),
    ];
    expect([found(1), found(3), found(9)]).toEqual([[1], [1, 3, 5], [0, 1, 2, 3, 4, 5]]);
  });

  test('cdpruner without a question holds all for equally relevant; showui without patches, values that are no tokens', () => {
    const tokens = { embeddings: random(3).normals(20), count: 10, width: 2 };
    const x = Array.from({ length: 10 }, (_, i) => Float64Array.from(tokens.embeddings.subarray(2 * i, 2 * i + 2)));
    expect([...selectTokens(wasm, tokens, choice({ method: 'cdpruner', keep: 4 }))]).toEqual(
      ascending(
        determinantal(
          x,
          4,
          x.map(() => 1),
        ),
      ),
    );
    expect(() => selectTokens(wasm, tokens, choice({ method: 'showui' }))).toThrow(/patches/);
    expect(() => selectTokens(wasm, { ...tokens, count: 11 }, choice({ method: 'todre' }))).toThrow(
      /20 values are not 11 tokens of 2/,
    );
  });
});
