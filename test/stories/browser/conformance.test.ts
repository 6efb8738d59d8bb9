/** The relaxed builds, which Node 20 does not run, in Chromium: the whole conformance suite and whole models against f64. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { build } from 'esbuild';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { hasBrowser, openBrowser } from '../../../tools/browser.mjs';
import { serve } from '../../../tools/static-server.mjs';
import { trainedModels } from '../../support/trained.ts';
import type { SuiteAsk } from './conformance-page.ts';
import * as suite from './suite.ts';

const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

let available = false;
let folder: string;
let server: Awaited<ReturnType<typeof serve>>;

beforeAll(async () => {
  available = await hasBrowser();
  if (!available) console.warn('skipped: no browser could be started');
  folder = mkdtempSync(join(tmpdir(), 'octavo-conformance-'));
  await build({
    entryPoints: { 'conformance-page': path('conformance-page.ts'), pool: path('../../../src/entries/pool-worker.ts') },
    outdir: folder,
    bundle: true,
    format: 'esm',
    target: 'es2022',
    logLevel: 'error',
    alias: { '@jest/globals': path('suite.ts') },
  });
  writeFileSync(join(folder, 'index.html'), '<!doctype html><title>conformance</title>');
  server = await serve({ mounts: { '/page/': folder, '/wasm/': path('../../../build/wasm') } });
}, 120_000);

afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

/** What the worker answers; models travel as text, which is how a page is spoken to. */
async function inWorker(ask: SuiteAsk): Promise<suite.SuiteResult> {
  const browser = await openBrowser();
  try {
    const page = await browser.context.newPage();
    page.setDefaultTimeout(0);
    await page.goto(`${server.origin}/page/index.html`);
    const trained = ask.trained.map((model) => ({ ...model, bytes: Buffer.from(model.bytes).toString('base64') }));
    return await page.evaluate(
      (told) =>
        new Promise<suite.SuiteResult>((resolve, reject) => {
          const worker = new Worker('/page/conformance-page.js', { type: 'module' });
          worker.onmessage = ({ data }: MessageEvent<suite.SuiteResult>) => resolve(data);
          worker.onerror = (event) => reject(new Error(event.message));
          worker.postMessage({
            ...told,
            trained: told.trained.map((model) => ({
              ...model,
              bytes: Uint8Array.from(atob(model.bytes), (c) => c.charCodeAt(0)),
            })),
          });
        }),
      { ...ask, trained },
    );
  } finally {
    await browser.close();
  }
}

describe('the suite in a page', () => {
  test('fails where jest would', async () => {
    const { expect: check } = suite;
    const wrong: (() => unknown)[] = [
      () => check(1).toBe(2),
      () => check([1, 2]).toEqual([1, 3]),
      () => check({ a: 1 }).toEqual({ a: 1, b: 2 }),
      () => check({ a: 1, b: 2 }).toEqual({ a: 1 }),
      () => check(Float32Array.of(1)).toEqual(Float32Array.of(2)),
      () => check(Float32Array.of(1)).toEqual([1]),
      () => check({ a: { b: 1 } }).toMatchObject({ a: { b: 2 } }),
      () => check(undefined).toMatchObject({}),
      () => check(1).not.toEqual(1),
      () => check(() => 1).toThrow(),
      () =>
        check(() => {
          throw new Error('a');
        }).toThrow('b'),
      () => check(new Error('a')).toBeInstanceOf(TypeError),
      () => check('a').toMatch(/b/),
      () => check([1]).toHaveLength(2),
      () => check(NaN).toBeGreaterThan(0),
      () => check(1).toBeUndefined(),
      () => check(0).toBeGreaterThanOrEqual(1),
      () => check(0).toBeLessThan(0),
      () => check(1).toBeLessThanOrEqual(0),
    ];
    for (const [i, body] of wrong.entries()) suite.test(`wrong ${i}`, body);
    suite.test('resolved', () => check(Promise.resolve(1)).rejects.toThrow());
    suite.test('rejected otherwise', () => check(Promise.reject(new Error('a'))).rejects.toThrow('b'));
    suite.test('right', async () => {
      check({ a: [1, Float32Array.of(2)], b: undefined }).toEqual({ a: [1, Float32Array.of(2)] });
      check({ a: 1, b: { c: 2, d: 3 } }).toMatchObject({ b: { c: 2 } });
      check(() => {
        throw new TypeError('abc');
      }).toThrow(/b/);
      await check(Promise.reject(new TypeError('abc'))).rejects.toThrow(TypeError);
    });
    suite.describe('a group whose beginning fails', () => {
      suite.beforeAll(() => {
        throw new Error('no device');
      });
      suite.test('never run', () => undefined);
    });
    const { passed, failed } = await suite.runSuite();
    expect(passed).toBe(1);
    expect(failed).toHaveLength(wrong.length + 3);
  });

  test('relaxed, and relaxed with two threads', async () => {
    if (!available) return;
    const { passed, failed } = await inWorker({
      builds: [
        { build: 'relaxed', threads: 1 },
        { build: 'relaxed-threads', threads: 2 },
      ],
      trained: await trainedModels(),
    });
    expect(failed).toEqual([]);
    expect(passed).toBeGreaterThan(350);
  }, 600_000);
});
