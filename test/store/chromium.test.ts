/** The store in a real Chromium: its IndexedDB, Web Locks, quota, and a browser that is killed. Skipped (and counted) where none starts. */
import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { build } from 'esbuild';
import type { Page } from 'playwright-core';
import type { openModel as OpenModel } from '../../src/load/index.ts';
import type { ModelStore as Store } from '../../src/store/index.ts';
import { hasBrowser, openBrowser } from '../../tools/browser.mjs';
import { writeGguf } from '../support/gguf-writer.ts';
import { weightNoise } from '../load/collect.ts';
import { FileServer } from '../load/server.ts';

declare global {
  var loading: { openModel: typeof OpenModel; ModelStore: typeof Store };
  var hash: (url: string) => Promise<{ sum: string }>;
  var heard: number;
}

const server = new FileServer();
let base = '';
let available = false;
let script = new Uint8Array(0);
const data = new Float32Array(weightNoise(80_000_000).buffer);
const model = writeGguf({ name: 'big' }, [
  { name: 't', shape: [data.length], format: 'F32', data: new Uint8Array(data.buffer) },
]);
const tensor = createHash('sha256').update(data).digest('hex');

/** Runs in the page: reads a model and hashes what comes. */
const PAGE = `
import { openModel } from './src/load/index.ts';
import { ModelStore } from './src/store/index.ts';
globalThis.loading = { openModel, ModelStore };
globalThis.heard = 0;
globalThis.hash = async (url) => {
  const file = await openModel(url, { monitor: ({ loaded, phase }) => { if (phase === 'download') globalThis.heard = loaded; } });
  const [{ bytes }] = [...file.tensors.values()];
  const all = new Uint8Array(bytes);
  let at = 0;
  await file.read(() => ({ write: async (chunk) => { all.set(chunk, at); at += chunk.length; }, abort() {}, finish: async () => ({ free() {} }) }));
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', all));
  return { sum: [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('') };
};`;

beforeAll(async () => {
  available = await hasBrowser();
  if (!available) console.warn('skipped: no browser could be started');
  base = (await server.start()).replace('127.0.0.1', 'localhost');
  const bundle = await build({
    stdin: { contents: PAGE, resolveDir: fileURLToPath(new URL('../..', import.meta.url)), loader: 'ts' },
    bundle: true,
    format: 'iife',
    write: false,
    target: 'es2022',
  });
  script = new Uint8Array(bundle.outputFiles[0]!.contents);
}, 120_000);
afterAll(() => server.stop());
beforeEach(() => {
  server.reset();
  server.files.set('/', {
    bytes: new TextEncoder().encode(
      '<!doctype html><meta charset="utf-8"><title>store</title><script src="/app.js"></script>',
    ),
  });
  server.files.set('/app.js', { bytes: script });
  server.files.set('/m.gguf', { bytes: model, etag: '"m"' });
});

type Browser = Awaited<ReturnType<typeof openBrowser>>;
async function open({ context }: Browser): Promise<Page> {
  const page = await context.newPage();
  await page.goto(base);
  return page;
}
const asked = (): string[] => server.requests.filter(({ path }) => path === '/m.gguf').map(({ range }) => range ?? '');

describe('in Chromium', () => {
  test('killed in the midst, it goes on at a byte; two tabs share one download; then no network; then removed', async () => {
    if (!available) return;
    const browser = await openBrowser();
    try {
      let page = await open(browser);
      server.behaviour.delay = 4;
      void page.evaluate((url) => globalThis.hash(url).catch(() => {}), `${base}/m.gguf`).catch(() => {});
      await page.waitForFunction(() => globalThis.heard > 12_000_000, undefined, { polling: 100 });
      await browser.reopen();
      server.behaviour.delay = 0;
      page = await open(browser);
      const partial = await page.evaluate(() => new globalThis.loading.ModelStore().list());
      expect(partial).toMatchObject([{ complete: false, url: `${base}/m.gguf` }]);
      expect(partial[0]!.received).toBeGreaterThan(8_000_000);
      const before = asked().length;
      const other = await open(browser);
      const told = await Promise.all(
        [page, other].map((tab) => tab.evaluate((url) => globalThis.hash(url), `${base}/m.gguf`)),
      );
      for (const { sum } of told) expect(sum).toBe(tensor);
      expect(asked().slice(before)).toEqual([`bytes=${partial[0]!.received}-`]);
      server.files.delete('/m.gguf');
      expect((await page.evaluate((url) => globalThis.hash(url), `${base}/m.gguf`)).sum).toBe(tensor);
      expect(asked().length).toBe(before + 1);
      const left = await page.evaluate(async (url) => {
        const store = new globalThis.loading.ModelStore();
        return { removed: await store.remove(url), list: await store.list() };
      }, `${base}/m.gguf`);
      expect(left).toEqual({ removed: 1, list: [] });
    } finally {
      await browser.close();
    }
  }, 180_000);

  test.each<[string, { usage?: number; quota?: number }]>([
    ['told beforehand', { usage: 0, quota: 30_000_000 }],
    ['met in the midst', {}],
  ])(
    'a full quota, %s',
    async (_, estimate) => {
      if (!available) return;
      const browser = await openBrowser();
      try {
        const page = await open(browser);
        const session = await browser.context.newCDPSession(page);
        await session.send('Storage.overrideQuotaForOrigin', { origin: base, quotaSize: 30_000_000 });
        const told = await page.evaluate(
          async ({ url, estimate }) => {
            // Chromium itself tells pages far more than they get.
            Object.defineProperty(navigator.storage, 'estimate', { value: async () => estimate });
            const store = new globalThis.loading.ModelStore();
            const fault = await globalThis.loading
              .openModel(url, { store })
              .catch(
                (error: unknown) =>
                  error as { name: string; code: string; message: string; facts: Record<string, number> },
              );
            return {
              name: (fault as Error).name,
              message: (fault as Error).message,
              code: (fault as { code: string }).code,
              facts: { ...(fault as { facts: Record<string, number> }).facts },
              list: await store.list(),
            };
          },
          { url: `${base}/m.gguf`, estimate },
        );
        expect(told).toMatchObject({ name: 'StorageError', code: 'quota', list: [] });
        expect(told.message).toMatch(/store\.remove/);
        expect(told.facts['needed']).toBe(model.length);
        expect(told.facts['available']).toBe(estimate.quota);
        await session.send('Storage.overrideQuotaForOrigin', { origin: base });
        await page.reload();
        expect((await page.evaluate((url) => globalThis.hash(url), `${base}/m.gguf`)).sum).toBe(tensor);
      } finally {
        await browser.close();
      }
    },
    180_000,
  );
});
