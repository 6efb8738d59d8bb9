/** Heads found by looking at a model: made-up models whose heads are known, and scores beside naive attention in f64. */
import { describe, expect, test } from '@jest/globals';
import type { RopeSpec } from '../../../src/backend/backend.ts';
import { farSighted, reach } from '../../../src/select/heads/mean-query.ts';
import { razorScores, retrieving } from '../../../src/select/heads/razor.ts';
import { randomIds, readTokens, type ReadableModel } from '../../../src/select/heads/reading.ts';
import { needleText, semanticScores } from '../../../src/select/heads/semantic.ts';
import { NEEDLES } from '../../../src/select/heads/needles.ts';
import { fileTable, findHeads, headsNeeded, strongestHeads } from '../../../src/select/heads/heads.ts';
import { InputError, ModelError } from '../../../src/errors.ts';
import type { GgufValue, ModelMetadata } from '../../../src/load/model-file.ts';
import { createReferenceBackend } from '../../reference/backend.ts';
import { rotate } from '../../reference/maths.ts';
import { random } from '../../support/random.ts';

const DIM = 16;
const HEADS = 4;
const KV_HEADS = 2;
const GROUP = HEADS / KV_HEADS;
const LAYERS = 2;
const SCALE = 0.25;

/** What a head's query or key at `position` is, of the ids read. */
type Head = (ids: Int32Array, position: number) => Float32Array;
interface Heads {
  readonly q: readonly Head[];
  readonly k: readonly Head[];
}

const tables = Array.from({ length: 6 }, (_, seed) =>
  Array.from({ length: 300 }, (_, id) => random(1000 * seed + id).normals(DIM)),
);
/** A token's own vector, one a table. */
const own =
  (table: number, factor = 1): Head =>
  (ids, position) =>
    tables[table]![ids[position] ?? 299]!.map((x) => factor * x);
/** That of the token before. */
const previous =
  (table: number): Head =>
  (ids, position) =>
    tables[table]![position === 0 ? 299 : ids[position - 1]!]!;

/** A model of attention alone: hidden states are positions' numbers, which nothing reads. */
class MadeUp implements ReadableModel {
  readonly backend = createReferenceBackend();
  readonly config = {
    cacheLayers: LAYERS,
    heads: HEADS,
    kvHeads: KV_HEADS,
    headDim: DIM,
    vocabulary: 299,
    contextWindow: 4096,
  };
  readonly attention = { heads: HEADS, scale: SCALE };
  readonly turn: RopeSpec;
  readonly rope = (): RopeSpec => this.turn;
  readonly layers: readonly Heads[];
  ids: Int32Array = new Int32Array(0);

  constructor(layers: readonly Heads[], turning = false, window = 4096) {
    this.layers = layers;
    this.turn = {
      inverseFrequency: Float64Array.from({ length: DIM / 2 }, (_, i) => (turning ? 50 ** (-i / 8) : 0)),
      magnitude: 1,
      style: 'interleaved',
    };
    this.config.contextWindow = window;
  }

  embed(ring: Parameters<ReadableModel['embed']>[0], start: number, count: number): ReturnType<ReadableModel['embed']> {
    const x = this.backend.upload(new Float32Array(count), [count, 1]);
    void this.backend.readIds(ring, start, start + count).then((ids) => (this.ids = ids));
    return x;
  }

  vector(layer: number, position: number, part: 'q' | 'k', head: number): Float64Array {
    const one = Float64Array.from(this.layers[layer]![part][head]!(this.ids, position));
    rotate(one, position, this.turn);
    return one;
  }

  masses(layer: number, position: number, head: number): number[] {
    const q = this.vector(layer, position, 'q', head);
    const scores = Array.from(
      { length: position + 1 },
      (_, key) =>
        SCALE * this.vector(layer, key, 'k', Math.floor(head / GROUP)).reduce((sum, x, i) => sum + x * q[i]!, 0),
    );
    const most = Math.max(...scores);
    const total = scores.reduce((sum, score) => sum + Math.exp(score - most), 0);
    return scores.map((score) => Math.exp(score - most) / total);
  }

  async forwardPlanned(
    x: ReturnType<ReadableModel['embed']>,
    { kv, position, plan }: Parameters<ReadableModel['forwardPlanned']>[1],
  ): ReturnType<ReadableModel['forwardPlanned']> {
    const { backend } = this;
    const count = x.shape[0]!;
    await Promise.resolve();
    for (let layer = 0; layer < LAYERS; layer++) {
      const { q, k } = this.layers[layer]!;
      const rows = Array.from({ length: count }, (_, p) =>
        [...q, ...k].flatMap((head) => [...head(this.ids, p)]).concat(Array.from({ length: KV_HEADS * DIM }, () => 0)),
      );
      const qkv = backend.upload(Float32Array.from(rows.flat()), [count, (HEADS + 2 * KV_HEADS) * DIM]);
      const queries = backend.ropeAppend(qkv, kv, layer, position, { heads: HEADS, rope: this.turn });
      backend.free(qkv);
      try {
        await plan.ranges(layer, queries);
      } finally {
        backend.free(queries);
      }
    }
    return backend.upload(new Float32Array(count), [count, 1]);
  }
}

/** Layer 0: KV head 0 echoes, 1 is random; layer 1: KV head 0 is random, 1 inducts. */
const known: readonly Heads[] = [
  { q: [own(0, 3), own(1), own(2), own(3)], k: [own(0, 3), own(4)] },
  { q: [own(1), own(2), own(5, 3), own(1)], k: [own(3), previous(5)] },
];

describe('RazorAttention', () => {
  test('echo and induction scores are attention on the earlier copies, and on what follows them', async () => {
    const model = new MadeUp(known);
    const { echo, induction } = await razorScores(model);
    const length = 128;
    for (let layer = 0; layer < LAYERS; layer++) {
      for (let kvHead = 0; kvHead < KV_HEADS; kvHead++) {
        const scores = Array.from({ length: GROUP }, (_, g) => {
          const sums = [0, 0];
          for (let i = 0; i < 32; i++) {
            const position = 3 * length + 4 * i;
            const masses = model.masses(layer, position, kvHead * GROUP + g);
            for (const copy of [1, 2, 3]) {
              sums[0]! += masses[position - copy * length]! / 32;
              sums[1]! += masses[position - copy * length + 1]! / 32;
            }
          }
          return sums;
        });
        expect(echo[layer * KV_HEADS + kvHead]).toBeCloseTo(Math.max(...scores.map(([e]) => e!)), 5);
        expect(induction[layer * KV_HEADS + kvHead]).toBeCloseTo(Math.max(...scores.map(([, i]) => i!)), 5);
      }
    }
    expect(echo[0]).toBeGreaterThan(0.7);
    expect(induction[3]).toBeGreaterThan(0.7);
    expect(Math.max(...echo.slice(1), ...induction.slice(0, 3))).toBeLessThan(0.3);
    expect(model.backend.memory()).toEqual({ weights: 0, kv: 0, activations: 0, allocations: 0 });
  });

  test('the share that is kept has both kinds', async () => {
    expect((await retrieving(new MadeUp(known), 0.5)).toSorted((a, b) => a - b)).toEqual([0, 3]);
    expect(await retrieving(new MadeUp(known), 0.01)).toEqual([0]);
    expect((await retrieving(new MadeUp(known), 1)).toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3]);
    // A short window: short copies.
    expect((await retrieving(new MadeUp(known, false, 100), 0.5)).toSorted((a, b) => a - b)).toEqual([0, 3]);
  });
});

describe('how far mean queries look', () => {
  const rope = (style: 'half' | 'interleaved', pairs: number): RopeSpec => ({
    inverseFrequency: Float64Array.from({ length: pairs }, (_, i) => 30 ** (-i / pairs)),
    magnitude: 1.2,
    style,
  });

  test.each([
    ['half', 8],
    ['interleaved', 8],
    ['half', 5],
  ] as const)('%s, %d pairs: the area under the accumulated attention', (style, pairs) => {
    const r = random(4);
    const query = Float64Array.from(r.normals(DIM));
    const key = Float64Array.from(r.normals(DIM));
    const spec = rope(style, pairs);
    const q = query.slice();
    rotate(q, 511, spec);
    const scores = Array.from({ length: 512 }, (_, position) => {
      const k = key.slice();
      rotate(k, position, spec);
      return Math.exp(0.3 * k.reduce((sum, x, i) => sum + x * q[i]!, 0));
    });
    const total = scores.reduce((a, b) => a + b, 0);
    let area = 0;
    for (let i = 0; i < 512; i++) area += scores.slice(0, i + 1).reduce((a, b) => a + b, 0) / total / 512;
    expect(reach(query, key, spec, 0.3)).toBeCloseTo(area, 9);
  });

  test('heads that look everywhere alike, near, and far, are told apart in a model', async () => {
    const slow =
      (sign: number): Head =>
      () => {
        const x = new Float32Array(DIM);
        // The slowest pair: by 512 positions it has turned through 4 radians or so.
        x[14] = 4 * sign;
        return x;
      };
    const zero: Head = () => new Float32Array(DIM);
    const layer: Heads = { q: [slow(1), slow(1), zero, zero], k: [slow(1), slow(1)] };
    const far: Heads = { q: [slow(-1), slow(-1), slow(1), slow(1)], k: [slow(1), zero] };
    const model = new MadeUp([layer, far]);
    model.turn.inverseFrequency.forEach((_, i) => (model.turn.inverseFrequency[i] = i === 7 ? 0.005 : 0.5));
    const [near, alike, away, flat] = await farSighted(model);
    expect(near).toBeLessThan(0.3);
    expect(alike).toBeCloseTo(0.5, 2);
    expect(away).toBeGreaterThan(0.6);
    expect(flat).toBeCloseTo(0.5, 2);
    expect(model.backend.memory().allocations).toBe(0);
  });
});

describe('semantic retrieval heads', () => {
  /** One id a word. */
  const encode = (text: string): number[] =>
    (text.match(/\S+/g) ?? []).map((word) =>
      [...word].reduce((sum, letter) => (7 * sum + letter.charCodeAt(0)) % 299, 1),
    );

  test('needles stand among sentences, and are asked for and answered behind them, in small windows too', () => {
    const { ids, needles } = needleText(encode, 4096);
    expect(needles).toHaveLength(NEEDLES.length);
    const shorter = needleText(encode, 200);
    expect(shorter.ids.length).toBeLessThanOrEqual(200);
    expect(ids.length).toBeGreaterThan(shorter.ids.length);
    for (const { ids: all, needles: found } of [{ ids, needles }, shorter]) {
      found.forEach(({ span: [start, end], rows: [from, to] }, i) => {
        expect([...all.subarray(start, end)]).toEqual(encode(NEEDLES[i]![0]));
        expect([...all.subarray(from + 1, to + 1)]).toEqual(encode(NEEDLES[i]![0]));
        expect(end).toBeLessThan(from);
      });
    }
  });

  test('attention on the whole needle while it is written', async () => {
    const model = new MadeUp(known, true);
    const scores = await semanticScores(model, encode);
    const { needles } = needleText(encode, 4096);
    for (let layer = 0; layer < LAYERS; layer++) {
      for (let head = 0; head < HEADS; head++) {
        let wanted = 0;
        for (const {
          span,
          rows: [from, to],
        } of needles) {
          for (let position = from; position < to; position++) {
            const masses = model.masses(layer, position, head);
            wanted += masses.slice(...span).reduce((a, b) => a + b, 0) / (to - from) / needles.length;
          }
        }
        expect(scores[layer * HEADS + head]).toBeCloseTo(wanted, 5);
      }
    }
    expect(model.backend.memory().allocations).toBe(0);
  });
});

test('reading: an abort ends it, and nothing is left', async () => {
  const model = new MadeUp(known);
  const abort = new AbortController();
  const reading = readTokens(
    model,
    randomIds(20, 50, 1),
    async (layer) => {
      if (layer === 0) abort.abort(new Error('enough'));
    },
    abort.signal,
  );
  await expect(reading).rejects.toThrow('enough');
  expect(model.backend.memory().allocations).toBe(0);
  expect(new Set(randomIds(50, 50, 3)).size).toBe(50);
  expect(randomIds(60, 50, 3).every((id) => id >= 0 && id < 50)).toBe(true);
  expect(randomIds(8, 1000, 3)).toEqual(randomIds(8, 1000, 3));
});

describe('tables', () => {
  const gguf = (value: GgufValue | undefined): ModelMetadata => ({
    kind: 'gguf',
    values: new Map(value === undefined ? [] : [['octavo.heads.streaming', value]]),
  });
  const shape = { layers: LAYERS, kvHeads: KV_HEADS };

  test('from the file', () => {
    expect(fileTable(gguf(undefined), shape)).toBeUndefined();
    expect(fileTable(gguf(Float32Array.of(0, 1, 0.6, 0.4)), shape)?.streams).toEqual(Uint8Array.of(0, 1, 1, 0));
    expect(fileTable(gguf(Float32Array.of(0.1, 1, 0.6, 0.4)), shape, 0.75)?.streams).toEqual(Uint8Array.of(0, 1, 0, 0));
    for (const wrong of [Float32Array.of(0, 1), Float32Array.of(0, 1, NaN, 0), Float32Array.of(0, 1, 2, 0), 'all'])
      expect(() => fileTable(gguf(wrong), shape)).toThrow(ModelError);
    expect(strongestHeads([1, 2, 2, 0], 0.5)).toEqual([1, 2]);
    expect(strongestHeads([2, 2, 2], 0.01)).toEqual([0]);
  });

  test('what options ask for, and no more', async () => {
    expect(headsNeeded({})).toBeUndefined();
    expect(headsNeeded({ heads: 'all', evict: 'snapkv' })).toBeUndefined();
    expect(headsNeeded({ heads: 'razor' })).not.toBe(headsNeeded({ heads: { method: 'razor', keep: 0.3 } }));
    expect(headsNeeded({ heads: { method: 'razor', window: 9 } })).toBe(headsNeeded({ heads: 'razor' }));
    const model = new MadeUp(known);
    const words = (text: string): number[] => Array.from(text, (letter) => letter.charCodeAt(0));
    const { streaming, semantic } = await findHeads(
      model,
      gguf(undefined),
      { heads: 'razor', evict: 'compresskv' },
      words,
    );
    expect(streaming?.streams).toEqual(Uint8Array.of(0, 1, 1, 0));
    expect(semantic).toHaveLength(LAYERS * HEADS);
    expect(
      (
        await findHeads(model, gguf(undefined), { heads: { method: 'mean-query', keep: 0.25 } }, words)
      ).streaming?.streams.reduce((a, b) => a + b, 0),
    ).toBe(3);
    expect(
      (await findHeads(model, gguf(Float32Array.of(1, 1, 0, 0)), { heads: 'model' }, words)).streaming?.streams,
    ).toEqual(Uint8Array.of(1, 1, 0, 0));
    await expect(findHeads(model, gguf(undefined), { heads: 'model' }, words)).rejects.toThrow(InputError);
  });
});
