/**
 * Servers that send something else than the model, refuse requests, or never end: every load ends with a typed error,
 * nothing bad is kept, and the next load succeeds. The file is long because it is mostly one table of servers.
 */
import 'fake-indexeddb/auto';
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { openModel, type OpenOptions } from '../../src/load/index.ts';
import type { LoadProgress } from '../../src/load/model-file.ts';
import type { RetryPolicy } from '../../src/load/retry.ts';
import { displayName, storedAddress } from '../../src/store/address.ts';
import { Database } from '../../src/store/database.ts';
import { ModelStore } from '../../src/store/model-store.ts';
import { f32Tensor, writeGguf } from '../support/gguf-writer.ts';
import { readAll, weightNoise } from './collect.ts';
import { writeSafetensors } from './safetensors-writer.ts';
import { FileServer } from './server.ts';

const server = new FileServer();
let base = '';
let databases = 0;
const retry: RetryPolicy = { attempts: 3, delay: () => 1, stall: 2000 };
const freshStore = (): ModelStore => new ModelStore(new Database(`hostile-${databases++}`));
const big = f32Tensor('big', [64, 1000], new Float32Array(weightNoise(4 * 64 * 1000).buffer));
const model = writeGguf({ 'general.architecture': 'llama' }, [big]);
const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const hex = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

beforeAll(async () => {
  base = await server.start();
});
afterAll(() => server.stop());
beforeEach(() => {
  server.reset();
  server.sent = 0;
  server.files.set('/m.gguf', { bytes: model, etag: '"one"' });
});

async function check(opening: ReturnType<typeof openModel>): Promise<void> {
  const read = await readAll(await opening);
  expect(Buffer.compare(read.get('big')!, big.data)).toBe(0);
}
/** With a store and without. */
const ways = (): [string, OpenOptions, ModelStore | undefined][] => {
  const store = freshStore();
  return [
    ['stored', { retry, store }, store],
    ['straight', { retry, store: false }, undefined],
  ];
};

describe('what is no model is not kept, and the next load heals', () => {
  const pages: [string, Uint8Array, RegExp][] = [
    ['an HTML page', text('<!doctype html><title>Sign in</title>'), /HTML page/],
    [
      'a Git LFS pointer',
      text('version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n'),
      /Git LFS pointer/,
    ],
    ['an error in JSON', text('{"error":"Too many requests"}'), /error message of a server/],
    ['nothing', new Uint8Array(0), /4 bytes/],
    ['a file cut short', model.slice(0, -1000), /incomplete/],
    ['a header cut short', model.slice(0, 60), /ends after|announced/],
  ];
  test.each(pages)('%s', async (_, bytes, message) => {
    for (const [, options, store] of ways()) {
      server.files.set('/m.gguf', { bytes, etag: '"bad"' });
      const fault = await openModel(`${base}/m.gguf`, options).catch((error: unknown) => error);
      expect(fault).toMatchObject({ name: 'FileError', message: expect.stringMatching(message) });
      expect((await store?.list()) ?? []).toEqual([]);
      expect((await store?.has(`${base}/m.gguf`)) ?? false).toBe(false);
      server.files.set('/m.gguf', { bytes: model, etag: '"good"' });
      await check(openModel(`${base}/m.gguf`, options));
    }
  });

  test('a chunked body that ends early', async () => {
    const store = freshStore();
    server.behaviour.ranges = false;
    server.behaviour.length = false;
    server.behaviour.endAfter = () => model.length - 5000;
    await expect(openModel(`${base}/m.gguf`, { retry, store })).rejects.toMatchObject({
      name: 'FileError',
      code: 'truncated',
    });
    expect(await store.list()).toEqual([]);
    server.behaviour = FileServer.good();
    await check(openModel(`${base}/m.gguf`, { retry, store }));
    expect(await store.list()).toMatchObject([{ complete: true, sha256: hex(model) }]);
  });

  test('bytes of a bad answer that an earlier load has left are not joined to good ones', async () => {
    const store = freshStore();
    const bad = model.slice(0, 100);
    server.files.set('/m.gguf', { bytes: bad, etag: '"same"' });
    // All bytes come, then the connection breaks before the answer ends.
    const breaking: typeof fetch = async () => {
      const body = new ReadableStream<Uint8Array>({
        start: (control) => control.enqueue(bad),
        pull: (control) => control.error(new TypeError('broken')),
      });
      return new Response(body, { headers: { etag: '"same"', 'content-length': String(bad.length) } });
    };
    await openModel(`${base}/m.gguf`, { retry, store, fetch: breaking }).catch(() => {});
    server.files.set('/m.gguf', { bytes: model, etag: '"same"' });
    await check(openModel(`${base}/m.gguf`, { retry, store }));
  });

  test('a type that is not read is refused by its header, before the rest is downloaded', async () => {
    const bytes = model.slice();
    // The tensor's type follows its name, the number of dimensions and two of them.
    bytes[Buffer.from(bytes).indexOf('big') + 3 + 4 + 16] = 18;
    const large = Buffer.concat([bytes, new Uint8Array(64 << 20)]);
    server.files.set('/m.gguf', { bytes: large, etag: '"q"' });
    await expect(openModel(`${base}/m.gguf`, { retry, store: freshStore() })).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringMatching(/IQ3_XXS/),
    });
    expect(server.requests).toHaveLength(1);
  });

  test('a page in the place of a file that need not be there counts as none', async () => {
    const page = { bytes: text('<!DOCTYPE html><div id="app"></div>') };
    const weights = writeSafetensors({ t: { dtype: 'F32', shape: [1], data: new Uint8Array(4) } });
    for (const [, options] of ways()) {
      server.reset();
      for (const name of [
        'generation_config.json',
        'tokenizer.json',
        'tokenizer_config.json',
        'chat_template.jinja',
        'model.safetensors.index.json',
      ])
        server.files.set(`/dir/${name}`, page);
      server.files.set('/dir/config.json', { bytes: text('{"model_type":"llama"}') });
      server.files.set('/dir/model.safetensors', { bytes: weights });
      const { metadata } = await openModel(`${base}/dir/`, options);
      expect(Object.keys(metadata)).toEqual(['kind', 'config']);
      server.files.set('/dir/model.safetensors', page);
      const fresh = options.store === false ? options : { retry, store: freshStore() };
      await expect(openModel(`${base}/dir/`, fresh)).rejects.toMatchObject({
        message: expect.stringMatching(/HTML page/),
      });
    }
  });
});

describe('servers without ranges', () => {
  test.each([400, 405, 406, 416, 501])('%i to a range: a plain GET', async (status) => {
    for (const [, options] of ways()) {
      server.behaviour = { ...FileServer.good(), refuse: status };
      const heard: LoadProgress[] = [];
      await check(openModel(`${base}/m.gguf`, { ...options, monitor: (progress) => heard.push(progress) }));
      if (options.store !== false) expect(heard.find(({ phase }) => phase === 'download')?.resumable).toBe(false);
      // It is asked for a range once.
      expect(server.requests.filter(({ range }) => range !== undefined).length).toBe(1);
      server.requests.length = 0;
    }
  });

  test.each([true, false])('always gzip, a length sent: %s', async (length) => {
    for (const [, options, store] of ways()) {
      server.behaviour = { ...FileServer.good(), gzip: true, length };
      await check(openModel(`${base}/m.gguf`, options));
      if (store !== undefined)
        expect(await store.list()).toMatchObject([{ received: model.length, sha256: hex(model) }]);
    }
  });

  test('gzip that only an engine undoes that hides it: the length is not believed', async () => {
    const store = freshStore();
    const hiding: typeof fetch = async (...request) => {
      const answer = await fetch(...request);
      const headers = new Headers(answer.headers);
      headers.delete('content-encoding');
      return new Response(answer.body, { status: answer.status, headers });
    };
    server.behaviour = { ...FileServer.good(), gzip: true };
    await check(openModel(`${base}/m.gguf`, { retry, store, fetch: hiding }));
  });

  test('a range whose answer cannot be decoded: the next try goes without', async () => {
    const store = freshStore();
    const fails: typeof fetch = async (input, init) => {
      if (new Headers(init?.headers).has('range')) throw new TypeError('Failed to fetch');
      return fetch(input, init);
    };
    await check(openModel(`${base}/m.gguf`, { retry, store, fetch: fails }));
    await check(openModel(`${base}/m.gguf`, { retry, store: false, fetch: fails }));
  });

  test('resumable is not said of a server that can', async () => {
    const heard: LoadProgress[] = [];
    await check(
      openModel(`${base}/m.gguf`, { retry, store: freshStore(), monitor: (progress) => heard.push(progress) }),
    );
    expect(heard.some((progress) => 'resumable' in progress)).toBe(false);
  });
});

test('the size of an answer of which nothing was kept says nothing about the next one', async () => {
  const store = freshStore();
  // More comes than was announced, and at once: no byte of it is stored, but the size was known.
  const lying: typeof fetch = async () =>
    new Response(new Uint8Array(2000), {
      status: 206,
      headers: { 'content-range': 'bytes 0-42/43' },
    });
  await openModel(`${base}/m.gguf`, { retry, store, fetch: lying }).catch(() => {});
  await check(openModel(`${base}/m.gguf`, { retry, store }));
});

describe('what has no end', () => {
  const endless = { ranges: false, length: false, endless: true };
  test.each([
    ['a model', model],
    ['a page', text('<html>')],
    ['anything', weightNoise(1000)],
  ])('%s', async (_, bytes) => {
    for (const [, options, store] of ways()) {
      server.files.set('/m.gguf', { bytes });
      server.behaviour = { ...FileServer.good(), ...endless };
      await expect(openModel(`${base}/m.gguf`, options)).rejects.toMatchObject({ name: 'FileError' });
      expect((await store?.list()) ?? []).toEqual([]);
    }
    expect(server.sent).toBeLessThan(64 << 20);
  });
  test('a configuration', async () => {
    for (const [, options] of ways()) {
      server.files.set('/dir/config.json', { bytes: text('{') });
      server.behaviour = { ...FileServer.good(), ...endless };
      await expect(openModel(`${base}/dir/`, options)).rejects.toMatchObject({ name: 'FileError', code: 'limit' });
    }
  });
  test('a redirect in circles is followed once', async () => {
    server.behaviour.redirect = () => '/a';
    for (const [, options] of ways()) {
      server.requests.length = 0;
      await expect(openModel(`${base}/a`, options)).rejects.toMatchObject({
        name: 'StorageError',
        code: 'network',
        message: expect.stringMatching(/redirects in a loop/),
      });
      // One fetch follows up to 20 redirects.
      expect(server.requests.length).toBeLessThanOrEqual(21);
    }
  });
  test('in a browser, which does not say why a fetch failed, twice', async () => {
    let asked = 0;
    const browser = (async (_: unknown, init?: RequestInit) => {
      if (init?.redirect === 'manual') return { type: 'opaqueredirect', body: null };
      asked++;
      throw new TypeError('Failed to fetch');
    }) as unknown as typeof fetch;
    await expect(
      openModel('https://host/a', { retry: { ...retry, attempts: 5 }, store: false, fetch: browser }),
    ).rejects.toMatchObject({
      message: expect.stringMatching(/circles/),
    });
    expect(asked).toBe(2);
  });
  test.each(['ftp://host/m.gguf', 'chrome-extension://x/m.gguf', 'javascript:alert(1)', 'about:blank'])(
    '%s is refused by name',
    async (address) => {
      await expect(openModel(address)).rejects.toMatchObject({
        name: 'InputError',
        message: expect.stringMatching(/addresses are not read/),
      });
    },
  );
});

describe('secrets', () => {
  const SECRET = 'hunter2';
  /** All that an error says, its causes too. */
  const told = (fault: unknown): string =>
    fault instanceof Error
      ? `${fault.message} ${JSON.stringify((fault as { facts?: unknown }).facts)} ${told(fault.cause)}`
      : '';

  test('of a query, in no message, fact or stored value', async () => {
    const database = new Database(`hostile-${databases++}`);
    const store = new ModelStore(database);
    const address = (path: string): string => `${base}${path}?token=${SECRET}&x=1#${SECRET}`;
    const faults: unknown[] = [];
    const catching = (opening: Promise<unknown>): Promise<unknown> =>
      opening.catch((fault: unknown) => faults.push(fault));
    await check(openModel(address('/m.gguf'), { retry, store }));
    expect(server.requests.at(-1)!.url).toContain(SECRET);
    const requests = server.requests.length;
    await check(openModel(address('/m.gguf'), { retry, store }));
    expect(server.requests.length).toBe(requests);
    expect(await store.has(address('/m.gguf'))).toBe(true);
    expect(await store.has(address('/m.gguf').replace('x=1', 'x=2'))).toBe(false);
    await catching(openModel(address('/none.gguf'), { retry, store }));
    await catching(openModel(address('/none/'), { retry, store }));
    for (const status of [400, 401, 403, 416, 500, 429]) {
      server.behaviour.status = () => status;
      await catching(openModel(address('/x.gguf'), { retry, store }));
      await catching(openModel(address('/x.gguf'), { retry, store: false }));
    }
    server.behaviour = FileServer.good();
    server.files.set('/bad.gguf', { bytes: text('<html>') });
    await catching(openModel(address('/bad.gguf'), { retry, store }));
    await catching(openModel(address('/m.gguf'), { retry, store, sha256: '0'.repeat(64) }));
    server.behaviour.breakAfter = () => 0;
    await catching(openModel(address('/m.gguf'), { retry, store: freshStore() }));
    await catching(openModel(`https://user:${SECRET}@host/m.gguf`, { retry, store }));
    await catching(openModel(`http://127.0.0.1:9/m.gguf?token=${SECRET}`, { retry, store }));
    expect(faults.length).toBe(19);
    for (const fault of faults) {
      expect(fault).toBeInstanceOf(Error);
      expect(told(fault)).not.toContain(SECRET);
    }
    expect(JSON.stringify(await store.list())).not.toContain(SECRET);
    for (const family of ['file', 'url', 'note'])
      expect(JSON.stringify([await database.keys([family]), await database.all([family])])).not.toContain(SECRET);
    expect(await store.remove(address('/m.gguf'))).toBe(0);
    server.behaviour = FileServer.good();
    await check(openModel(address('/m.gguf'), { retry, store }));
    expect(await store.remove(address('/m.gguf'))).toBe(1);
  });

  test('of headers: sent with every request, and stored nowhere', async () => {
    const database = new Database(`hostile-${databases++}`);
    const store = new ModelStore(database);
    const headers = { Authorization: `Bearer ${SECRET}` };
    await check(openModel(`${base}/m.gguf`, { retry, store, headers, credentials: 'include' }));
    server.files.set('/o/r/resolve/main/m.gguf', { bytes: model, etag: '"h"' });
    server.files.set('/api/models/o/r/tree/main', {
      bytes: text(JSON.stringify([{ type: 'file', path: 'm.gguf', size: model.length, lfs: { oid: hex(model) } }])),
    });
    await check(openModel('hf:o/r/m.gguf', { retry, store, headers, hub: base }));
    expect(server.requests.every((request) => request.headers.authorization === headers.Authorization)).toBe(true);
    for (const family of ['file', 'url', 'note'])
      expect(JSON.stringify([await database.keys([family]), await database.all([family])])).not.toContain(SECRET);
    const fault = await openModel(`${base}/m.gguf`, { headers: { 'X y': SECRET } }).catch((error: unknown) => error);
    expect(fault).toMatchObject({ name: 'InputError', message: expect.stringMatching(/headers: .*X y/) });
    expect(told(fault)).not.toContain(SECRET);
  });

  test('names without secrets', () => {
    expect(displayName('https://user:pw@host/a/b.gguf?token=1#x')).toBe('https://host/a/b.gguf');
    expect(displayName('hf:o/r@main/m.gguf')).toBe('hf:o/r@main/m.gguf');
    expect(displayName('/path/with?mark#x')).toBe('/path/with?mark#x');
    expect(displayName('https://host/a@b.gguf')).toBe('https://host/a@b.gguf');
    const stored = storedAddress('https://user:pw@host/m?a=1');
    expect(stored).toMatch(/^https:\/\/host\/m\?~[0-9a-f]{16}$/);
    expect(storedAddress(stored)).toBe(stored);
    expect(storedAddress('https://host/m?a=2')).not.toBe(stored);
  });
});

describe('revisions', () => {
  test.each([
    ['refs/pr/1', 'hf:o/r@refs/pr/1/sub/m.gguf'],
    ['refs/pr/1', 'hf:o/r@refs%2Fpr%2F1/sub/m.gguf'],
    ['feature/x', 'hf:o/r@feature%2Fx/sub/m.gguf'],
    ['v1.0', 'hf:o/r@v1.0/sub/m.gguf'],
  ])('%s by %s', async (revision, address) => {
    server.files.set(`/o/r/resolve/${revision}/sub/m.gguf`, { bytes: model, etag: '"r"' });
    server.files.set(`/api/models/o/r/tree/${revision}/sub`, {
      bytes: text(JSON.stringify([{ type: 'file', path: 'sub/m.gguf', size: model.length }])),
    });
    await check(openModel(address, { retry, store: freshStore(), hub: base }));
    const encoded = encodeURIComponent(revision);
    expect(server.requests.map(({ url }) => url)).toEqual([
      `/api/models/o/r/tree/${encoded}/sub?recursive=true`,
      `/o/r/resolve/${encoded}/sub/m.gguf`,
    ]);
  });
});

describe('integrity', () => {
  const ALTERATIONS = 36;
  const other = writeGguf({ 'general.architecture': 'other!' }, [big]);

  test('a header of another answer than the data, with a right SHA-256', async () => {
    expect(other.length).toBe(model.length);
    for (const validated of [true, false]) {
      server.files.set('/m.gguf', { bytes: other, etag: validated ? '"same"' : undefined });
      const opened = await openModel(`${base}/m.gguf`, { retry, store: false, sha256: hex(model) });
      server.files.set('/m.gguf', { bytes: model, etag: validated ? '"same"' : undefined });
      await expect(readAll(opened)).rejects.toMatchObject({ name: 'FileError', code: 'checksum' });
    }
  });

  test('without validators header and data come by one answer', async () => {
    server.files.set('/m.gguf', { bytes: other });
    const opened = await openModel(`${base}/m.gguf`, { retry, store: false });
    server.files.set('/m.gguf', { bytes: model });
    await expect(readAll(opened)).rejects.toMatchObject({ name: 'FileError', code: 'checksum' });
    server.requests.length = 0;
    await check(openModel(`${base}/m.gguf`, { retry, store: false }));
    expect(server.requests.at(-1)!.range).toMatch(/^bytes=0-/);
  });

  test('hashes of a folder: its JSON files are checked, too', async () => {
    const files = {
      'config.json': text('{"model_type":"llama"}'),
      'model.safetensors': writeSafetensors({ t: { dtype: 'F32', shape: [1], data: new Uint8Array(4) } }),
    };
    const right = Object.fromEntries(Object.entries(files).map(([name, bytes]) => [name, hex(bytes)]));
    for (const [name, bytes] of Object.entries(files)) server.files.set(`/dir/${name}`, { bytes });
    const inputs: [string | typeof files, OpenOptions][] = [
      [files, {}],
      [`${base}/dir/`, { retry, store: false }],
      [`${base}/dir/`, { retry, store: freshStore() }],
    ];
    for (const [input, options] of inputs) {
      expect((await readAll(await openModel(input, { ...options, sha256: right }))).size).toBe(1);
      const wrong = { ...right, 'config.json': '0'.repeat(64) };
      await expect(openModel(input, { ...options, sha256: wrong })).rejects.toMatchObject({ code: 'checksum' });
      await expect(openModel(input, { ...options, sha256: hex(model) })).rejects.toMatchObject({
        name: 'InputError',
        message: expect.stringMatching(/several files/),
      });
    }
  });

  test('every stored byte: changed in the store, it is never used, and the next load heals', async () => {
    const database = new Database(`hostile-${databases++}`);
    const store = new ModelStore(database);
    const url = `${base}/m.gguf`;
    for (let n = 0; n < ALTERATIONS; n++) {
      const opened = await openModel(url, { retry, store });
      const [file] = await store.list();
      const key = n % 6 === 5 ? (['file', file!.key] as const) : (['data', file!.key, 0] as const);
      if (key[0] === 'file') {
        const manifest = await database.get<Record<string, unknown>>(key);
        const field = ['received', 'size', 'url', 'created', 'complete', 'recordBytes'][((n / 6) % 6) | 0]!;
        await database.put({ key, value: { ...manifest, [field]: 12345 } });
      } else {
        const record = (await database.get<{ bytes: Blob | Uint8Array; sums: Uint32Array }>(key))!;
        const bytes = new Uint8Array(await new Blob([record.bytes as Uint8Array<ArrayBuffer>]).arrayBuffer());
        // Positions spread over header and data, single bits and whole runs.
        const at = Math.floor((n / ALTERATIONS) * bytes.length);
        if (n % 6 === 4) await database.change(key, () => ({ remove: [key] }));
        else {
          if (n % 6 === 3) bytes.fill(0x41, at, at + 100);
          else bytes[at]! ^= 1 << (n % 8);
          await database.put({ key, value: { bytes: n % 6 === 2 ? bytes.subarray(0, at) : bytes, sums: record.sums } });
        }
      }
      void opened;
      const fault = await openModel(url, { retry, store })
        .then((again) => readAll(again))
        .then((read) => (Buffer.compare(read.get('big')!, big.data) === 0 ? 'right' : 'WRONG'))
        .catch((error: { code?: string }) => error.code);
      expect(['right', 'checksum']).toContain(fault);
      await check(openModel(url, { retry, store }));
    }
  });
});
