/** The short form of `npm run fuzz`: some hundred cases of each kind, always the same ones. */
import { expect, test } from '@jest/globals';
import { KINDS, type Kind } from './kinds.ts';
import { fuzz, Wrong, type Fuzzer } from './run.ts';

/** As many as take some seconds. */
const COUNTS: Readonly<Record<Kind, number>> = {
  gguf: 1500,
  safetensors: 600,
  tokenizer: 200,
  template: 800,
  image: 150,
  session: 25,
  http: 60,
  constraint: 400,
};

test.each(Object.keys(COUNTS) as Kind[])(
  '%s: typed errors, or a right result',
  async (kind) => {
    const report = await fuzz(kind, KINDS[kind], { count: COUNTS[kind], seed: 1 });
    expect(report.failures).toEqual([]);
    // Damage of all kinds was done: some was noticed, some did no harm.
    expect(Object.keys(report.outcomes).length).toBeGreaterThan(1);
  },
  120_000,
);

test('untyped errors and wrong results are failures, and a case alone is the same case', async () => {
  const seen: number[] = [];
  const bad = async (): Promise<Fuzzer> => ({
    async run(r) {
      const value = r.integer(0, 1000);
      seen.push(value);
      if (seen.length % 3 === 1) throw new TypeError('oops');
      if (seen.length % 3 === 2) throw new Wrong('other bytes');
      return 'fine';
    },
  });
  const report = await fuzz('bad', bad, { count: 6, seed: 3 });
  expect(report.outcomes).toEqual({ 'UNTYPED ERROR': 2, 'WRONG RESULT': 2, fine: 2 });
  expect(report.failures.map((failure) => failure.case)).toEqual([0, 1, 3, 4]);
  await fuzz('bad', bad, { count: 1, seed: 3, from: 4 });
  expect(seen[6]).toBe(seen[4]);
});
