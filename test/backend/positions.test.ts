/**
 * RoPE at positions that are not the slots' own (`KvView.positions`): every backend against the f64 one, row by row at slots of that number; and
 * positions of three axes, whose sections the test turns one by one.
 */
import { describe, expect, test } from '@jest/globals';
import { PAGE_TOKENS, type Backend, type KvView, type RopeSections, type RopeSpec } from '../../src/backend/backend.ts';
import { createReferenceBackend } from '../reference/backend.ts';
import { rope } from '../support/conformance/harness.ts';
import { testBackends } from '../support/backends.ts';
import { random } from '../support/random.ts';
import { expectNmse, TOLERANCE } from '../support/tolerance.ts';

const HEADS = 4;
const KV_HEADS = 2;
const HEAD_DIM = 8;
const COLS = (HEADS + 2 * KV_HEADS) * HEAD_DIM;
/** Slots 0 to 5 are a text and a picture of which every other token is gone; slots 6 and 7 go on after it; slot 8 is the first of an answer. */
const POSITIONS = Int32Array.of(0, 1, 3, 7, 8, 700, 701, 702, 703);
const STEPS = [3, 3, 2, 1];

function view(backend: Backend, blocks: number, values?: Int32Array, axes = 1): KvView {
  const pool = backend.kvPool({ layers: 1, kvHeads: KV_HEADS, headDim: HEAD_DIM, format: 'f32' });
  pool.reserve(KV_HEADS * blocks);
  return {
    pool,
    blocks,
    table: Int32Array.from({ length: KV_HEADS * blocks }, (_, i) => i),
    version: 1,
    ...(values && { positions: { axes, values } }),
  };
}

const spec = rope(HEAD_DIM, 'half');

async function queries(
  backend: Backend,
  qkv: Float32Array,
  kv: KvView,
  steps: readonly number[],
  slots: readonly number[],
): Promise<number[]> {
  const found: number[] = [];
  let row = 0;
  for (const [i, count] of steps.entries()) {
    const x = backend.upload(qkv.subarray(row * COLS, (row + count) * COLS), [count, COLS]);
    const q = backend.ropeAppend(x, kv, 0, slots[i]!, { heads: HEADS, rope: spec });
    found.push(...(await backend.download(q)));
    row += count;
  }
  return found;
}

const backends = await testBackends();

describe('positions of slots', () => {
  const qkv = random(5).normals(POSITIONS.length * COLS);
  const truth = createReferenceBackend();

  test.each(backends)('$name', async ({ create }) => {
    const backend = await create();
    // Each row alone, in the slot that has its position's number.
    const wanted = await queries(
      truth,
      qkv,
      view(truth, Math.ceil(704 / PAGE_TOKENS)),
      [...POSITIONS].map(() => 1),
      [...POSITIONS],
    );
    const kv = view(backend, 1, POSITIONS);
    const slots = STEPS.map((_, i) => STEPS.slice(0, i).reduce((a, b) => a + b, 0));
    expectNmse(await queries(backend, qkv, kv, STEPS, slots), wanted, TOLERANCE.reduction, 'q');
    // Other rows of one call, and the same again: a table kept from before must not serve them.
    const other = Int32Array.of(0, 2, 3, 9, 11);
    const again = view(backend, 1, other);
    const found = await queries(backend, qkv.subarray(0, 5 * COLS), again, [5], [0]);
    const each = await queries(truth, qkv.subarray(0, 5 * COLS), view(truth, 1), [1, 1, 1, 1, 1], [...other]);
    expectNmse(found, each, TOLERANCE.reduction, 'q at other positions');
    expect(found.slice(0, HEADS * HEAD_DIM)).not.toEqual(found.slice(HEADS * HEAD_DIM, 2 * HEADS * HEAD_DIM));
    backend.destroy();
  });
});

/** Three axes: text, a picture of 2 by 3 behind it, text from the largest position on. */
const AXES = [
  [0, 1, 2, 2, 2, 2, 2, 2, 5, 6, 7],
  [0, 1, 2, 2, 2, 3, 3, 3, 5, 6, 7],
  [0, 1, 2, 3, 4, 2, 3, 4, 5, 6, 7],
] as const;
const SLOTS = AXES[0].length;

/** Which axis turns each pair of a rotary part, written out. */
const SECTIONS: readonly { readonly sections: RopeSections; readonly axes: readonly number[] }[] = [
  { sections: { order: 'consecutive', pairs: [2, 3, 3] }, axes: [0, 0, 1, 1, 1, 2, 2, 2] },
  { sections: { order: 'consecutive', pairs: [1, 4, 0] }, axes: [0, 1, 1, 1, 1] },
  { sections: { order: 'interleaved', pairs: [4, 2, 2] }, axes: [0, 1, 2, 0, 1, 2, 0, 0] },
  { sections: { order: 'interleaved', pairs: [2, 2, 2] }, axes: [0, 1, 2, 0, 1, 2] },
  { sections: { order: 'interleaved', pairs: [3, 2, 1] }, axes: [0, 1, 2, 0, 1, 0] },
];

/** q of `count` slots from `slot` on, in f64: each pair turned at its axis' position by the f64 backend, whose other pairs stand still. */
async function turned(
  truth: Backend,
  qkv: Float32Array,
  spec: RopeSpec,
  axes: readonly number[],
  columns: number,
  heads: { readonly heads: number; readonly kvHeads: number; readonly headDim: number },
): Promise<Float64Array> {
  const out = new Float64Array(SLOTS * heads.heads * heads.headDim);
  for (let slot = 0; slot < SLOTS; slot++) {
    const row = qkv.subarray(slot * columns, (slot + 1) * columns);
    let q: Float32Array = row.slice(0, heads.heads * heads.headDim);
    for (const axis of [0, 1, 2] as const) {
      const inverseFrequency = spec.inverseFrequency.map((value, i) => (axes[i] === axis ? value : 0));
      const rotated = row.slice();
      rotated.set(q);
      const pool = truth.kvPool({ layers: 1, kvHeads: heads.kvHeads, headDim: heads.headDim, format: 'f32' });
      pool.reserve(heads.kvHeads);
      const kv = { pool, blocks: 1, table: Int32Array.from({ length: heads.kvHeads }, (_, i) => i), version: 1 };
      const x = truth.upload(rotated, [1, columns]);
      const turn = { inverseFrequency, magnitude: 1, style: spec.style };
      q = await truth.download(truth.ropeAppend(x, kv, 0, AXES[axis][slot]!, { heads: heads.heads, rope: turn }));
      pool.free();
    }
    out.set(q, slot * heads.heads * heads.headDim);
  }
  return out;
}

describe('positions of three axes', () => {
  const truth = createReferenceBackend();
  const heads = { heads: 3, kvHeads: 1, headDim: 20 };
  const columns = (heads.heads + 2 * heads.kvHeads) * heads.headDim;
  const qkv = random(6).normals(SLOTS * columns);
  const width = heads.heads * heads.headDim;

  test.each(backends)(
    '$name turns each pair by the axis of its section, and leaves what is not rotary',
    async ({ create }) => {
      const backend = await create();
      for (const style of ['half', 'interleaved'] as const) {
        for (const { sections, axes } of SECTIONS) {
          // Heads of 20 values, of which 10 to 16 are rotary.
          const plain = rope(2 * axes.length, style, { base: 50 });
          const spec: RopeSpec = { ...plain, sections };
          const wanted = await turned(truth, qkv, plain, axes, columns, heads);
          const pool = backend.kvPool({ layers: 1, kvHeads: 1, headDim: heads.headDim, format: 'f32' });
          pool.reserve(1);
          const values = Int32Array.from(AXES.flat());
          const kv = { pool, blocks: 1, table: Int32Array.of(0), version: 1, positions: { axes: 3, values } };
          const found: number[] = [];
          // Text, a chunk that ends inside the picture, the rest, and one token as decoding adds it.
          for (const [slot, count] of [
            [0, 2],
            [2, 4],
            [6, 4],
            [10, 1],
          ] as const) {
            const x = backend.upload(qkv.subarray(slot * columns, (slot + count) * columns), [count, columns]);
            found.push(
              ...(await backend.download(backend.ropeAppend(x, kv, 0, slot, { heads: heads.heads, rope: spec }))),
            );
          }
          const what = `${style}, ${sections.order} ${sections.pairs.join()}`;
          expectNmse(found, wanted, TOLERANCE.reduction, `q, ${what}`);
          // The keys are rotated by the same angles: with q as k, attention over one key gives it back.
          const keys = await backend.download(backend.cached(kv, 0, 'keys', 0, SLOTS));
          const asQuery = new Float32Array(SLOTS * columns);
          for (let slot = 0; slot < SLOTS; slot++)
            asQuery.set(qkv.subarray(slot * columns + width, slot * columns + width + heads.headDim), slot * columns);
          const rotatedKeys = await turned(truth, asQuery, plain, axes, columns, heads);
          expectNmse(
            keys,
            Float64Array.from(
              { length: keys.length },
              (_, i) => rotatedKeys[Math.floor(i / heads.headDim) * width + (i % heads.headDim)]!,
            ),
            TOLERANCE.reduction,
            `keys, ${what}`,
          );
          // A spec without sections turns all pairs by the first axis.
          const x = backend.upload(qkv.subarray(2 * columns, 8 * columns), [6, columns]);
          const first = { ...kv, positions: { axes: 1, values: values.slice(0, SLOTS) } };
          expect(await backend.download(backend.ropeAppend(x, kv, 0, 2, { heads: heads.heads, rope: plain }))).toEqual(
            await backend.download(backend.ropeAppend(x, first, 0, 2, { heads: heads.heads, rope: spec })),
          );
          pool.free();
        }
      }
      backend.destroy();
    },
  );

  test.each(backends)('$name refuses sections and positions that do not fit', async ({ create }) => {
    const backend = await create();
    const pool = backend.kvPool({ layers: 1, kvHeads: 1, headDim: heads.headDim, format: 'f32' });
    pool.reserve(1);
    const append =
      (sections: RopeSections | undefined, positions: KvView['positions']): (() => unknown) =>
      () =>
        backend.ropeAppend(
          backend.upload(qkv.subarray(0, 4 * columns), [4, columns]),
          { pool, blocks: 1, table: Int32Array.of(0), version: 1, positions },
          0,
          0,
          { heads: heads.heads, rope: { ...rope(16, 'half'), ...(sections && { sections }) } },
        );
    const refused = (message: RegExp): unknown =>
      expect.objectContaining({ name: 'InputError', message: expect.stringMatching(message) });
    const short = { axes: 3, values: new Int32Array(9) };
    expect(append({ order: 'consecutive', pairs: [2, 3, 2] }, undefined)).toThrow(refused(/sections of 2, 3, 2 pairs/));
    expect(append({ order: 'interleaved', pairs: [1, 4, 3] }, undefined)).toThrow(refused(/sections of 1, 4, 3 pairs/));
    expect(append({ order: 'consecutive', pairs: [9, -1, 0] }, undefined)).toThrow(refused(/sections of 9, -1, 0/));
    expect(append(undefined, short)).toThrow(refused(/9 positions on 3 axes; slots up to 4/));
    expect(append(undefined, { axes: 1, values: Int32Array.of(0, 1, -1, 2) })).toThrow(
      refused(/slot 2 is at position -1/),
    );
    expect(append(undefined, { axes: 1, values: Int32Array.of(0, 1, 2, 2 ** 24) })).toThrow(
      refused(/position 16777216/),
    );
    backend.destroy();
  });
});
