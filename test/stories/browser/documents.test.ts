/** Documents in a real Chromium, on the built package, under a strict content security policy: a PDF read in a thread of its own, asked, and kept over a reload. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import type { Octavo as OctavoType } from '../../../src/index.ts';
import { hasBrowser, openBrowser } from '../../../tools/browser.mjs';
import { serve } from '../../../tools/static-server.mjs';
import { column, pdf } from '../../support/pdf.ts';

declare global {
  var Octavo: typeof OctavoType;
  var violations: string[];
  var ready: boolean;
}

const CSP =
  "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; connect-src 'self'; img-src 'self'; object-src 'none'";
const root = (path: string): string => fileURLToPath(new URL(`../../../${path}`, import.meta.url));

let available = false;
let server: Awaited<ReturnType<typeof serve>>;
beforeAll(async () => {
  available = (await hasBrowser()) && existsSync(root('dist/pdf-worker.js'));
  if (!available) console.warn('skipped: no browser could be started, or dist/ is not built');
  server = await serve({
    mounts: { '/dist/': root('dist'), '/test/': root('test/stories/browser'), '/models/': root('models/nano-text') },
    csp: CSP,
  });
}, 120_000);
afterAll(() => server.close());

/** nano's demo, two paragraphs a page. */
function demo(): string {
  const paragraphs = readFileSync(root('models/nano/demo.txt'), 'utf8').trim().split(/\n\n/).slice(1);
  const lines = (text = ''): string[] => (text.match(/.{1,80}(?:\s|$)/g) ?? []).map((line) => line.trim());
  const pages = [];
  for (let i = 0; i < paragraphs.length; i += 2) {
    const first = lines(paragraphs[i]);
    pages.push({
      texts: [...column(60, 760, first), ...column(60, 730 - 12 * first.length, lines(paragraphs[i + 1]))],
    });
  }
  return Buffer.from(pdf({ pages })).toString('base64');
}

async function open(page: Page): Promise<void> {
  await page.goto(`${server.origin}/test/page.html`);
  await page.waitForFunction(() => globalThis.ready);
}

test('a PDF is read off the page, searched, asked with its place, and there again after a reload', async () => {
  if (!available) return;
  const browser = await openBrowser();
  try {
    const page = await browser.context.newPage();
    const errors: string[] = [];
    page.on('pageerror', (error) => errors.push(error.message));
    page.setDefaultTimeout(0);
    const workers: string[] = [];
    page.on('worker', (worker) => workers.push(worker.url()));
    await open(page);
    const told = await page.evaluate(async (base64) => {
      const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
      const file = new File([bytes], 'harbour.pdf', { type: 'application/pdf' });
      const model = await globalThis.Octavo.load('/models/nano-text.gguf', { device: 'wasm' });
      const document = await model.openDocument(file);
      const [found] = await document.search('call sign of the Aurora');
      let streamed = '';
      const asked = document.ask('What is the call sign of the Aurora?', { mode: 'whole' });
      for await (const piece of asked) streamed += piece;
      const { text, citations, read } = await asked.finished;
      const library = await globalThis.Octavo.openLibrary('stories', { model });
      await library.add(file);
      await library.settled();
      const states = (await library.list()).map(({ name, state, pages }) => [name, state, pages]);
      await model.destroy();
      return { pages: document.pages.length, found: found?.page, streamed, text, citations, read, states };
    }, demo());
    expect(told).toMatchObject({
      pages: 4,
      found: 1,
      streamed: 'KX-417',
      text: 'KX-417',
      read: { description: 'all 4 pages' },
    });
    expect(told.citations[0]).toMatchObject({ page: 1, quote: 'KX-417', kind: 'exact', name: 'harbour.pdf' });
    expect(told.citations[0]?.rectangles).toHaveLength(1);
    expect(told.states).toEqual([['harbour.pdf', 'ready', 4]]);
    expect(workers.some((url) => url.endsWith('/dist/pdf-worker.js'))).toBe(true);

    await open(page);
    const later = await page.evaluate(async () => {
      const library = await globalThis.Octavo.openLibrary('stories');
      const [found] = await library.search('mayor of Marston');
      const removed = await library.remove(found?.document ?? '');
      return { text: found?.text, page: found?.page, removed, left: (await library.list()).length };
    });
    expect(later).toMatchObject({ page: 4, removed: true, left: 0 });
    expect(later.text).toContain('Thelmira');
    expect(await page.evaluate(() => globalThis.violations)).toEqual([]);
    expect(errors).toEqual([]);
  } finally {
    await browser.close();
  }
}, 120_000);

test('Chinese, Japanese and Korean PDFs that name character maps are read with those of the package, and nothing else is asked for', async () => {
  if (!available) return;
  const lines = {
    F5: '港口的灯塔建于一九二六年。',
    F6: '灯台は港の北にあります。',
    F7: '등대는 항구 북쪽에 있다.',
  } as const;
  const bytes = pdf({
    pages: (['F5', 'F6', 'F7'] as const).map((font) => ({ texts: [{ x: 60, y: 700, text: lines[font], font }] })),
  });
  const browser = await openBrowser();
  try {
    const page = await browser.context.newPage();
    page.setDefaultTimeout(0);
    const elsewhere: string[] = [];
    page.on('request', (request) => {
      if (!request.url().startsWith(server.origin) && /^https?:/.test(request.url())) elsewhere.push(request.url());
    });
    await open(page);
    const before = server.requests.length;
    const read = await page.evaluate(async (base64) => {
      const letters = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
      const document = await globalThis.Octavo.openDocument(letters);
      const [found] = await document.search('항구');
      return { text: document.text, pages: document.pages.map(({ kind }) => kind), found: found?.text };
    }, Buffer.from(bytes).toString('base64'));
    expect(read.text.split(/\s*\n\s*/)).toEqual(Object.values(lines));
    expect(read.pages).toEqual(['text', 'text', 'text']);
    expect(server.requests.slice(before).map(({ path }) => path)).toContain('/dist/character-maps.js');
    expect(elsewhere).toEqual([]);
    expect(await page.evaluate(() => globalThis.violations)).toEqual([]);
  } finally {
    await browser.close();
  }
}, 120_000);
