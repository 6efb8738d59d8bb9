/** Attention where the CPU engine splits keys (SPLIT in assembly/kernels/attention.ts), against f64; the conformance suite has the rest. */
import { describe, expect, test } from '@jest/globals';
import type { Backend, Ranges } from '../../src/backend/backend.ts';
import { denseCausal } from '../../src/context/ranges.ts';
import { createReferenceBackend } from '../reference/backend.ts';
import { random } from '../support/random.ts';
import { expectNmse, TOLERANCE } from '../support/tolerance.ts';
import { openWasmBackend, TEST_BUILDS } from '../support/wasm.ts';

const HEADS = 6;
const KV_HEADS = 2;
const DIM = 16;
const KEYS = 1100;

/** One query, three queries with sparse runs, and a split in which a query sees nothing; joined. */
async function decode(backend: Backend): Promise<Float32Array> {
  const r = random(4);
  const pool = backend.kvPool({ layers: 1, kvHeads: KV_HEADS, headDim: DIM, format: 'f32' });
  pool.reserve(80);
  const kv = { pool, blocks: 40, table: Int32Array.from(r.shuffle(Array.from({ length: 80 }, (_, i) => i))), version: 0 };
  const rope = { inverseFrequency: Float64Array.from({ length: DIM / 2 }, (_, i) => 10 ** -i), magnitude: 1, style: 'half' } as const;
  const width = (HEADS + 2 * KV_HEADS) * DIM;
  backend.scope(() => void backend.ropeAppend(backend.upload(r.normals(KEYS * width, 2), [KEYS, width]), kv, 0, 0, { heads: HEADS, rope }));
  const sparse: Ranges = {
    queryBlock: 2, shared: false, causal: true,
    offsets: Uint32Array.of(0, 2, 3, 5, 6), runs: Uint32Array.of(0, 3, 1000, 1099, 40, 77, 500, 530, 1030, 1100, 600, 601),
  };
  const out: number[] = [];
  for (const [count, ranges] of [[1, denseCausal(1, KEYS)], [4, denseCausal(4, KEYS)], [3, sparse]] as const) {
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
