/** The thread pool in Chromium, under a content security policy that allows no blob: and no eval, on the page's own thread and in a worker. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { build } from 'esbuild';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { hasBrowser, openBrowser } from '../../../tools/browser.mjs';
import { serve } from '../../../tools/static-server.mjs';

const CSP = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'";
const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

let available = false;
let folder: string;
let server: Awaited<ReturnType<typeof serve>>;

beforeAll(async () => {
  available = await hasBrowser();
  if (!available) console.warn('skipped: no browser could be started');
  folder = mkdtempSync(join(tmpdir(), 'octavo-pool-'));
  await build({
    entryPoints: { 'pool-page': path('pool-page.ts'), pool: path('../../../src/entries/pool-worker.ts') },
    outdir: folder,
    bundle: true,
    format: 'esm',
    target: 'es2022',
    logLevel: 'error',
  });
  writeFileSync(
    join(folder, 'index.html'),
    '<!doctype html><title>pool</title><script type="module" src="pool-page.js"></script>',
  );
  server = await serve({ mounts: { '/page/': folder, '/wasm/': path('../../../build/wasm') }, csp: CSP });
}, 120_000);

afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

describe.each(['', '?worker'])('page%s', (query) => {
  test('every build and its threads give one result', async () => {
    if (!available) return;
    const browser = await openBrowser();
    try {
      const page = await browser.context.newPage();
      await page.goto(`${server.origin}/page/index.html${query}`);
      await page.waitForFunction(() => globalThis.answer !== undefined, undefined, { timeout: 60_000 });
      const answer = await page.evaluate(() => globalThis.answer);
      expect(answer).toMatchObject({
        destroyed: true,
        descriptions: [
          'WASM (simd), 1 thread',
          'WASM (simd-threads), 3 threads',
          'WASM (relaxed), 1 thread',
          'WASM (relaxed-threads), 3 threads',
        ],
      });
      if (answer === undefined || !('results' in answer)) throw new Error('no results');
      expect(new Set(answer.results).size).toBe(1);
    } finally {
      await browser.close();
    }
  }, 120_000);
});
