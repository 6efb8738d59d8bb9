/** The kernels in a real browser: its WGSL compiler, its limits, its zeroing of workgroup memory. The self-check's operations, and those of closed pages, against f64 loops. */
import { expect, test } from '@jest/globals';
import { build } from 'esbuild';
import type { BrowserContext } from 'playwright-core';
import type { SelfCheck } from '../../src/backend/self-check.ts';
import { hasBrowser, openBrowser } from '../../tools/browser.mjs';
import { TOLERANCE } from '../support/tolerance.ts';

const ENTRY = `
import { createWebGpuBackend } from './src/backend/webgpu.ts';
import { compareBackends } from './src/backend/self-check.ts';
import { createReferenceBackend } from './test/reference/backend.ts';
import { compareClosedPages } from './test/gpu/closed-pages.ts';
globalThis.check = async () => {
  const backend = await createWebGpuBackend({ gpu: navigator.gpu });
  const result = await compareBackends(backend, createReferenceBackend());
  const pages = await compareClosedPages(backend, createReferenceBackend());
  const { description } = backend;
  backend.destroy();
  return { ...result, description, pages };
};`;

((await hasBrowser()) ? test : test.skip)(
  'WebGPU in Chromium computes as f64 loops do',
  async () => {
    const bundle = await build({
      stdin: { contents: ENTRY, resolveDir: process.cwd(), loader: 'ts' },
      bundle: true,
      write: false,
      format: 'esm',
      target: 'es2022',
      loader: { '.wgsl': 'text' },
    });
    const browser = await openBrowser();
    try {
      const context: BrowserContext = browser.context;
      const page = await context.newPage();
      const script = bundle.outputFiles[0]!.text;
      await page.route('http://localhost/**', (route) =>
        route.request().url().endsWith('.js')
          ? route.fulfill({ contentType: 'text/javascript', body: script })
          : route.fulfill({
              contentType: 'text/html',
              body: '<!doctype html><script type="module" src="bundle.js"></script>',
            }),
      );
      await page.goto('http://localhost/');
      await page.waitForFunction('globalThis.check !== undefined');
      const result = await page.evaluate<
        SelfCheck & { description: string; pages: { worst: number; unequal: string[] } }
      >('globalThis.check()');
      expect(result).toMatchObject({ ok: true });
      expect(result.worst).toBeLessThan(1e-5);
      expect(result.pages.unequal).toEqual([]);
      expect(result.pages.worst).toBeLessThan(TOLERANCE.reduction);
    } finally {
      await browser.close();
    }
  },
  240_000,
);
