/** RoPE at positions that are not the slots' own (`KvView.positions`): every backend against the f64 one, row by row at slots of that number. */
import { describe, expect, test } from '@jest/globals';
import { PAGE_TOKENS, type Backend, type KvView } from '../../src/backend/backend.ts';
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

function view(backend: Backend, blocks: number, positions?: Int32Array): KvView {
  const pool = backend.kvPool({ layers: 1, kvHeads: KV_HEADS, headDim: HEAD_DIM, format: 'f32' });
  pool.reserve(KV_HEADS * blocks);
  return {
    pool,
    blocks,
    table: Int32Array.from({ length: KV_HEADS * blocks }, (_, i) => i),
    version: 1,
    ...(positions && { positions }),
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
