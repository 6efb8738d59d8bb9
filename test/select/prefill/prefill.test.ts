/**
 * Planners of sparse prefill over the reference backend: what each block of queries sees, beside naive loops over all keys.
 * Long, since six methods share one made-up context and its loops, and are best compared on it.
 */
import { describe, expect, test } from '@jest/globals';
import { isPlan, type PlannedCall, type Planner } from '../../../src/kv/plan.ts';
import { createBlocksPlanner } from '../../../src/select/prefill/blocks.ts';
import { createDhsaPlanner } from '../../../src/select/prefill/dhsa.ts';
import { createFlexPlanner } from '../../../src/select/prefill/flex.ts';
import { createKeysPlanner } from '../../../src/select/prefill/single-keys.ts';
import { createWindowPlanner } from '../../../src/select/prefill/window.ts';
import type { PrefillOptions } from '../../../src/select/options.ts';
import { checkRanges } from '../../../src/backend/page-checks.ts';
import { denseCausal } from '../../../src/kv/ranges.ts';
import type { KvView, Ranges, RopeSpec, Tensor } from '../../../src/backend/backend.ts';
import type { Wasm } from '../../../src/wasm.ts';
import { createReferenceBackend } from '../../reference/backend.ts';
import { rotate } from '../../reference/maths.ts';
import * as reference from '../../reference/select.ts';
import { random } from '../../support/random.ts';
import { openWasm } from '../../support/wasm.ts';

const HEADS = 4;
const KV_HEADS = 2;
const DIM = 8;
const GROUP = HEADS / KV_HEADS;
const WIDTH = KV_HEADS * DIM;
const LAYERS = 3;
const ROPE = {
  inverseFrequency: Float64Array.from({ length: DIM / 2 }, (_, i) => 100 ** (-i / (DIM / 2))),
  magnitude: 1,
  style: 'half',
} as const;
const SCALE = 1 / Math.sqrt(DIM);

/** What a prompt projects to, before RoPE: a layer, then a position, then a head. */
interface Prompt {
  readonly length: number;
  readonly queries: readonly Float32Array[][];
  readonly keys: readonly Float32Array[][];
}

/** Random queries and keys; keys keep a direction for a stretch of 5 to 40, so that there is something to cut. */
function randomPrompt(seed: number, length: number): Prompt {
  const r = random(seed);
  const layers = Array.from({ length: LAYERS }, () => {
    const queries: Float32Array[] = [];
    const keys: Float32Array[] = [];
    let topic = r.normals(WIDTH, 2);
    let left = 0;
    for (let position = 0; position < length; position++) {
      if (left-- === 0) {
        topic = r.normals(WIDTH, 2);
        left = r.integer(5, 40);
      }
      keys.push(r.normals(WIDTH).map((value, i) => value + topic[i]!));
      queries.push(r.normals(HEADS * DIM));
    }
    return { queries, keys };
  });
  return { length, queries: layers.map(({ queries }) => queries), keys: layers.map(({ keys }) => keys) };
}

class Bed {
  readonly backend = createReferenceBackend();
  readonly kv: KvView;
  readonly prompt: Prompt;
  readonly rope: RopeSpec;
  constructor(prompt: Prompt, rope: RopeSpec = ROPE) {
    this.prompt = prompt;
    this.rope = rope;
    const blocks = Math.ceil(prompt.length / 32);
    const pool = this.backend.kvPool({ layers: LAYERS, kvHeads: KV_HEADS, headDim: DIM, format: 'f32' });
    pool.reserve(LAYERS * KV_HEADS * blocks);
    this.kv = { pool, blocks, table: Int32Array.from({ length: LAYERS * KV_HEADS * blocks }, (_, i) => i), version: 0 };
  }

  call(position: number, count: number, more: Partial<PlannedCall> = {}): PlannedCall {
    const ids = new Int32Array(position + count);
    return {
      backend: this.backend,
      kv: this.kv,
      position,
      count,
      heads: HEADS,
      scale: SCALE,
      rope: () => this.rope,
      ids,
      phase: 'prefill',
      promptEnd: this.prompt.length,
      ...more,
    };
  }

  /** Appends a layer's keys, and gives its queries. */
  append(layer: number, position: number, count: number): Tensor {
    const rows = Array.from({ length: count }, (_, t) => [
      ...this.prompt.queries[layer]![position + t]!,
      ...this.prompt.keys[layer]![position + t]!,
      ...new Float32Array(WIDTH),
    ]);
    const qkv = this.backend.upload(Float32Array.from(rows.flat()), [count, (HEADS + 2 * KV_HEADS) * DIM]);
    return this.backend.ropeAppend(qkv, this.kv, layer, position, { heads: HEADS, rope: this.rope });
  }

  /** One forward call: the ranges of every layer. */
  async run(planner: Planner, position: number, count: number, more: Partial<PlannedCall> = {}): Promise<Ranges[]> {
    const call = this.call(position, count, more);
    const asked = planner.plan(call);
    const found: Ranges[] = [];
    for (let layer = 0; layer < LAYERS; layer++) {
      const q = this.append(layer, position, count);
      const ranges = isPlan(asked) ? await asked.ranges(layer, q) : asked;
      checkRanges('test', ranges, { queryCount: count, kvHeads: KV_HEADS, keyCount: position + count });
      found.push(ranges);
    }
    return found;
  }

  /** A whole prompt in calls of `chunk`. */
  async prefill(planner: Planner, chunk: number): Promise<Ranges[][]> {
    const calls: Ranges[][] = [];
    for (let position = 0; position < this.prompt.length; position += chunk)
      calls.push(await this.run(planner, position, Math.min(chunk, this.prompt.length - position)));
    return calls;
  }

  /** Keys or queries after RoPE, in f64. */
  rotated(rows: readonly Float32Array[], head: number): Float64Array[] {
    return rows.map((row, position) => {
      const one = Float64Array.from(row.subarray(head * DIM, (head + 1) * DIM));
      rotate(one, position, this.rope);
      return one;
    });
  }
}

/** Whether query `query` of a call at `position` may see each key. */
function visible(ranges: Ranges, query: number, kvHead: number, position: number): boolean[] {
  const lists = ranges.shared ? 1 : KV_HEADS;
  const at = Math.floor(query / ranges.queryBlock) * lists + (ranges.shared ? 0 : kvHead);
  const seen = Array.from({ length: position + query + 1 }, () => false);
  for (let run = ranges.offsets[at]!; run < ranges.offsets[at + 1]!; run++) {
    for (let key = ranges.runs[2 * run]!; key < Math.min(ranges.runs[2 * run + 1]!, seen.length); key++)
      seen[key] = true;
  }
  return seen;
}

const mean = (rows: readonly Float64Array[]): Float32Array =>
  Float32Array.from({ length: DIM }, (_, d) => rows.reduce((sum, row) => sum + row[d]!, 0) / rows.length);

interface Settings {
  readonly budget: number;
  readonly sinks: number;
  readonly local: number;
  readonly instruction: number;
  readonly whole: boolean;
}

/** What chunks from `starts` on give to every query of a call: naive, from all keys. */
function wantedChunks(
  bed: Bed,
  layer: number,
  head: number,
  position: number,
  count: number,
  starts: readonly number[],
  s: Settings,
): boolean[][] {
  const end = position + count;
  const keys = bed.rotated(bed.prompt.keys[layer]!.slice(0, end), head);
  const bounds = [...starts, end];
  const vectors = starts.map((start, c) => mean(keys.slice(start, bounds[c + 1])));
  const queries = Array.from({ length: GROUP }, (_, g) => bed.rotated(bed.prompt.queries[layer]!, head * GROUP + g));
  return Array.from({ length: count }, (_, query) => {
    const begin = position + Math.floor(query / 32) * 32;
    const last = Math.min(begin + 32, end);
    // A list with one query of the instruction sees everything.
    if (last > bed.prompt.length - s.instruction) return Array.from({ length: position + query + 1 }, () => true);
    const first = position + Math.floor(query / 128) * 128;
    const local = Math.max(0, begin + 1 - s.local);
    const means = queries.map((rows) => mean(rows.slice(first, Math.min(first + 128, end))));
    const one = {
      means,
      queries: Math.min(first + 128, end) - first,
      vectors,
      bounds,
      sinks: Math.min(s.sinks, local),
      local,
      end: last,
      budget: s.budget <= 1 ? Math.ceil(s.budget * last) : s.budget,
      whole: s.whole,
    };
    return reference.chosenKeys(one).slice(0, position + query + 1);
  });
}

/** Boundaries as DHSA finds them call by call, from keys before RoPE. */
function wantedStarts(prompt: Prompt, calls: readonly number[]): number[][] {
  const scores = reference.gapScores(prompt.keys[0]!, 4);
  const starts = [0];
  let next = 4;
  return calls.map((end) => {
    const stop = end - 3;
    while (next < stop) {
      const to = Math.min(stop, next + 512);
      const forced = prompt.length - 64;
      const room = Math.max(0, Math.floor(to / 16) - (starts.length - 1));
      const most = forced >= next && forced < to ? Math.max(1, room) : room;
      starts.push(
        ...reference.keptPeaks({
          scores: scores.slice(next - 4, to - 4),
          first: next,
          threshold: 0,
          radius: 8,
          most,
          last: starts.at(-1)!,
          forced,
        }),
      );
      next = to;
    }
    return [...starts];
  });
}

/** Queries at the edges of blocks, of the instruction and of the call. */
const someQueries = (count: number): number[] =>
  [0, 1, 31, 32, 127, 128, 200, count - 65, count - 64, count - 33, count - 1].filter(
    (query) => query >= 0 && query < count,
  );

function compare(
  ranges: Ranges,
  wanted: (query: number, head: number) => boolean[],
  position: number,
  count: number,
  what: string,
): void {
  for (const query of someQueries(count)) {
    for (let head = 0; head < KV_HEADS; head++) {
      const found = visible(ranges, query, head, position);
      expect({ what, query, head, found: String(found.map(Number)) }).toEqual({
        what,
        query,
        head,
        found: String(wanted(query, head).map(Number)),
      });
    }
  }
}

const METHODS: Readonly<Record<string, (wasm: Wasm, options: Partial<PrefillOptions>) => Planner>> = {
  dhsa: (wasm, options) => createDhsaPlanner({ method: 'dhsa', ...options }, { wasm }),
  blocks: (wasm, options) => createBlocksPlanner({ method: 'blocks', ...options }, { wasm }),
  window: (_, options) => createWindowPlanner({ method: 'window', ...options }),
  flex: (wasm, options) => createFlexPlanner({ method: 'flex', ...options }, { wasm }),
  'vertical-slash': (wasm, options) => createFlexPlanner({ method: 'vertical-slash', ...options }, { wasm }),
  keys: (wasm, options) => createKeysPlanner({ method: 'keys', ...options }, { wasm }),
};

describe.each(Object.entries(METHODS))('%s', (name, make) => {
  test('a budget of the whole length is dense, bit for bit', async () => {
    const wasm = await openWasm('simd');
    const bed = new Bed(randomPrompt(1, 400));
    for (const budget of [1, 400, 100000]) {
      const planner = make(wasm, { budget });
      for (const [position, count] of [
        [0, 160],
        [160, 160],
        [320, 80],
      ] as const)
        expect(planner.plan(bed.call(position, count))).toEqual(denseCausal(count, position + count));
      planner.free();
    }
  });

  test('answers see everything unless asked', async () => {
    const bed = new Bed(randomPrompt(1, 400));
    const planner = make(await openWasm('simd'), { budget: 100 });
    expect(planner.plan(bed.call(400, 1, { phase: 'decode' }))).toEqual(denseCausal(1, 401));
  });

  test('sinks, the newest and the instruction are always seen; budgets hold', async () => {
    const wasm = await openWasm('simd');
    const bed = new Bed(randomPrompt(2, 700));
    const planner = make(wasm, { budget: 300, sinks: 5, local: name === 'window' ? undefined : 40, instruction: 50 });
    const calls = await bed.prefill(planner, 256);
    let dropped = 0;
    calls.forEach((layers, call) =>
      layers.forEach((ranges) => {
        const position = 256 * call;
        const count = Math.min(256, 700 - position);
        for (const query of someQueries(count)) {
          for (let head = 0; head < KV_HEADS; head++) {
            const seen = visible(ranges, query, head, position);
            const at = position + query;
            if (at >= 650) expect(seen.every(Boolean)).toBe(true);
            expect(seen.slice(0, 5).every(Boolean)).toBe(true);
            if (name !== 'window') expect(seen.slice(Math.max(0, at + 1 - 40)).every(Boolean)).toBe(true);
            if (at < 650 - 31) expect(seen.filter(Boolean).length).toBeLessThanOrEqual(300);
            dropped += seen.filter((there) => !there).length;
          }
        }
      }),
    );
    expect(dropped).toBeGreaterThan(0);
    planner.free();
    expect(wasm.exports.allocated() >>> 0).toBe(0);
    expect(bed.backend.memory().activations).toBe(
      4 * bed.prompt.length * HEADS * DIM * LAYERS + 4 * bed.prompt.length * (HEADS + 2 * KV_HEADS) * DIM * LAYERS,
    );
  });

  test('cut and read again, forked, or begun behind pages of others: the same choice', async () => {
    const wasm = await openWasm('simd');
    const bed = new Bed(randomPrompt(3, 640));
    const planner = make(wasm, { budget: 0.4, local: 32 });
    const calls = await bed.prefill(planner, 160);
    planner.truncated?.(480);
    const copy = planner.fork();
    expect(await bed.run(planner, 480, 160)).toEqual(calls[3]);
    planner.free();
    expect(await bed.run(copy, 480, 160)).toEqual(calls[3]);
    // Without being told of the cut.
    expect(await bed.run(copy, 320, 160)).toEqual(calls[2]);
    copy.free();
    if (name !== 'dhsa') {
      const late = make(wasm, { budget: 0.4, local: 32 });
      expect(late.adopts?.(480)).toBe(true);
      expect(await bed.run(late, 480, 160)).toEqual(calls[3]);
      late.free();
    }
    expect(wasm.exports.allocated() >>> 0).toBe(0);
  });

  test('options that cannot be', async () => {
    const wasm = await openWasm('simd');
    for (const options of [
      { budget: 0 },
      { budget: -1 },
      { budget: 1.5 },
      { budget: NaN },
      { sinks: -1 },
      { local: 0 },
      { instruction: 0.5 },
    ]) {
      expect(() => make(wasm, options)).toThrow(/prefill\.(budget|sinks|local|instruction) is/);
    }
  });
});

describe('dhsa and its baseline', () => {
  const settings = { budget: 0.5, sinks: 3, local: 20, instruction: 40 };

  test.each([
    [1, 600],
    [2, 160],
    [3, 257],
  ])('DHSA as over all keys at once, seed %d in calls of %d', async (seed, chunk) => {
    const wasm = await openWasm('simd');
    const bed = new Bed(randomPrompt(seed, 600));
    const planner = createDhsaPlanner({ method: 'dhsa', ...settings }, { wasm });
    const ends = Array.from({ length: Math.ceil(600 / chunk) }, (_, i) => Math.min(600, (i + 1) * chunk));
    const starts = wantedStarts(bed.prompt, ends);
    expect(starts.at(-1)!.length).toBeGreaterThan(10);
    const calls = await bed.prefill(planner, chunk);
    calls.forEach((layers, call) =>
      layers.forEach((ranges, layer) => {
        const [position, count] = [call * chunk, ends[call]! - call * chunk];
        if (ranges.shared) return;
        const wanted = Array.from({ length: KV_HEADS }, (_, head) =>
          wantedChunks(bed, layer, head, position, count, starts[call]!, { ...settings, whole: false }),
        );
        compare(ranges, (query, head) => wanted[head]![query]!, position, count, `call ${call} layer ${layer}`);
      }),
    );
    planner.free();
  });

  test('block top-k as over all keys at once', async () => {
    const wasm = await openWasm('simd');
    const bed = new Bed(randomPrompt(5, 500));
    const planner = createBlocksPlanner({ method: 'blocks', ...settings, instruction: 0 }, { wasm });
    const calls = await bed.prefill(planner, 192);
    calls.forEach((layers, call) =>
      layers.forEach((ranges, layer) => {
        const position = call * 192;
        const count = Math.min(192, 500 - position);
        const starts = Array.from({ length: Math.ceil((position + count) / 32) }, (_, i) => 32 * i);
        if (ranges.shared) return;
        const wanted = Array.from({ length: KV_HEADS }, (_, head) =>
          wantedChunks(bed, layer, head, position, count, starts, { ...settings, instruction: 0, whole: true }),
        );
        compare(ranges, (query, head) => wanted[head]![query]!, position, count, `call ${call} layer ${layer}`);
      }),
    );
    planner.free();
  });

  test('one choice for the layers above', async () => {
    const bed = new Bed(randomPrompt(6, 400));
    const planner = createDhsaPlanner(
      { method: 'dhsa', ...settings, sharedLayer: 1 },
      { wasm: await openWasm('simd') },
    );
    const [below, chosen, above] = (await bed.prefill(planner, 400))[0]!;
    expect(above).toBe(chosen);
    expect(below).not.toEqual(chosen);
    expect(() =>
      createDhsaPlanner({ method: 'dhsa', budget: 10, sharedLayer: 3 }, planner as never).plan(bed.call(0, 400)),
    ).toThrow(/layers 0 to 2/);
  });

  test('answers that choose: generated tokens are seen, the rest by the last query alone', async () => {
    const wasm = await openWasm('simd');
    const prompt = randomPrompt(7, 330);
    const bed = new Bed({ ...prompt, length: 300 });
    const all = new Bed(prompt);
    const planner = createDhsaPlanner(
      { method: 'dhsa', budget: 90, sinks: 2, local: 8, instruction: 16, decodes: true },
      { wasm },
    );
    const starts = wantedStarts(bed.prompt, [160, 300])[1]!;
    await all.run(planner, 0, 160, { promptEnd: 300 });
    await all.run(planner, 160, 140, { promptEnd: 300 });
    for (let position = 300; position < 330; position++) {
      const layers = await all.run(planner, position, 1, { phase: 'decode', promptEnd: 300 });
      layers.forEach((ranges, layer) => {
        for (let head = 0; head < KV_HEADS; head++) {
          const keys = all.rotated(prompt.keys[layer]!.slice(0, 300), head);
          const bounds = [...starts, 300];
          const means = Array.from({ length: GROUP }, (_, g) =>
            Float32Array.from(all.rotated(prompt.queries[layer]!, head * GROUP + g)[position]!),
          );
          const local = Math.min(300, position + 1 - 8);
          const wanted = reference.chosenKeys({
            means,
            queries: 1,
            vectors: starts.map((start, c) => mean(keys.slice(start, bounds[c + 1]))),
            bounds,
            sinks: 2,
            local,
            end: position + 1,
            budget: 90,
            whole: false,
          });
          expect(wanted.slice(300).every(Boolean)).toBe(true);
          expect(visible(ranges, 0, head, position)).toEqual(wanted);
        }
      });
    }
    // The next prompt is read behind the answer.
    const next = await all.run(planner, 320, 10, { promptEnd: 330 });
    expect(next).toHaveLength(LAYERS);
    planner.free();
    expect(wasm.exports.allocated() >>> 0).toBe(0);
  });

  test('a needle of 12 keys, wherever it lies: DHSA sees more of it than block top-k at the same budget', async () => {
    const wasm = await openWasm('simd');
    const recall = { dhsa: 0, blocks: 0 };
    for (let seed = 0; seed < 12; seed++) {
      const r = random(100 + seed);
      const length = 512;
      const prompt = randomPrompt(200 + seed, length);
      const at = r.integer(20, 300);
      const direction = r.normals(WIDTH, 2.2);
      for (let layer = 0; layer < LAYERS; layer++) {
        for (let key = at; key < at + 12; key++)
          prompt.keys[layer]![key]!.set(r.normals(WIDTH).map((value, i) => value / 2 + direction[i]!));
        for (let query = 384; query < length; query++) {
          for (let head = 0; head < HEADS; head++) {
            const kv = Math.floor(head / GROUP);
            prompt.queries[layer]![query]!.set(
              direction.subarray(kv * DIM, (kv + 1) * DIM).map((value) => value + r.normal() / 2),
              head * DIM,
            );
          }
        }
      }
      // Slow rotation, so that a direction is the same one far away.
      const bed = new Bed(prompt, {
        ...ROPE,
        inverseFrequency: ROPE.inverseFrequency.map((frequency) => frequency / 1000),
      });
      for (const method of ['dhsa', 'blocks'] as const) {
        const planner = METHODS[method]!(wasm, { budget: 80, local: 1, sinks: 4, instruction: 0 });
        await bed.run(planner, 0, 384);
        const layers = await bed.run(planner, 384, 128);
        for (const ranges of layers)
          for (let head = 0; head < KV_HEADS; head++)
            recall[method] +=
              visible(ranges, 127, head, 384)
                .slice(at, at + 12)
                .filter(Boolean).length /
              (12 * 12 * LAYERS * KV_HEADS);
        planner.free();
      }
    }
    expect(recall.dhsa).toBeGreaterThan(recall.blocks);
    expect(recall.dhsa).toBeGreaterThan(0.6);
  });
});

describe('single keys', () => {
  test.each([
    [21, 300, { budget: 120 }],
    [22, 500, { budget: 0.3 }],
    [23, 64, { budget: 100 }],
  ])(
    'the most attention of a mean query over all keys at once, seed %d in calls of %d, %j',
    async (seed, chunk, { budget }) => {
      const wasm = await openWasm('simd');
      const length = 500;
      const bed = new Bed(randomPrompt(seed, length));
      const planner = createKeysPlanner({ method: 'keys', budget, sinks: 3, local: 20, instruction: 40 }, { wasm });
      const calls = await bed.prefill(planner, chunk);
      const told = new Set<string>();
      calls.forEach((layers, call) =>
        layers.forEach((ranges, layer) => {
          const position = call * chunk;
          const count = Math.min(chunk, length - position);
          const wanted = Array.from({ length: KV_HEADS }, (_, head) => {
            const keys = bed.rotated(bed.prompt.keys[layer]!, head);
            return Array.from({ length: Math.ceil(count / 32) }, (_, list) => {
              const first = position + 32 * list;
              const end = Math.min(first + 32, position + count);
              const local = Math.max(0, first + 1 - 20);
              const most = budget <= 1 ? Math.ceil(budget * end) : budget;
              if (most >= end || end > length - 40) return Array.from({ length: end }, () => true);
              const sums = new Float64Array(end);
              for (let g = 0; g < GROUP; g++) {
                const query = mean(bed.rotated(bed.prompt.queries[layer]!, head * GROUP + g).slice(first, end));
                const e = keys
                  .slice(0, end)
                  .map((key) => Math.exp(SCALE * key.reduce((sum, x, d) => sum + x * query[d]!, 0)));
                const all = e.reduce((a, b) => a + b);
                e.forEach((value, key) => (sums[key]! += value / all));
              }
              const sinks = Math.min(3, local);
              const room = Math.max(0, most - sinks - (end - local));
              const best = Array.from({ length: Math.max(0, local - sinks) }, (_, i) => sinks + i)
                .sort((a, b) => sums[b]! - sums[a]! || a - b)
                .slice(0, room);
              if (room > 0 && room < local - sinks) told.add(`${layer} ${head}`);
              const seen = Array.from({ length: end }, (_, key) => key < sinks || key >= local);
              for (const key of best) seen[key] = true;
              return seen;
            });
          });
          if (ranges.shared) return;
          const of = (query: number, head: number): boolean[] =>
            wanted[head]![Math.floor(query / 32)]!.map((there, key) => there && key <= position + query).slice(
              0,
              position + query + 1,
            );
          compare(ranges, of, position, count, `call ${call} layer ${layer}`);
        }),
      );
      expect(told.size).toBe(LAYERS * KV_HEADS);
      planner.free();
      expect(wasm.exports.allocated() >>> 0).toBe(0);
    },
  );

  test('attention that is read back block by block gives the same choice', async () => {
    const wasm = await openWasm('simd');
    const bed = new Bed(randomPrompt(24, 420));
    const choose = (readBytes?: number): Promise<Ranges[]> =>
      bed.run(createKeysPlanner({ method: 'keys', budget: 100 }, { wasm, readBytes }), 0, 420);
    expect(await choose(1)).toEqual(await choose());
  });
});

describe('FlexPrefill', () => {
  /** Attention of one query head's rows `rows`, [rows][keys], in f64. */
  function attention(bed: Bed, layer: number, head: number, rows: readonly number[]): Float64Array[] {
    const keys = bed.rotated(bed.prompt.keys[layer]!, Math.floor(head / GROUP));
    const queries = bed.rotated(bed.prompt.queries[layer]!, head);
    return rows.map((row) => {
      const e = keys
        .slice(0, row + 1)
        .map((key) => key.reduce((sum, value, d) => sum + value * queries[row]![d]!, 0) * SCALE);
      const highest = Math.max(...e);
      const p = e.map((value) => Math.exp(value - highest));
      const sum = p.reduce((a, b) => a + b);
      return Float64Array.from({ length: keys.length }, (_, key) => (p[key] ?? 0) / sum);
    });
  }

  const ways: readonly (readonly [number, PrefillOptions])[] = [
    [11, { method: 'flex' }],
    [12, { method: 'flex' }],
    [11, { method: 'flex', gamma: 0.4, tau: 0.05, minBudget: 200 }],
    [12, { method: 'flex', budget: 150 }],
    [11, { method: 'vertical-slash', budget: 220 }],
    [12, { method: 'vertical-slash', budget: 0.6 }],
  ];
  test.each(ways)('blocks or lines as over all keys at once, seed %d, %j', async (seed, options) => {
    const lines = options.method === 'vertical-slash';
    const { gamma = lines ? 1 : 0.9, tau = 0.1, minBudget = 0, budget = Infinity } = options;
    const wasm = await openWasm('simd');
    const length = 420;
    const prompt = randomPrompt(seed, length);
    // Layer 0 looks at its first block alone, as the block means say.
    const direction = random(seed).normals(WIDTH, 2);
    for (let position = 0; position < length; position++) {
      if (position < 128) prompt.keys[0]![position]!.set(direction);
      for (let head = 0; head < HEADS; head++) {
        const kv = Math.floor(head / GROUP);
        prompt.queries[0]![position]!.set(
          direction.subarray(kv * DIM, (kv + 1) * DIM).map((value) => 2 * value),
          head * DIM,
        );
      }
    }
    const bed = new Bed(prompt, {
      ...ROPE,
      inverseFrequency: ROPE.inverseFrequency.map((frequency) => frequency / 1000),
    });
    const planner = createFlexPlanner({ ...options, sinks: 2, local: 16, instruction: 0 }, { wasm });
    const layers = await bed.run(planner, 0, length);
    const patterns = new Set<boolean>();
    const divided = new Set<boolean>();
    layers.forEach((ranges, layer) => {
      const perHead = Array.from({ length: KV_HEADS }, (_, head) => {
        const heads = Array.from({ length: GROUP }, (_, g) => head * GROUP + g);
        const probed = Array.from({ length: lines ? 64 : 128 }, (_, i) => length - (lines ? 64 : 128) + i);
        const average = (
          rows: readonly Float64Array[],
          of: (row: Float64Array) => Float64Array | number[],
        ): number[] => {
          const all = rows.map(of);
          return Array.from(all[0]!, (_, i) => all.reduce((sum, row) => sum + row[i]!, 0) / all.length);
        };
        const vertical = average(
          heads.flatMap((one) => attention(bed, layer, one, probed)),
          (row) => row,
        );
        const starts = [0, 128, 256, 384];
        const keys = bed.rotated(prompt.keys[layer]!, head);
        const vectors = starts.map((start) => mean(keys.slice(start, start + 128)));
        const meansOf = (from: number, to: number): Float32Array[] =>
          heads.map((one) => mean(bed.rotated(prompt.queries[layer]!, one).slice(from, to)));
        const exact = starts.map((start) => vertical.slice(start, start + 128).reduce((a, b) => a + b));
        const asked =
          !lines &&
          reference.jensenShannon(
            reference.blockMass(meansOf(length - 128, length), vectors, SCALE, (length % 128) / 128),
            exact,
          ) < tau;
        patterns.add(asked);
        const sampled = Array.from({ length: 16 }, (_, i) => length - 1 - (lines ? 4 : 8) * i);
        const rows = heads.flatMap((one) => attention(bed, layer, one, sampled));
        const slash = Array.from({ length: Math.ceil(length / 32) }, (_, bin) =>
          rows.reduce((sum, row, i) => {
            const query = sampled[i % 16]!;
            for (let key = query - 32 * bin; key > query - 32 * (bin + 1); key--)
              if (budget === Infinity || (key >= 2 && key <= query - 16)) sum += row[key] ?? 0;
            return sum;
          }, 0),
        );
        const cover = (mass: readonly number[], width: number, room: number): number[] => {
          const most = Math.floor(room / width);
          const chosen = reference.covering(mass, gamma, most);
          const least = Math.min(most, Math.ceil(minBudget / width));
          return chosen.length < least ? reference.covering(mass, 1, least) : chosen;
        };
        return Array.from({ length: Math.ceil(length / 32) }, (_, list) => {
          const first = 32 * list;
          const pool = 128 * Math.floor(list / 4);
          const end = Math.min(first + 32, length);
          const local = Math.max(0, first + 1 - 16);
          const keys = budget <= 1 ? Math.ceil(budget * end) : budget;
          if (keys >= end && budget !== Infinity) return Array.from({ length: end }, () => true);
          const room = budget === Infinity ? 1e9 : Math.max(0, keys - Math.min(2, local) - (end - local));
          const shape = { width: 32, start: first, end, sinks: Math.min(2, local), local };
          if (!asked && budget === Infinity)
            return reference.lineKeys(
              cover(vertical, 2, room).filter((key) => key < local),
              cover(slash, 2 * (32 + 32), room),
              shape,
            );
          if (!asked) {
            const columns = vertical.slice(0, local).map((mass, key) => (key < 2 ? 0 : mass));
            const drawn = reference.bestLines(
              slash.map((mass) => mass / (16 * GROUP)),
              cover(columns, 1, room).map((key) => columns[key]!),
              room,
              shape,
            );
            divided.add(drawn.length > 0);
            return reference.lineKeys(
              cover(columns, 1, room - drawn.reduce((sum, { cost }) => sum + cost, 0)),
              drawn.map(({ bin }) => bin),
              shape,
            );
          }
          const count = Math.ceil(end / 128);
          const chosen = cover(
            reference.blockMass(
              meansOf(pool, Math.min(pool + 128, length)),
              vectors.slice(0, count),
              SCALE,
              end / 128 - count + 1,
            ),
            128,
            room,
          );
          return Array.from(
            { length: end },
            (_, key) => key < 2 || key >= local || chosen.includes(Math.floor(key / 128)),
          );
        });
      });
      compare(
        ranges,
        (query, head) => perHead[head]![Math.floor(query / 32)]!.slice(0, query + 1),
        0,
        length,
        `layer ${layer}`,
      );
    });
    expect(patterns).toEqual(new Set(lines ? [false] : [true, false]));
    if (lines) expect(divided).toEqual(new Set([true, false]));
    planner.free();
  });
});
