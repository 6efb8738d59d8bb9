import 'fake-indexeddb/auto';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { RetryPolicy } from '../../src/load/retry.ts';
import { bestProjector } from '../../src/load/hub.ts';
import { openModel, type OpenOptions } from '../../src/load/index.ts';
import { nodeFiles } from '../../src/platform/node-files.ts';
import { Database } from '../../src/store/database.ts';
import { ModelStore } from '../../src/store/model-store.ts';
import { f32Tensor, writeGguf } from '../support/gguf-writer.ts';
import { readAll, weightNoise } from './collect.ts';
import { writeSafetensors } from './safetensors-writer.ts';
import { FileServer } from './server.ts';

const server = new FileServer();
let base = '';
let databases = 0;
const retry: RetryPolicy = { attempts: 3, delay: () => 5, stall: 2000 };
const straight: OpenOptions = { store: false, retry };
const freshStore = (): ModelStore => new ModelStore(new Database(`loading-${databases++}`));
const tensors = [
  f32Tensor('a', [3], [1, 2, 3]),
  f32Tensor('big', [512, 1500], new Float32Array(weightNoise(4 * 512 * 1500).buffer)),
  f32Tensor('c', [1], [9]),
];
const model = writeGguf({ 'general.architecture': 'llama' }, tensors);
const hex = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

beforeAll(async () => {
  base = await server.start();
});
afterAll(() => server.stop());
beforeEach(() => {
  server.reset();
  server.files.set('/m.gguf', { bytes: model, etag: '"one"' });
});

async function check(opening: ReturnType<typeof openModel>): Promise<void> {
  const read = await readAll(await opening);
  expect(read.size).toBe(3);
  for (const { name, data } of tensors) expect(Buffer.compare(read.get(name)!, data)).toBe(0);
}

describe('straight from a URL', () => {
  test('by ranges', async () => {
    await check(openModel(`${base}/m.gguf?token=secret`, straight));
    expect(server.requests.every(({ status }) => status === 206)).toBe(true);
    const opened = await openModel(new URL(`${base}/m.gguf?token=secret`), straight);
    expect(opened.name).toBe(`${base}/m.gguf`);
  });
  test('through redirects, breaks and errors of the server', async () => {
    server.behaviour.redirect = (path) => (path === '/r.gguf' ? '/m.gguf' : undefined);
    server.behaviour.breakAfter = (n) => (n % 3 === 2 ? 300_000 : undefined);
    server.behaviour.status = (n) => (n % 4 === 3 ? 503 : undefined);
    await check(openModel(`${base}/r.gguf`, straight));
  });
  test.each([
    ['with', true],
    ['without', false],
  ])('from a server without ranges, %s a length', async (_, length) => {
    server.behaviour.ranges = false;
    server.behaviour.length = length;
    server.behaviour.breakAfter = (n) => (n === 3 ? 1_000_000 : undefined);
    await check(openModel(`${base}/m.gguf`, straight));
  });
  test('a file that changes while it is read', async () => {
    const opened = await openModel(`${base}/m.gguf`, straight);
    server.files.set('/m.gguf', { bytes: model, etag: '"two"' });
    await expect(readAll(opened)).rejects.toMatchObject({ name: 'StorageError', code: 'changed' });
  });
  test('what is not there, and what is no model', async () => {
    await expect(openModel(`${base}/none.gguf`, straight)).rejects.toMatchObject({
      name: 'StorageError',
      code: 'network',
      facts: { status: 404 },
    });
    server.files.set('/m.html', { bytes: new TextEncoder().encode('<!doctype html>') });
    await expect(openModel(`${base}/m.html`, straight)).rejects.toMatchObject({ name: 'FileError', code: 'malformed' });
    server.files.set('/empty.gguf', { bytes: new Uint8Array(0) });
    await expect(openModel(`${base}/empty.gguf`, straight)).rejects.toMatchObject({
      name: 'FileError',
      code: 'truncated',
    });
    await expect(openModel('http://127.0.0.1:9/m.gguf', straight)).rejects.toMatchObject({
      name: 'StorageError',
      code: 'network',
    });
  });
  test('an abort while opening and while reading', async () => {
    const reason = new Error('stop');
    await expect(openModel(`${base}/m.gguf`, { ...straight, signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    server.behaviour.stallAfter = () => 0;
    const control = new AbortController();
    setTimeout(() => control.abort(reason), 50);
    await expect(openModel(`${base}/m.gguf`, { ...straight, signal: control.signal })).rejects.toBe(reason);
    server.behaviour = FileServer.good();
    const opened = await openModel(`${base}/m.gguf`, straight);
    const n = server.requests.length;
    server.behaviour.stallAfter = (request) => (request >= n ? 100_000 : undefined);
    const second = new AbortController();
    setTimeout(() => second.abort(reason), 50);
    await expect(readAll(opened, { signal: second.signal })).rejects.toBe(reason);
  });
  test('a SHA-256, checked while reading', async () => {
    await check(openModel(`${base}/m.gguf`, { ...straight, sha256: hex(model) }));
    const opened = await openModel(`${base}/m.gguf`, { ...straight, sha256: { 'm.gguf': 'f'.repeat(64) } });
    await expect(readAll(opened)).rejects.toMatchObject({ name: 'FileError', code: 'checksum' });
  });
  test('the parts of a split model', async () => {
    for (const i of [0, 1])
      server.files.set(`/s-0000${i + 1}-of-00002.gguf`, {
        bytes: writeGguf({ 'split.no': i, 'split.count': 2 }, [f32Tensor(`t${i}`, [1], [i])]),
        etag: `"${i}"`,
      });
    for (const i of [0, 1])
      expect((await readAll(await openModel(`${base}/s-0000${i + 1}-of-00002.gguf`, straight))).size).toBe(2);
    server.files.delete('/s-00002-of-00002.gguf');
    await expect(openModel(`${base}/s-00001-of-00002.gguf`, straight)).rejects.toMatchObject({
      name: 'FileError',
      code: 'missing',
    });
  });
  test('without IndexedDB that works, a model loads all the same', async () => {
    const dead = new ModelStore(
      new Database('dead', async () => {
        throw new DOMException('no', 'InvalidStateError');
      }),
    );
    await check(openModel(`${base}/m.gguf`, { retry, store: dead }));
  });
});

describe('through the store', () => {
  test('the second time without network', async () => {
    const store = freshStore();
    const phases: string[] = [];
    await check(openModel(`${base}/m.gguf`, { retry, store, monitor: ({ phase }) => phases.push(phase) }));
    expect(phases).toContain('download');
    const n = server.requests.length;
    await check(openModel(`${base}/m.gguf`, { retry, store }));
    expect(server.requests.length).toBe(n);
    expect(await store.list()).toMatchObject([{ url: `${base}/m.gguf`, complete: true, sha256: hex(model) }]);
    await check(openModel(`${base}/m.gguf`, { retry, store, sha256: hex(model) }));
    expect(server.requests.length).toBe(n);
  });

  test('a folder by its address', async () => {
    const store = freshStore();
    const json = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
    server.files.set('/dir/config.json', { bytes: json({ model_type: 'llama' }), etag: '"c"' });
    server.files.set('/dir/model.safetensors', {
      bytes: writeSafetensors({ t: { dtype: 'F32', shape: [1], data: new Uint8Array(4) } }),
      etag: '"w"',
    });
    for (const options of [straight, { retry, store }, { retry, store }])
      expect((await readAll(await openModel(`${base}/dir/`, options))).size).toBe(1);
    const n = server.requests.length;
    await openModel(`${base}/dir/`, { retry, store });
    expect(server.requests.length).toBe(n);
    expect(await store.remove(`${base}/dir/`)).toBe(2);
    expect(await store.list()).toEqual([]);
  });

  test('a folder that is not there yet is looked for again', async () => {
    const store = freshStore();
    await expect(openModel(`${base}/late/`, { retry, store })).rejects.toMatchObject({ code: 'missing' });
    server.files.set('/late/config.json', { bytes: new TextEncoder().encode('{"model_type":"llama"}'), etag: '"c"' });
    await expect(openModel(`${base}/late/`, { retry, store })).rejects.toMatchObject({ code: 'missing' });
    const bytes = writeSafetensors({ t: { dtype: 'F32', shape: [1], data: new Uint8Array(4) } });
    server.files.set('/late/model.safetensors', { bytes, etag: '"w"' });
    expect((await readAll(await openModel(`${base}/late/`, { retry, store }))).size).toBe(1);
  });
});

test('a server that says nothing after a connection that failed, and a hub that says nothing, are given up', async () => {
  const impatient: RetryPolicy = { attempts: 1, delay: () => 1, stall: 50 };
  const network = { name: 'StorageError', code: 'network' };
  const signals: (AbortSignal | null | undefined)[] = [];
  const silent: typeof fetch = (_, init) => {
    signals.push(init?.signal);
    return signals.length === 1 ? Promise.reject(new TypeError('reset')) : new Promise(() => undefined);
  };
  const options = { store: false, fetch: silent, retry: impatient } as const;
  await expect(openModel('https://example.org/m.gguf', options)).rejects.toMatchObject(network);
  await expect(openModel('hf:owner/repository/m.gguf', options)).rejects.toMatchObject(network);
  // The requests are ended, too.
  expect(signals.map((signal) => signal?.aborted)).toEqual([true, true, true]);
}, 5000);

describe('a model and its projector', () => {
  const projector = writeGguf({ 'general.architecture': 'clip' }, [f32Tensor('v', [2], [1, 2])]);
  beforeEach(() => {
    server.files.set('/mmproj.gguf', { bytes: projector, etag: '"two"' });
  });

  test.each([
    ['two addresses', () => openModel([`${base}/m.gguf`, `${base}/mmproj.gguf`], straight)],
    ['in the other order', () => openModel([`${base}/mmproj.gguf`, new URL(`${base}/m.gguf`)], straight)],
    ['a name beside the model', () => openModel(`${base}/m.gguf`, { ...straight, mmproj: 'mmproj.gguf' })],
    ['bytes beside an address', () => openModel(`${base}/m.gguf`, { ...straight, mmproj: projector })],
    ['files', () => openModel(new File([model], 'a.gguf'), { mmproj: new File([projector], 'b.gguf') })],
  ])('%s', async (_, open) => {
    const opened = await open();
    expect([...opened.tensors.keys()]).toEqual(['a', 'big', 'c']);
    expect([...(opened.projector?.tensors.keys() ?? [])]).toEqual(['v']);
    expect(opened.bytes).toBe(model.length + projector.length);
    await opened.close();
  });

  test('in Node, from paths', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'octavo-'));
    const [a, b] = [join(folder, 'text.gguf'), join(folder, 'sees.gguf')];
    try {
      writeFileSync(a, model);
      writeFileSync(b, projector);
      for (const opened of [
        await openModel([a, b], { files: nodeFiles }),
        await openModel(a, { files: nodeFiles, mmproj: b }),
      ]) {
        expect(opened.projector?.tensors.has('v')).toBe(true);
        await opened.close();
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('what cannot be', async () => {
    const [a, b] = [`${base}/m.gguf`, `${base}/mmproj.gguf`];
    await expect(openModel([a, b, b], straight)).rejects.toThrow('more than two addresses');
    await expect(openModel([a, b], { ...straight, mmproj: b })).rejects.toThrow('more than two addresses');
    await expect(openModel([a, b], { ...straight, sha256: hex(model) })).rejects.toThrow('give an object');
    await expect(openModel(a, { ...straight, mmproj: 'none.gguf' })).rejects.toMatchObject({ code: 'network' });
  });
});

describe('hf: names', () => {
  const listing = (paths: readonly string[], more: Record<string, unknown> = {}): Uint8Array =>
    new TextEncoder().encode(
      JSON.stringify([
        { type: 'directory', path: 'sub', oid: 'x' },
        ...paths.map((path) => ({
          type: 'file',
          path,
          size: server.files.get(`/o/r/resolve/main/${path}`)!.bytes.length,
          oid: 'x',
          lfs: { oid: hex(server.files.get(`/o/r/resolve/main/${path}`)!.bytes), size: 1 },
          ...more,
        })),
      ]),
    );
  const put = (path: string, bytes: Uint8Array): void => {
    server.files.set(`/o/r/resolve/main/${path}`, { bytes, etag: `"${hex(bytes).slice(0, 8)}"` });
  };
  const list = (paths: readonly string[], more: Record<string, unknown> = {}, folder = ''): void => {
    server.files.set(`/api/models/o/r/tree/main${folder}`, { bytes: listing(paths, more) });
  };

  test('a file: verified by the listing, then without network', async () => {
    put('m.gguf', model);
    list(['m.gguf']);
    const store = freshStore();
    await check(openModel('hf:o/r/m.gguf', { retry, store, hub: base }));
    expect(await store.list()).toMatchObject([{ key: `sha256-${hex(model)}`, model: 'hf:o/r/m.gguf', complete: true }]);
    const n = server.requests.length;
    await check(openModel('hf:o/r/m.gguf', { retry, store, hub: base }));
    expect(server.requests.length).toBe(n);
    await check(openModel('hf:o/r/m.gguf', { ...straight, hub: base }));
    expect(await store.remove('hf:o/r/m.gguf')).toBe(1);
  });

  test('a damaged file does not match the listing', async () => {
    put('m.gguf', model);
    list(['m.gguf'], { lfs: { oid: 'a'.repeat(64) } });
    const store = freshStore();
    await expect(openModel('hf:o/r/m.gguf', { retry, store, hub: base })).rejects.toMatchObject({ code: 'checksum' });
    expect(await store.list()).toEqual([]);
    const opened = await openModel('hf:o/r/m.gguf', { ...straight, hub: base });
    await expect(readAll(opened)).rejects.toMatchObject({ name: 'FileError', code: 'checksum' });
  });

  test('a repository of safetensors, or of one GGUF', async () => {
    put('config.json', new TextEncoder().encode('{"model_type":"llama"}'));
    put('model.safetensors', writeSafetensors({ t: { dtype: 'F32', shape: [1], data: new Uint8Array(4) } }));
    list(['config.json', 'model.safetensors']);
    const store = freshStore();
    for (let i = 0; i < 2; i++)
      expect((await openModel('hf:o/r', { retry, store, hub: base })).metadata.kind).toBe('huggingface');
    const n = server.requests.length;
    await openModel('hf:o/r', { retry, store, hub: base });
    expect(server.requests.length).toBe(n);
    put('m.gguf', model);
    list(['m.gguf']);
    await check(openModel('hf:o/r', { ...straight, hub: base }));
    put('other-q8_0.gguf', model);
    list(['m.gguf', 'other-q8_0.gguf']);
    await expect(openModel('hf:o/r', { ...straight, hub: base })).rejects.toMatchObject({
      code: 'missing',
      message: expect.stringMatching(/name one, for instance hf:o\/r\/other-q8_0\.gguf/),
    });
  });

  test('the projector beside a model is found, named, left out', async () => {
    const projector = writeGguf({ 'general.architecture': 'clip' }, [f32Tensor('v', [2], [1, 2])]);
    put('m.gguf', model);
    for (const name of ['m-mmproj-bf16.gguf', 'm-mmproj-f16.gguf']) put(name, projector);
    list(['m.gguf', 'm-mmproj-bf16.gguf', 'm-mmproj-f16.gguf']);
    const store = freshStore();
    const named = async (options: OpenOptions): Promise<(string | boolean | undefined)[]> => {
      const opened = await openModel('hf:o/r', { ...options, hub: base });
      await opened.close();
      return [opened.projector?.name.replace(/^.*\//, ''), opened.projectorFound];
    };
    expect(await named({ retry, store })).toEqual(['m-mmproj-f16.gguf', true]);
    expect(await named({ ...straight, mmproj: 'm-mmproj-bf16.gguf' })).toEqual(['m-mmproj-bf16.gguf', false]);
    expect(await named({ ...straight, mmproj: 'hf:o/r/m-mmproj-bf16.gguf' })).toEqual(['m-mmproj-bf16.gguf', false]);
    expect(await named({ ...straight, mmproj: false })).toEqual([undefined, undefined]);
    const n = server.requests.length;
    expect(await named({ retry, store })).toEqual(['m-mmproj-f16.gguf', true]);
    expect(server.requests.length).toBe(n);
    expect(bestProjector(['mmproj-F32.gguf', 'mmproj-BF16.gguf', 'x.gguf'])).toBe('mmproj-BF16.gguf');
    expect(bestProjector(['mmproj-F16.gguf', 'mmproj-Q8_0.gguf'])).toBe('mmproj-Q8_0.gguf');
  });

  test('a file in a folder, of a split model', async () => {
    for (const i of [0, 1])
      put(
        `sub/s-0000${i + 1}-of-00002.gguf`,
        writeGguf({ 'split.no': i, 'split.count': 2 }, [f32Tensor(`t${i}`, [1], [i])]),
      );
    list(
      [1, 2].map((i) => `sub/s-0000${i}-of-00002.gguf`),
      {},
      '/sub',
    );
    expect(
      (await readAll(await openModel('hf:o/r/sub/s-00001-of-00002.gguf', { retry, store: freshStore(), hub: base })))
        .size,
    ).toBe(2);
  });

  test('what is not there', async () => {
    await expect(openModel('hf:o/none', { ...straight, hub: base })).rejects.toMatchObject({
      name: 'StorageError',
      code: 'network',
    });
    list([]);
    await expect(openModel('hf:o/r/m.gguf', { ...straight, hub: base })).rejects.toMatchObject({
      name: 'FileError',
      code: 'missing',
    });
    const kept = { retry, store: freshStore(), hub: base };
    for (const name of ['hf:o/r/m.gguf', 'hf:o/r']) {
      list([]);
      await expect(openModel(name, kept)).rejects.toMatchObject({ name: 'FileError', code: 'missing' });
      // It comes later.
      put('m.gguf', model);
      list(['m.gguf']);
      await check(openModel(name, kept));
    }
    for (const bad of ['hf:o', 'hf:', 'hf:o/r/../x', 'hf:../x/y'])
      await expect(openModel(bad, { ...straight, hub: base })).rejects.toMatchObject({ name: 'InputError' });
  });
});

describe('paths and other inputs', () => {
  test('a path, a file: URL, a blob: URL', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'octavo-'));
    try {
      const path = join(directory, 'm.gguf');
      writeFileSync(path, model);
      await check(openModel(path, { files: nodeFiles }));
      await check(openModel(pathToFileURL(path), { files: nodeFiles }));
      const opened = await openModel(path, { files: nodeFiles });
      writeFileSync(path, model.subarray(0, model.length - 1000));
      await expect(readAll(opened)).rejects.toMatchObject({ name: 'FileError', code: 'truncated' });
      await opened.close();
      await expect(openModel(join(directory, 'none'), { files: nodeFiles })).rejects.toMatchObject({
        name: 'FileError',
        code: 'missing',
      });
    } finally {
      rmSync(directory, { recursive: true });
    }
    await check(openModel(URL.createObjectURL(new Blob([model]))));
    await expect(openModel('some/path.gguf')).rejects.toMatchObject({ name: 'InputError' });
    await expect(openModel(5 as never)).rejects.toMatchObject({ name: 'InputError' });
  });
});
