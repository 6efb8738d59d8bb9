/**
 * `octavo/electron/renderer` with its engine in the page, in a real Chromium over HTTP: what the preload script would put there is faked, everything behind it is the
 * built package. A model is loaded, answers, and is saved; the main process is told that a save runs, and what it tells reaches the page.
 */
import { expect, test } from '@jest/globals';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type * as Renderer from '../../../src/electron/renderer.ts';
import { hasBrowser, openBrowser } from '../../../tools/browser.mjs';
import { serve } from '../../../tools/static-server.mjs';

const root = (path: string): string => fileURLToPath(new URL(`../../../${path}`, import.meta.url));

test('an engine in the page answers and saves, and the main process hears of saves and tells of sleep', async () => {
  if (!existsSync(root('dist/electron-renderer.js')) || !(await hasBrowser())) {
    console.warn('skipped: no browser could be started, or dist/ is not built');
    return;
  }
  const server = await serve({
    mounts: { '/dist/': root('dist'), '/models/': root('models/nano'), '/test/': root('test/stories/browser') },
  });
  const browser = await openBrowser();
  try {
    const page = await browser.context.newPage();
    page.setDefaultTimeout(0);
    await page.addInitScript(() => {
      const told: unknown[] = [];
      const tell: ((event: unknown) => void)[] = [];
      Object.assign(globalThis, {
        told,
        tell,
        octavoElectron: {
          place: 'page',
          request: async (request: unknown) => {
            told.push(request);
            return { value: undefined };
          },
          listen: (listener: (event: unknown) => void) => tell.push(listener),
        },
      });
    });
    await page.goto(`${server.origin}/test/page.html`);
    const seen = await page.evaluate(async () => {
      const script: string = '/dist/electron-renderer.js';
      const { Octavo, isDesktop, onDesktop } = (await import(script)) as typeof Renderer;
      const { told, tell } = globalThis as unknown as { told: unknown[]; tell: ((event: unknown) => void)[] };
      const events: unknown[] = [];
      onDesktop((event) => events.push(event));
      const model = await Octavo.load('/models/nano.gguf', { device: 'wasm' });
      const session = await model.createSession({ temperature: 0 });
      const answer = await session.prompt('The mayor of Marston is Ann.\n\nWho is the mayor of Marston?', {
        maxTokens: 8,
      });
      await session.save('kept');
      const saved = (await Octavo.sessions.list()).map(({ name }) => name);
      for (const listener of tell) listener({ kind: 'power', state: 'suspend' });
      await model.destroy();
      return { desktop: isDesktop(), answer, saved, events, told };
    });
    expect(seen).toMatchObject({
      desktop: true,
      answer: ' Ann',
      saved: ['kept'],
      events: [{ kind: 'power', state: 'suspend' }],
    });
    expect(seen.told).toEqual([
      { kind: 'holding', count: 1 },
      { kind: 'holding', count: 0 },
    ]);
  } finally {
    await browser.close();
    await server.close();
  }
}, 120_000);
