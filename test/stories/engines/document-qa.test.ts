/** The document application in Firefox and WebKitGTK: a sample and a file of one's own, asked, cited on the page, and there again after a reload. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openEngine, presentEngines } from '../../../tools/engines.mjs';
import { buildExample } from '../../../tools/examples.mjs';
import { BUILD_TIME, serveDocuments, type Server } from '../../support/document-qa.ts';

const present = await presentEngines();
const required = process.env['OCTAVO_REQUIRE_BROWSER'] === '1';

/** Runs in the page: what a person does there, as functions. */
const HANDS = `Object.assign(globalThis, {
  until: async (look, what) => {
    for (let tries = 0; tries < 1800; tries++) {
      const found = look();
      if (found) return found;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error('waited in vain: ' + what + ': ' + document.body.innerText.slice(0, 800));
  },
  ask: async (question) => {
    await until(() => document.querySelector('.model-button[data-state=ready]'), 'model');
    const field = await until(() => document.querySelector('doc-composer textarea'), 'composer');
    const before = document.querySelectorAll('.exchange').length;
    field.value = question;
    field.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true }));
    await until(() => document.querySelectorAll('.exchange').length > before && !document.querySelector('.answer[aria-busy=true]'), question);
    return [...document.querySelectorAll('.exchange')].at(-1).querySelector('.answer-text').innerText.trim();
  },
  give: async (name, type, text) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([text], name, { type }));
    const input = document.querySelector('#files');
    input.files = transfer.files;
    input.dispatchEvent(new Event('change', { bubbles: true }));
    await until(() => [...document.querySelectorAll('.entry-row[data-state=ready]')].some((row) => row.textContent.includes(name)), name);
  },
}) && true`;

describe.each(['firefox', 'webkit'] as const)('%s', (name) => {
  if (!present[name] && !required) {
    test.skip('is not installed', () => {});
    return;
  }
  let server: Server;
  let engine: Awaited<ReturnType<typeof openEngine>>;
  const run = (script: string): Promise<unknown> => engine.evaluate(script);
  const open = async (): Promise<void> => {
    await engine.goto(`${server.origin}/`);
    await run(HANDS);
    await run(`until(() => document.querySelector('.empty-card, .entry-row'), 'the application').then(() => true)`);
  };

  beforeAll(async () => {
    await buildExample('document-qa');
    server = await serveDocuments();
    engine = await openEngine(name);
    await open();
  }, BUILD_TIME);
  afterAll(async () => {
    await engine?.close();
    await server?.close();
  });

  test('reads, answers, cites on the page, and has it all after a reload', async () => {
    await run(`document.querySelector('.empty-card .button:not(.primary)').click()`);
    await run(`until(() => document.querySelector('.suggestion'), 'the sample').then(() => true)`);
    expect(await run(`ask('What is the call sign of the Aurora?')`)).toMatch(/^KX-417/);
    await run(`document.querySelector('.chip').click()`);
    const shown =
      await run(`until(() => document.querySelector('.sheet[data-page="1"] .drawn canvas'), 'the page').then((canvas) => {
      const view = document.querySelector('doc-pdf').getBoundingClientRect();
      const mark = document.querySelector('.mark').getBoundingClientRect();
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      return { colours: new Set(new Uint32Array(data.buffer)).size > 8, seen: mark.top > view.top && mark.bottom < view.bottom && mark.width > 10 };
    })`);
    expect(shown).toEqual({ colours: true, seen: true });

    await open();
    await run(`until(() => document.querySelector('.exchange .chip'), 'the conversation').then(() => true)`);
    expect(await run(`ask('How tall is the lighthouse?')`)).toMatch(/^43 metres/);
    await run(
      `give('gates.txt', 'text/plain', 'The code of the north gate is 4711. The code of the south gate is 2024.').then(() => true)`,
    );
    expect(await run(`ask('What is the code of the south gate?')`)).toMatch(/^2024/);
    await run(`document.querySelector('.chip').click()`);
    expect(
      await run(`until(() => document.querySelector('doc-text mark'), 'the mark').then(({ innerText }) => innerText)`),
    ).toBe('2024');
  }, 300_000);
});
