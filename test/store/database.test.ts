import 'fake-indexeddb/auto';
import { afterEach, describe, expect, test } from '@jest/globals';
import { createStore } from 'idb-keyval';
import { Database } from '../../src/store/database.ts';
import { ModelStore, type Manifest } from '../../src/store/model-store.ts';

let databases = 0;
const freshName = (): string => `database-${databases++}`;
const manifest: Manifest = {
  key: 'k',
  url: 'https://x/m.gguf',
  model: 'm',
  name: 'm.gguf',
  size: 5,
  received: 5,
  recordBytes: 8,
  etag: undefined,
  lastModified: undefined,
  sha256: undefined,
  hashState: undefined,
  complete: false,
  created: 1,
};

const original = Object.getOwnPropertyDescriptor(globalThis, 'navigator');
afterEach(() => {
  if (original === undefined) delete (globalThis as { navigator?: unknown }).navigator;
  else Object.defineProperty(globalThis, 'navigator', original);
});
function pretend(navigator: unknown): void {
  Object.defineProperty(globalThis, 'navigator', { value: navigator, configurable: true });
}

describe('the database', () => {
  test.each<[string, unknown, string]>([
    ['null', null, 'unavailable'],
    ['undefined', undefined, 'unavailable'],
    ['a full quota', new DOMException('', 'QuotaExceededError'), 'quota'],
    ['another refusal', new DOMException('', 'UnknownError'), 'unavailable'],
  ])('%s becomes a StorageError', async (_, cause, code) => {
    const database = new Database('x', () => Promise.reject(cause));
    await expect(database.get(['a'])).rejects.toMatchObject({
      name: 'StorageError',
      code,
      message: expect.stringMatching(/^x: .{20}/),
    });
  });

  test('what a browser reports at the request, before the transaction has its error, is not lost', async () => {
    // Firefox reports a full quota so; here a key that exists is added.
    const use = createStore(freshName(), 'octavo');
    const database = new Database('x', (mode, callback) =>
      use(mode, (store) => {
        store.put = store.add.bind(store);
        return callback(store);
      }),
    );
    await database.put({ key: ['a'], value: 1 });
    await expect(database.put({ key: ['a'], value: 2 })).rejects.toThrow('ConstraintError');
  });

  test('a change is all or nothing, even where a value cannot be cloned', async () => {
    const database = new Database(freshName());
    await database.put({ key: ['a', 1], value: 1 });
    await expect(
      database.change(['a', 1], () => ({
        remove: [['a']],
        put: [
          { key: ['a', 2], value: 2 },
          { key: ['a', 3], value: () => {} },
        ],
      })),
    ).rejects.toThrow();
    expect(await database.all(['a'])).toEqual([1]);
    await expect(
      database.change(['a', 1], () => {
        throw new Error('no');
      }),
    ).rejects.toThrow('no');
    expect(await database.all(['a'])).toEqual([1]);
  });

  test('a family is what begins with a key, and nothing else', async () => {
    const database = new Database(freshName());
    for (const key of [['a'], ['a', 1], ['a', 'z', 5], ['ab'], ['b', 1]])
      await database.put({ key, value: key.join() });
    expect(await database.all(['a'])).toEqual(['a', 'a,1', 'a,z,5']);
    await database.change(['a'], () => ({ remove: [['a']] }));
    expect(await database.count(['a'])).toBe(0);
    expect(await database.count(['b'])).toBe(1);
  });

  test('Blobs where they are kept, else bytes', async () => {
    for (const refuses of [false, true]) {
      const name = freshName();
      const use = createStore(name, 'octavo');
      const database = new Database(name, (mode, callback) =>
        use(mode, (store) => {
          const put = store.put.bind(store);
          // WebKit's private windows reject Blobs, with null.
          store.put = (value, key) => {
            if (refuses && value instanceof Blob) throw null;
            return put(value, key);
          };
          return callback(store);
        }),
      );
      if (refuses) expect(await database.blobs()).toBe(false);
      const store = new ModelStore(database);
      expect(
        await store.commit(undefined, manifest, [{ index: 0, bytes: Uint8Array.of(0, 1, 2, 3, 4).subarray(0, 5) }]),
      ).toBe(true);
      expect(await store.readRecord(manifest, 0, 1, 3)).toEqual(Uint8Array.of(1, 2));
      await expect(store.readRecord(manifest, 0, 0, 6)).rejects.toMatchObject({
        name: 'StorageError',
        code: 'checksum',
      });
      await expect(store.readRecord(manifest, 1, 0, 1)).rejects.toMatchObject({
        message: expect.stringMatching(/part 1 .*load again/),
      });
    }
  });

  test('lets go when somebody wants to delete it', async () => {
    const name = freshName();
    const database = new Database(name);
    await database.put({ key: ['a'], value: 1 });
    await new Promise<void>((resolve, reject) => {
      const request = indexedDB.deleteDatabase(name);
      request.onsuccess = () => resolve();
      request.onerror = request.onblocked = () => reject(new Error('blocked'));
    });
    expect(await database.get(['a'])).toBeUndefined();
  });
});

describe('the store', () => {
  test('refuses a write that does not continue what is there', async () => {
    const store = new ModelStore(new Database(freshName()));
    expect(await store.commit(undefined, manifest, [])).toBe(true);
    expect(await store.commit(undefined, { ...manifest, received: 9 }, [])).toBe(false);
    expect(await store.commit({ ...manifest, received: 4 }, { ...manifest, received: 9 }, [])).toBe(false);
    expect(await store.commit(manifest, { ...manifest, complete: true }, [])).toBe(true);
    expect(await store.commit(manifest, { ...manifest, received: 9 }, [])).toBe(false);
    expect(await store.find('https://x/m.gguf')).toMatchObject({ complete: true, received: 5 });
  });

  test('is removed by key, address or model, with its notes', async () => {
    for (const target of ['k', 'https://x/m.gguf', 'm']) {
      const store = new ModelStore(new Database(freshName()));
      await store.commit(undefined, manifest, [{ index: 0, bytes: new Uint8Array(5) }]);
      await store.setNote('m', ['x']);
      expect(await store.remove('other')).toBe(0);
      expect(await store.remove(target)).toBe(1);
      expect(await store.list()).toEqual([]);
      expect(await store.countRecords('k')).toBe(0);
      expect(await store.note('m')).toBeUndefined();
    }
  });

  test('asks for lasting storage, tells the estimate, and does without either', async () => {
    const store = new ModelStore(new Database(freshName()));
    let asked = 0;
    pretend({
      storage: {
        persist: async () => {
          asked++;
          return true;
        },
        estimate: async () => ({ usage: 1, quota: 2 }),
      },
    });
    store.persist();
    expect(asked).toBe(1);
    expect(await store.estimate()).toEqual({ usage: 1, quota: 2 });
    for (const navigator of [
      undefined,
      {},
      { storage: {} },
      { storage: { persist: () => Promise.reject(new Error('no')), estimate: () => Promise.reject(new Error('no')) } },
    ]) {
      pretend(navigator);
      store.persist();
      expect(await store.estimate()).toEqual({ usage: undefined, quota: undefined });
    }
  });

  test('uses Web Locks where they are', async () => {
    const held: string[] = [];
    pretend({
      locks: {
        request: async (name: string, options: { signal?: AbortSignal }, body: () => Promise<unknown>) => {
          held.push(name, String(options.signal !== undefined));
          return body();
        },
      },
    });
    const store = new ModelStore(new Database(freshName()));
    expect(await store.lock('k', new AbortController().signal, async () => 5)).toBe(5);
    expect(held).toEqual(['octavo:k', 'true']);
  });
});
