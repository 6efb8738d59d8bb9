/** Attention where the CPU engine splits keys (SPLIT in assembly/kernels/attention.ts), against f64; the conformance suite has the rest. */
import { describe, expect, test } from '@jest/globals';
import type { Backend, Ranges } from '../../../src/backend/backend.ts';
import { denseCausal } from '../../../src/kv/ranges.ts';
import { createReferenceBackend } from '../../reference/backend.ts';
import { random } from '../../support/random.ts';
import { expectNmse, TOLERANCE } from '../../support/tolerance.ts';
import { openWasmBackend, TEST_BUILDS } from '../../support/wasm.ts';

const HEADS = 6;
const KV_HEADS = 2;
const DIM = 16;
const KEYS = 1100;

/** One query, three queries with sparse runs, and a split in which a query sees nothing; joined. */
async function decode(backend: Backend): Promise<Float32Array> {
  const r = random(4);
  const pool = backend.kvPool({ layers: 1, kvHeads: KV_HEADS, headDim: DIM, format: 'f32' });
  pool.reserve(80);
  const kv = {
    pool,
    blocks: 40,
    table: Int32Array.from(r.shuffle(Array.from({ length: 80 }, (_, i) => i))),
    version: 0,
  };
  const rope = {
    inverseFrequency: Float64Array.from({ length: DIM / 2 }, (_, i) => 10 ** -i),
    magnitude: 1,
    style: 'half',
  } as const;
  const width = (HEADS + 2 * KV_HEADS) * DIM;
  backend.scope(
    () =>
      void backend.ropeAppend(backend.upload(r.normals(KEYS * width, 2), [KEYS, width]), kv, 0, 0, {
        heads: HEADS,
        rope,
      }),
  );
  const sparse: Ranges = {
    queryBlock: 2,
    shared: false,
    causal: true,
    offsets: Uint32Array.of(0, 2, 3, 5, 6),
    runs: Uint32Array.of(0, 3, 1000, 1099, 40, 77, 500, 530, 1030, 1100, 600, 601),
  };
  const out: number[] = [];
  for (const [count, ranges] of [
    [1, denseCausal(1, KEYS)],
    [4, denseCausal(4, KEYS)],
    [3, sparse],
  ] as const) {
    const q = backend.upload(r.normals(count * HEADS * DIM), [count, HEADS * DIM]);
    const found = backend.attention(q, kv, 0, KEYS - count, ranges, { heads: HEADS, scale: 0.7 });
    out.push(...(await backend.download(found)));
  }
  return Float32Array.from(out);
}

describe('attention over more keys than one split', () => {
  const truth = decode(createReferenceBackend());
  test.each(TEST_BUILDS)('%s', async (build) => {
    const backend = await openWasmBackend(build);
    const found = await decode(backend);
    backend.destroy();
    expect(found.some(Number.isNaN)).toBe(false);
    expectNmse(found, await truth, TOLERANCE.reduction, 'attention');
  });
});

/** `count` queries of one head on keys `seen` of 600, of which key `bad` holds a NaN. */
async function damaged(
  backend: Backend,
  count: number,
  bad: number,
  seen: readonly [number, number],
): Promise<Float32Array> {
  const r = random(5);
  const pool = backend.kvPool({ layers: 1, kvHeads: 1, headDim: DIM, format: 'f32' });
  pool.reserve(20);
  const kv = { pool, blocks: 20, table: Int32Array.from({ length: 20 }, (_, i) => i), version: 0 };
  const qkv = r.normals(600 * 3 * DIM);
  qkv[bad * 3 * DIM + DIM + 3] = NaN;
  backend.scope(() => void backend.ropeAppend(backend.upload(qkv, [600, 3 * DIM]), kv, 0, 0, { heads: 1 }));
  const ranges: Ranges = {
    queryBlock: count,
    shared: true,
    causal: false,
    offsets: Uint32Array.of(0, 1),
    runs: Uint32Array.from(seen),
  };
  const found = backend.scope(() =>
    backend.attention(backend.upload(r.normals(count * DIM, 40), [count, DIM]), kv, 0, 0, ranges, {
      heads: 1,
      scale: 1,
    }),
  );
  const values = await backend.download(found);
  pool.free();
  return values;
}

describe('a key that is no number', () => {
  test.each(TEST_BUILDS)('%s: reaches every query that sees it, and no other', async (build) => {
    const backend = await openWasmBackend(build);
    // Few queries are split over keys; a run of the bad key alone, of its page, of all.
    for (const count of [1, 9]) {
      for (const seen of [
        [70, 71],
        [64, 75],
        [0, 600],
        [70, 600],
        [3, 71],
      ] as const) {
        const found = await damaged(backend, count, 70, seen);
        expect({ count, seen, left: found.filter(Number.isFinite).length }).toEqual({ count, seen, left: 0 });
      }
      for (const seen of [
        [0, 70],
        [71, 600],
      ] as const)
        expect((await damaged(backend, count, 70, seen)).every(Number.isFinite)).toBe(true);
    }
    backend.destroy();
  });
});
