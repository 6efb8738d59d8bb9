/** The studio, used as a person on a phone would: paint, edit what was painted, ask about it, on the built package in Chromium. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { hasBrowser, openBrowser } from '../../../tools/browser.mjs';
import { serve } from '../../../tools/static-server.mjs';

const root = (path: string): string => fileURLToPath(new URL(`../../../${path}`, import.meta.url));
/** Where screenshots go when someone wants to look at them. */
const SHOTS = process.env['OCTAVO_SHOTS'];
const CSP =
  "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; object-src 'none'";

let available = false;
let server: Awaited<ReturnType<typeof serve>>;
let browser: Awaited<ReturnType<typeof openBrowser>>;

beforeAll(async () => {
  available = await hasBrowser();
  if (!available) {
    console.warn('skipped: no browser could be started');
    return;
  }
  server = await serve({
    mounts: { '/': root('examples/studio'), '/octavo/dist/': root('dist'), '/octavo/models/': root('models') },
    csp: CSP,
  });
  browser = await openBrowser();
  if (SHOTS !== undefined) mkdirSync(SHOTS, { recursive: true });
}, 120_000);

afterAll(async () => {
  if (!available) return;
  await browser.close();
  await server.close();
});

async function shot(page: Page, name: string): Promise<void> {
  if (SHOTS !== undefined) await page.screenshot({ path: `${SHOTS}/${name}.png`, fullPage: true });
}

/** Different colours on a canvas: a blank one has one. */
const colours = (selector: string): number => {
  const canvas = document.querySelector<HTMLCanvasElement>(selector)!;
  const { data } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height);
  return new Set(new Uint32Array(data.buffer)).size;
};

describe('studio in Chromium', () => {
  test('paints, edits the painting, and answers about it', async () => {
    if (!available) return;
    const page = await browser.context.newPage();
    const errors: string[] = [];
    page.on('pageerror', (error) => errors.push(error.message));
    page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
    await page.setViewportSize({ width: 390, height: 844 });
    await page.goto(`${server.origin}/`);
    await page.waitForFunction(() => document.body.dataset['ready'] === 'true', undefined, { timeout: 60_000 });
    page.setDefaultTimeout(60_000);
    await shot(page, '1-talk-empty');

    await page.click('#tab-paint');
    await page.fill('#paint textarea', 'a red circle northwest and a blue star southeast');
    await page.click('#paint summary');
    await page.fill('#paint input[name=seed]', '7');
    await page.click('#paint button[name=go]');
    await page.waitForSelector('#paint .pictures [data-do=edit]:visible');
    expect(await page.evaluate(colours, '#paint .pictures canvas')).toBeGreaterThan(1);
    expect(await page.textContent('#paint figcaption')).toContain('seed 7');
    await shot(page, '2-painted');

    await page.click('#paint [data-do=edit]');
    await page.waitForSelector('#edit:visible #original:visible');
    await page.fill('#edit textarea', 'Remove the blue star');
    await page.click('#edit button[name=go]');
    await page.waitForSelector('#edit .pictures [data-do=ask]:visible');
    await shot(page, '3-edited');

    await page.click('#edit [data-do=ask]');
    await page.waitForSelector('#attached:visible');
    await page.fill('#question', 'What colour is the circle?');
    await page.click('#send');
    await page.waitForSelector('#messages .assistant small');
    expect((await page.textContent('#messages .assistant'))?.trim()).toMatch(/^\w+/);
    expect(await page.locator('#messages .user canvas').count()).toBe(1);
    await shot(page, '4-asked');

    // The conversation outlives a reload, and goes on.
    const asked = await page.textContent('#messages');
    await page.waitForFunction(() => localStorage.length > 0);
    await page.reload();
    await page.waitForFunction(() => document.body.dataset['ready'] === 'true', undefined, { timeout: 60_000 });
    expect((await page.textContent('#messages'))?.replace(/\d+ ms.*/, '')).toBe(asked?.replace(/\d+ ms.*/, ''));
    expect(await page.locator('#messages .user canvas').count()).toBe(1);
    await page.fill('#question', 'How many shapes are there?');
    await page.click('#send');
    await page.waitForSelector('#messages .assistant small');
    expect(errors).toEqual([]);
    await page.close();
  }, 240_000);

  test('a file that is no picture and a painting that is stopped are told, and the page goes on', async () => {
    if (!available) return;
    const page = await browser.context.newPage();
    await page.goto(`${server.origin}/`);
    await page.waitForFunction(() => document.body.dataset['ready'] === 'true', undefined, { timeout: 60_000 });
    await page.click('#tab-edit');
    await page.setInputFiles('#source', {
      name: 'no.png',
      mimeType: 'image/png',
      buffer: Buffer.from('not a picture'),
    });
    await page.waitForFunction(() => document.querySelector('#edit .left')!.textContent !== '');
    expect(await page.isDisabled('#edit button[name=go]')).toBe(true);

    await page.click('#tab-paint');
    await page.fill('#paint textarea', 'a green square southwest');
    await page.click('#paint summary');
    await page.fill('#paint input[name=diffusionSteps]', '900');
    await page.click('#paint button[name=go]');
    await page.click('#paint button[name=stop]');
    await page.waitForFunction(() => document.querySelector('#paint .left')!.textContent === 'stopped');
    expect(await page.locator('#paint .pictures figure').count()).toBe(0);
    await page.fill('#paint input[name=diffusionSteps]', '');
    await page.click('#paint button[name=go]');
    await page.waitForSelector('#paint .pictures [data-do=save]:visible', { timeout: 60_000 });
    await page.close();
  }, 240_000);

  test('a file that is no model leaves the model and the conversation; all is reached by keyboard; long conversations scroll', async () => {
    if (!available) return;
    const page = await browser.context.newPage();
    await page.setViewportSize({ width: 390, height: 600 });
    await page.goto(`${server.origin}/`);
    await page.waitForFunction(() => document.body.dataset['ready'] === 'true', undefined, { timeout: 60_000 });
    page.setDefaultTimeout(60_000);
    await shot(page, '5-welcome');
    const ask = async (text: string): Promise<void> => {
      const before = await page.locator('#messages .assistant small').count();
      await page.fill('#question', text);
      await page.press('#question', 'Enter');
      await page.waitForFunction(
        (count) => document.querySelectorAll('#messages .assistant small').length > count,
        before,
      );
    };
    for (let i = 0; i < 8; i++) await ask('The code of the north gate is 4711. What is the code of the north gate?');
    // The newest line is above the form, not behind it.
    const { line, form } = await page.evaluate(() => ({
      line: document.querySelector('#messages li:last-child')!.getBoundingClientRect().bottom,
      form: document.querySelector('#ask')!.getBoundingClientRect().top,
    }));
    expect(line).toBeLessThanOrEqual(form + 1);
    const lines = await page.locator('#messages li').count();
    await page.setInputFiles('#file', { name: 'no.gguf', mimeType: 'model/gguf', buffer: Buffer.from('no model') });
    await page.waitForFunction(() => document.querySelector('#status')!.textContent!.includes('still: nano'));
    expect(await page.locator('#messages li').count()).toBe(lines);
    await ask('Bob lives in Rome. Where does Bob live?');
    await shot(page, '6-scrolled');

    const reached = new Set<string>();
    await page.focus('body');
    for (let i = 0; i < 12; i++) {
      await page.keyboard.press('Tab');
      reached.add(await page.evaluate(() => document.activeElement?.id ?? ''));
    }
    expect([...reached]).toEqual(expect.arrayContaining(['file', 'attach', 'question']));
    await page.click('#tab-paint');
    await page.fill('#paint textarea', 'a red circle northwest');
    await page.press('#paint textarea', 'Enter');
    await page.waitForSelector('#paint .pictures [data-do=edit]:visible');
    await page.close();
  }, 240_000);
});
