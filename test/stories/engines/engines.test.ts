/**
 * Text, seeing, painting, saving and reloading in Chromium, Firefox and WebKitGTK, on pages with and without cross-origin isolation. An engine that is
 * not installed is skipped and counted; `OCTAVO_REQUIRE_BROWSER` makes that an error.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { fileURLToPath } from 'node:url';
import { openEngine, presentEngines } from '../../../tools/engines.mjs';
import { serve } from '../../../tools/static-server.mjs';

const present = await presentEngines();
const required = process.env['OCTAVO_REQUIRE_BROWSER'] === '1';
const root = (path: string): string => fileURLToPath(new URL(`../../../${path}`, import.meta.url));

describe.each(['chromium', 'firefox', 'webkit'] as const)('%s', (name) => {
  if (!present[name] && !required) {
    test.skip('is not installed', () => {});
    return;
  }
  describe.each([
    ['isolated', true],
    ['plain', false],
  ] as const)('%s page', (_, isolated) => {
    let server: Awaited<ReturnType<typeof serve>>;
    let engine: Awaited<ReturnType<typeof openEngine>>;
    const play = (story: string): Promise<unknown> => engine.evaluate(`play(${JSON.stringify(story)})`);
    const open = async (): Promise<void> => {
      await engine.goto(`${server.origin}/page.html`);
      await engine.evaluate(
        `new Promise((resolve) => { const wait = () => (globalThis.play ? resolve(true) : setTimeout(wait, 20)); wait(); })`,
      );
    };

    beforeAll(async () => {
      server = await serve({
        mounts: {
          '/': root('test/stories/engines'),
          '/octavo/dist/': root('dist'),
          '/octavo/models/': root('models'),
        },
        isolated,
        csp: "script-src 'self' 'wasm-unsafe-eval' 'unsafe-eval'",
      });
      engine = await openEngine(name);
      await open();
    }, 120_000);
    afterAll(async () => {
      await engine?.close();
      await server?.close();
    });

    test('loads, with threads where memory can be shared', async () => {
      expect(await engine.evaluate('isolated')).toBe(isolated);
      // WebKitGTK makes shared memory and cannot send it to a worker.
      const threads = isolated && name !== 'webkit';
      expect(await play('load')).toMatch(threads ? /-threads\), \d+ threads/ : /, 1 thread$/);
    }, 120_000);
    test('answers, sees, paints, saves and goes on after a reload', async () => {
      expect(await play('text')).toMatch(/^ ?4711$/);
      expect(await play('see')).toEqual(expect.any(String));
      expect(await play('paint')).toEqual([expect.any(Number), expect.any(Number), expect.any(Number), 255]);
      expect(await play('save')).toEqual(['gates']);
      await open();
      expect(await play('load')).toEqual(expect.any(String));
      expect(await play('resume')).toMatch(/^ ?2024$/);
      expect(await play('destroy')).toBe('destroyed');
    }, 180_000);
  });
});
