/** Which keys a generated token sees, by TokenSelect, SentenceKV and ReKV's retrieval, beside naive loops over all keys. */
import { describe, expect, test } from '@jest/globals';
import { Checksums } from '../../../src/kv/checksum.ts';
import { isPlan } from '../../../src/kv/plan.ts';
import { CombinedPlanner } from '../../../src/select/combined.ts';
import { Retrieve } from '../../../src/select/decode/retrieve.ts';
import { sentenceEnds, SentenceKV } from '../../../src/select/decode/sentences.ts';
import { TokenSelect } from '../../../src/select/decode/tokens.ts';
import { denseCausal } from '../../../src/kv/ranges.ts';
import { Tiers } from '../../../src/kv/tiers.ts';
import { best, dot, fill } from '../../reference/keys.ts';
import { expectNmse, TOLERANCE } from '../../support/tolerance.ts';
import { openWasm } from '../../support/wasm.ts';
import { Bed, DIM, GROUP, HEADS, keysOf, KV_HEADS, LAYERS, SCALE, span } from '../bed.ts';

const wasm = await openWasm('simd');
const unique = (keys: readonly number[]): number[] => [...new Set(keys)].sort((a, b) => a - b);

describe('TokenSelect', () => {
  const settings = { budget: 20, sinks: 3, local: 10, similarity: 0.9 };

  /** The keys chosen at `position`, first and newest among them. */
  function wanted(bed: Bed, layer: number, position: number, newest = position): number[] {
    const keys = span(0, position + 1);
    const sums = keys.map(() => 0);
    for (let head = 0; head < HEADS; head++)
      bed.masses(layer, position, head, keys).forEach((mass, key) => (sums[key]! += mass));
    const candidates = sums.slice(settings.sinks, position + 1 - settings.local);
    const chosen = [...best(candidates, settings.budget)].map((i) => i + settings.sinks);
    return unique([...span(0, settings.sinks), ...chosen, ...span(newest + 1 - settings.local, newest + 1)]);
  }

  test('the keys with the most attention, summed over all heads, are seen by all', async () => {
    for (let seed = 0; seed < 6; seed++) {
      const bed = new Bed(seed, 140);
      const planner = new TokenSelect(wasm, { ...settings, similarity: 1.1 });
      await bed.prefill(new CombinedPlanner({ decode: planner }), 120, 50);
      for (let position = 120; position < 124; position++) {
        const seen = await bed.decode(planner, position, 120);
        for (let layer = 0; layer < LAYERS; layer++)
          expect(keysOf(seen[layer]!.ranges, 0)).toEqual(wanted(bed, layer, position));
      }
    }
  });

  test('a choice is reused while the query stays near the one that made it, and only in the next call', async () => {
    const bed = new Bed(3, 140, {
      change: (rows) => {
        // Near, near, opposite. RoPE turns them alike but for one step of the fastest pair: no rotation here.
        for (const layer of rows) {
          layer[121] = { ...layer[121]!, q: layer[120]!.q.map((x) => x * 1.01) };
          layer[122] = { ...layer[122]!, q: layer[120]!.q.map((x) => -x) };
        }
      },
    });
    bed.rope.inverseFrequency.fill(0);
    const planner = new TokenSelect(wasm, settings);
    await bed.prefill(planner, 120, 60);
    const [first] = await bed.decode(planner, 120, 120);
    expect(keysOf(first!.ranges, 0)).toEqual(wanted(bed, 0, 120));
    const reused = (await bed.decode(planner, 121, 120))[0]!.ranges;
    const kept = keysOf(first!.ranges, 0).filter((key) => key < 120 + 1 - settings.local);
    expect(keysOf(reused, 0)).toEqual(unique([...kept, ...span(121 + 1 - settings.local, 122)]));
    expect(keysOf((await bed.decode(planner, 122, 120))[0]!.ranges, 0)).toEqual(wanted(bed, 0, 122));
    // Elsewhere it is chosen anew, though the query were the same.
    bed.sequence.truncate(121);
    planner.truncated();
    expect(keysOf((await bed.decode(planner, 121, 120))[0]!.ranges, 0)).toEqual(wanted(bed, 0, 121));
  });

  test('a budget that covers everything needs no plan', () => {
    const planner = new TokenSelect(wasm, { budget: 1, sinks: 1, local: 1, similarity: 0.9 });
    const bed = new Bed(1, 64);
    const asked = planner.plan(bed.call(40, 1, { phase: 'decode', promptEnd: 40 }));
    expect(isPlan(asked)).toBe(false);
    expect(asked).toEqual(denseCausal(1, 41));
  });
});

describe('SentenceKV', () => {
  const settings = { budget: 30, sinks: 2, local: 8 };
  const ends = (id: number): boolean => id === 0;

  /** Sentences that ended before `position`, at most 64 tokens each. */
  function sentences(ids: Int32Array, position: number): [number, number][] {
    const found: [number, number][] = [];
    let start = 0;
    for (let i = 0; i < position; i++) {
      if (!ends(ids[i]!) && i + 1 - start < 64) continue;
      found.push([start, i + 1]);
      start = i + 1;
    }
    return found;
  }

  test('sentences nearest to the mean query since the last end of one, by KV head', async () => {
    for (let seed = 0; seed < 6; seed++) {
      const bed = new Bed(seed + 40, 170);
      if (seed === 5) bed.ids.fill(1, 0, 100);
      const planner = new CombinedPlanner({ decode: new SentenceKV(wasm, settings, ends) });
      await bed.prefill(planner, 150, 64);
      let from = 150;
      for (let position = 150; position < 160; position++) {
        if (ends(bed.ids[position - 1]!)) from = position;
        const seen = await bed.decode(planner, position, 150);
        const all = sentences(bed.ids, position);
        const newest = Math.max(settings.sinks, Math.min(position + 1 - settings.local, all.at(-1)?.[1] ?? 0));
        const candidates = all.filter(([start, end]) => start < newest && end > settings.sinks);
        for (let layer = 0; layer < LAYERS; layer++) {
          for (let head = 0; head < KV_HEADS; head++) {
            const query = new Float64Array(DIM);
            for (let p = from; p <= position; p++)
              for (let h = 0; h < GROUP; h++)
                bed.vector(layer, p, 'q', head * GROUP + h).forEach((x, i) => (query[i]! += x));
            const scores = candidates.map(([start, end]) =>
              dot(
                query,
                Array.from({ length: DIM }, (_, i) =>
                  span(start, end).reduce((sum, p) => sum + bed.vector(layer, p, 'k', head)[i]! / (end - start), 0),
                ),
              ),
            );
            const marks = fill(
              scores,
              candidates.map(([start, end]) => end - start),
              settings.budget,
            );
            const chosen = candidates.flatMap(([start, end], i) => (marks[i] === 1 ? span(start, end) : []));
            expect(keysOf(seen[layer]!.ranges, head)).toEqual(
              unique([...span(0, settings.sinks), ...chosen, ...span(newest, position + 1)]),
            );
          }
        }
      }
    }
  });

  test('after a cut and in a fork it chooses as if it had read only what is left', async () => {
    const bed = new Bed(50, 170);
    const planner = new SentenceKV(wasm, settings, ends);
    await bed.prefill(planner, 150, 64);
    for (let position = 150; position < 155; position++) await bed.decode(planner, position, 150);
    bed.sequence.truncate(140);
    planner.truncated(140);
    const [a, b, c] = [planner, planner.fork(), new SentenceKV(wasm, settings, ends)];
    const seen = [];
    for (const one of [a, b, c]) {
      bed.sequence.truncate(140);
      seen.push((await bed.decode(one, 140, 140)).map(({ ranges }) => [keysOf(ranges, 0), keysOf(ranges, 1)]));
    }
    expect(seen[0]).toEqual(seen[2]);
    expect(seen[1]).toEqual(seen[2]);
  });

  test('where sentences end is in the text of tokens', () => {
    const texts = ['.', ' end.', '?!', ' he said."', '\n\n', 'a\nb', '。', ' 3', ' e.g', '...and', '', ',', '.)'];
    const bytes = texts.map((text) => new TextEncoder().encode(text));
    const found = sentenceEnds({ facts: { vocabulary: texts.length }, tokenBytes: (id) => bytes[id]! });
    expect(texts.filter((_, id) => found(id))).toEqual(['.', ' end.', '?!', ' he said."', '\n\n', 'a\nb', '。', '.)']);
    expect([found(-1), found(99), found(0)]).toEqual([false, false, true]);
  });
});

describe('ReKV', () => {
  const settings = { budget: 64, sinks: 32, local: 20 };

  test('blocks nearest to the question, both before RoPE, throughout the answer', async () => {
    for (const chunk of [300, 100, 70, 37]) {
      const bed = new Bed(60, 320);
      const planner = new Retrieve(wasm, settings);
      const combined = new CombinedPlanner({ decode: planner });
      await bed.prefill(combined, 300, chunk);
      const newest = Math.floor((300 + 1 - settings.local) / 32) * 32;
      const past = newest / 32;
      for (let position = 300; position < 303; position++) {
        const seen = await bed.decode(combined, position, 300);
        for (let layer = 0; layer < LAYERS; layer++) {
          const mean = (from: number, to: number, part: 'q' | 'k', head: number): number[] =>
            Array.from({ length: DIM }, (_, i) =>
              span(from, to).reduce((sum, p) => sum + bed.rows[layer]![p]![part][head * DIM + i]! / (to - from), 0),
            );
          const scores = span(1, past).map((block) => {
            let sum = 0;
            for (let head = 0; head < HEADS; head++)
              sum += dot(
                mean(300 - 64, 300, 'q', head),
                mean(32 * block, 32 * block + 32, 'k', Math.floor(head / GROUP)),
              );
            return sum;
          });
          const chosen = [...best(scores, 2)].flatMap((i) => span(32 * (i + 1), 32 * (i + 2)));
          expect(keysOf(seen[layer]!.ranges, 0)).toEqual(
            unique([...span(0, 32), ...chosen, ...span(newest, position + 1)]),
          );
        }
      }
    }
  });

  test('nothing that was made is left on the device', async () => {
    const bed = new Bed(61, 320);
    const combined = new CombinedPlanner({ decode: new Retrieve(wasm, settings) });
    await bed.prefill(combined, 300, 90);
    await bed.decode(combined, 300, 300);
    combined.free();
    expect(bed.backend.memory().activations).toBe(0);
  });
});

describe('a context larger than the device', () => {
  test.each([
    ['retrieve', () => new Retrieve(wasm, { budget: 64, sinks: 32, local: 20 })],
    ['sentences', () => new SentenceKV(wasm, { budget: 60, sinks: 4, local: 20 }, (id) => id === 0)],
  ] as const)(
    '%s: once it knows its keys, only what it chooses comes back, and the answer is the same',
    async (name, make) => {
      const all = new Bed(80, 520);
      const part = new Bed(80, 520);
      const bytes = part.pages.pool.pageBytes();
      const tiers = new Tiers(part.pages, new Checksums(wasm), { device: 1e9, host: 1e9 });
      const [a, b] = [new CombinedPlanner({ decode: make() }), new CombinedPlanner({ decode: make() })];
      // The bytes of pages are f32, what the reference computes with f64.
      const step = async (position: number): Promise<void> => {
        await tiers.room(part.sequence, position + 1);
        const wanted = await all.decode(a, position, 500);
        const found = await part.decode(b, position, 500);
        for (const [layer, { ranges, output }] of found.entries()) {
          expect(ranges).toEqual(wanted[layer]!.ranges);
          expectNmse(output, wanted[layer]!.output, TOLERANCE.reduction, `position ${position}, layer ${layer}`);
        }
      };
      await all.prefill(a, 500, 120);
      await tiers.using(
        part.sequence,
        500,
        () => undefined,
        async () => {
          await part.prefill(b, 500, 120);
          // One layer of two, and some.
          const pages = KV_HEADS * 16 + 12;
          tiers.limit({ device: pages * bytes });
          part.guard = (asked) => tiers.guard(part.sequence, asked);
          for (let position = 500; position < 506; position++) {
            await step(position);
          }
          expect(tiers.use.host).toBeGreaterThan(0);
          // What retrieval keeps coming back to is 5 blocks of 17.
          tiers.limit({ device: LAYERS * KV_HEADS * 9 * bytes });
          for (let position = 506; position < 510; position++) {
            await step(position);
            if (name === 'retrieve') expect(tiers.use.device).toBeLessThanOrEqual(LAYERS * KV_HEADS * 9 * bytes);
          }
        },
      );
    },
  );
});

test('the bed attends as naive loops do', async () => {
  const bed = new Bed(70, 40);
  const seen = await bed.step(
    {
      plan: ({ count, position }) => denseCausal(count, position + count),
      fork: () => {
        throw new Error();
      },
      free: () => undefined,
    },
    0,
    40,
  );
  const masses = bed.masses(1, 39, 3, span(0, 40));
  const value = masses.reduce((sum, mass, key) => sum + mass * bed.vector(1, key, 'v', 1)[0]!, 0);
  expect(seen[1]!.output[39 * HEADS * DIM + 3 * DIM]).toBeCloseTo(value, 6);
  expect(SCALE).toBeGreaterThan(0);
});
