/** The library on pools of the reference backend: sessions go from a device to one that keeps its open pages in another format. */
import 'fake-indexeddb/auto';
import { describe, expect, test } from '@jest/globals';
import { pageFormat, type KvFormat } from '../../src/backend/backend.ts';
import { Checksums } from '../../src/kv/checksum.ts';
import type { KvBits } from '../../src/kv/precision.ts';
import { PageAllocator, Sequence } from '../../src/kv/sequence.ts';
import { Library } from '../../src/saved/library.ts';
import { textOnly } from '../../src/see/images.ts';
import type { SessionState } from '../../src/generate/session-state.ts';
import { Database } from '../../src/store/database.ts';
import { IndexedShelf, SessionStore } from '../../src/store/index.ts';
import { createReferenceBackend } from '../reference/backend.ts';
import { random } from '../support/random.ts';
import { openWasm } from '../support/wasm.ts';

const checksums = new Checksums(await openWasm('simd'));
const SPEC = { layers: 2, kvHeads: 2, headDim: 32 } as const;
const TOKENS = 200;
let places = 0;

const library = (): Library =>
  new Library(new SessionStore(new IndexedShelf(new Database(`library-${places++}`))), checksums, {
    fingerprint: 'f',
    name: 'm.gguf',
    images: textOnly([]),
  });
const state = (ids: Int32Array): SessionState => ({
  window: 512,
  settings: {},
  initial: [],
  turns: [],
  transcript: { ids, spans: [], content: undefined },
});
function filled(format: 'f32' | 'f16', bits: KvBits): Sequence {
  const pool = createReferenceBackend().kvPool({ ...SPEC, format });
  const sequence = new Sequence(new PageAllocator(pool), 512);
  sequence.ensure(TOKENS);
  const numbers = random(4);
  const pages = Int32Array.from(Array.from({ length: 7 }, (_, block) => [...sequence.pagesOf(block)]).flat());
  if (format === 'f32')
    pool.write(pages, new Uint8Array(numbers.normals((pages.length * pool.pageBytes()) / 4).buffer));
  else
    pool.write(
      pages,
      Uint8Array.from({ length: pages.length * pool.pageBytes() }, (_, i) =>
        i % 2 === 0 ? numbers.integer(0, 256) : 0x30 + numbers.integer(0, 16),
      ),
    );
  sequence.settle(bits);
  return sequence;
}
const formats = (sequence: Sequence): KvFormat[] =>
  Array.from({ length: 7 }, (_, block) => pageFormat(sequence.pagesOf(block)[0]!));

describe.each<[KvBits]>([[16], [4], ['staircase']])('at %p bits', (bits) => {
  test.each<['f32' | 'f16', 'f32' | 'f16']>([
    ['f32', 'f16'],
    ['f16', 'f32'],
    ['f32', 'f32'],
  ])('from open pages in %s to %s: the closed ones byte for byte, the open ones converted', async (from, to) => {
    const shelf = library();
    const sequence = filled(from, bits);
    const target = createReferenceBackend().kvPool({ ...SPEC, format: to });
    const allocator = new PageAllocator(target);
    const ids = Int32Array.from({ length: TOKENS }, (_, i) => i);
    const source = sequence.pool;
    const expected: Uint8Array[] = [];
    for (let block = 0; block < 7; block++) {
      const pages = sequence.pagesOf(block);
      const open = pageFormat(pages[0]!) === from && from !== to;
      if (!open) expected.push(await source.read(pages));
      else {
        // As this pool itself converts them.
        const made = Int32Array.from(sequence.pages.allocate(pages.length, to));
        source.convert(pages, made);
        expected.push(await source.read(made));
      }
    }
    const saved = await shelf.save('s', state(ids), sequence.fork(), 'k');
    expect(saved.tokens).toBe(TOKENS);
    const { fill, state: read } = await shelf.open('s');
    expect(read.transcript.ids).toEqual(ids);
    const again = new Sequence(allocator, 512);
    await fill(again);
    expect(again.length).toBe(TOKENS);
    for (let block = 0; block < 7; block++)
      expect(Buffer.compare(await target.read(again.pagesOf(block)), expected[block]!)).toBe(0);
    expect(formats(again)).toEqual(formats(sequence).map((format) => (format === from ? to : format)));
    again.free();
    expect(allocator.used).toBe(0);
  });
});

test("pages of another shape than the model's are left alone, and holes end what is saved", async () => {
  const shelf = library();
  const sequence = filled('f32', 16);
  sequence.release(1, 0, 3);
  await shelf.save('s', state(new Int32Array(TOKENS)), sequence.fork(), 'k');
  const { fill } = await shelf.open('s');
  const again = new Sequence(new PageAllocator(createReferenceBackend().kvPool({ ...SPEC, format: 'f32' })), 512);
  await fill(again);
  expect(again.length).toBe(96);
  const other = new Sequence(
    new PageAllocator(createReferenceBackend().kvPool({ ...SPEC, layers: 3, format: 'f32' })),
    512,
  );
  await fill(other);
  expect(other.length).toBe(0);
});

test('pages whose values are transformed are left alone where values are not, and the other way round', async () => {
  for (const [name, saved] of [
    ['plain', false],
    ['transformed', true],
  ] as const) {
    const shelf = library();
    const sequence = filled('f32', 2);
    sequence.hadamard = saved;
    await shelf.save(name, state(new Int32Array(TOKENS)), sequence, 'k');
    for (const wanted of [false, true]) {
      const { fill } = await shelf.open(name);
      const { pool } = sequence;
      const again = new Sequence(new PageAllocator(createReferenceBackend().kvPool(pool.spec)), 512, undefined, wanted);
      await fill(again);
      expect(again.length).toBe(saved === wanted ? TOKENS : 0);
    }
  }
});

test('a prompt is extended by the stored one that has most of it, up to the token where they part, and its last id is left to compute', async () => {
  const shelf = library();
  const ids = Int32Array.from({ length: TOKENS }, (_, i) => i % 50);
  const shorter = ids.slice(0, 160);
  for (const [name, those] of [
    ['short', shorter],
    ['long', ids],
  ] as const) {
    const sequence = filled('f32', 16);
    sequence.truncate(those.length);
    await shelf.save(name, state(those), sequence, 'k');
  }
  const extended = async (prompt: Int32Array, kind = 'k', held = 0): Promise<number> => {
    const sequence = new Sequence(new PageAllocator(createReferenceBackend().kvPool({ ...SPEC, format: 'f32' })), 512);
    sequence.ensure(held);
    await shelf.extend({ ids: prompt, spans: [] }, kind, sequence);
    return sequence.length;
  };
  expect(await extended(Int32Array.from([...ids, 7, 8]))).toBe(TOKENS);
  expect(await extended(ids)).toBe(TOKENS - 1);
  expect(await extended(ids.slice(0, 192))).toBe(191);
  expect(await extended(ids.map((id, i) => (i < 170 ? id : 99)))).toBe(170);
  expect(await extended(ids.map((id, i) => (i === 0 ? 99 : id)))).toBe(0);
  expect(await extended(ids, 'other')).toBe(0);
  // Not worth it, or more is held already.
  expect(await extended(ids.slice(0, 32))).toBe(0);
  expect(await extended(ids, 'k', 40)).toBe(TOKENS - 1);
  expect(await extended(ids, 'k', 170)).toBe(170);
});
