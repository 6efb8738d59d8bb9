/** Which keys a generated token sees, by TokenSelect, SentenceKV and ReKV's retrieval, beside naive loops over all keys. */
import { describe, expect, jest, test } from '@jest/globals';
import { createWasmBackend } from '../../../src/backend/wasm.ts';
import { Checksums } from '../../../src/kv/checksum.ts';
import { isPlan } from '../../../src/kv/plan.ts';
import { CombinedPlanner } from '../../../src/select/combined.ts';
import { Retrieve } from '../../../src/select/decode/retrieve.ts';
import { sentenceEnds, SentenceKV } from '../../../src/select/decode/sentences.ts';
import { TokenSelect } from '../../../src/select/decode/tokens.ts';
import { createTokensPlanner } from '../../../src/select/prefill/tokens.ts';
import { denseCausal } from '../../../src/kv/ranges.ts';
import { Tiers } from '../../../src/kv/tiers.ts';
import { createReferenceBackend } from '../../reference/backend.ts';
import { best, dot, fill, pool } from '../../reference/keys.ts';
import { expectNmse, TOLERANCE } from '../../support/tolerance.ts';
import { openWasm } from '../../support/wasm.ts';
import { Bed, DIM, GROUP, HEADS, keysOf, KV_HEADS, LAYERS, SCALE, span } from '../bed.ts';

const wasm = await openWasm('simd');
const unique = (keys: readonly number[]): number[] => [...new Set(keys)].sort((a, b) => a - b);

describe('TokenSelect', () => {
  const settings = { budget: 20, sinks: 3, local: 10, similarity: 0.9, exact: false };

  /** The keys chosen at `position`, first and newest among them: a softmax over the candidates alone, not scaled. */
  function wanted(bed: Bed, layer: number, position: number, newest = position): number[] {
    const candidates = span(settings.sinks, position + 1 - settings.local);
    const sums = candidates.map(() => 0);
    for (let head = 0; head < HEADS; head++)
      bed.masses(layer, position, head, candidates, { scale: 1 }).forEach((mass, i) => (sums[i]! += mass));
    const chosen = [...best(sums, settings.budget)].map((i) => i + settings.sinks);
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

  test('where the backend computes in the same memory, masses are summed in place', async () => {
    const backend = await createWasmBackend({ wasm, threads: 1 });
    const download = jest.spyOn(backend, 'download');
    const bed = new Bed(2, 140, { backend });
    const planner = new TokenSelect(wasm, { ...settings, similarity: 1.1 });
    await bed.prefill(planner, 120, 50);
    download.mockClear();
    const seen = await bed.decode(planner, 120, 120);
    for (let layer = 0; layer < LAYERS; layer++)
      expect(keysOf(seen[layer]!.ranges, 0)).toEqual(wanted(bed, layer, 120));
    // Queries and outputs alone.
    expect(Math.max(...download.mock.calls.map(([tensor]) => tensor.shape[0] ?? 0))).toBe(1);
    backend.destroy();
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
    planner.truncated(121);
    expect(keysOf((await bed.decode(planner, 121, 120))[0]!.ranges, 0)).toEqual(wanted(bed, 0, 121));
  });

  test('on a GPU: the same choices, and no wait for the host in a layer while they are reused', async () => {
    const beds = ['reference', 'webgpu'].map((kind) => {
      const real = createReferenceBackend();
      const backend = new Proxy(real, {
        get: (target, name) => {
          const member: unknown = name === 'kind' ? kind : Reflect.get(target, name, target);
          return typeof member === 'function' ? (member.bind(target) as unknown) : member;
        },
      });
      const bed = new Bed(5, 150, {
        backend,
        change: (rows) => {
          // Layer 1 leaves its choice at 125, layer 0 at 127.
          for (const [layer, leaves] of [127, 125].entries())
            for (let p = 121; p < 130; p++)
              rows[layer]![p] = {
                ...rows[layer]![p]!,
                q: rows[layer]![120]!.q.map((x) => (p < leaves ? 1 : -1) * x * (1 + p / 1000)),
              };
        },
      });
      bed.rope.inverseFrequency.fill(0);
      return bed;
    });
    const found: { keys: number[][]; waits: number }[][] = [];
    for (const bed of beds) {
      const planner = new CombinedPlanner({ decode: new TokenSelect(wasm, settings) });
      await bed.prefill(planner, 120, 60);
      let waits = 0;
      bed.guard = (asked) =>
        isPlan(asked)
          ? {
              ...asked,
              ranges: (layer, q) => {
                const ranges = asked.ranges(layer, q);
                waits += Number(ranges instanceof Promise);
                return ranges;
              },
            }
          : asked;
      const steps = [];
      for (let position = 120; position < 130; position++) {
        waits = 0;
        const seen = await bed.decode(planner, position, 120);
        steps.push({ keys: seen.map(({ ranges }) => keysOf(ranges, 0)), waits });
      }
      planner.free();
      expect(bed.backend.memory().activations).toBe(0);
      found.push(steps);
    }
    const [on, gpu] = found;
    expect(gpu!.map(({ keys }) => keys)).toEqual(on!.map(({ keys }) => keys));
    // The first chooses, and a step after a choice still asks; 125 and 127 are run again.
    expect(gpu!.map(({ waits }) => waits)).toEqual([2, 2, 0, 0, 0, 2, 2, 2, 2, 0]);
  });

  test('for prompts: the mean query of a call chooses, the question sees everything', async () => {
    const options = { method: 'tokens', budget: 60, sinks: 3, local: 20, instruction: 5 } as const;
    const planner = createTokensPlanner(options, { wasm });
    const bed = new Bed(8, 200);
    for (const [position, count] of [
      [0, 90],
      [90, 50],
      [140, 60],
    ] as const) {
      const seen = await bed.step(planner, position, count, { promptEnd: 200 });
      const end = position + count;
      const newest = Math.min(position, end - options.local);
      for (let layer = 0; layer < LAYERS; layer++) {
        const { ranges } = seen[layer]!;
        if (position === 0) {
          expect(ranges).toEqual(denseCausal(count, end));
          continue;
        }
        const candidates = span(options.sinks, newest);
        const sums = candidates.map(() => 0);
        for (let head = 0; head < HEADS; head++) {
          const q = new Float64Array(DIM);
          for (let p = position; p < end; p++) bed.vector(layer, p, 'q', head).forEach((x, i) => (q[i]! += x / count));
          bed.masses(layer, end - 1, head, candidates, { scale: 1, q }).forEach((mass, i) => (sums[i]! += mass));
        }
        const room = options.budget - options.sinks - (end - newest);
        const chosen = room <= 0 ? [] : [...best(sums, room)].map((i) => i + options.sinks);
        expect(ranges.queryBlock).toBe(32);
        for (let list = 0; 32 * list < count; list++) {
          const last = Math.min(end, position + 32 * (list + 1));
          const all = last > 200 - options.instruction;
          expect(keysOf({ ...ranges, shared: false }, list)).toEqual(
            all ? span(0, last) : unique([...span(0, options.sinks), ...chosen, ...span(newest, last)]),
          );
        }
      }
    }
    expect(planner.plan(bed.call(40, 1, { phase: 'decode', promptEnd: 40 }))).toEqual(denseCausal(1, 41));
  });

  test('a budget that covers everything needs no plan', () => {
    const planner = new TokenSelect(wasm, { budget: 1, sinks: 1, local: 1, similarity: 0.9, exact: false });
    const bed = new Bed(1, 64);
    const asked = planner.plan(bed.call(40, 1, { phase: 'decode', promptEnd: 40 }));
    expect(isPlan(asked)).toBe(false);
    expect(asked).toEqual(denseCausal(1, 41));
  });
});

describe('SentenceKV', () => {
  const settings = { budget: 16, sinks: 2, local: 8 };
  /** 1 for each key of a prompt of 150 that its last 32 queries chose for a KV head: five times the budget. */
  function chosenKeys(bed: Bed, layer: number, head: number): number[] {
    const sums = span(0, 118).map(() => 0);
    for (let h = head * GROUP; h < (head + 1) * GROUP; h++)
      for (let p = 118; p < 150; p++)
        bed.masses(layer, p, h, span(0, p + 1)).forEach((mass, key) => key < 118 && (sums[key]! += mass));
    const kept = best(pool(sums, 'max', 7), 5 * settings.budget - 32);
    return span(0, 118).map((key) => Number(kept.has(key)));
  }
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
    for (const seed of [0, 1, 5]) {
      const bed = new Bed(seed + 40, 170);
      if (seed === 5) bed.ids.fill(1, 0, 100);
      const planner = new CombinedPlanner({ decode: new SentenceKV(wasm, settings, ends) });
      await bed.prefill(planner, 150, 50 + 7 * seed);
      const kept = span(0, LAYERS).map((layer) => span(0, KV_HEADS).map((head) => chosenKeys(bed, layer, head)));
      expect(kept[0]![0]!.reduce((a, b) => a + b, 0)).toBe(48);
      let from = 150;
      for (let position = 150; position < 160; position++) {
        if (ends(bed.ids[position - 1]!)) from = position;
        const seen = await bed.decode(planner, position, 150);
        const all = sentences(bed.ids, position);
        const newest = Math.max(settings.sinks, Math.min(position + 1 - settings.local, all.at(-1)?.[1] ?? 0));
        const candidates = all.filter(([start, end]) => start < newest && end > settings.sinks);
        for (let layer = 0; layer < LAYERS; layer++) {
          for (let head = 0; head < KV_HEADS; head++) {
            const own = ([start, end]: readonly [number, number]): number[] =>
              span(start, end).filter((p) => kept[layer]![head]![p] !== 0);
            if (position === from) {
              // The first token of a sentence sees all that was chosen.
              expect(keysOf(seen[layer]!.ranges, head)).toEqual(
                unique([...span(0, settings.sinks), ...own([0, newest]), ...span(newest, position + 1)]),
              );
              continue;
            }
            const query = new Float64Array(DIM);
            for (let p = from; p <= position; p++)
              for (let h = 0; h < GROUP; h++)
                bed.vector(layer, p, 'q', head * GROUP + h).forEach((x, i) => (query[i]! += x));
            const scores = candidates.map((sentence) =>
              dot(
                query,
                Array.from({ length: DIM }, (_, i) =>
                  own(sentence).reduce((sum, p) => sum + bed.vector(layer, p, 'k', head)[i]! / own(sentence).length, 0),
                ),
              ),
            );
            const marks = fill(
              scores,
              candidates.map((sentence) => own(sentence).length),
              settings.budget,
            );
            const chosen = candidates.flatMap((sentence, i) => (marks[i] === 1 ? own(sentence) : []));
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

  test.each([
    ['the last 64 tokens where no question is known', undefined, undefined, 236, 300],
    ['the tokens of the question', [251, 290], undefined, 251, 290],
    ['as many of the last tokens as the settings say', [251, 290], 20, 280, 300],
  ] as const)('blocks nearest to %s, both before RoPE, throughout the answer', async (_, asked, question, from, to) => {
    for (const chunk of [300, 100, 70, 37]) {
      const bed = new Bed(60, 320);
      const planner = new Retrieve(wasm, { ...settings, question });
      const combined = new CombinedPlanner({ decode: planner });
      if (asked !== undefined) combined.asked?.(...asked);
      await bed.prefill(combined, 300, chunk);
      const newest = Math.floor((300 + 1 - settings.local) / 32) * 32;
      const past = newest / 32;
      for (let position = 300; position < 303; position++) {
        const seen = await bed.decode(combined, position, 300);
        for (let layer = 0; layer < LAYERS; layer++) {
          const mean = (start: number, end: number, part: 'q' | 'k', head: number): number[] =>
            Array.from({ length: DIM }, (_, i) =>
              span(start, end).reduce((sum, p) => sum + bed.rows[layer]![p]![part][head * DIM + i]! / (end - start), 0),
            );
          const scores = span(1, past).map((block) => {
            let sum = 0;
            for (let head = 0; head < HEADS; head++)
              sum += dot(mean(from, to, 'q', head), mean(32 * block, 32 * block + 32, 'k', Math.floor(head / GROUP)));
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
