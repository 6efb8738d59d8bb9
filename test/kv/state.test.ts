/**
 * States beside pages, on a decoder with a toy layer in front: a running sum of what each token begins with, which every later token sees. Whatever
 * a sequence went through (clones, undone steps, adopted prefixes, the disk), it computes what a fresh one computes.
 */
import { afterAll, beforeAll, beforeEach, afterEach, describe, expect, test } from '@jest/globals';
import type { Backend, KvPool, Tensor } from '../../src/backend/backend.ts';
import { Prefixes, type SharedPrompt } from '../../src/kv/prefixes.ts';
import { denseCausal } from '../../src/kv/ranges.ts';
import { PageAllocator, Sequence } from '../../src/kv/sequence.ts';
import { SequenceState, Snapshot, type SnapshotPolicy } from '../../src/kv/state.ts';
import { openModel } from '../../src/load/index.ts';
import { loadModel, type Model } from '../../src/models/model.ts';
import { testBackends } from '../support/backends.ts';
import { tinyModel } from '../support/tiny-model.ts';
import { expectNmse, TOLERANCE } from '../support/tolerance.ts';

const IDS = Int32Array.from({ length: 120 }, (_, i) => (i * 37) % 250);
const CAPACITY = 160;
/** The slot of the toy layer's state. */
const TOY = 7;

const backends = (await testBackends()).filter(({ name }) => ['reference', 'wasm simd', 'webgpu'].includes(name));
describe.each(backends)('$name', ({ create }) => {
  let backend: Backend;
  let model: Model;
  let pool: KvPool;
  let pages: PageAllocator;
  beforeAll(async () => {
    backend = await create();
    const file = await openModel(tinyModel({ layers: 1, window: CAPACITY }));
    model = await loadModel(file, backend);
    await file.close();
  });
  afterAll(() => {
    model.free();
    backend.destroy();
  });
  beforeEach(() => {
    const { layers, kvHeads, headDim } = model.language.config;
    pool = backend.kvPool({ layers, kvHeads, headDim, format: 'f32' });
    pages = new PageAllocator(pool);
  });
  afterEach(() => {
    expect(pages.used).toBe(0);
    pool.free();
    expect(backend.memory().activations).toBe(0);
  });

  const fresh = (policy: SnapshotPolicy = { recent: 5, borders: 4 }): Sequence =>
    new Sequence(pages, CAPACITY, new SequenceState(backend, policy));

  /** Reads ids up to `end` in one call; the hidden state of the last. */
  async function read(sequence: Sequence, end: number, ids = IDS): Promise<Float32Array> {
    const start = sequence.length;
    const ring = backend.ids(end);
    backend.writeIds(ring, 0, ids.subarray(0, end));
    sequence.ensure(end);
    const last = backend.scope(() => {
      const x = model.language.embed(ring, start, end - start);
      let sum = sequence.state!.before(TOY);
      const rows: Tensor[] = [];
      for (let t = 0; t < end - start; t++) {
        const row = backend.rows(x, t, 1);
        sum = sum === undefined ? row : backend.add(sum, row);
        rows.push(sum);
      }
      // A copy: the rows below are read from the last sum, which the state keeps.
      sequence.state!.after(TOY, backend.rows(sum!, 0, 1));
      const seen = backend.add(x, backend.stack(rows));
      const hidden = model.language.forward(seen, {
        kv: sequence,
        position: start,
        ranges: denseCausal(end - start, end),
      });
      return backend.rows(hidden, end - start - 1, 1);
    });
    const values = await backend.download(last);
    backend.free(last);
    backend.free(ring);
    return values;
  }
  /** What a fresh sequence gives for the last of the first `end` ids. */
  async function wanted(end: number, ids = IDS): Promise<Float32Array> {
    const sequence = fresh();
    const values = await read(sequence, end, ids);
    sequence.free();
    return values;
  }
  const expectRight = async (found: Float32Array, end: number, what: string, ids = IDS): Promise<void> =>
    expectNmse(found, await wanted(end, ids), TOLERANCE.reduction, what);

  test('the state counts: without it the answer is another', async () => {
    const sequence = fresh();
    await read(sequence, 40);
    const other = fresh();
    other.state!.begin(0, 1);
    other.state!.after(
      TOY,
      backend.scope(() => backend.upload(new Float32Array(64), [1, 64])),
    );
    const one = other.state!.at(1)!.retain();
    other.free();
    const wrong = new Snapshot(backend, 40, new Map([[TOY, one.of(TOY)!]]));
    const blocks = [0, 1].map((block) => sequence.pagesOf(block));
    for (const page of blocks.flatMap((list) => [...list])) pages.retain(page);
    const fake = fresh();
    fake.adopt(blocks, 40, wrong);
    const [right, bad] = [await read(sequence, 41), await read(fake, 41)];
    expect(right).not.toEqual(bad);
    await expectRight(right, 41, 'the real state');
    sequence.free();
    fake.free();
  });

  test('in chunks and step by step', async () => {
    const sequence = fresh();
    for (const end of [7, 32, 33, 40, 41, 42]) await expectRight(await read(sequence, end), end, `up to ${end}`);
    sequence.free();
  });

  test('surplus steps are undone exactly; further back, it goes to the last snapshot', async () => {
    const sequence = fresh({ recent: 4, borders: 2 });
    await read(sequence, 64);
    for (let end = 65; end <= 72; end++) await read(sequence, end);
    // 69, 70, 71 and 72 are the recent ones.
    expect(sequence.truncate(70)).toBe(70);
    await expectRight(await read(sequence, 71), 71, 'two steps undone');
    expect(sequence.truncate(67)).toBe(64);
    expect(sequence.state!.position).toBe(64);
    await expectRight(await read(sequence, 67), 67, 'back to the border of a block');
    expect(sequence.truncate(40)).toBe(0);
    await expectRight(await read(sequence, 40), 40, 'from the beginning');
    sequence.free();
  });

  test('borders are kept as many as the policy says', async () => {
    const sequence = fresh({ recent: 1, borders: 2 });
    for (const end of [32, 64, 96, 100, 101]) await read(sequence, end);
    expect([0, 32, 64, 96, 100, 101].filter((position) => sequence.state!.at(position) !== undefined)).toEqual([
      64, 96, 100, 101,
    ]);
    expect(sequence.truncate(99)).toBe(96);
    sequence.free();
  });

  test('borders lie the further apart the older they are, and the marked one stays', async () => {
    const state = new SequenceState(backend, { recent: 1, borders: 3 });
    const go = (to: number): void => state.begin(state.position, to);
    for (let end = 32; end <= 320; end += 32) {
      go(end);
      if (end === 128) state.mark();
    }
    go(321);
    expect(state.positions).toContain(128);
    expect(state.positions).toHaveLength(5);
    expect(state.positions.slice(-2)).toEqual([320, 321]);
    for (let end = 322; end <= 330; end++) go(end);
    expect(state.positions).toContain(128);
    state.mark();
    for (let end = 352; end <= 1024; end += 32) go(end);
    go(1025);
    const gaps = state.positions.map((position, i) => position - (state.positions[i - 1] ?? 0));
    expect(state.positions).toContain(320);
    expect(gaps.at(-1)).toBe(1);
    expect(Math.max(...gaps.slice(-2))).toBeLessThanOrEqual(256);
    state.free();
  });

  test('a call should end where a block does, as far as it gets there', () => {
    const state = new SequenceState(backend, { recent: 1, borders: 1 });
    const stops = (last: boolean): readonly number[] =>
      [
        [0, 100],
        [96, 100],
        [10, 64],
        [10, 20],
        [0, 520],
        [384, 520],
      ].map(([start, end]) => state.stop(start!, end!, last));
    expect(stops(false)).toEqual([96, 100, 64, 20, 512, 512]);
    expect(stops(true)).toEqual([96, 100, 64, 20, 384, 512]);
  });

  test('a clone goes on by itself, and outlives the original', async () => {
    const sequence = fresh();
    await read(sequence, 40);
    const copy = sequence.fork();
    const other = IDS.slice();
    other[40] = 3;
    await expectRight(await read(copy, 45, other), 45, 'the clone', other);
    await expectRight(await read(sequence, 45), 45, 'the original');
    expect(sequence.truncate(40)).toBe(40);
    sequence.free();
    expect(copy.truncate(40)).toBe(40);
    await expectRight(await read(copy, 41), 41, 'the clone, cut, after the original is gone');
    copy.free();
  });

  test('another sequence begins with the blocks that it shares, up to the last whose states were kept', async () => {
    const prefixes = new Prefixes(pages, 1 << 30);
    const prompt = (ids: Int32Array): SharedPrompt => ({ ids, spans: [], contentKey: '', bits: 16 });
    const first = fresh();
    for (const end of [64, 96, 100]) await read(first, end);
    prefixes.publish(prompt(IDS.subarray(0, 100)), first);
    const second = fresh();
    prefixes.adopt(prompt(IDS.subarray(0, 110)), second);
    expect(second.length).toBe(96);
    await expectRight(await read(second, 110), 110, 'behind three shared blocks');
    second.free();
    // Ids that part from it in the third block: the second's end has states, the third's cannot serve.
    const other = IDS.slice();
    other[70] = 5;
    const third = fresh();
    await read(third, 10);
    prefixes.adopt(prompt(other), third);
    expect(third.length).toBe(64);
    await expectRight(await read(third, 90, other), 90, 'behind two shared blocks', other);
    third.free();
    // A sequence whose prompt parts in the second block: nobody has kept the states at 32.
    other[40] = 5;
    const fourth = fresh();
    prefixes.adopt(prompt(other), fourth);
    expect(fourth.length).toBe(0);
    fourth.free();
    first.free();
    prefixes.free();
  });

  test('saved and restored', async () => {
    const sequence = fresh();
    await read(sequence, 64);
    const saved = await sequence.state!.at(64)!.read();
    const bytes = await pool.read(Int32Array.from([0, 1].flatMap((block) => [...sequence.pagesOf(block)])));
    sequence.free();
    expect(saved.map(({ slot, shape }) => [slot, shape])).toEqual([[TOY, [1, 64]]]);
    const restored = fresh();
    const own = pages.allocate(2 * restored.pagesPerBlock);
    pool.write(Int32Array.from(own), bytes);
    const blocks = [own.slice(0, restored.pagesPerBlock), own.slice(restored.pagesPerBlock)];
    restored.adopt(
      blocks.map((list) => Int32Array.from(list)),
      64,
      Snapshot.restored(backend, 64, saved),
    );
    await expectRight(await read(restored, 70), 70, 'restored');
    restored.free();
  });

  test('what cannot be is refused', async () => {
    const sequence = fresh();
    await read(sequence, 32);
    const blocks = [sequence.pagesOf(0)];
    expect(() => fresh().adopt(blocks, 32)).toThrow(/states are of no tokens/);
    expect(() => sequence.state!.begin(31, 33)).toThrow(/of 32 tokens; a call begins at 31/);
    expect(() => sequence.state!.truncate(20)).toThrow(/no state at 20/);
    const idle = new SequenceState(backend, { recent: 1, borders: 1 });
    expect(() => idle.before(0)).toThrow(/no call has begun/);
    sequence.free();
    sequence.free();
  });
});
