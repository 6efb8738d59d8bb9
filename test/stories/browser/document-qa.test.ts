/**
 * The document application in a real Chromium, on its production build: every flow a person takes, on a phone and on a laptop, light and dark, under its strict policy.
 * `OCTAVO_SHOTS` names a folder for screenshots of all states; `OCTAVO_PICTURES=1` renews those that the documentation shows.
 */
import { describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import {
  add,
  answered,
  ask,
  file,
  keptExchanges,
  LAPTOP,
  look,
  root,
  documentStories,
  tokensRead,
  visit,
} from '../../support/document-qa.ts';
import { column, pdf } from '../../support/pdf.ts';

const stories = documentStories();
const gates = (): Buffer => Buffer.from('The code of the north gate is 4711. The code of the south gate is 2024.');

describe('document QA in Chromium', () => {
  test('from nothing to a cited answer with its place on the page', async () => {
    if (stories.browser === undefined) return;
    const { page, complaints } = await stories.fresh();
    await page.setViewportSize(LAPTOP);
    await page.waitForSelector('.empty-card');
    // What the first paint waits for is small: on a quiet machine it comes within 0.4 s. (Times are no matter of tests.)
    const built = (path: string): Buffer => readFileSync(root(`examples/document-qa/dist/${path}`));
    const needed = [
      ...built('index.html')
        .toString()
        .matchAll(/(?:src|href)="\.\/(assets\/[^"]+\.(?:js|css))"/g),
    ];
    expect(needed.length).toBeGreaterThan(1);
    const sizes = needed.map(([, path = '']) => gzipSync(built(path)).length);
    expect(sizes.reduce((sum, one) => sum + one, 0)).toBeLessThan(90_000);
    await look(page, 'empty');

    await page.click('.empty-card >> text=Try a sample');
    await page.waitForSelector('.suggestion');
    await look(page, 'start');
    await page.waitForSelector('.model-button[data-state=ready]');

    // Nothing moves while the answer comes, but for what it pushes down itself.
    await page.evaluate(() => {
      const shifts = globalThis as unknown as { shift: number };
      shifts.shift = 0;
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries() as unknown as { value: number; hadRecentInput: boolean }[])
          if (!entry.hadRecentInput) shifts.shift += entry.value;
      }).observe({ type: 'layout-shift' });
    });
    expect(await ask(page, 'What is the call sign of the Aurora?')).toMatch(/^KX-417/);
    expect(await ask(page, 'How tall is the lighthouse?')).toMatch(/^43 metres/);
    expect(await page.evaluate(() => (globalThis as unknown as { shift: number }).shift)).toBeLessThan(0.05);
    const quote = page.locator('.exchange', { hasText: 'lighthouse' }).locator('.quote');
    expect((await quote.innerText()).replace(/\s+/g, ' ')).toBe('1 The height of the lighthouse is 43 metres. p. 2');
    expect(await page.locator('.unseen[role=status]').last().textContent()).toMatch(
      /^Answer: 43 metres.* 1 citation\.$/,
    );
    await look(page, 'answers');

    // By keyboard: the chip shows the quote, Enter the page, Escape brings the focus back.
    await page.locator('.thread').focus();
    await page.keyboard.press('n');
    await page.keyboard.press('n');
    await page.waitForSelector('.quote-card:not([hidden])');
    expect(await page.textContent('.quote-card mark')).toMatch(/^43 metres/);
    await page.keyboard.press('Enter');
    await page.waitForSelector('.sheet[data-page="2"] .drawn canvas');
    await page.waitForFunction(() => {
      const mark = document.querySelector('.mark')?.getBoundingClientRect();
      const view = document.querySelector('doc-pdf')?.getBoundingClientRect();
      return (
        mark !== undefined && view !== undefined && mark.top > view.top && mark.bottom < view.bottom && mark.width > 20
      );
    });
    // The words below the mark are those that are cited: the letters that pdf.js placed there say so.
    const marked = await page.evaluate(() => {
      const { left, top, width, height } = document.querySelector('.mark')!.getBoundingClientRect();
      return document
        .elementsFromPoint(left + width / 2, top + height / 2)
        .find((one) => one.closest('.letters') && one.tagName === 'SPAN')?.textContent;
    });
    expect(marked).toContain('43 metres');
    expect(await page.inputValue('.page-number input')).toBe('2');
    await look(page, 'page', 'documents');
    await page.keyboard.press('Escape');
    await page.waitForSelector('.viewer', { state: 'hidden' });
    expect(await page.evaluate(() => document.activeElement?.className)).toMatch(/^chip/);

    // What is not there is said to be not there.
    expect(await ask(page, 'Who won the cup in Brazil?')).toBe('This does not seem to be in the document.');
    expect(await page.locator('.exchange').last().locator('.quote').count()).toBeGreaterThan(0);
    await look(page, 'absent');
    // The size of the window has changed, and the end of the conversation is still there.
    expect(
      await page.locator('.thread').evaluate((one) => one.scrollHeight - one.scrollTop - one.clientHeight),
    ).toBeLessThan(2);
    const [exported] = await Promise.all([
      page.waitForEvent('download'),
      page.click('[aria-label="Export with quotes"]'),
    ]);
    const text = readFileSync(await exported.path(), 'utf8');
    expect(text).toContain('## How tall is the lighthouse?');
    expect(text).toMatch(/43 metres\\?\.?\[\^2\]/);
    expect(text).toMatch(
      /\[\^2\]: The height of the lighthouse is \*\*43 metres\*\*\. — Notes from the harbour\.pdf, p\. 2 \(Stands there word for word\)/,
    );
    expect(complaints).toEqual([]);
    await page.close();
  }, 240_000);

  test('documents of every kind: hostile, damaged and locked ones, together and one by one', async () => {
    if (stories.browser === undefined) return;
    const { page, complaints } = await stories.fresh();
    await page.setViewportSize(LAPTOP);
    await page.waitForSelector('.empty-card');
    await add(
      page,
      file('gates.txt', 'text/plain', gates()),
      file(
        'mayor.md',
        'text/markdown',
        '# Town\n\n## Offices\n\nThe mayor of Dorby is Bertha. <img src=x onerror="document.body.dataset.ran=1">',
      ),
      file(
        'hostile.html',
        'text/html',
        '<h1>Prices</h1><script>document.body.dataset.ran = 1</script><p onclick="x()">The fare for the train to Oslo is 31 euros.</p><iframe src="javascript:parent.document.body.dataset.ran=1"></iframe>',
      ),
      file('list.csv', 'text/csv', 'name,amount\nAnn,12\nBob,15\n'),
      file('broken.pdf', 'application/pdf', '%PDF-1.7 and nothing else'),
      file(
        'locked.pdf',
        'application/pdf',
        pdf({ pages: [{ texts: column(60, 700, ['The code of the east gate is 9012.']) }], password: 'sesame' }),
      ),
    );
    expect(await page.locator('.entry-row[data-state=failed]').count()).toBe(2);
    // Several at once are asked together; how many are there is told when they were read.
    await page.waitForSelector('.entry.all[aria-current=true]');
    await page.waitForSelector('oct-toasts :text("5 documents were added.")');
    await page.waitForSelector('oct-toasts :text("1 file could not be read: broken.pdf")');
    await page.click('.entry:has-text("broken.pdf")');
    await page.waitForSelector('.start .problem');
    await look(page, 'failed');
    expect(await page.textContent('.start .problem')).toContain('The file is damaged');
    expect(await page.isDisabled('doc-composer textarea')).toBe(true);

    // The wrong password, then the right one.
    await page.click('.entry-row:has-text("locked.pdf") >> text=Open');
    await page.fill('dialog[open] input', 'wrong');
    await page.keyboard.press('Enter');
    await page.waitForSelector('dialog[open] .field-problem:has-text("not the password")');
    await look(page, 'password');
    await page.fill('dialog[open] input', 'sesame');
    await page.keyboard.press('Enter');
    await page.waitForSelector('.entry-row[data-state=ready] .entry[aria-current=true]:has-text("locked.pdf")');

    await page.click('.entry:has-text("hostile.html")');
    await page.waitForSelector('.suggestion, .notice');
    await page.keyboard.press('v');
    await page.waitForSelector('doc-text :text("31 euros")');
    expect(await page.locator('doc-text script, doc-text img, doc-text iframe, doc-text [onclick]').count()).toBe(0);
    await page.click('.entry:has-text("mayor.md")');
    await page.waitForSelector('doc-text :text("Bertha")');
    expect(await page.evaluate(() => document.body.dataset['ran'])).toBeUndefined();

    // Search finds the words, and marks them.
    await page.locator('.thread').focus();
    await page.keyboard.press('f');
    await page.keyboard.type('bertha');
    await page.waitForSelector('.hits button');
    await look(page, 'search');
    // Text has no pages to name, and the dots end where the text does.
    expect(await page.locator('.hits').first().innerText()).not.toMatch(/p\. ?1|…/);
    await page.click('.hits button >> nth=0');
    expect(await page.textContent('doc-text mark')).toBe('Bertha');
    await page.keyboard.press('Escape');

    // One question to all of them names the document.
    await page.click('.entry.all');
    expect(await ask(page, 'What is the code of the south gate?')).toMatch(/^2024/);
    expect((await page.locator('.quote').first().innerText()).replace(/\s+/g, ' ')).toContain('gates.txt');
    await page.click('.chip >> nth=0');
    await page.waitForSelector('doc-text mark');
    expect(await page.textContent('doc-text mark')).toBe('2024');
    await look(page, 'all');

    // A short document is read while the question is written; all that is left to read is the question.
    await add(page, file('harbour.txt', 'text/plain', readFileSync(root('models/nano/demo.txt'), 'utf8')));
    await page.click('.entry:has-text("harbour.txt")');
    expect(await ask(page, 'Which code opens the lighthouse?')).toMatch(/^7T20/);
    expect(await tokensRead(page)).toBeLessThan(64);
    // The question itself is read when its writing rests, and nothing is left to read when it is asked.
    let unread = NaN;
    // How long the page needs to begin depends on what else the machine does.
    for (const wait of [1000, 5000, 20_000]) {
      await page.fill('doc-composer textarea', 'Who leads project Atlas?');
      await page.waitForTimeout(wait);
      expect(await ask(page, 'Who leads project Atlas?')).toMatch(/^Samuel/);
      unread = await tokensRead(page);
      if (unread === 1) break;
    }
    expect(unread).toBe(1);

    // Removed, and gone.
    await page.hover('.entry-row:has-text("gates.txt")');
    await page.click('[aria-label="Remove gates.txt"]');
    await page.waitForSelector('dialog[open]');
    await look(page, 'remove');
    await page.click('dialog[open] .danger');
    await page.waitForSelector('.entry-row:has-text("gates.txt")', { state: 'detached' });
    // The error that nobody dismissed is gone once it has been there for a while and people work on.
    await page.waitForFunction(() => {
      document.body.dispatchEvent(new Event('input', { bubbles: true }));
      return document.querySelector('.toast.error') === null;
    });
    expect(complaints).toEqual([]);
    await page.close();
  }, 240_000);

  test('without a network after one visit, and after a reload', async () => {
    if (stories.browser === undefined) return;
    const { page, server, context, complaints } = await stories.fresh();
    await page.setViewportSize(LAPTOP);
    await page.waitForSelector('.model-button[data-state=ready]');
    await page.click('.empty-card >> text=Try a sample');
    await page.waitForSelector('.suggestion');
    expect(await ask(page, 'What is the call sign of the Aurora?')).toMatch(/^KX-417/);
    // The service worker has put everything by.
    await page.waitForFunction(
      async () => (await navigator.serviceWorker.ready).active?.state === 'activated',
      undefined,
      { timeout: 150_000 },
    );
    await server.close();
    await context.setOffline(true);
    try {
      await page.reload();
      await page.waitForSelector('.model-button[data-state=ready]');
      await page.waitForSelector('.offline');
      expect(await page.locator('.exchange').count()).toBe(1);
      expect(await ask(page, 'How tall is the lighthouse?')).toMatch(/^43 metres/);
      await page.click('.quote >> nth=1');
      await page.waitForSelector('.sheet[data-page="2"] .drawn canvas');
      // The first PDF that is opened without a network is drawn, too, also where it needs one of Adobe's character maps.
      await add(
        page,
        file(
          'later.pdf',
          'application/pdf',
          pdf({
            pages: [
              {
                texts: [
                  ...column(60, 700, ['The code of the north gate is 4711.']),
                  { x: 60, y: 600, text: '灯台は港の北にあります。', font: 'F6' },
                ],
              },
            ],
          }),
        ),
      );
      await page.waitForSelector('.sheet .drawn canvas');
      await page.waitForSelector('.sheet .letters:has-text("灯台は港の北にあります。")');
      await look(page, 'offline');
      expect(complaints.filter((one) => !/ERR_(INTERNET_DISCONNECTED|CONNECTION_REFUSED|FAILED)/.test(one))).toEqual(
        [],
      );
    } finally {
      await context.setOffline(false);
    }
    await page.close();
  }, 240_000);

  test('closed in mid-reading, two tabs at once, evicted storage, a model that is removed', async () => {
    if (stories.browser === undefined) return;
    const { page, server, context } = await stories.fresh();
    await page.setViewportSize(LAPTOP);
    await page.waitForSelector('.empty-card');
    const lines = Array.from({ length: 40 }, (_, i) => `Line ${i} of a long report about nothing in particular.`);
    const long = pdf({ pages: Array.from({ length: 300 }, () => ({ texts: column(60, 780, lines) })) });
    await page.setInputFiles('#files', [
      file('gates.txt', 'text/plain', gates()),
      file('long.pdf', 'application/pdf', long),
    ]);
    await page.locator('.entry:has-text("long.pdf") progress').waitFor();
    expect(await page.innerText('.entry:has-text("long.pdf")')).toMatch(/Page \d+ of 300/);
    await look(page, 'reading');
    await page.click('[aria-label="Pause reading"]');
    await page.waitForSelector('.entry-row:has-text("long.pdf"):has-text("Reading is paused")');

    // A question to all documents waits for those that are not read yet; the reload takes neither from it. All of it
    // happens within the page, since a busy machine reads the document faster than it takes another command.
    await page.click('.entry.all');
    await page.fill('doc-composer textarea', 'What is line 7 about?');
    const reloaded = page.waitForEvent('load');
    await page.evaluate(() => {
      new MutationObserver(() => {
        const told = document.querySelector('.exchange .meta')?.textContent ?? '';
        if (told.includes('Waits until all documents are read, 1 of 2')) location.reload();
      }).observe(document.body, { subtree: true, childList: true, characterData: true });
      document.querySelector<HTMLElement>('[aria-label="Go on reading"]')?.click();
      document.querySelector<HTMLElement>('doc-composer .send')?.click();
    });
    await reloaded;
    await page.waitForSelector('.exchange .meta:has-text("Not answered")');
    // A conversation that is cleared while a question waits stays cleared.
    await page.fill('doc-composer textarea', 'What is line 9 about?');
    await page.press('doc-composer textarea', 'Enter');
    await page.waitForSelector('.exchange:has-text("line 9") .meta');
    await page.click('[aria-label="Clear this conversation"]');
    await page.click('dialog[open] .danger');
    await page.waitForSelector('.exchange', { state: 'detached' });
    const other = (await visit(context, server)).page;
    await other.setViewportSize(LAPTOP);
    await other.waitForFunction(
      () => document.querySelector('.entry-row') && !document.querySelector('.entry-row[data-state=waiting]'),
    );
    expect(await other.innerText('.entry:has-text("long.pdf")')).toContain('300 pages');
    await page.waitForFunction(() => !document.querySelector('.entry-row[data-state=waiting]'));

    // Two tabs ask at once, and each has both answers.
    for (const tab of [page, other]) await tab.click('.entry:has-text("gates.txt")');
    for (const tab of [page, other]) await tab.waitForSelector('.model-button[data-state=ready]');
    const north = ask(page, 'What is the code of the north gate?');
    const south = ask(other, 'What is the code of the south gate?');
    expect(await north).toMatch(/^4711/);
    expect(await south).toMatch(/^2024/);
    for (const tab of [page, other]) await answered(tab, 'north gate');
    for (const tab of [page, other]) await answered(tab, 'south gate');
    expect((await keptExchanges(page)).map(({ scope }) => scope)).toEqual(['gates.txt', 'gates.txt']);
    await other.close();

    // The model is removed under the open document: the question says so, and the next one is answered.
    await page.keyboard.press('Escape');
    await page.click('.model-button');
    await page.click('[aria-label="Remove: nano-text"]');
    await page.waitForSelector('dialog.small[open]:has-text("in use now")');
    await look(page, 'models');
    await page.click('dialog.small[open] .danger');
    await page.waitForSelector('.model-button[data-state=none]', { state: 'attached' });
    await page.keyboard.press('Escape');
    await page.fill('doc-composer textarea', 'Is there a west gate?');
    await page.press('doc-composer textarea', 'Enter');
    await page.waitForSelector('.exchange .meta:has-text("No model is loaded")');
    await look(page, 'no-model');
    await page.click('.exchange >> text=Choose a model');
    await page.click('.card:has-text("nano-text") .button');
    await page.waitForSelector('.model-button[data-state=ready]', { state: 'attached' });
    await page.keyboard.press('Escape');
    expect(await ask(page, 'What is the code of the south gate now?')).toMatch(/^2024/);

    // The browser evicts what was kept: the names are told, and nothing is broken.
    await page.evaluate(async () => {
      for (const { name } of await indexedDB.databases())
        if (name !== undefined && name !== 'document-qa')
          await new Promise<void>((resolve, reject) => {
            const opened = indexedDB.open(name);
            opened.onerror = reject;
            opened.onsuccess = () => {
              const { result } = opened;
              const names = [...result.objectStoreNames];
              if (names.length === 0) return resolve();
              const change = result.transaction(names, 'readwrite');
              for (const one of names) change.objectStore(one).clear();
              change.oncomplete = () => {
                result.close();
                resolve();
              };
            };
          });
    });
    await page.reload();
    await page.waitForSelector('.problem:has-text("gates.txt, long.pdf")');
    await look(page, 'evicted');
    await add(page, file('gates.txt', 'text/plain', gates()));
    await page.waitForSelector('.exchange');
    await page.close();
  }, 240_000);

  test('settings, shortcuts and languages', async () => {
    if (stories.browser === undefined) return;
    const { page, complaints } = await stories.fresh();
    await page.setViewportSize(LAPTOP);
    await page.waitForSelector('.empty-card');
    await page.keyboard.press('?');
    await page.waitForSelector('doc-shortcuts dialog[open]');
    await look(page, 'shortcuts');
    await page.keyboard.press('Escape');
    await page.click('text=Settings');
    await look(page, 'settings');
    await page.selectOption('doc-settings label:has-text("Colours") select', { label: 'Dark' });
    expect(await page.evaluate(() => getComputedStyle(document.body).colorScheme)).toBe('dark');
    await page.selectOption('doc-settings label:has-text("Language") select', { label: 'Deutsch' });
    await page.waitForSelector('h2:has-text("Einstellungen")');
    await page.keyboard.press('Escape');
    await page.reload();
    await page.waitForSelector('h2:has-text("Fragen Sie Ihre Dokumente")');
    expect(await page.getAttribute('html', 'lang')).toBe('de');
    await look(page, 'german');
    expect(complaints).toEqual([]);
    await page.close();
  }, 240_000);
});
