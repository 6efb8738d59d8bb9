/**
 * Text in pictures in the document application, without a network from the first visit on: offered, cancelled, recognised page by page, found, and cited on the picture
 * of its page. What recognises it are files of the application.
 */
import { expect, test } from '@jest/globals';
import type { Page } from 'playwright-core';
import { add, ask, documentStories, file, LAPTOP, look } from '../../support/document-qa.ts';
import { atFirstSight } from '../../support/first-sight.ts';
import { pdf } from '../../support/pdf.ts';
import { scan } from '../../support/scan.ts';

const stories = documentStories();

/** A small page at 150 dots an inch. */
const PAGE = { width: 640, height: 400, size: 24, top: 90 };
const GATES = ['The code of the north gate is 4711.', 'The code of the south gate is 2024.'];

/** Where the mark is on its page, in shares of the page's sides. */
const marked = (page: Page): Promise<readonly number[]> =>
  page.evaluate(() => {
    const mark = document.querySelector('.mark')!.getBoundingClientRect();
    const sheet = document.querySelector('.sheet:has(.mark)')!.getBoundingClientRect();
    return [
      (mark.left - sheet.left) / sheet.width,
      (mark.right - sheet.left) / sheet.width,
      (mark.bottom - sheet.top) / sheet.height,
    ];
  });

test('a scanned PDF and a photograph are offered recognition, and cited on their pictures, without a network', async () => {
  if (stories.browser === undefined) return;
  const { page, server, context, complaints } = await stories.fresh();
  await page.setViewportSize(LAPTOP);
  await page.waitForSelector('.model-button[data-state=ready]');
  await page.waitForFunction(() => navigator.serviceWorker.controller !== null, undefined, { timeout: 150_000 });
  await server.close();
  await context.setOffline(true);
  try {
    const picture = scan(GATES, PAGE);
    const other = scan(['The harbour has nine cranes.'], PAGE);
    const size = { width: 307, height: 192 };
    await add(
      page,
      file(
        'gates.pdf',
        'application/pdf',
        pdf({
          pages: [
            { ...size, picture: other },
            { ...size, picture },
          ],
        }),
      ),
    );
    await page.waitForSelector('.start .recognition:has-text("2 of 2 pages are pictures of text")');
    await look(page, 'scan');
    // Cancelled as soon as it begins, it is as it was.
    const cancelled = await atFirstSight(page, '.start .recognition:has(progress) .button', 'click');
    await page.click('.start >> text=Recognise text');
    await cancelled();
    await page.waitForSelector(
      '.start .recognition:has-text("2 of 2 pages are pictures of text") >> text=Recognise text',
    );
    expect(await page.locator('.recognition progress').count()).toBe(0);

    await page.click('.start >> text=Recognise text');
    await page.waitForSelector('.start :text("single letters may be wrong")');
    expect(await page.locator('.recognition').count()).toBe(0);
    expect(await ask(page, 'What is the code of the north gate?')).toMatch(/^4711/);
    const quote = page.locator('.quote');
    expect((await quote.innerText()).replace(/\s+/g, ' ')).toBe(
      '1 The code of the north gate is 4711. p. 2 · recognised text',
    );
    await quote.click();
    await page.waitForSelector('.sheet[data-page="2"] .drawn canvas');
    await page.waitForSelector('.mark');
    const { left, right, baseline } = picture.place(0, '4711');
    const [from = 0, to = 0, bottom = 0] = await marked(page);
    expect(Math.abs(from - left / PAGE.width)).toBeLessThan(0.02);
    expect(Math.abs(to - right / PAGE.width)).toBeLessThan(0.02);
    expect(Math.abs(bottom - baseline / PAGE.height)).toBeLessThan(0.04);
    await look(page, 'scan-cited');
    await page.keyboard.press('Escape');

    // A photograph; and the documents are there after a reload, with what was recognised.
    await add(page, file('photo.png', 'image/png', scan(['The code of the east gate is 9012.'], PAGE).png));
    await page.waitForSelector('.start .recognition:has-text("This is a picture of text")');
    await page.keyboard.press('v');
    await page.waitForSelector('.sheet .drawn img');
    await page.click('.viewer .recognition >> text=Recognise text');
    await page.waitForSelector('.start :text("single letters may be wrong")');
    await page.reload();
    await page.waitForSelector('.model-button[data-state=ready]');
    expect(await ask(page, 'What is the code of the east gate?')).toMatch(/^9012/);
    await page.click('.quote');
    await page.waitForSelector('.sheet .drawn img');
    await page.waitForSelector('.mark');
    await look(page, 'photo');
    expect(complaints.filter((one) => !/ERR_(INTERNET_DISCONNECTED|CONNECTION_REFUSED|FAILED)/.test(one))).toEqual([]);
  } finally {
    await context.setOffline(false);
  }
  await page.close();
}, 240_000);
