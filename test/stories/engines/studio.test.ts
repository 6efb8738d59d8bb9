/**
 * The built studio in Firefox and WebKitGTK, whose pages are nearest to Safari's and to WKWebView: a question about a picture, a painting that goes on after a
 * reload, an edit. WebKit also plays them on a page that is not isolated, which is what web views of phones have.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { fileURLToPath } from 'node:url';
import { buildExample } from '../../../tools/examples.mjs';
import { openEngine, presentEngines } from '../../../tools/engines.mjs';
import { serve } from '../../../tools/static-server.mjs';

const present = await presentEngines();
const required = process.env['OCTAVO_REQUIRE_BROWSER'] === '1';
const studio = fileURLToPath(new URL('../../../examples/studio/dist', import.meta.url));

/** Resolves with what `found` gives as soon as that is truthy. It is turned into text and runs in the page. */
const until = (found: string): string =>
  `new Promise((resolve, reject) => {
    const begun = Date.now();
    const look = () => {
      const value = (() => { ${found} })();
      if (value) resolve(value);
      else if (Date.now() - begun > 90000) reject(new Error('nothing came: ' + document.body.innerText.slice(0, 500)));
      else setTimeout(look, 50);
    };
    look();
  })`;
const READY = until(`return document.querySelector('.model-button[data-state=ready]') !== null`);
const click = (selector: string): string =>
  until(`const found = document.querySelector(${JSON.stringify(selector)}); found?.click(); return found !== null`);
const ask = (words: string): string =>
  until(`
    const field = document.querySelector('.dock textarea');
    const send = document.querySelector('.dock .send');
    if (field === null || send === null || send.disabled) return false;
    field.value = ${JSON.stringify(words)};
    field.dispatchEvent(new Event('input', { bubbles: true }));
    field.form.requestSubmit();
    return true;`);

describe.each([
  ['firefox', true],
  ['webkit', false],
] as const)('studio in %s', (name, isolated) => {
  if (!present[name] && !required) {
    test.skip('is not installed', () => {});
    return;
  }
  let server: Awaited<ReturnType<typeof serve>>;
  let engine: Awaited<ReturnType<typeof openEngine>>;
  const run = (script: string): Promise<unknown> => engine.evaluate(script);

  beforeAll(async () => {
    await buildExample('studio');
    server = await serve({ mounts: { '/': studio }, isolated });
    engine = await openEngine(name);
  }, 240_000);
  afterAll(async () => {
    await engine?.close();
    await server?.close();
  });

  test('asks about a picture, and finds the conversation after a reload', async () => {
    await engine.goto(`${server.origin}/`);
    expect(await run(READY)).toBe(true);
    await run(click('[data-way=sample]'));
    await run(until(`return document.querySelector('.attached') !== null`));
    await run(ask('How many things are there?'));
    const answer = until(
      `return document.querySelector('.message.assistant .message-tools') && document.querySelector('.message.assistant .words').textContent`,
    );
    expect(await run(answer)).toBe('three');
    await run(until(`return document.querySelector('.message-picture img').naturalWidth === 128`));
    await engine.goto(`${server.origin}/?again`);
    expect(await run(answer)).toBe('three');
  }, 180_000);

  test('paints, keeps the picture, and edits it', async () => {
    await engine.goto(`${server.origin}/?paint#paint`);
    expect(await run(READY)).toBe(true);
    await run(ask('a red circle northwest'));
    expect(await run(until(`return document.querySelector('.finished img')?.naturalWidth`))).toBe(64);
    await engine.goto(`${server.origin}/?pictures#pictures`);
    expect(await run(until(`return document.querySelectorAll('.library .thumb').length`))).toBe(1);
    await run(click('.library .thumb'));
    await run(READY);
    await run(click('.detail-tools .tool:nth-child(3)'));
    await run(ask('Make the circle blue'));
    expect(await run(until(`return document.querySelector('.compare-before')?.naturalWidth`))).toBe(64);
    expect(await run(until(`return document.querySelectorAll('.versions .thumb').length`))).toBe(2);
  }, 180_000);
});
