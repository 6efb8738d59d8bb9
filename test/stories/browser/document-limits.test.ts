/**
 * The document application at its limits: a PDF of five thousand pages, a question that no context holds, and a browser that gives no more room. Each is told in words, and
 * what was there before stays.
 */
import { expect, test } from '@jest/globals';
import type { Page } from 'playwright-core';
import { add, ask, documentStories, file, LAPTOP, look } from '../../support/document-qa.ts';
import { pdf } from '../../support/pdf.ts';

const PAGES = 5000;
const AMBER = 4322;

const stories = documentStories();

/** What the application says of a question that is not answered. */
async function told(page: Page, question: string): Promise<string> {
  await page.fill('doc-composer textarea', question);
  await page.press('doc-composer textarea', 'Enter');
  const exchange = page.locator('.exchange').last();
  await exchange.locator('text=Choose a model').waitFor();
  return exchange.innerText();
}

test('five thousand pages are drawn where one looks, and cited', async () => {
  if (stories.browser === undefined) return;
  const { page, complaints } = await stories.fresh();
  await page.setViewportSize(LAPTOP);
  await page.waitForSelector('.model-button[data-state=ready]');
  const pages = Array.from({ length: PAGES }, (_, i) => ({
    texts: [{ x: 60, y: 700, text: `The code of hall ${i + 1} is ${i + 1 === AMBER ? 'amber' : `oak ${i + 1}`}.` }],
  }));
  await add(page, file('ships.pdf', 'application/pdf', pdf({ pages })));
  await page.click('.entry:has-text("ships.pdf")');
  expect(await page.innerText('.entry:has-text("ships.pdf")')).toContain('5,000 pages');
  await page.click('[aria-label="Show the document"]');
  await page.fill('.page-number input', '4999');
  await page.press('.page-number input', 'Enter');
  await page.waitForSelector('.sheet[data-page="4999"] .drawn canvas');
  expect(await page.innerText('.sheet[data-page="4999"]')).toContain('oak 4999');
  expect(await page.locator('.sheet canvas').count()).toBeLessThan(20);
  expect(complaints).toEqual([]);
  await page.close();
}, 240_000);

test('a question that no context holds is refused with its size, and the next one is answered', async () => {
  if (stories.browser === undefined) return;
  const { page, complaints } = await stories.fresh();
  await page.setViewportSize(LAPTOP);
  await page.waitForSelector('.model-button[data-state=ready]');
  await add(page, file('gates.txt', 'text/plain', 'The code of the north gate is 4711.'));
  await page.click('.entry:has-text("gates.txt")');
  // Longer than a question of a person: it is not sent, and nothing of it is lost.
  const pasted = `What is the code of the north gate? ${'Please be exact. '.repeat(6000)}`;
  await page.fill('doc-composer textarea', pasted);
  await page.press('doc-composer textarea', 'Enter');
  await page.waitForSelector('.composer-note:has-text("at most 8,000 characters")');
  expect(await page.inputValue('doc-composer textarea')).toBe(pasted);
  expect(await page.locator('.exchange').count()).toBe(0);
  await look(page, 'pasted-question');
  // More tokens than the model holds: the model's limit is told.
  expect(await told(page, `What is the code of the north gate? ${'北門'.repeat(3900)}`)).toMatch(
    /The question has \d+ tokens .*window of \d+; ask a shorter one/,
  );
  await look(page, 'overlong');
  // It does not fill the screen, until somebody wants to see all of it.
  const height = (): Promise<number> => page.locator('.question').evaluate((one) => one.clientHeight);
  expect(await height()).toBeLessThan(200);
  await page.click('.fold >> text=Show all');
  expect(await height()).toBeGreaterThan(2000);
  await page.click('.fold >> text=Show less');
  expect(await height()).toBeLessThan(200);
  // It would be too long again: it is given back to be shortened.
  await page.click('text=Change the question');
  await page.waitForFunction(() => document.querySelector('.exchange') === null);
  expect(await page.inputValue('doc-composer textarea')).toMatch(/^What is the code of the north gate\? 北門/);
  expect(await ask(page, 'What is the code of the north gate?')).toMatch(/^4711/);
  // A text that is too long to be read whole is read by its passages.
  await add(
    page,
    file('towers.txt', 'text/plain', `${'Wind came from the sea. '.repeat(4000)}\n\nThe code of the tower is 8253.`),
  );
  await page.click('.entry:has-text("towers.txt")');
  await page.selectOption('doc-composer .mode', 'whole');
  expect(await told(page, 'What is the code of the tower?')).toContain('Mode whole');
  await look(page, 'whole-too-long');
  await page.click('text=Read the best passages');
  await page.waitForSelector('.exchange .answer-text:has-text("8253")');
  expect(complaints).toEqual([]);
  await page.close();
}, 240_000);

test('without room the document that does not fit is told, and those that are there are asked as before', async () => {
  if (stories.browser === undefined) return;
  const { page, server, context } = await stories.fresh();
  await page.setViewportSize(LAPTOP);
  // Before the first write: Chromium remembers for a while how much room it found.
  const session = await context.newCDPSession(page);
  const quota = (quotaSize?: number): Promise<unknown> =>
    session.send('Storage.overrideQuotaForOrigin', { origin: server.origin, ...(quotaSize ? { quotaSize } : {}) });
  await quota(6_000_000);
  await page.reload();
  await page.waitForSelector('.model-button[data-state=ready]');
  await add(page, file('gates.txt', 'text/plain', 'The code of the north gate is 4711.'));
  const large = file('large.txt', 'text/plain', 'A long report about nothing. '.repeat(300_000));
  await page.setInputFiles('#files', [large]);
  const toast = page.locator('.toast', { hasText: '“large.txt” could not be added' });
  await toast.waitFor();
  await look(page, 'full');
  await page.click('.entry:has-text("gates.txt")');
  expect(await ask(page, 'What is the code of the north gate?')).toMatch(/^4711/);
  await page.close();
}, 240_000);
