/** Saved sessions on both shelves: whole or not at all, whatever fails and whoever else writes. */
import 'fake-indexeddb/auto';
import { mkdtempSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, jest, test } from '@jest/globals';
import fc from 'fast-check';
import { createStore } from 'idb-keyval';
import { StorageError } from '../../src/errors.ts';
import { Database } from '../../src/store/database.ts';
import { FolderShelf } from '../../src/store/folder-shelf.ts';
import { IndexedShelf } from '../../src/store/indexed-shelf.ts';
import { SessionStore, type SaveFacts } from '../../src/store/session-store.ts';
import { Spill } from '../../src/store/spill.ts';
import { isManifest, RECORD_VERSION, sealed, type Shelf } from '../../src/store/shelf.ts';

const folder = mkdtempSync(join(tmpdir(), 'octavo-shelf-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let shelves = 0;
const indexed = (): IndexedShelf => new IndexedShelf(new Database(`shelf-${shelves++}`));
const folders = (): FolderShelf => new FolderShelf(join(folder, String(shelves++)));

const facts = (name: string, more: Partial<SaveFacts> = {}): SaveFacts => ({
  version: RECORD_VERSION,
  name,
  model: 'm',
  modelName: 'm.gguf',
  contentKey: '',
  tokens: 5,
  automatic: false,
  chain: [1, 2],
  bytes: 30,
  ...more,
});
const parts = (...values: readonly number[]) =>
  async function* (): AsyncGenerator<Uint8Array> {
    for (const value of values) yield new Uint8Array(10).fill(value);
  };
async function content(store: SessionStore, name: string): Promise<number[]> {
  const manifest = await store.find(name);
  const bytes = await Promise.all(Array.from({ length: manifest.parts }, (_, part) => store.read(manifest, part)));
  return bytes.map((part) => (part?.length === 10 && part.every((byte) => byte === part[0]) ? part[0]! : -1));
}

describe.each<[string, () => Shelf]>([
  ['IndexedDB', indexed],
  ['a folder', folders],
])('%s', (_, create) => {
  test('what is saved is read, listed, counted, replaced and removed', async () => {
    const store = new SessionStore(create());
    expect(await store.list()).toEqual([]);
    await store.save(facts('one/ä\u0000'), parts(1, 2, 3));
    await new Promise((resolve) => setTimeout(resolve, 5));
    await store.save(facts('two', { tokens: 7 }), parts(4));
    expect((await store.list()).map(({ name, tokens, bytes, automatic }) => [name, tokens, bytes, automatic])).toEqual([
      ['two', 7, 10, false],
      ['one/ä\u0000', 5, 30, false],
    ]);
    expect(await content(store, 'one/ä\u0000')).toEqual([1, 2, 3]);
    expect(await store.usage()).toMatchObject({ sessions: 2, bytes: 40 });
    const old = await store.find('two');
    await store.save(facts('two'), parts(8, 9));
    expect(await content(store, 'two')).toEqual([8, 9]);
    expect(await store.read(old, 0)).toBeUndefined();
    await new Promise((resolve) => setTimeout(resolve, 5));
    await store.used(await store.find('one/ä\u0000'));
    expect((await store.list())[0]!.name).toBe('one/ä\u0000');
    expect(await store.remove('two')).toBe(true);
    expect(await store.remove('two')).toBe(false);
    await expect(store.find('two')).rejects.toMatchObject({
      name: 'InputError',
      message: expect.stringContaining('Octavo.sessions.list'),
    });
    expect(await content(store, 'one/ä\u0000')).toEqual([1, 2, 3]);
  });

  test('pages that are offloaded while all others are dropped stay, and a generation that another tab removed begins again', async () => {
    const shelf = create();
    const spill = new Spill(shelf);
    const first = await spill.write(Uint8Array.of(1));
    const writing = spill.write(Uint8Array.of(2));
    await spill.drop(first);
    const second = await writing;
    expect(await spill.read(second)).toEqual(Uint8Array.of(2));
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(await shelf.sweep(0)).toBe(1);
    await expect(spill.write(Uint8Array.of(3))).rejects.toMatchObject({ code: 'changed' });
    expect(await spill.read(await spill.write(Uint8Array.of(4)))).toEqual(Uint8Array.of(4));
    await spill.free();
    expect(await shelf.sweep(-1)).toBe(0);
  });

  test.each([[''], ['x'.repeat(201)], [5 as unknown as string]])('the name %p is refused', async (name) => {
    await expect(new SessionStore(create()).save(facts(name), parts(1))).rejects.toMatchObject({ name: 'InputError' });
  });

  test('of two writers of one name the later wins whole, and nothing of the other is left', async () => {
    const shelf = create();
    const [a, b] = [new SessionStore(shelf), new SessionStore(shelf)];
    let release: () => void;
    const gate = new Promise<void>((resolve) => (release = resolve));
    const slow = a.save(facts('n'), async function* () {
      yield new Uint8Array(10).fill(1);
      await gate;
      yield new Uint8Array(10).fill(2);
    });
    const first = await b.save(facts('n'), parts(7, 8, 9));
    expect(await content(b, 'n')).toEqual([7, 8, 9]);
    release!();
    await slow;
    expect(await content(b, 'n')).toEqual([1, 2]);
    expect(await b.read(first, 0)).toBeUndefined();
  });

  test('a reader whose session is replaced begins anew', async () => {
    const store = new SessionStore(create());
    await store.save(facts('n'), parts(1, 2));
    let tries = 0;
    const read = await store.reading('n', async (manifest) => {
      if (tries++ === 0) await store.save(facts('n'), parts(3));
      return (await store.read(manifest, 0))?.[0];
    });
    expect([read, tries]).toEqual([3, 2]);
  });

  test('kept prompts beyond the limits go, those unused for longest first; what has a name stays', async () => {
    jest.useFakeTimers({ now: 1e12, doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
    try {
      const store = new SessionStore(create());
      for (const [index, name] of ['named', 'a', 'b', 'c'].entries()) {
        jest.setSystemTime(1e12 + 1000 * index);
        await store.save(facts(name, { automatic: name !== 'named' }), parts(index));
      }
      const left = async (): Promise<string[]> => (await store.list()).map(({ name }) => name);
      await store.trim({});
      expect(await left()).toEqual(['c', 'b', 'a', 'named']);
      jest.setSystemTime(1e12 + 5000);
      await store.used(await store.find('a'));
      await store.trim({ bytes: 25 });
      expect(await left()).toEqual(['a', 'c', 'named']);
      jest.setSystemTime(1e12 + 4000 + 86_400_000);
      await store.trim({ days: 1 });
      expect(await left()).toEqual(['a', 'named']);
      await store.trim({ bytes: 0 });
      expect(await left()).toEqual(['named']);
      expect(await content(store, 'named')).toEqual([0]);
    } finally {
      jest.useRealTimers();
    }
  });

  test('an abort and a failing source leave what was there', async () => {
    const store = new SessionStore(create());
    await store.save(facts('n'), parts(1));
    const controller = new AbortController();
    const abort = async function* (): AsyncGenerator<Uint8Array> {
      yield new Uint8Array(10);
      controller.abort(new Error('enough'));
      yield new Uint8Array(10);
    };
    await expect(store.save(facts('n'), abort, { signal: controller.signal })).rejects.toThrow('enough');
    await expect(
      store.save(facts('n'), async function* () {
        yield new Uint8Array(3);
        throw new Error('device');
      }),
    ).rejects.toThrow('device');
    expect(await content(store, 'n')).toEqual([1]);
    expect(await store.usage()).toMatchObject({ sessions: 1, bytes: 10 });
  });
});

/** A place for `room` bytes. */
class FullShelf extends IndexedShelf {
  readonly #room: number;
  readonly #sizes = new Map<string, number>();
  readonly #generations = new Map<string, string>();
  constructor(room: number) {
    super(new Database(`full-${shelves++}`));
    this.#room = room;
  }
  get held(): number {
    return [...this.#sizes.values()].reduce((sum, n) => sum + n, 0);
  }
  override async write(generation: string, part: number, bytes: Uint8Array): Promise<void> {
    if (this.held + bytes.length > this.#room) throw new StorageError('quota', 'full');
    await super.write(generation, part, bytes);
    this.#sizes.set(`${generation} ${part}`, bytes.length);
  }
  override async commit(manifest: Parameters<Shelf['commit']>[0]): Promise<void> {
    await super.commit(manifest);
    this.#forget(this.#generations.get(manifest.name));
    this.#generations.set(manifest.name, manifest.generation);
  }
  override async remove(name: string, generation?: string): Promise<boolean> {
    const removed = await super.remove(name, generation);
    if (removed) this.#forget(this.#generations.get(name));
    return removed;
  }
  override async discard(generation: string): Promise<void> {
    await super.discard(generation);
    this.#forget(generation);
  }
  #forget(generation: string | undefined): void {
    for (const key of this.#sizes.keys())
      if (generation !== undefined && key.startsWith(generation)) this.#sizes.delete(key);
  }
}

describe('a full quota', () => {
  test('what was kept automatically goes first, the longest unused before the others', async () => {
    const store = new SessionStore(new FullShelf(45));
    for (const [index, name] of ['a', 'b', 'c'].entries()) {
      await store.save(facts(name, { automatic: name !== 'a' }), parts(index));
      await new Promise((resolve) => setTimeout(resolve, 3));
    }
    await store.used(await store.find('b'));
    await store.save(facts('d'), parts(5, 6));
    expect((await store.list()).map(({ name }) => name).toSorted()).toEqual(['a', 'b', 'd']);
    await store.save(facts('e'), parts(7));
    expect((await store.list()).map(({ name }) => name).toSorted()).toEqual(['a', 'd', 'e']);
  });

  test('sessions stay unless the caller lets them go; the error says what is needed and what to do', async () => {
    const shelf = new FullShelf(35);
    const store = new SessionStore(shelf);
    await store.save(facts('a'), parts(1, 2));
    const error = await store.save(facts('b'), parts(3, 4)).catch((fault: unknown) => fault);
    expect(error).toMatchObject({
      name: 'StorageError',
      code: 'quota',
      facts: { needed: 30, held: 20 },
      message: expect.stringMatching(/'b' needs 30 bytes.*'a', 20 bytes.*evict: true/),
    });
    expect(shelf.held).toBe(20);
    expect(await content(store, 'a')).toEqual([1, 2]);
    await store.save(facts('b'), parts(3, 4), { evict: true });
    expect((await store.list()).map(({ name }) => name)).toEqual(['b']);
    // What a name has is not given up for its own replacement.
    await expect(store.save(facts('b'), parts(3, 4), { evict: true })).rejects.toMatchObject({ code: 'quota' });
    expect(await content(store, 'b')).toEqual([3, 4]);
    expect(shelf.held).toBe(20);
  });
});

describe('a killed tab', () => {
  test('in IndexedDB: its half-written session is swept when its lease has run out, and it may not commit afterwards', async () => {
    const name = `killed-${shelves++}`;
    const database = new Database(name);
    const shelf = new IndexedShelf(database);
    const store = new SessionStore(shelf);
    await store.save(facts('n'), parts(1));
    await shelf.begin('dead');
    await shelf.write('dead', 0, new Uint8Array(10));
    await store.list();
    expect(await database.count(['part', 'dead'])).toBe(1);
    await database.put({ key: ['lease', 'dead'], value: Date.now() - 3_600_000 });
    await store.list();
    expect(await database.count(['part', 'dead'])).toBe(0);
    await expect(shelf.write('dead', 1, new Uint8Array(10))).rejects.toMatchObject({
      name: 'StorageError',
      code: 'changed',
    });
    await expect(shelf.commit(sealed({ ...(await store.find('n')), generation: 'dead' }))).rejects.toMatchObject({
      code: 'changed',
    });
    expect(await content(store, 'n')).toEqual([1]);
  });

  test('in a folder', async () => {
    const shelf = folders();
    const store = new SessionStore(shelf);
    await store.save(facts('n'), parts(1));
    await shelf.begin('dead');
    await shelf.write('dead', 0, new Uint8Array(10));
    await store.list();
    expect(await shelf.read('dead', 0)).toHaveLength(10);
    utimesSync(join(shelf.place, 'parts', 'dead'), new Date(0), new Date(0));
    await store.list();
    expect(await shelf.read('dead', 0)).toBeUndefined();
    await expect(shelf.write('dead', 1, new Uint8Array(10))).rejects.toMatchObject({
      name: 'StorageError',
      code: 'changed',
    });
    await expect(shelf.commit(sealed({ ...(await store.find('n')), generation: 'dead' }))).rejects.toMatchObject({
      code: 'changed',
    });
    expect(await content(store, 'n')).toEqual([1]);
  });
});

/** IndexedDB that fails at its `fatal`th transaction: before it, after it (its result is lost), or for good from there on, as when the tab is killed. */
function failing(
  name: string,
  fatal: number,
  how: 'before' | 'after' | 'killed',
): { database: Database; calls: () => number } {
  const use = createStore(name, 'octavo');
  let calls = 0;
  const database = new Database(name, async (mode, callback) => {
    const call = calls++;
    const dead = how === 'killed' ? call >= fatal : call === fatal;
    if (dead && how !== 'after') throw new DOMException('', how === 'before' ? 'QuotaExceededError' : 'UnknownError');
    const result = await use(mode, callback);
    if (dead) throw new DOMException('', 'UnknownError');
    return result;
  });
  return { database, calls: () => calls };
}

describe('faults at any transaction', () => {
  test('a name has the old session or the new one, whole; the new one where the save was reported', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(14),
        fc.constantFrom('before' as const, 'after' as const, 'killed' as const),
        fc.boolean(),
        fc.integer({ min: 1, max: 4 }),
        async (fatal, how, replace, count) => {
          const name = `fault-${shelves++}`;
          const sound = new SessionStore(new IndexedShelf(new Database(name)));
          await sound.save(facts('other'), parts(50));
          if (replace) await sound.save(facts('n'), parts(1, 2));
          const values = Array.from({ length: count }, (_, i) => 10 + i);
          const { database } = failing(name, fatal, how);
          const reported = await new SessionStore(new IndexedShelf(database)).save(facts('n'), parts(...values)).then(
            () => true,
            () => false,
          );
          const found = await content(sound, 'n').catch(() => undefined);
          const allowed = reported ? [values] : [values, replace ? [1, 2] : undefined];
          expect(allowed).toContainEqual(found);
          expect(await content(sound, 'other')).toEqual([50]);
        },
      ),
      { numRuns: 150 },
    );
  }, 120_000);

  test('two tabs that write one name at once, one of them failing anywhere', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(14),
        fc.constantFrom('before' as const, 'after' as const, 'killed' as const),
        async (fatal, how) => {
          const name = `tabs-${shelves++}`;
          const { database } = failing(name, fatal, how);
          const [bad, good] = [
            new SessionStore(new IndexedShelf(database)),
            new SessionStore(new IndexedShelf(new Database(name))),
          ];
          const [, reported] = await Promise.all([
            bad.save(facts('n'), parts(1, 2, 3)).catch(() => undefined),
            good.save(facts('n'), parts(4, 5)).then(
              () => true,
              () => false,
            ),
          ]);
          expect(reported).toBe(true);
          expect([
            [1, 2, 3],
            [4, 5],
          ]).toContainEqual(await content(good, 'n'));
        },
      ),
      { numRuns: 60 },
    );
  }, 120_000);
});

describe('a damaged manifest', () => {
  test('any changed field is found, and its copy is taken', async () => {
    const name = `damaged-${shelves++}`;
    const database = new Database(name);
    const store = new SessionStore(new IndexedShelf(database));
    await store.save(facts('n'), parts(1, 2));
    const whole = await store.find('n');
    const other = { string: 'x', number: 77, boolean: true, object: [9] } as const;
    for (const field of Object.keys(whole) as (keyof typeof whole)[]) {
      const damaged = { ...whole, [field]: other[typeof whole[field] as keyof typeof other] };
      expect(isManifest(damaged)).toBe(false);
      await database.put({ key: ['session', 'n'], value: damaged });
      expect(await content(store, 'n')).toEqual([1, 2]);
      expect((await store.list()).map((one) => one.name)).toEqual(['n']);
    }
    for (const value of [null, 5, {}, 'x', undefined]) {
      await database.put({ key: ['session', 'n'], value }, { key: ['copy', 'n'], value });
      await expect(store.find('n')).rejects.toMatchObject(
        value === undefined
          ? { name: 'InputError' }
          : { name: 'StorageError', code: 'checksum', message: expect.stringContaining('remove') },
      );
      expect(await store.list()).toEqual([]);
    }
    await database.put({ key: ['session', 'n'], value: 5 });
    expect(await store.remove('n')).toBe(true);
    await store.save(facts('n'), parts(3));
    expect(await content(store, 'n')).toEqual([3]);
  });
});

test.each([1, 2])(
  'a use that is noted while a record is removed, after read %i of it, does not bring it back',
  async (read) => {
    const shelf = folders();
    await shelf.begin('g');
    await shelf.commit(sealed({ ...facts('a'), generation: 'g', parts: 0, saved: 1, used: 1_000 }));
    await shelf.touch('a', 'g', 2_000);
    expect(await shelf.manifest('a')).toMatchObject({ used: 2_000 });
    let reads = 0;
    class Racing extends FolderShelf {
      override async manifest(name: string): Promise<unknown> {
        const found = await super.manifest(name);
        if (++reads === read) await shelf.remove(name);
        return found;
      }
    }
    await new Racing(shelf.place).touch('a', 'g', 3_000);
    if (reads < read) await shelf.remove('a');
    expect(await shelf.manifest('a')).toBeUndefined();
  },
);
