/** The document application with a GGUF of one's own: by file, by address, and again after a reload without either. */
import { expect, test } from '@jest/globals';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { add, ask, documentStories, file, LAPTOP, look, root } from '../../support/document-qa.ts';
import { serve } from '../../../tools/static-server.mjs';

const MODEL = root('models/nano-text/nano-text.gguf');

const stories = documentStories();

test('a model of one’s own answers, by file and by address, and is there after a reload', async () => {
  if (stories.browser === undefined) return;
  const folder = mkdtempSync(join(tmpdir(), 'octavo-own-model-'));
  copyFileSync(MODEL, join(folder, 'harbour.gguf'));
  const hub = await serve({ mounts: { '/': folder }, cors: true });
  try {
    const { page, complaints } = await stories.fresh();
    await page.setViewportSize(LAPTOP);
    const uses = (name: string): Promise<unknown> =>
      page.waitForSelector(`.model-button[data-state=ready]:has-text("${name}")`, { state: 'attached' });
    await uses('nano-text');
    const text = 'The code of the north gate is 4711. The code of the south gate is 2024.';
    await add(page, file('gates.txt', 'text/plain', text));
    await page.click('.entry:has-text("gates.txt")');

    await page.click('.model-button');
    await page.setInputFiles('oct-models input[type=file]', file('mine.gguf', 'model/gguf', readFileSync(MODEL)));
    await uses('mine');
    await page.waitForSelector('.rows .badge');
    await look(page, 'own-model');
    await page.keyboard.press('Escape');
    expect(await ask(page, 'What is the code of the north gate?')).toMatch(/^4711/);

    await page.click('.model-button');
    await page.fill('oct-models form input', 'ftp://example.org/harbour.gguf');
    await page.press('oct-models form input', 'Enter');
    await page.waitForSelector('oct-models form input[aria-invalid=true]');
    await page.fill('oct-models form input', `${hub.origin}/harbour.gguf`);
    await page.press('oct-models form input', 'Enter');
    await uses('harbour');
    await look(page, 'model-by-address');
    await page.keyboard.press('Escape');
    expect(await ask(page, 'What is the code of the south gate?')).toMatch(/^2024/);

    // Nothing is fetched again: both are kept.
    await hub.close();
    await page.reload();
    await uses('harbour');
    await page.click('.entry:has-text("gates.txt")');
    await page.click('.model-button');
    await page.click('[aria-label="Use mine.gguf"]');
    await uses('mine');
    await page.keyboard.press('Escape');
    expect(await ask(page, 'What is the code of the north gate now?')).toMatch(/^4711/);
    expect(complaints).toEqual([]);
    await page.close();
  } finally {
    await hub.close().catch(() => undefined);
    rmSync(folder, { recursive: true, force: true });
  }
}, 240_000);
