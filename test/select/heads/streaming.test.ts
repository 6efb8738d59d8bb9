/** Streaming heads and eviction: what is seen, what the compensation token weighs, what is given back; all beside naive loops over the keys. */
import { describe, expect, test } from '@jest/globals';
import type { HeadTable } from '../../../src/select/heads/heads.ts';
import { CombinedPlanner } from '../../../src/select/combined.ts';
import { Eviction, type EvictSettings } from '../../../src/select/evict/evict.ts';
import { StreamingHeads } from '../../../src/select/heads/streaming.ts';
import { TokenSelect } from '../../../src/select/decode/tokens.ts';
import { denseCausal } from '../../../src/kv/ranges.ts';
import { attend } from '../../reference/maths.ts';
import { best, pageSums, pool, shares } from '../../reference/keys.ts';
import { expectNmse, TOLERANCE } from '../../support/tolerance.ts';
import { openWasm } from '../../support/wasm.ts';
import { Bed, DIM, GROUP, HEADS, keysOf, KV_HEADS, LAYERS, SCALE, span } from '../bed.ts';

const wasm = await openWasm('simd');
const PAGE = 32;

/** Layer 0: head 1 streams; layer 1: head 0 streams. */
const TABLE: HeadTable = { layers: LAYERS, kvHeads: KV_HEADS, streams: Uint8Array.of(0, 1, 1, 0) };
const streams = (layer: number, head: number): boolean => TABLE.streams[layer * KV_HEADS + head] === 1;

describe('streaming heads', () => {
  const settings = { sinks: 20, window: 40 };

  /** First block of the window of a query at `position`. */
  const edge = (position: number): number =>
    Math.max(1, Math.floor(Math.max(0, position + 1 - settings.window) / PAGE));

  /** Attention of one query head: everything, or sinks, window and the mean of what is between, counted N times. */
  function expected(bed: Bed, layer: number, position: number, head: number, from: number): Float64Array {
    const kvHead = Math.floor(head / GROUP);
    const vectors = (part: 'k' | 'v', keys: readonly number[]): Float64Array[] =>
      keys.map((key) => bed.vector(layer, key, part, kvHead));
    const all = span(0, position + 1);
    const kept = streams(layer, kvHead) ? all.filter((key) => key < PAGE || key >= PAGE * from) : all;
    const dropped = all.filter((key) => !kept.includes(key));
    const mean = (part: 'k' | 'v'): Float64Array =>
      vectors(part, dropped).reduce((sum, v) => sum.map((x, i) => x + v[i]! / dropped.length), new Float64Array(DIM));
    const [keys, values] = [vectors('k', kept), vectors('v', kept)];
    // N equal keys weigh as one with ln N added.
    if (dropped.length > 0)
      for (let n = 0; n < dropped.length; n++) {
        keys.push(mean('k'));
        values.push(mean('v'));
      }
    return attend(bed.vector(layer, position, 'q', head), keys, values, SCALE);
  }

  test.each([
    ['f32', 50],
    ['f32', 32],
    ['f32', 1],
    ['f16', 64],
  ] as const)(
    '%s pages, chunks of %d: attention is that over sinks, window and the weighted mean',
    async (format, chunk) => {
      const bed = new Bed(1, 210, { format });
      const planner = new CombinedPlanner({ heads: new StreamingHeads(wasm, TABLE, settings) });
      const tolerance = format === 'f16' ? TOLERANCE.half : TOLERANCE.reduction;
      for (let position = 0; position < 200; position += chunk) {
        const count = Math.min(chunk, 200 - position);
        const seen = await bed.step(planner, position, count, { promptEnd: 200 });
        for (let layer = 0; layer < LAYERS; layer++) {
          for (const row of new Set([0, count - 1])) {
            const found = seen[layer]!.output.subarray(row * HEADS * DIM, (row + 1) * HEADS * DIM);
            const wanted = span(0, HEADS).flatMap((head) => [
              ...expected(bed, layer, position + row, head, edge(position)),
            ]);
            expectNmse(found, wanted, tolerance, `layer ${layer}, position ${position + row}`);
          }
        }
      }
      for (let position = 200; position < 210; position++) {
        const seen = await bed.decode(planner, position, 200);
        const wanted = span(0, HEADS).flatMap((head) => [...expected(bed, 1, position, head, edge(position))]);
        expectNmse(seen[1]!.output, wanted, tolerance, `position ${position}`);
      }
      // A streaming row holds the sinks' page, the compensation token's, and the window's.
      const blocks = Math.ceil(210 / PAGE);
      const held = 1 + 1 + (blocks - edge(209));
      expect(bed.pages.used).toBe(2 * blocks + 2 * held);
      expect(held).toBeLessThan(blocks);
      planner.free();
      expect(bed.free()).toBe(0);
      expect(bed.backend.memory().activations).toBe(0);
    },
  );

  test('a window that covers everything changes nothing', async () => {
    const bed = new Bed(2, 100);
    const planner = new CombinedPlanner({ heads: new StreamingHeads(wasm, TABLE, { sinks: 0, window: 100 }) });
    const seen = await bed.step(planner, 0, 100);
    for (const { ranges } of seen) expect(ranges).toEqual(denseCausal(100, 100));
  });

  test('a window may grow with the context (RazorAttention)', async () => {
    const bed = new Bed(6, 400);
    const planner = new CombinedPlanner({
      heads: new StreamingHeads(wasm, TABLE, { sinks: 32, window: 40, share: 0.5 }),
    });
    await bed.prefill(planner, 390, 90);
    const [seen] = await bed.decode(planner, 390, 390);
    const from = Math.floor((391 - Math.ceil(0.5 * 391)) / PAGE) * PAGE;
    expect(from).toBe(192);
    expect(keysOf(seen!.ranges, 1)).toEqual([...span(0, 32), 32, ...span(from, 391)]);
    const fork = planner.fork();
    const [again] = await bed.decode(fork, 391, 390);
    expect(keysOf(again!.ranges, 1)).toEqual([...span(0, 32), 32, ...span(from, 392)]);
  });

  test('without sinks the compensation token comes first', async () => {
    const bed = new Bed(3, 200);
    const planner = new CombinedPlanner({ heads: new StreamingHeads(wasm, TABLE, { sinks: 0, window: 33 }) });
    await bed.prefill(planner, 199, 60);
    const [seen] = await bed.decode(planner, 199, 199);
    const from = Math.floor((200 - 33) / PAGE) * PAGE;
    expect(keysOf(seen!.ranges, 1)).toEqual([0, ...span(from, 200)]);
    expect(seen!.ranges.bias?.[seen!.ranges.offsets[1]!]).toBeCloseTo(Math.log(from), 6);
  });

  test('a sequence may be cut to what the window still holds, else it is begun anew; forks go on by themselves', async () => {
    const bed = new Bed(4, 220);
    const planner = new CombinedPlanner({ heads: new StreamingHeads(wasm, TABLE, settings) });
    await bed.prefill(planner, 200, 50);
    const end = edge(150) * PAGE;
    expect([planner.keeps(200), planner.keeps(end), planner.keeps(end - 1), planner.keeps(0)]).toEqual([
      200,
      end,
      0,
      0,
    ]);
    const fork = planner.fork();
    const other = bed.sequence;
    const copy = other.fork();
    await bed.decode(planner, 200, 200);
    bed.sequence = copy;
    const [seen] = await bed.decode(fork, 200, 200);
    expectNmse(
      seen!.output,
      span(0, HEADS).flatMap((head) => [...expected(bed, 0, 200, head, edge(200))]),
      TOLERANCE.reduction,
      'the fork',
    );
    // Cut to nothing, it reads anew.
    bed.sequence.truncate(0);
    fork.truncated(0);
    expect(fork.keeps(10)).toBe(10);
    await bed.prefill(fork, 150, 50);
    const [again] = await bed.decode(fork, 150, 150);
    expectNmse(
      again!.output,
      span(0, HEADS).flatMap((head) => [...expected(bed, 0, 150, head, edge(150))]),
      TOLERANCE.reduction,
      'read anew',
    );
    copy.free();
    other.free();
    expect(bed.pages.used).toBe(0);
  });

  test('streaming heads see what they hold, whatever a method chooses for the others', async () => {
    const bed = new Bed(5, 210);
    const decode = new TokenSelect(wasm, { budget: 10, sinks: 2, local: 4, similarity: 1.1, exact: false });
    const planner = new CombinedPlanner({ decode, heads: new StreamingHeads(wasm, TABLE, settings) });
    await bed.prefill(planner, 200, 64);
    const seen = await bed.decode(planner, 200, 200);
    expect(keysOf(seen[0]!.ranges, 0)).toHaveLength(16);
    expect(keysOf(seen[0]!.ranges, 1)).toEqual([...span(0, 32), 32, ...span(edge(200) * PAGE, 201)]);
    expect(keysOf(seen[1]!.ranges, 1)).toHaveLength(16);
  });
});

describe('eviction', () => {
  /** Which pages of a row stay, by the masses of `rows` query heads from the last queries. */
  function scores(
    bed: Bed,
    layer: number,
    rows: readonly number[],
    end: number,
    { queries, kind, width }: { queries: number; kind: 'max' | 'mean'; width: number },
  ): number[] {
    const sums = span(0, end).map(() => 0);
    for (const head of rows) {
      for (let position = end - queries; position < end; position++) {
        bed.masses(layer, position, head, span(0, position + 1)).forEach((mass, key) => (sums[key]! += mass / queries));
      }
    }
    return pageSums(pool(sums, kind, width));
  }
  const SNAP = { queries: 32, kind: 'max', width: 7 } as const;
  const COMPRESS = { queries: 8, kind: 'mean', width: 5 } as const;
  const facts = { wasm, layers: LAYERS, heads: HEADS, kvHeads: KV_HEADS };
  const held = (bed: Bed, layer: number, head: number): number[] =>
    span(0, bed.sequence.blocks).filter(
      (block) => bed.sequence.table[(layer * KV_HEADS + head) * bed.sequence.blocks + block]! >= 0,
    );

  function kept(all: readonly number[], tail: number, budget: number): number[] {
    const chosen = [...best(all.slice(1, tail), budget)].map((i) => i + 1).sort((a, b) => a - b);
    return [0, ...chosen, ...span(tail, all.length)];
  }

  test.each([
    [310, 100],
    [310, 309],
    [310, 310],
    [310, 31],
    [320, 64],
  ])('SnapKV, a prompt of %d in chunks of %d: the pages with most attention stay, head by head', async (end, chunk) => {
    const bed = new Bed(10, 340);
    const planner = new CombinedPlanner({ evict: new Eviction({ method: 'snapkv', keep: 0.5 }, facts) });
    await bed.prefill(planner, end, chunk);
    const pages = Math.ceil(end / PAGE);
    const tail = Math.floor((end - 32) / PAGE);
    const budget = Math.ceil(0.5 * pages) - 1 - (pages - tail);
    expect(budget).toBeGreaterThan(0);
    for (let layer = 0; layer < LAYERS; layer++) {
      for (let head = 0; head < KV_HEADS; head++) {
        const rows = span(head * GROUP, (head + 1) * GROUP);
        expect(held(bed, layer, head)).toEqual(kept(scores(bed, layer, rows, end, SNAP), tail, budget));
      }
    }
    expect(bed.pages.used).toBe(LAYERS * KV_HEADS * (1 + budget + pages - tail));
    // The answer sees what is left, and a probe of a dropped key is 0.
    const call = bed.call(end, 1, { phase: 'decode', promptEnd: end });
    const seen = await bed.decode(planner, end, end);
    const first = held(bed, 0, 1);
    expect(keysOf(seen[0]!.ranges, 1)).toEqual(
      span(0, end + 1).filter((key) => first.includes(Math.floor(key / PAGE))),
    );
    const q = bed.backend.upload(new Float32Array(HEADS * DIM).fill(1), [1, HEADS * DIM]);
    const masses = await bed.backend.download(
      bed.backend.probe(q, bed.sequence, 0, end, seen[0]!.ranges, { heads: HEADS, scale: SCALE }),
    );
    for (let key = 0; key <= end; key++) {
      const there = first.includes(Math.floor(key / PAGE));
      expect(masses[GROUP * (end + 1) + key]! > 0).toBe(there);
    }
    expect(call.count).toBe(1);
    planner.free();
  });

  test('for one answer: it sees the same, and nothing is dropped; the next prompt sees everything', async () => {
    const end = 310;
    const [gone, left] = (['session', 'answer'] as const).map((scope) => {
      const bed = new Bed(10, 420);
      const evict = new Eviction({ method: 'snapkv', keep: 0.5, window: 40, scope }, facts);
      return { bed, planner: new CombinedPlanner({ evict }) };
    });
    for (const { bed, planner } of [gone!, left!]) await bed.prefill(planner, end, 100);
    const tail = Math.floor((end - 40) / PAGE);
    const window = { ...SNAP, queries: 40 };
    expect(held(gone!.bed, 0, 0)).toEqual(
      kept(scores(gone!.bed, 0, span(0, GROUP), end, window), tail, Math.ceil(0.5 * 10) - 1 - (10 - tail)),
    );
    expect(left!.bed.pages.used).toBe(LAYERS * KV_HEADS * 10);
    for (let position = end; position < end + 5; position++) {
      const [a, b] = [
        await gone!.bed.decode(gone!.planner, position, end),
        await left!.bed.decode(left!.planner, position, end),
      ];
      for (let layer = 0; layer < LAYERS; layer++) {
        for (let head = 0; head < KV_HEADS; head++)
          expect(keysOf(b[layer]!.ranges, head)).toEqual(keysOf(a[layer]!.ranges, head));
        expectNmse(b[layer]!.output, a[layer]!.output, TOLERANCE.reduction, `layer ${layer}, position ${position}`);
      }
    }
    const fork = left!.planner.fork();
    expect(keysOf((await left!.bed.decode(fork, 315, end))[0]!.ranges, 0).length).toBeLessThan(316);
    const [again] = await left!.bed.step(left!.planner, 316, 60, { promptEnd: 376 });
    expect(keysOf(again!.ranges, 0)).toEqual(span(0, 376));
    expect(left!.planner.keeps(20)).toBe(20);
    for (const { bed, planner } of [gone!, left!]) {
      planner.free();
      fork.free();
      bed.free();
      expect(bed.backend.memory().activations).toBe(0);
    }
  });

  test('CompressKV: the semantic heads of a layer decide for all, layers share by their errors', async () => {
    const end = 400;
    const bed = new Bed(11, 420);
    const semantic = Float32Array.from({ length: LAYERS * HEADS }, (_, i) => i % HEADS);
    const planner = new CombinedPlanner({
      evict: new Eviction({ method: 'compresskv', keep: 0.5 }, { ...facts, semantic }),
    });
    await bed.prefill(planner, end, 90);
    const pages = Math.ceil(end / PAGE);
    const tail = Math.floor((end - 8) / PAGE);
    const common = Math.ceil(0.5 * pages) - 1 - (pages - tail);
    const perLayer = span(0, LAYERS).map((layer) => scores(bed, layer, span(0, HEADS), end, COMPRESS));
    const errors = perLayer.map((all, layer) => {
      const blocks = kept(all, tail, common);
      let error = 0;
      let power = 0;
      for (let position = end - 8; position < end; position++) {
        for (let head = 0; head < HEADS; head++) {
          const over = (keys: readonly number[]): Float64Array => {
            const kvHead = Math.floor(head / GROUP);
            return attend(
              bed.vector(layer, position, 'q', head),
              keys.map((key) => bed.vector(layer, key, 'k', kvHead)),
              keys.map((key) => bed.vector(layer, key, 'v', kvHead)),
              SCALE,
            );
          };
          const full = over(span(0, position + 1));
          const less = over(span(0, position + 1).filter((key) => blocks.includes(Math.floor(key / PAGE))));
          full.forEach((x, i) => {
            error += (x - less[i]!) ** 2;
            power += x ** 2;
          });
        }
      }
      return error / power;
    });
    const budgets = shares(common * LAYERS, errors, Math.ceil(common / 4), tail - 1);
    for (let layer = 0; layer < LAYERS; layer++) {
      for (let head = 0; head < KV_HEADS; head++)
        expect(held(bed, layer, head)).toEqual(kept(perLayer[layer]!, tail, budgets[layer]!));
    }
    planner.free();
    bed.free();
    expect(bed.backend.memory().activations).toBe(0);
  });

  test.each<[EvictSettings['method']]>([['snapkv'], ['compresskv']])(
    '%s, turn after turn: the share stays, what was dropped is never asked for, cuts into it begin anew',
    async (method) => {
      const bed = new Bed(12, 900);
      const semantic = new Float32Array(LAYERS * HEADS).fill(1);
      const planner = new CombinedPlanner({ evict: new Eviction({ method, keep: 0.4 }, { ...facts, semantic }) });
      for (const end of [300, 560, 860]) {
        await bed.prefill(planner, end, 128);
        const pages = Math.ceil(end / PAGE);
        expect(bed.pages.used).toBeLessThanOrEqual(LAYERS * KV_HEADS * Math.ceil(0.4 * pages));
        for (let position = end; position < end + 5; position++) await bed.decode(planner, position, end);
      }
      const last = Math.max(
        ...span(0, 26).filter(
          (block) =>
            !span(0, LAYERS * KV_HEADS).every((row) => bed.sequence.table[row * bed.sequence.blocks + block]! >= 0),
        ),
      );
      expect([planner.keeps(862), planner.keeps(32 * (last + 1)), planner.keeps(32 * (last + 1) - 1)]).toEqual([
        862,
        32 * (last + 1),
        0,
      ]);
      const fork = planner.fork();
      expect(fork.keeps(40)).toBe(0);
      bed.sequence.truncate(0);
      fork.truncated(0);
      expect(fork.keeps(40)).toBe(40);
      await bed.prefill(fork, 120, 64);
      bed.free();
      planner.free();
      fork.free();
      expect([bed.pages.used, bed.backend.memory().activations]).toEqual([0, 0]);
    },
  );

  test('with streaming heads: those are left as they are, the others lose pages', async () => {
    const bed = new Bed(13, 420);
    const heads = new StreamingHeads(wasm, TABLE, { sinks: 32, window: 64 });
    const evict = new Eviction({ method: 'snapkv', keep: 0.5 }, { ...facts, skips: streams });
    const planner = new CombinedPlanner({ heads, evict });
    await bed.prefill(planner, 400, 100);
    const pages = Math.ceil(400 / PAGE);
    expect(held(bed, 0, 0)).toHaveLength(Math.ceil(0.5 * pages));
    expect(held(bed, 0, 1)).toEqual([0, 1, ...span(Math.floor((301 - 64) / PAGE), pages)]);
    for (let position = 400; position < 405; position++) await bed.decode(planner, position, 400);
  });

  test('an abort between chunks leaves nothing; short prompts lose nothing', async () => {
    const bed = new Bed(14, 420);
    const planner = new CombinedPlanner({ evict: new Eviction({ method: 'snapkv', keep: 0.5 }, facts) });
    await bed.step(planner, 0, 390, { promptEnd: 400 });
    expect(bed.backend.memory().activations).toBeGreaterThan(0);
    planner.truncated(0);
    expect(bed.backend.memory().activations).toBe(0);
    bed.sequence.truncate(0);
    await bed.prefill(planner, 60, 60);
    expect(bed.pages.used).toBe(LAYERS * KV_HEADS * 2);
    expect(() => new Eviction({ method: 'compresskv', keep: 0.5 }, facts)).toThrow(/semantic/);
  });
});
