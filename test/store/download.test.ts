import 'fake-indexeddb/auto';
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createStore, type UseStore } from 'idb-keyval';
import * as fc from 'fast-check';
import { readBytes } from '../../src/load/byte-source.ts';
import { downloadToStore, type DownloadRequest } from '../../src/load/download.ts';
import type { Expectation } from '../../src/load/expectation.ts';
import { createNetwork } from '../../src/load/http.ts';
import type { LoadProgress } from '../../src/load/model-file.ts';
import type { RetryPolicy } from '../../src/load/retry.ts';
import { Database } from '../../src/store/database.ts';
import { ModelStore, RECORD_BYTES } from '../../src/store/model-store.ts';
import { noise } from '../load/collect.ts';
import { FileServer } from '../load/server.ts';

const server = new FileServer();
let base = '';
let databases = 0;
const quick: RetryPolicy = { attempts: 4, delay: () => 5, stall: 2000 };
/** Takes anything: these tests are about bytes. */
const ANYTHING: Expectation = { limit: Infinity, begin: async () => Infinity, verify: async () => {} };
const SIZE = RECORD_BYTES + (3 << 20) + 12345;
const content = noise(SIZE);
const sha256 = createHash('sha256').update(content).digest('hex');

beforeAll(async () => {
  base = await server.start();
});
afterAll(() => server.stop());
beforeEach(() => {
  server.reset();
  server.files.set('/m.gguf', { bytes: content, etag: '"one"' });
});

const freshName = (): string => `test-${databases++}`;
function download(store: ModelStore, more: Partial<DownloadRequest> = {}): ReturnType<typeof downloadToStore> {
  return downloadToStore({
    url: `${base}/m.gguf`,
    model: 'the model',
    network: createNetwork({ fetch, retry: quick }),
    expectation: ANYTHING,
    store,
    ...more,
  });
}
async function bytesOf(source: Awaited<ReturnType<typeof download>>): Promise<Uint8Array> {
  return readBytes(source, 0, source.size);
}
/** Fast equality: jest's own walks 11 MB element by element. */
function same(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
function ranges(): (string | undefined)[] {
  return server.requests.map(({ range }) => range);
}

describe('a download', () => {
  test('is stored whole, listed, read again without network, and removed', async () => {
    const store = new ModelStore(new Database(freshName()));
    const heard: LoadProgress[] = [];
    const source = await download(store, { sha256, size: SIZE, monitor: (progress) => heard.push(progress) });
    expect(same(await bytesOf(source), content)).toBe(true);
    expect(
      same(
        await readBytes(source, RECORD_BYTES - 5, RECORD_BYTES + 5),
        content.subarray(RECORD_BYTES - 5, RECORD_BYTES + 5),
      ),
    ).toBe(true);
    expect(heard.at(-1)).toMatchObject({ phase: 'download', loaded: SIZE, total: SIZE });
    expect(heard.every(({ rate }) => rate >= 0 && Number.isFinite(rate))).toBe(true);
    const [file] = await store.list();
    expect(file).toMatchObject({
      key: `sha256-${sha256}`,
      url: `${base}/m.gguf`,
      model: 'the model',
      size: SIZE,
      received: SIZE,
      complete: true,
      sha256,
    });
    server.behaviour.status = () => 500;
    const requests = server.requests.length;
    expect(same(await bytesOf(await download(store)), content)).toBe(true);
    expect(server.requests.length).toBe(requests);
    expect(await store.remove('the model')).toBe(1);
    expect(await store.list()).toEqual([]);
    expect(await store.countRecords(file!.key)).toBe(0);
    expect(await store.find(`${base}/m.gguf`)).toBeUndefined();
  });

  test('goes on at the byte after breaks, in one call', async () => {
    server.behaviour.breakAfter = (n) => (n < 3 ? 1_000_000 + n : undefined);
    const store = new ModelStore(new Database(freshName()));
    expect(same(await bytesOf(await download(store)), content)).toBe(true);
    expect(ranges()).toEqual(['bytes=0-', 'bytes=1000000-', 'bytes=2000001-', 'bytes=3000003-']);
    expect(server.requests[1]!.ifRange).toBe('"one"');
  });

  test('goes on at the byte after breaks, though its first connection failed', async () => {
    server.behaviour.breakAfter = (n) => (n < 1 ? 1_000_000 : undefined);
    let offline = true;
    const flaky: typeof fetch = async (input, init) => {
      // The request that asks for the reason fails, too.
      const fails = offline || init?.redirect === 'manual';
      offline = false;
      if (fails) throw new TypeError('offline');
      return fetch(input, init);
    };
    const resumable: unknown[] = [];
    const source = await download(new ModelStore(new Database(freshName())), {
      network: createNetwork({ fetch: flaky, retry: quick }),
      monitor: (progress) => progress.phase === 'download' && resumable.push(progress.resumable),
    });
    expect(same(await bytesOf(source), content)).toBe(true);
    expect(ranges()).toEqual([undefined, 'bytes=1000000-']);
    expect(resumable[0]).not.toBe(false);
  });

  test('gives up after some tries without progress, keeps what came, and goes on at the byte when called again', async () => {
    const name = freshName();
    server.behaviour.breakAfter = (n) => (n === 0 ? RECORD_BYTES + 777 : 0);
    await expect(download(new ModelStore(new Database(name)), { sha256 })).rejects.toMatchObject({
      name: 'StorageError',
      code: 'network',
    });
    expect(server.requests.length).toBe(5);
    const again = new ModelStore(new Database(name));
    expect(await again.list()).toMatchObject([{ received: RECORD_BYTES + 777, complete: false }]);
    server.requests.length = 0;
    server.behaviour.breakAfter = () => undefined;
    expect(same(await bytesOf(await download(again, { sha256 })), content)).toBe(true);
    expect(ranges()).toEqual([`bytes=${RECORD_BYTES + 777}-`]);
  });

  test('an abort keeps what came; its reason is what rejects', async () => {
    const name = freshName();
    const control = new AbortController();
    const reason = new Error('enough');
    const monitor = ({ loaded }: LoadProgress): void => {
      if (loaded > 2_000_000) control.abort(reason);
    };
    await expect(download(new ModelStore(new Database(name)), { signal: control.signal, monitor })).rejects.toBe(
      reason,
    );
    const store = new ModelStore(new Database(name));
    const [file] = await store.list();
    expect(file!.received).toBeGreaterThan(2_000_000);
    server.requests.length = 0;
    expect(same(await bytesOf(await download(store)), content)).toBe(true);
    expect(ranges()).toEqual([`bytes=${file!.received}-`]);
  });

  test('a stalled connection counts as broken', async () => {
    server.behaviour.stallAfter = (n) => (n === 0 ? 500_000 : undefined);
    const store = new ModelStore(new Database(freshName()));
    expect(
      same(
        await bytesOf(await download(store, { network: createNetwork({ fetch, retry: { ...quick, stall: 200 } }) })),
        content,
      ),
    ).toBe(true);
    expect(ranges()).toEqual(['bytes=0-', 'bytes=500000-']);
  });

  test.each([
    ['with ranges', true],
    ['without ranges', false],
  ])('a changed file begins anew, %s', async (_, rangesServed) => {
    const name = freshName();
    server.behaviour.breakAfter = (n) => (n === 0 ? 3_000_000 : 0);
    await expect(download(new ModelStore(new Database(name)))).rejects.toMatchObject({ code: 'network' });
    const other = noise(SIZE + 10, 2);
    server.files.set('/m.gguf', { bytes: other, etag: '"two"' });
    server.behaviour = { ...FileServer.good(), ranges: rangesServed };
    expect(same(await bytesOf(await download(new ModelStore(new Database(name)))), other)).toBe(true);
  });

  test('without ETag and Last-Modified nothing is joined on', async () => {
    server.files.set('/m.gguf', { bytes: content });
    server.behaviour.breakAfter = (n) => (n === 0 ? 3_000_000 : undefined);
    expect(same(await bytesOf(await download(new ModelStore(new Database(freshName())))), content)).toBe(true);
    expect(ranges()).toEqual(['bytes=0-', 'bytes=3000000-', 'bytes=0-']);
  });

  test('without ETag a known SHA-256 is enough to go on', async () => {
    server.files.set('/m.gguf', { bytes: content });
    server.behaviour.breakAfter = (n) => (n === 0 ? 3_000_000 : undefined);
    expect(same(await bytesOf(await download(new ModelStore(new Database(freshName())), { sha256 })), content)).toBe(
      true,
    );
    expect(ranges()).toEqual(['bytes=0-', 'bytes=3000000-']);
  });

  test('a server without ranges: the bytes that are there are skipped', async () => {
    server.behaviour.ranges = false;
    server.behaviour.breakAfter = (n) => (n === 0 ? 3_000_000 : undefined);
    expect(same(await bytesOf(await download(new ModelStore(new Database(freshName())))), content)).toBe(true);
    expect(server.requests.map(({ status }) => status)).toEqual([200, 200]);
  });

  test('a server that does not say the length', async () => {
    server.behaviour.ranges = false;
    server.behaviour.length = false;
    const source = await download(new ModelStore(new Database(freshName())));
    expect(same(await bytesOf(source), content)).toBe(true);
  });

  test('an empty file', async () => {
    server.files.set('/m.gguf', { bytes: new Uint8Array(0), etag: '"e"' });
    expect((await download(new ModelStore(new Database(freshName())))).size).toBe(0);
  });

  test('500 and 429 are tried again, 404 and 403 are not', async () => {
    const store = new ModelStore(new Database(freshName()));
    server.behaviour.status = (n) => [500, 429][n];
    expect(same(await bytesOf(await download(store)), content)).toBe(true);
    for (const status of [404, 403]) {
      server.requests.length = 0;
      server.behaviour.status = () => status;
      await expect(download(store, { url: `${base}/other.gguf` })).rejects.toMatchObject({
        code: 'network',
        facts: { status },
      });
      expect(server.requests.length).toBe(1);
    }
  });

  test('a wrong SHA-256 keeps nothing', async () => {
    const store = new ModelStore(new Database(freshName()));
    await expect(download(store, { sha256: '0'.repeat(64) })).rejects.toMatchObject({
      name: 'StorageError',
      code: 'checksum',
    });
    expect(await store.list()).toEqual([]);
    expect(await store.countRecords(`sha256-${'0'.repeat(64)}`)).toBe(0);
  });

  test('a stored copy that lost a part is downloaded again; one that is not what is wanted, too', async () => {
    const name = freshName();
    const store = new ModelStore(new Database(name));
    await download(store);
    const [file] = await store.list();
    await new Database(name).change(['file', file!.key], () => ({ remove: [['data', file!.key, 1]] }));
    expect(same(await bytesOf(await download(store)), content)).toBe(true);
    expect(ranges()).toEqual(['bytes=0-', 'bytes=0-']);
    const other = noise(1000, 9);
    server.files.set('/m.gguf', { bytes: other, etag: '"other"' });
    expect(
      same(await bytesOf(await download(store, { sha256: createHash('sha256').update(other).digest('hex') })), other),
    ).toBe(true);
    expect(await store.list()).toHaveLength(1);
  });

  test('hash state that cannot be loaded: the stored bytes are hashed again', async () => {
    const name = freshName();
    server.behaviour.breakAfter = (n) => (n === 0 ? 3_000_000 : 0);
    await expect(download(new ModelStore(new Database(name)), { sha256 })).rejects.toMatchObject({ code: 'network' });
    const store = new ModelStore(new Database(name));
    const manifest = (await store.find(`sha256-${sha256}`))!;
    expect(await store.commit(manifest, { ...manifest, hashState: Uint8Array.of(1, 2, 3) }, [])).toBe(true);
    server.behaviour.breakAfter = () => undefined;
    const phases = new Set<string>();
    expect(
      same(await bytesOf(await download(store, { sha256, monitor: ({ phase }) => phases.add(phase) })), content),
    ).toBe(true);
    expect([...phases]).toEqual(['verify', 'download']);
  });

  test('a size other than the listing says', async () => {
    const store = new ModelStore(new Database(freshName()));
    await expect(download(store, { size: 5 })).rejects.toMatchObject({ code: 'changed' });
    expect(await store.list()).toEqual([]);
  });

  test('two at once, without Web Locks, do no harm', async () => {
    const name = freshName();
    const [a, b] = await Promise.all([
      download(new ModelStore(new Database(name)), { sha256 }),
      download(new ModelStore(new Database(name)), { sha256 }),
    ]);
    expect(same(await bytesOf(a), content)).toBe(true);
    expect(same(await bytesOf(b), content)).toBe(true);
    expect(await new ModelStore(new Database(name)).list()).toMatchObject([{ complete: true }]);
  });
});

/** A database whose nth readwrite transaction fails: before it, in its midst, or just after it took effect. */
function failing(
  name: string,
  at: number,
  how: 'before' | 'amid' | 'after',
  error: () => Error,
  forever = true,
): { use: UseStore; writes: () => number } {
  const use = createStore(name, 'octavo');
  let writes = 0;
  const dead = (): boolean => forever && writes > at;
  return {
    writes: () => writes,
    use: async (mode, callback) => {
      if (mode === 'readonly') {
        if (dead()) throw error();
        return use(mode, callback);
      }
      const now = writes++;
      if (now > at && forever) throw error();
      if (now !== at) return use(mode, callback);
      if (how === 'before') throw error();
      if (how === 'after') {
        await use(mode, callback);
        throw error();
      }
      await use(mode, (store) => {
        let puts = 0;
        const put = store.put.bind(store);
        store.put = (...values) => {
          const request = put(...values);
          if (puts++ === 0) store.transaction.abort();
          return request;
        };
        return callback(store);
      }).catch(() => {});
      throw error();
    },
  };
}

describe('a tab that dies', () => {
  const recordBytes = 64 << 10;
  const small = noise(recordBytes * 5 + 999, 3);
  const hash = createHash('sha256').update(small).digest('hex');

  test('at any write, in any way: a new one resumes and ends with the right bytes, and nothing passes for whole before', async () => {
    server.files.set('/k.gguf', { bytes: small, etag: '"k"' });
    server.behaviour.chunk = 10_000;
    const url = `${base}/k.gguf`;
    const deaths = fc.array(
      fc.record({
        at: fc.nat(12),
        how: fc.constantFrom('before' as const, 'amid' as const, 'after' as const),
        broken: fc.option(fc.nat(small.length), { nil: undefined }),
      }),
      { minLength: 1, maxLength: 3 },
    );
    await fc.assert(
      fc.asyncProperty(deaths, fc.boolean(), async (plan, known) => {
        const name = freshName();
        for (const { at, how, broken } of plan) {
          const first = server.requests.length;
          server.behaviour.breakAfter = (n) => (n === first ? broken : undefined);
          const { use } = failing(name, at, how, () => new Error('killed'));
          const result = await download(new ModelStore(new Database(name, use)), {
            url,
            recordBytes,
            ...(known ? { sha256: hash } : {}),
          }).catch((fault: unknown) => fault);
          if (!(result instanceof Error))
            expect(same(await bytesOf(result as Awaited<ReturnType<typeof download>>), small)).toBe(true);
          const seen = new ModelStore(new Database(name));
          for (const file of await seen.list()) {
            expect(file.received).toBeLessThanOrEqual(small.length);
            expect(await seen.countRecords(file.key)).toBe(Math.ceil(file.received / recordBytes));
            if (file.complete) expect(file).toMatchObject({ received: small.length, sha256: hash });
          }
        }
        server.behaviour.breakAfter = () => undefined;
        const store = new ModelStore(new Database(name));
        expect(
          same(await bytesOf(await download(store, { url, recordBytes, ...(known ? { sha256: hash } : {}) })), small),
        ).toBe(true);
        await store.remove(url);
        expect(await store.list()).toEqual([]);
      }),
      { numRuns: 60 },
    );
  }, 120_000);

  test('a full quota at any write: a typed error with the numbers, and nothing is kept', async () => {
    const quota = (): Error => new DOMException('', 'QuotaExceededError');
    server.files.set('/k.gguf', { bytes: small, etag: '"k"' });
    const url = `${base}/k.gguf`;
    for (let at = 2; at < 9; at++) {
      const name = freshName();
      const { use, writes } = failing(name, at, at % 2 === 0 ? 'before' : 'amid', quota, false);
      const result = await download(new ModelStore(new Database(name, use)), { url, recordBytes }).catch(
        (fault: unknown) => fault,
      );
      const store = new ModelStore(new Database(name));
      // The first two writes and the last but one are of the probe for Blobs, which takes a refusal as an answer.
      if (at > 2) expect(result).toBeInstanceOf(Error);
      if (result instanceof Error) {
        expect(result).toMatchObject({ name: 'StorageError', code: 'quota' });
        expect(result.message).toMatch(/bytes are needed.*store\.remove/);
        expect(await store.list()).toEqual([]);
      }
      expect(writes()).toBeGreaterThan(at);
      expect(same(await bytesOf(await download(store, { url, recordBytes })), small)).toBe(true);
    }
  });
});
