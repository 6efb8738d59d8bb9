/** Schedules against values computed in Python (numpy f64, from the published formulas), and the order of uncovering against its own. */
import { describe, expect, test } from '@jest/globals';
import { toRgba } from '../../src/paint/picture.ts';
import { seededSources } from '../../src/paint/noise.ts';
import { cosineBetas, diffusionSchedule, maskLength, spacedSteps, uncoverings } from '../../src/paint/schedule.ts';

const ADM = { width: 8, blocks: 1, trainSteps: 1000, prediction: 'eps' } as const;

describe('diffusion', () => {
  test('spaced steps: a rounded stride, halves to the even number', () => {
    const hundred = spacedSteps(1000, 100);
    expect(hundred.slice(0, 12)).toEqual([0, 10, 20, 30, 40, 50, 61, 71, 81, 91, 101, 111]);
    expect(hundred.slice(-3)).toEqual([979, 989, 999]);
    expect(hundred.reduce((a, b) => a + b)).toBe(49950);
    expect(spacedSteps(1000, 7)).toEqual([0, 166, 333, 500, 666, 832, 999]);
    expect(spacedSteps(6, 3)).toEqual([0, 2, 5]);
    expect(spacedSteps(8, 3)).toEqual([0, 4, 7]);
    expect(spacedSteps(1000, 1000).at(-1)).toBe(999);
    expect(spacedSteps(1000, 1)).toEqual([0]);
  });

  // alpha, sigma, x0FromX, x0FromEps, meanFromX0, meanFromX, lowLogVariance, highLogVariance of the i-th spaced step.
  test.each([
    [
      0.2,
      99,
      999,
      [
        0.00513838105033711, 0.99998679843295, 194.61382684618022, 194.61125763869626, 0.013889995462124983,
        0.3296528031761043, -0.11531092231196662, -0.1150944388978223,
      ],
    ],
    [
      0.2,
      50,
      505,
      [
        0.6960564062031113, 0.7179871025189863, 1.4366651769715875, 1.0315070677037568, 0.0469491558461448,
        0.9500863770173814, -3.410175196467124, -3.376357423733981,
      ],
    ],
    [
      0.2,
      1,
      10,
      [
        0.999639386865755, 0.026853234938406967, 1.0003607432229893, 0.02686292206092787, 0.9427674281100751,
        0.05723256838029648, -10.15394511055059, -7.293652980830654,
      ],
    ],
    [
      0.2,
      0,
      0,
      [
        0.9999793576745362, 0.0064252801356804, 1.000020642751578, 0.006425412771141183, 1, 0, -10.15394511055059,
        -10.09503009653447,
      ],
    ],
    [
      0.999,
      99,
      999,
      [
        4.9282521313695554e-5, 0.9999999987856165, 20291.169634661146, 20291.169610019886, 0.015583721365743979,
        0.003161636366245914, -0.00025288514517641907, -1.0000851416131292e-5,
      ],
    ],
  ] as const)('max beta %s, step %s', (maxBeta, i, time, wanted) => {
    const schedule = diffusionSchedule({ ...ADM, maxBeta }, 100, 0.7);
    const step = schedule[99 - i]!;
    expect(step.time).toBe(time);
    const {
      alpha,
      sigma,
      x0FromX,
      x0FromEps,
      meanFromX0,
      meanFromX,
      lowLogVariance,
      highLogVariance,
      noiseScale,
      prediction,
    } = step.spec;
    const found = [alpha, sigma, x0FromX, x0FromEps, meanFromX0, meanFromX, lowLogVariance, highLogVariance];
    // Differences of numbers near 1 lose some digits of an f64.
    found.forEach((value, j) =>
      expect(Math.abs(value - wanted[j]!)).toBeLessThanOrEqual(1e-8 * Math.max(1, Math.abs(wanted[j]!))),
    );
    expect(noiseScale).toBe(i === 0 ? 0 : 0.7);
    expect(prediction).toBe('eps');
  });

  test('betas never exceed the limit, and reach it at the end', () => {
    const betas = cosineBetas(1000, 0.2);
    expect(Math.max(...betas)).toBe(0.2);
    expect(betas.at(-1)).toBe(0.2);
    expect(betas[0]).toBeCloseTo(4.128422482e-5, 12);
  });

  test('every number of steps gives finite numbers', () => {
    for (const steps of [1, 2, 3, 50, 999, 1000]) {
      const schedule = diffusionSchedule({ ...ADM, maxBeta: 0.999 }, steps, 1);
      expect(schedule).toHaveLength(steps);
      for (const { spec } of schedule)
        for (const value of Object.values(spec))
          if (typeof value === 'number') expect(Number.isFinite(value)).toBe(true);
      expect(schedule.at(-1)).toMatchObject({ time: 0, spec: { noiseScale: 0 } });
    }
  });
});

describe('uncovering', () => {
  const lengths = (total: number, iterations: number): number[] => {
    let masked = total;
    return Array.from({ length: iterations }, (_, i) => (masked = maskLength(total, masked, i, iterations)));
  };

  test('mask lengths', () => {
    expect(lengths(64, 8)).toEqual([62, 59, 53, 45, 35, 24, 12, 1]);
    expect(lengths(1024, 32)).toEqual([
      1022, 1019, 1012, 1004, 993, 979, 964, 946, 925, 903, 878, 851, 822, 791, 758, 724, 687, 649, 609, 568, 526, 482,
      437, 391, 344, 297, 248, 199, 150, 100, 50, 1,
    ]);
    expect(lengths(4, 4)).toEqual([3, 2, 1, 1]);
    expect(lengths(16, 1)).toEqual([1]);
  });

  test.each([
    [16, 1],
    [16, 4],
    [16, 16],
    [64, 7],
    [1, 1],
  ])(
    '%s tokens in %s rounds: each once, the last of the order first, what is known grows by what was wanted',
    (total, iterations) => {
      const order = seededSources(3).order(total);
      const rounds = uncoverings(order, iterations);
      let known: number[] = [];
      for (const round of rounds) {
        expect([...round.known]).toEqual(known);
        const wanted = [...order.subarray(total - known.length - round.wanted.length, total - known.length)];
        expect([...round.wanted]).toEqual(wanted.sort((a, b) => a - b));
        known = [...known, ...wanted].sort((a, b) => a - b);
      }
      expect(known).toEqual(Array.from({ length: total }, (_, i) => i));
    },
  );

  test('an order that is no permutation is refused', () => {
    expect(() => uncoverings(Int32Array.of(0, 1, 1), 2)).toThrow(/each once/);
    expect(() => uncoverings(Int32Array.of(0, 1, 3), 2)).toThrow(/each once/);
  });
});

describe('randomness', () => {
  test('noise is normal, and depends on seed, step, position and channel alone', () => {
    const shape = { tokens: 1024, channels: 16 };
    const all = Int32Array.from({ length: 1024 }, (_, i) => i);
    const sources = seededSources(7);
    const noise = sources.noise(5, all, shape);
    const mean = noise.reduce((a, b) => a + b) / noise.length;
    const variance = noise.reduce((a, b) => a + b * b, 0) / noise.length;
    const fourth = noise.reduce((a, b) => a + b ** 4, 0) / noise.length;
    // Three standard errors of 16,384 draws.
    expect(Math.abs(mean)).toBeLessThan(0.024);
    expect(Math.abs(variance - 1)).toBeLessThan(0.034);
    expect(Math.abs(fourth - 3)).toBeLessThan(0.24);
    const neighbours = noise.slice(1).reduce((sum, value, i) => sum + value * noise[i]!, 0) / noise.length;
    expect(Math.abs(neighbours)).toBeLessThan(0.024);
    expect(sources.noise(5, Int32Array.of(3, 1000), shape)).toEqual(
      Float32Array.of(...noise.subarray(48, 64), ...noise.subarray(16_000, 16_016)),
    );
    expect(seededSources(7).noise(5, all, shape)).toEqual(noise);
    for (const other of [
      seededSources(8).noise(5, all, shape),
      sources.noise(6, all, shape),
      sources.noise('initial', all, shape),
    ]) {
      const product = noise.reduce((sum, value, i) => sum + value * other[i]!, 0) / noise.length;
      expect(Math.abs(product)).toBeLessThan(0.024);
    }
  });

  test('orders are permutations, seeds give different ones', () => {
    const orders = [0, 1, 2, 4294967295].map((seed) => seededSources(seed).order(64));
    for (const order of orders)
      expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 64 }, (_, i) => i));
    expect(new Set(orders.map((order) => order.join())).size).toBe(4);
  });
});

test('pixels to bytes: cut off, not rounded; clamped', () => {
  expect([...toRgba(Float32Array.of(-1, 0, 1, -1.1, 0.999, 5))]).toEqual([0, 128, 255, 255, 0, 255, 255, 255]);
  // 127.5 * 0.0078 + 128 = 128.9945
  expect(toRgba(Float32Array.of(0.0078, -0.001, -1 / 127.5))).toEqual(Uint8ClampedArray.of(128, 127, 127, 255));
});
