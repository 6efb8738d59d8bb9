/**
 * Saved sessions in a real Chromium: a reload, two tabs that write one name, a browser that is killed while it writes, a full quota, lasting storage.
 * From the built package. Skipped (and counted) where no browser starts.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { copyFileSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import type { OctavoFace } from '../../../src/face/octavo.ts';
import type { OctavoModel } from '../../../src/face/model.ts';
import { hasBrowser, openBrowser } from '../../../tools/browser.mjs';
import { serve } from '../../../tools/static-server.mjs';
import { tinyModel } from '../../support/tiny-model.ts';

declare global {
  var face: OctavoFace;
  /** Saves `words`' session under `name` so many times, and tells how its conversation goes on. */
  var write: (
    name: string,
    words: string,
    times: number,
  ) => Promise<{ usage: number; next: string; failed: readonly string[] }>;
  var read: (name: string) => Promise<{ usage: number; next: string; cached: number }>;
  var saves: number;
}

const PAGE = `
import { Octavo } from './index.js';
let loading;
const load = () => (loading ??= Octavo.load('/page/tiny.gguf', { device: 'wasm', threads: 1, store: false }));
const settings = { temperature: 0, maxTokens: 8, context: { share: false } };
globalThis.face = Octavo;
globalThis.saves = 0;
globalThis.write = async (name, words, times) => {
  const session = await (await load()).createSession(settings);
  await session.append(words);
  const failed = [];
  for (let i = 0; i < times; i++) {
    await session.save(name).catch((error) => failed.push(error.name + ' ' + error.code + ': ' + error.message));
    globalThis.saves++;
  }
  const usage = session.contextUsage;
  const next = await session.prompt('And?');
  session.destroy();
  return { usage, next, failed };
};
globalThis.read = async (name) => {
  const session = await (await load()).resumeSession(name);
  const usage = session.contextUsage;
  const stream = session.promptStreaming('And?');
  let next = '';
  for await (const piece of stream) next += piece;
  const { tokens } = await stream.finished;
  session.destroy();
  return { usage, next, cached: tokens.cached };
};
`;

const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const words = (seed: number, count = 60): string =>
  Array.from({ length: count }, (_, i) => `Fact ${seed * i}.`).join(' ');
let available = false;
let folder: string;
let server: Awaited<ReturnType<typeof serve>>;

beforeAll(async () => {
  available = await hasBrowser();
  if (!available) console.warn('skipped: no browser could be started');
  folder = mkdtempSync(join(tmpdir(), 'octavo-sessions-'));
  for (const file of readdirSync(path('../../../dist')))
    if (/\.(js|wasm)$/.test(file)) copyFileSync(path(`../../../dist/${file}`), join(folder, file));
  writeFileSync(join(folder, 'tiny.gguf'), tinyModel({ window: 4096, layers: 12 }));
  writeFileSync(join(folder, 'page.js'), PAGE);
  writeFileSync(
    join(folder, 'index.html'),
    '<!doctype html><title>sessions</title><script type="module" src="page.js"></script>',
  );
  server = await serve({ mounts: { '/page/': folder } });
}, 120_000);
afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

type Browser = Awaited<ReturnType<typeof openBrowser>>;
async function open({ context }: Browser): Promise<Page> {
  const page = await context.newPage();
  page.setDefaultTimeout(0);
  await page.goto(`${server.origin}/page/index.html`);
  await page.waitForFunction(() => globalThis.face !== undefined);
  return page;
}
const write = (page: Page, name: string, text: string, times = 1) =>
  page.evaluate(([n, t, k]) => globalThis.write(n, t, k), [name, text, times] as const);
const read = (page: Page, name: string) => page.evaluate((n) => globalThis.read(n), name);

describe('in Chromium', () => {
  test('a session goes on after a reload and after the browser was closed; it is listed, counted and removed', async () => {
    if (!available) return;
    const browser = await openBrowser();
    try {
      let page = await open(browser);
      const told = await write(page, 'one', words(1));
      expect(told.failed).toEqual([]);
      await page.reload();
      await page.waitForFunction(() => globalThis.face !== undefined);
      expect(await read(page, 'one')).toEqual({ usage: told.usage, next: told.next, cached: told.usage });
      await browser.reopen();
      page = await open(browser);
      expect(await read(page, 'one')).toMatchObject({ usage: told.usage, next: told.next });
      const seen = await page.evaluate(async () => ({
        list: await globalThis.face.sessions.list(),
        usage: await globalThis.face.sessions.usage(),
      }));
      expect(seen.list).toMatchObject([{ name: 'one', tokens: told.usage, automatic: false }]);
      expect(seen.usage).toMatchObject({ sessions: 1, bytes: seen.list[0]!.bytes });
      expect(seen.usage.quota).toBeGreaterThan(0);
      expect(
        await page.evaluate(async () => [
          await globalThis.face.sessions.remove('one'),
          await globalThis.face.sessions.list(),
        ]),
      ).toEqual([true, []]);
    } finally {
      await browser.close();
    }
  }, 180_000);

  test('two tabs that write one name at once: every save is reported, and what is read is whole and one of the two', async () => {
    if (!available) return;
    const browser = await openBrowser();
    try {
      const tabs = await Promise.all([open(browser), open(browser)]);
      const told = await Promise.all(tabs.map((tab, i) => write(tab, 'race', words(i + 1, 50 + 10 * i), 12)));
      expect(told.map(({ failed }) => failed)).toEqual([[], []]);
      expect(told[0]!.usage).not.toBe(told[1]!.usage);
      const third = await open(browser);
      const reading = [await read(third, 'race'), ...(await Promise.all(tabs.map((tab) => read(tab, 'race'))))];
      for (const found of reading)
        expect(told.map(({ usage, next }) => ({ usage, next }))).toContainEqual({
          usage: found.usage,
          next: found.next,
        });
      // And read while the other writes.
      const [, during] = await Promise.all([
        write(tabs[0]!, 'race', words(1, 50), 10),
        (async () => {
          const all = [];
          for (let i = 0; i < 4; i++) all.push(await read(third, 'race'));
          return all;
        })(),
      ]);
      for (const found of during)
        expect(told.map(({ usage, next }) => ({ usage, next }))).toContainEqual({
          usage: found.usage,
          next: found.next,
        });
      expect(await third.evaluate(() => globalThis.face.sessions.usage())).toMatchObject({ sessions: 1 });
    } finally {
      await browser.close();
    }
  }, 240_000);

  test('killed while it writes: what was reported saved is there, whole', async () => {
    if (!available) return;
    const browser = await openBrowser();
    try {
      let page = await open(browser);
      const first = await write(page, 'kept', words(3));
      const second = await write(page, 'other', words(4, 80));
      for (let round = 0; round < 3; round++) {
        void page
          .evaluate((text) => globalThis.write('kept', text, 1000).catch(() => undefined), words(4, 80))
          .catch(() => undefined);
        const before = await page.evaluate(() => globalThis.saves);
        await page.waitForFunction((n) => globalThis.saves > n, before + 1 + round, { polling: 5 });
        await browser.reopen();
        page = await open(browser);
        const found = await read(page, 'kept');
        expect([first, second].map(({ usage, next }) => ({ usage, next }))).toContainEqual({
          usage: found.usage,
          next: found.next,
        });
        expect(await read(page, 'other')).toMatchObject({ usage: second.usage, next: second.next });
      }
    } finally {
      await browser.close();
    }
  }, 240_000);

  test('a full quota: the save says what it needs, what was saved stays; lasting storage is asked for', async () => {
    if (!available) return;
    const browser = await openBrowser();
    try {
      let page = await open(browser);
      // Before the first write: Chromium remembers for a while how much room it found.
      await (
        await browser.context.newCDPSession(page)
      ).send('Storage.overrideQuotaForOrigin', { origin: server.origin, quotaSize: 5_000_000 });
      const told = await write(page, 'small', words(2, 20));
      const refused = await write(page, 'large', words(5, 330));
      expect(refused.failed).toEqual([
        expect.stringMatching(/^StorageError quota: the session 'large' needs \d+ bytes.*'small'.*evict: true/),
      ]);
      expect(await read(page, 'small')).toMatchObject({ usage: told.usage, next: told.next });
      await browser.reopen();
      page = await open(browser);
      expect((await write(page, 'large', words(5, 330))).failed).toEqual([]);
      await (
        await browser.context.newCDPSession(page)
      ).send('Browser.grantPermissions', { origin: server.origin, permissions: ['durableStorage'] });
      const saved = await page.evaluate(async () => {
        const model: OctavoModel = await globalThis.face.load('/page/tiny.gguf', {
          device: 'wasm',
          threads: 1,
          store: false,
        });
        const one = await model.resumeSession('small');
        const result = await one.save('small', { persist: true });
        await model.destroy();
        return result;
      });
      expect(saved).toMatchObject({ name: 'small', persisted: true });
    } finally {
      await browser.close();
    }
  }, 240_000);
});
