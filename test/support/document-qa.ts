/** The application examples/document-qa, built once, served to a fresh origin, and driven as a person would. */
import { mkdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect } from '@jest/globals';
import { fileURLToPath } from 'node:url';
import type { BrowserContext, Locator, Page } from 'playwright-core';
import { hasBrowser, openBrowser } from '../../tools/browser.mjs';
import { buildExample } from '../../tools/examples.mjs';
import { serve } from '../../tools/static-server.mjs';

export const root = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));

const SHOTS = process.env['OCTAVO_SHOTS'];
const PICTURES = process.env['OCTAVO_PICTURES'] === '1';
export const PHONE = { width: 390, height: 844 };
export const LAPTOP = { width: 1280, height: 800 };
/** The narrowest and the widest that the application is made for. */
const WIDTHS = [360, 1440] as const;

/** In milliseconds: the first build installs what examples need. */
export const BUILD_TIME = 300_000;

export type Server = Awaited<ReturnType<typeof serve>>;

/** What was built, as an origin of its own, so that every story begins with nothing kept. */
export function serveDocuments(): Promise<Server> {
  return serve({ mounts: { '/': root('examples/document-qa/dist') } });
}

export interface Visit {
  readonly page: Page;
  /** Errors, complaints of the console, and what the content security policy refused. */
  readonly complaints: string[];
}

export async function visit(context: BrowserContext, { origin }: Server): Promise<Visit> {
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) =>
      console.error(`refused by ${violatedDirective}: ${blockedURI}`),
    );
  });
  await page.goto(`${origin}/`);
  return { page, complaints };
}

/** The stories of one file: a Chromium of their own, and the application built. */
export interface Stories {
  /** Undefined where no browser can be started: the stories are skipped. */
  readonly browser: Awaited<ReturnType<typeof openBrowser>> | undefined;
  /** A first visit to an origin on which nothing is kept. */
  fresh(): Promise<Visit & { readonly server: Server; readonly context: BrowserContext }>;
}

export function documentStories(): Stories {
  let browser: Stories['browser'];
  const servers: Server[] = [];
  beforeAll(async () => {
    if (!(await hasBrowser())) {
      console.warn('skipped: no browser could be started');
      return;
    }
    await buildExample('document-qa', { check: true });
    browser = await openBrowser();
  }, BUILD_TIME);
  afterAll(async () => {
    await browser?.close();
    for (const server of servers) await server.close().catch(() => undefined);
  });
  return {
    get browser() {
      return browser;
    },
    fresh: async () => {
      if (browser === undefined) throw new Error('no browser was started');
      const server = await serveDocuments();
      servers.push(server);
      const { context } = browser;
      return { server, context, ...(await visit(context, server)) };
    },
  };
}

/** Asks, and waits for the answer's text. */
export async function ask(page: Page, question: string): Promise<string> {
  // An earlier question may begin with the same words: it must not be taken for the one that is asked now.
  const alike = page.locator('.exchange', { hasText: question });
  const before = await alike.count();
  await page.fill('doc-composer textarea', question);
  await page.press('doc-composer textarea', 'Enter');
  return answerOf(alike.nth(before));
}

/** The answer to a question that was asked, in this tab or another one. */
export const answered = (page: Page, question: string): Promise<string> =>
  answerOf(page.locator('.exchange', { hasText: question }).last());

async function answerOf(exchange: Locator): Promise<string> {
  await exchange.locator('.answer[aria-busy=false] .actions').waitFor();
  return (await exchange.locator('.answer-text').innerText()).trim();
}

interface KeptExchange {
  readonly scope: string;
  readonly asked: number;
  readonly answer?: { readonly tokens: number };
}

/** The questions that the browser keeps, in the order in which they were asked. */
export async function keptExchanges(page: Page): Promise<readonly KeptExchange[]> {
  const kept = await page.evaluate(async () => {
    const request = indexedDB.open('document-qa');
    await new Promise((resolve, reject) => Object.assign(request, { onsuccess: resolve, onerror: reject }));
    const all = request.result.transaction('exchanges').objectStore('exchanges').getAll();
    await new Promise((resolve, reject) => Object.assign(all, { onsuccess: resolve, onerror: reject }));
    request.result.close();
    return all.result as KeptExchange[];
  });
  return kept.sort((a, b) => a.asked - b.asked);
}

/** Tokens that the model had to read for the last answer, besides those that it had read before. */
export async function tokensRead(page: Page): Promise<number> {
  return (await keptExchanges(page)).at(-1)?.answer?.tokens ?? NaN;
}

/** How long a document may take to be read on a machine that other suites share: 5,000 pages take 20 s of one core. */
const READING = 180_000;

/** Gives files as the file dialog does, and waits until all documents were read. */
export async function add(
  page: Page,
  ...files: readonly { readonly name: string; readonly mimeType: string; readonly buffer: Buffer }[]
): Promise<void> {
  await page.setInputFiles('#files', [...files]);
  for (const { name } of files) await page.locator('.entry-row', { hasText: name }).waitFor({ state: 'attached' });
  await page.waitForFunction(() => document.querySelector('.entry-row[data-state=waiting]') === null, undefined, {
    timeout: READING,
  });
}

interface AxeResult {
  readonly id: string;
  readonly impact: string;
  readonly help: string;
  readonly nodes: readonly { readonly target: readonly string[]; readonly failureSummary: string }[];
}

/** What axe finds serious or critical on the page as it stands. */
export async function axe(page: Page): Promise<readonly string[]> {
  const source = readFileSync(root('examples/node_modules/axe-core/axe.min.js'), 'utf8');
  await page.evaluate(source);
  const found = await page.evaluate(async () => {
    const { axe } = globalThis as unknown as { axe: { run(options: object): Promise<{ violations: AxeResult[] }> } };
    return (await axe.run({ resultTypes: ['violations'] })).violations;
  });
  return found
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(
      ({ id, help, nodes }) =>
        `${id}: ${help}: ${nodes.map(({ target, failureSummary }) => `${target.join(' ')} (${failureSummary})`).join('; ')}`,
    );
}

/** A file as `setInputFiles` takes it. */
export const file = (
  name: string,
  mimeType: string,
  text: string | Uint8Array,
): { name: string; mimeType: string; buffer: Buffer } => ({
  name,
  mimeType,
  buffer: Buffer.from(text),
});

let looks = 0;

/** By how many pixels the page, or what scrolls up and down in it, is wider than it is shown. */
async function tooWide(page: Page): Promise<number> {
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
  return page.evaluate(() =>
    Math.max(
      document.documentElement.scrollWidth - innerWidth,
      ...[...document.querySelectorAll('dialog[open] *, .thread, .thread *, .sidebar, .sidebar *')].map((one) =>
        getComputedStyle(one).overflowX === 'auto' ? one.scrollWidth - one.clientWidth : 0,
      ),
    ),
  );
}

/**
 * Looks at a state in both sizes, and for screenshots in both schemes: nothing is wider than the window, nothing is serious to axe; nor is anything wider than the
 * narrowest and the widest window. `OCTAVO_SHOTS` names a folder for screenshots of all states; `OCTAVO_PICTURES=1` renews those that the documentation shows.
 */
export async function look(page: Page, name: string, picture?: string): Promise<void> {
  const problems: string[] = [];
  looks++;
  if (SHOTS !== undefined) mkdirSync(SHOTS, { recursive: true });
  if (PICTURES) mkdirSync(root('docs/pictures'), { recursive: true });
  const schemes = ['light', 'dark'] as const;
  for (const [size, viewport] of [
    ['phone', PHONE],
    ['laptop', LAPTOP],
  ] as const)
    for (const colorScheme of schemes) {
      // Layout differs by size and colours by scheme, in all states alike: axe looks at each state once, at both kinds in turn.
      const checked =
        size === (looks % 2 === 0 ? 'phone' : 'laptop') && colorScheme === (looks % 2 === 0 ? 'dark' : 'light');
      const kept = PICTURES && picture !== undefined && colorScheme === 'light';
      if (colorScheme === 'dark' && !checked && SHOTS === undefined) continue;
      await page.setViewportSize(viewport);
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      const wide = await tooWide(page);
      if (wide > 0) problems.push(`${name} ${size}: ${wide} pixels too wide`);
      // Pages are drawn anew when their size has rested.
      if (SHOTS !== undefined || kept) await page.waitForTimeout(600);
      if (checked) problems.push(...(await axe(page)));
      if (SHOTS !== undefined) await page.screenshot({ path: `${SHOTS}/documents-${name}-${size}-${colorScheme}.png` });
      if (kept)
        await page.screenshot({ path: root(`docs/pictures/${picture}${size === 'phone' ? '-phone' : ''}.png`) });
    }
  for (const width of WIDTHS) {
    await page.setViewportSize({ width, height: LAPTOP.height });
    const wide = await tooWide(page);
    if (wide > 0) problems.push(`${name} at ${width}: ${wide} pixels too wide`);
  }
  await page.emulateMedia({ colorScheme: 'light', reducedMotion: 'no-preference' });
  await page.setViewportSize(LAPTOP);
  expect(problems).toEqual([]);
}
