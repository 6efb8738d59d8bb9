/** Models kept in a folder, as Node does. */
import { spawn } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { openModel } from '../../src/load/index.ts';
import type { RetryPolicy } from '../../src/load/retry.ts';
import { octavoFolder, openModelStore, sessionFolder } from '../../src/platform/cache-folder.ts';
import { FolderRecords } from '../../src/store/folder-records.ts';
import { ModelStore } from '../../src/store/model-store.ts';
import { readAll, weightNoise } from '../load/collect.ts';
import { FileServer } from '../load/server.ts';
import { f32Tensor, writeGguf } from '../support/gguf-writer.ts';

const server = new FileServer();
const retry: RetryPolicy = { attempts: 2, delay: () => 1, stall: 2000 };
const big = f32Tensor('big', [64, 1000], new Float32Array(weightNoise(4 * 64 * 1000).buffer));
const model = writeGguf({ 'general.architecture': 'llama' }, [big]);
let url = '';
let folder = '';

beforeAll(async () => {
  url = `${await server.start()}/m.gguf`;
});
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});
beforeEach(() => {
  rmSync(folder, { recursive: true, force: true });
  folder = mkdtempSync(join(tmpdir(), 'octavo-records-'));
  server.reset();
  server.files.set('/m.gguf', { bytes: model, etag: '"one"' });
});

async function load(): Promise<void> {
  const opened = await openModel(`${url}?token=hunter2`, { retry, store: new ModelStore(new FolderRecords(folder)) });
  expect(Buffer.compare((await readAll(opened)).get('big')!, big.data)).toBe(0);
}
const files = (): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));

test('what a killed process has left half-written goes with the first change, and what is being written stays', async () => {
  const draft = (): string => join(folder, 'data', `0.${randomUUID()}`);
  await new FolderRecords(folder).put({ key: ['data', '0'], value: 1 });
  const [dead, alive] = [draft(), draft()];
  for (const path of [dead, alive]) writeFileSync(path, 'half');
  utimesSync(dead, new Date(0), new Date(0));
  await new FolderRecords(folder).change(['other'], () => ({}));
  expect([existsSync(dead), existsSync(alive)]).toEqual([false, true]);
  expect(await new FolderRecords(folder).get(['data', '0'])).toBe(1);
});

test('a family of keys has no value of its own, and can be changed as one', async () => {
  const records = new FolderRecords(folder);
  await records.put({ key: ['a', 'b', '1'], value: 1 }, { key: ['a', 'b', '2'], value: 2 });
  expect(await records.get(['a', 'b'])).toBeUndefined();
  const found = await records.change(['a', 'b'], () => ({ remove: [['a', 'b']] }));
  expect([found, await records.count(['a'])]).toEqual([undefined, 0]);
});

test('a note that is damaged is as none, so that what it said is looked up again', async () => {
  const store = new ModelStore(new FolderRecords(folder));
  await store.setNote('hf:owner/repo', [{ path: 'model.gguf', size: 1 }]);
  for (const file of files()) writeFileSync(file, 'text');
  expect(await store.note('hf:owner/repo')).toBeUndefined();
});

describe('models in a folder', () => {
  test('are downloaded once, listed and removed, with no secret on the disk', async () => {
    await load();
    const requests = server.requests.length;
    await load();
    expect(server.requests.length).toBe(requests);
    const store = new ModelStore(new FolderRecords(folder));
    expect(await store.list()).toMatchObject([
      { name: url, complete: true, received: model.length, sha256: createHash('sha256').update(model).digest('hex') },
    ]);
    expect(await store.has(`${url}?token=hunter2`)).toBe(true);
    for (const file of files()) expect(`${file} ${readFileSync(file, 'latin1')}`).not.toContain('hunter2');
    const { usage, quota } = await store.estimate();
    expect(quota).toBeGreaterThanOrEqual(usage!);
    expect(await store.remove(`${url}?token=hunter2`)).toBe(1);
    expect(await store.list()).toEqual([]);
    expect(files()).toEqual([]);
  });

  test('a download that broke is resumed at the byte', async () => {
    server.behaviour.breakAfter = (n) => (n === 0 ? 100_000 : 0);
    await expect(load()).rejects.toMatchObject({ code: 'network' });
    server.behaviour.breakAfter = () => undefined;
    server.requests.length = 0;
    await load();
    expect(server.requests.map(({ range }) => range)).toEqual(['bytes=100000-']);
  });

  test('files that were damaged or removed are noticed, and downloaded again', async () => {
    await load();
    for (const file of files()) {
      const good = readFileSync(file);
      for (const damage of ['flip', 'cut', 'text', 'remove'] as const) {
        const bad = Buffer.from(good);
        bad[Math.floor(bad.length / 2)]! ^= 0x10;
        if (damage === 'remove') rmSync(file, { force: true });
        else writeFileSync(file, damage === 'cut' ? bad.subarray(0, 10) : damage === 'text' ? 'text' : bad);
        await load().catch((error: { code?: string }) => expect(error.code).toBe('checksum'));
        await load();
      }
    }
  });

  test('a folder that cannot be written to: the model loads, and is not kept', async () => {
    writeFileSync(join(folder, 'file'), '');
    const opened = await openModel(url, { retry, store: new ModelStore(new FolderRecords(join(folder, 'file'))) });
    expect(opened.tensors.size).toBe(1);
    chmodSync(folder, 0o755);
  });

  test('two at once download it once', async () => {
    server.behaviour.delay = 1;
    await Promise.all([load(), load(), load()]);
    expect(server.requests.filter(({ range }) => range === 'bytes=0-').length).toBe(1);
    expect(files().filter((file) => file.includes('lock'))).toEqual([]);
  });

  test('a holder that slept through its lock does not end that of the next one', async () => {
    const records = new FolderRecords(folder);
    const hold = (): { readonly locked: Promise<void>; readonly done: Promise<void>; end: () => void } => {
      let begin = (): void => undefined;
      let end = (): void => undefined;
      const locked = new Promise<void>((resolve) => (begin = resolve));
      const ended = new Promise<void>((resolve) => (end = resolve));
      const done = records.lock('a', undefined, () => (begin(), ended));
      return { locked, done, end };
    };
    const slept = hold();
    await slept.locked;
    const past = new Date(Date.now() - 60_000);
    utimesSync(
      files().find((path) => path.includes('lock'))!,
      past,
      past,
    );
    const second = hold();
    await second.locked;
    slept.end();
    await slept.done;
    expect(files().filter((path) => path.includes('lock'))).toHaveLength(1);
    second.end();
    await second.done;
    expect(files().filter((path) => path.includes('lock'))).toEqual([]);
  });

  test('a lock of a process that ended, or that is not renewed, does not hold', async () => {
    const records = new FolderRecords(folder);
    const ended = spawn(process.execPath, ['-e', '']);
    await new Promise((resolve) => ended.on('exit', resolve));
    await records.lock('a', undefined, async () => {
      const [file = ''] = files();
      renameSync(file, file.replace(`.${process.pid}.`, `.${ended.pid}.`));
      expect(await records.lock('a', undefined, async () => 'taken')).toBe('taken');
    });
    await records.lock('b', undefined, async () => {
      const file = files().find((path) => path.includes('lock'))!;
      utimesSync(file, new Date(0), new Date(0));
      await records.lock('b', undefined, async () => {
        // Another process that has found it abandoned, too, removes it late, and a third one comes.
        rmSync(file, { force: true });
        const third = new AbortController();
        setTimeout(() => third.abort(new Error('held')), 300);
        await expect(records.lock('b', third.signal, async () => 'taken')).rejects.toThrow('held');
      });
    });
    let inside = 0;
    const alone = records.lock.bind(records, 'd', undefined, async () => {
      expect(++inside).toBe(1);
      await new Promise((resolve) => setTimeout(resolve, 5));
      inside--;
    });
    await Promise.all([alone(), alone(), alone()]);
    const control = new AbortController();
    await records.lock('c', undefined, async () => {
      const waiting = records.lock('c', control.signal, async () => 'taken');
      control.abort(new Error('stop'));
      await expect(waiting).rejects.toThrow('stop');
    });
  });
});

test('one folder for models and sessions, which an environment variable names', () => {
  expect(octavoFolder({ OCTAVO_CACHE: '/c' }, 'linux')).toBe('/c');
  expect(sessionFolder({ OCTAVO_CACHE: '/c' }, 'linux')).toBe(join('/c', 'sessions'));
  expect(octavoFolder({ XDG_CACHE_HOME: '/x' }, 'linux')).toBe(join('/x', 'octavo'));
  expect(octavoFolder({ LOCALAPPDATA: '/l' }, 'win32')).toBe(join('/l', 'octavo'));
  expect(octavoFolder({}, 'darwin')).toMatch(/Library.Caches.octavo$/);
  expect(openModelStore()).toBeInstanceOf(ModelStore);
  expect(existsSync('/c')).toBe(false);
});
