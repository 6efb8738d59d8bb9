/** OpenAI's API answered by a service worker in a real Chromium: the page fetches /v1/chat/completions, and no server has it. Skipped (and counted) where no browser starts. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { fileURLToPath } from 'node:url';
import { hasBrowser, openBrowser } from '../../../tools/browser.mjs';
import { serve } from '../../../tools/static-server.mjs';

const root = (path: string): string => fileURLToPath(new URL(`../../../${path}`, import.meta.url));
const CSP = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'; object-src 'none'";

let available = false;
let server: Awaited<ReturnType<typeof serve>>;
beforeAll(async () => {
  available = await hasBrowser();
  if (!available) console.warn('skipped: no browser could be started');
  server = await serve({
    mounts: { '/dist/': root('dist'), '/test/': root('test/stories/browser'), '/models/': root('models/nano') },
    csp: CSP,
  });
}, 120_000);
afterAll(() => server.close());

/** Its answer has several tokens: one a digit. */
const QUESTION = 'The code of the north gate is 4711. Ann lives in Oslo.\n\nWhat is the code of the north gate?';

test('a page asks its own service worker: whole, streamed, refused, and the list of models', async () => {
  if (!available) return;
  const browser = await openBrowser();
  try {
    const page = await browser.context.newPage();
    await page.goto(`${server.origin}/test/page.html`);
    await page.evaluate(async () => {
      const controlled = new Promise((resolve) => {
        navigator.serviceWorker.oncontrollerchange = resolve;
      });
      await navigator.serviceWorker.register('/test/openai-service-worker.js', { type: 'module' });
      if (navigator.serviceWorker.controller === null) await controlled;
    });
    const found = await page.evaluate(async (document) => {
      const ask = (more: object): Promise<Response> =>
        fetch('/v1/chat/completions', {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({
            model: 'octavo',
            messages: [{ role: 'user', content: document }],
            temperature: 0,
            max_tokens: 12,
            ...more,
          }),
        });
      const whole = (await (await ask({})).json()) as { choices: { message: { content: string } }[] };
      const response = await ask({ stream: true });
      const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
      let events = '';
      for (let step = await reader.read(); !step.done; step = await reader.read()) events += step.value;
      const chunks = events
        .split('\n\n')
        .filter((line) => line.startsWith('data: {'))
        .map((line) => JSON.parse(line.slice(6)) as { choices: { delta: { content?: string } }[] });
      const refused = await ask({ messages: 'none' });
      const models = (await (await fetch('/v1/models')).json()) as { data: { id: string }[] };
      return {
        content: whole.choices[0]!.message.content,
        streamed: chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join(''),
        type: response.headers.get('content-type'),
        ended: events.trimEnd().endsWith('data: [DONE]'),
        parts: chunks.filter(({ choices }) => choices[0]?.delta.content !== undefined).length,
        refused: refused.status,
        models: models.data.map(({ id }) => id),
      };
    }, QUESTION);
    expect(found.content.trim()).toBe('4711');
    expect(found).toMatchObject({ streamed: found.content, ended: true, refused: 400, models: ['octavo'] });
    expect(found.type).toContain('text/event-stream');
    // How many of them one read returns depends on how quick the page is.
    expect(found.parts).toBeGreaterThan(2);
    expect(server.requests.filter(({ path }) => path.startsWith('/v1/'))).toEqual([]);
  } finally {
    await browser.close();
  }
}, 180_000);
