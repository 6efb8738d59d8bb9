/** Stories in a real Chromium, on the built package, under a strict content security policy. Skipped (and counted) where no browser starts; OCTAVO_REQUIRE_BROWSER=1 makes that fatal. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import type { Octavo as OctavoType } from '../../../src/index.ts';
import { hasBrowser, openBrowser } from '../../../tools/browser.mjs';
import { serve } from '../../../tools/static-server.mjs';

declare global {
  var Octavo: typeof OctavoType;
  var violations: string[];
  var ready: boolean;
}

const CSP =
  "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; connect-src 'self'; img-src 'self'; object-src 'none'";
const root = (path: string): string => fileURLToPath(new URL(`../../../${path}`, import.meta.url));
const NANO = root('models/nano/nano.gguf');
const STORIES = root('../shared/data/weights/stories260K/stories260K-f32.gguf');

let available = false;
let folder: string;
let server: Awaited<ReturnType<typeof serve>>;

beforeAll(async () => {
  available = await hasBrowser();
  if (!available) console.warn('skipped: no browser could be started');
  folder = mkdtempSync(join(tmpdir(), 'octavo-models-'));
  mkdirSync(folder, { recursive: true });
  symlinkSync(NANO, join(folder, 'nano.gguf'));
  symlinkSync(root('models/nano-text'), join(folder, 'nano-text'));
  if (existsSync(STORIES)) symlinkSync(STORIES, join(folder, 'stories.gguf'));
  server = await serve({
    mounts: {
      '/dist/': root('dist'),
      '/test/': root('test/stories/browser'),
      '/models/': folder,
      '/bundled/': root('models'),
    },
    csp: CSP,
  });
}, 120_000);

afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

/** A fresh page with the package loaded; its errors fail the story. */
async function open(context: Awaited<ReturnType<typeof openBrowser>>['context'], errors: string[]): Promise<Page> {
  const page = await context.newPage();
  page.on('pageerror', (error) => errors.push(error.message));
  await page.goto(`${server.origin}/test/page.html`);
  await page.waitForFunction(() => globalThis.ready);
  page.setDefaultTimeout(0);
  return page;
}

describe('in Chromium', () => {
  test('a download killed in the middle resumes, answers, streams, aborts, and reloads without the network', async () => {
    if (!available) return;
    const browser = await openBrowser();
    const errors: string[] = [];
    try {
      const url = `${server.origin}/models/nano.gguf`;
      const size = readFileSync(NANO).length;
      let page = await open(browser.context, errors);
      server.throttle(size / 4);
      await page.evaluate((u) => {
        globalThis.Octavo.load(u, {
          device: 'wasm',
          onProgress: ({ phase, loaded }) => {
            if (phase === 'download') document.querySelector('#log')!.textContent = String(loaded);
          },
        }).catch(() => undefined);
      }, url);
      await page.waitForFunction((half) => Number(document.querySelector('#log')!.textContent) > half, size * 0.4);
      expect(await page.evaluate((u) => globalThis.Octavo.availability(u), url)).toBe('downloading');
      server.throttle(undefined);
      const before = server.requests.filter((r) => r.path === '/models/nano.gguf').reduce((sum, r) => sum + r.sent, 0);
      await browser.reopen();

      page = await open(browser.context, errors);
      const first = server.requests.length;
      const told = await page.evaluate(async (u) => {
        const model = await globalThis.Octavo.load(u, { device: 'wasm' });
        globalThis.Octavo.store.list();
        const session = await model.createSession({ temperature: 0, maxTokens: 24 });
        const pieces: string[] = [];
        for await (const piece of session.promptStreaming(
          'The code of the north gate is K7Q2. What is the code of the north gate?',
        ))
          pieces.push(piece);
        const controller = new AbortController();
        let reason: unknown;
        try {
          const long = await model.createSession({ temperature: 1, seed: 1 });
          for await (const _piece of long.promptStreaming('Tell me everything.', {
            signal: controller.signal,
            maxTokens: 500,
          }))
            controller.abort(new Error('enough'));
        } catch (error) {
          reason = error instanceof Error ? error.message : error;
        }
        const after = await session.prompt('What is the code of the north gate?');
        return {
          pieces,
          reason,
          after,
          isolated: crossOriginIsolated,
          device: model.device,
          kept: await globalThis.Octavo.store.list(),
          availability: await globalThis.Octavo.availability(u),
        };
      }, url);
      const later = server.requests.slice(first).filter((r) => r.path === '/models/nano.gguf');
      const resumed = later.reduce((sum, r) => sum + r.sent, 0);
      expect(before).toBeGreaterThan(size * 0.4);
      expect(resumed).toBeLessThan(size * 0.75);
      expect(later.some((r) => /^bytes=[1-9]/.test(r.range ?? ''))).toBe(true);
      expect(told.pieces.length).toBeGreaterThan(0);
      expect(told.reason).toBe('enough');
      expect(told.after.length).toBeGreaterThan(0);
      expect(told.isolated).toBe(true);
      expect(told.device.kind).toBe('wasm');
      expect(told.availability).toBe('available');
      expect(told.kept).toHaveLength(1);

      unlinkSync(join(folder, 'nano.gguf'));
      await browser.reopen();
      page = await open(browser.context, errors);
      const offline = await page.evaluate(async (u) => {
        const model = await globalThis.Octavo.load(u, { device: 'wasm' });
        const session = await model.createSession({ temperature: 0, maxTokens: 24 });
        const text = await session.prompt('The code of the north gate is K7Q2. What is the code of the north gate?');
        await model.destroy();
        return { text, violations: globalThis.violations };
      }, url);
      expect(offline.text).toBe(told.pieces.join(''));
      expect(offline.violations).toEqual([]);
      expect(errors).toEqual([]);
    } finally {
      server.throttle(undefined);
      if (!existsSync(join(folder, 'nano.gguf'))) symlinkSync(NANO, join(folder, 'nano.gguf'));
      await browser.close();
    }
  }, 240_000);

  test('nano-text is loaded by its name, and answers', async () => {
    if (!available) return;
    const browser = await openBrowser();
    const errors: string[] = [];
    try {
      const page = await open(browser.context, errors);
      const found = await page.evaluate(async () => {
        const { Octavo } = globalThis;
        const expectedInputs = [{ type: 'image' as const }];
        const before = [
          await Octavo.availability('nano-text'),
          await Octavo.availability('nano-text', { expectedInputs }),
        ];
        const model = await Octavo.load('nano-text', { device: 'wasm' });
        const session = await model.createSession({ temperature: 0 });
        const answer = await session.prompt('The code of the gate is B4X9.\n\nWhat is the code of the gate?');
        const { see, paint } = model.capabilities;
        await model.destroy();
        return { before, answer: answer.trim(), see, paint };
      });
      expect(found).toEqual({ before: ['downloadable', 'unavailable'], answer: 'B4X9', see: false, paint: false });
      expect(errors).toEqual([]);
    } finally {
      await browser.close();
    }
  }, 120_000);

  test("every WASM build and WebGPU continue alike; nothing but the page's own origin is asked", async () => {
    if (!available) return;
    const browser = await openBrowser();
    const errors: string[] = [];
    const asked: string[] = [];
    try {
      const page = await open(browser.context, errors);
      page.on('request', (request) => asked.push(request.url()));
      browser.context.on('request', (request) => asked.push(request.url()));
      const builds = ['scalar', 'simd', 'relaxed', 'simd-threads', 'relaxed-threads'] as const;
      const run = (
        file: string,
        prompts: readonly string[],
        tokens: number,
        device: 'wasm' | 'webgpu',
        build?: (typeof builds)[number],
      ) =>
        page.evaluate(
          async ({ url, prompts, tokens, device, build }) => {
            const model = await globalThis.Octavo.load(url, {
              device,
              ...(build === undefined ? {} : { build }),
              contextWindow: 512,
            });
            const ids: (readonly number[])[] = [];
            const texts: string[] = [];
            for (const prompt of prompts) {
              const answer = await model.complete(prompt, { temperature: 0, maxTokens: tokens });
              ids.push(answer.ids);
              texts.push(answer.text);
            }
            const { description } = model.device;
            await model.destroy();
            return { ids, texts, description };
          },
          { url: `${server.origin}/models/${file}`, prompts, tokens, device, build },
        );
      // What it was trained on: its answer is sure, so that no rounding turns it.
      const prompt = [
        '<|im_start|>user\nThe harbour clerk keeps the ledger in room 12. The code of the ledger is B4X9.\n\nWhat is the code of the ledger?<|im_end|>\n<|im_start|>assistant\n',
      ];
      const truth = await run('nano.gguf', prompt, 16, 'wasm', 'scalar');
      for (const build of builds.slice(1)) {
        const other = await run('nano.gguf', prompt, 16, 'wasm', build);
        expect(other.description).toContain(build.replace('-threads', ''));
        expect({ build, ids: other.ids }).toEqual({ build, ids: truth.ids });
      }
      const gpu = await page.evaluate(async () => Boolean(await navigator.gpu?.requestAdapter()));
      if (!gpu && process.env['OCTAVO_REQUIRE_GPU'] === '1')
        throw new Error('OCTAVO_REQUIRE_GPU=1, but Chromium offers no adapter');
      if (gpu)
        expect((await run('nano.gguf', prompt, 8, 'webgpu')).ids).toEqual(truth.ids.map((list) => list.slice(0, 8)));

      if (existsSync(STORIES)) {
        const golden = readFileSync(root('../shared/data/weights/stories260K/greedy40.llama.cpp.txt'), 'utf8').split(
          '\n',
        );
        const cases = golden.flatMap((line, i) =>
          line.startsWith('== ') ? [{ prompt: line.slice(3), text: golden[i + 1]! }] : [],
        );
        expect(cases).toHaveLength(3);
        for (const build of builds) {
          const { texts } = await run(
            'stories.gguf',
            cases.map((c) => c.prompt),
            40,
            'wasm',
            build,
          );
          texts.forEach((text, i) =>
            expect({ build, text: `${cases[i]!.prompt}${text}`.replaceAll('\n', ' ').trim() }).toEqual({
              build,
              text: cases[i]!.text.trim(),
            }),
          );
        }
      } else console.warn('skipped: stories260K is not at ../shared/data');
      expect(asked.filter((url) => !url.startsWith(server.origin) && !url.startsWith('data:'))).toEqual([]);
      expect(await page.evaluate(() => globalThis.violations)).toEqual([]);
      expect(errors).toEqual([]);
    } finally {
      await browser.close();
    }
  }, 300_000);

  test("when the engine's worker is gone every pending and later call rejects", async () => {
    if (!available) return;
    const browser = await openBrowser();
    const errors: string[] = [];
    try {
      const page = await open(browser.context, errors);
      await page.evaluate(async (u) => {
        const model = await globalThis.Octavo.load(u, { device: 'wasm' });
        const session = await model.createSession();
        const failed = (call: Promise<unknown>): Promise<unknown> =>
          call.then(
            () => 'resolved',
            (error: { name: string; code: string }) => `${error.name} ${error.code}`,
          );
        const long = 'word '.repeat(500);
        const pending = [failed(model.score(long)), failed(model.score(long))];
        Object.assign(globalThis, {
          settled: async () => [
            ...(await Promise.all(pending)),
            ...(await Promise.all([failed(model.memory()), failed(session.clone())])),
            (await model.lost).name,
            await model.destroy().then(() => 'destroyed'),
          ],
        });
      }, `${server.origin}/models/nano.gguf`);
      const engine = page.workers().find((worker) => worker.url().endsWith('/worker.js'));
      await engine!.evaluate(() => void setTimeout(() => self.close(), 50));
      expect(
        await page.evaluate(() => (globalThis as unknown as { settled: () => Promise<unknown> }).settled()),
      ).toEqual([
        'DeviceError lost',
        'DeviceError lost',
        'DeviceError lost',
        'DeviceError lost',
        'DeviceError',
        'destroyed',
      ]);
    } finally {
      await browser.close();
    }
    expect(errors).toEqual([]);
  }, 120_000);

  test('a page without cross-origin isolation runs on one thread', async () => {
    if (!available) return;
    const plain = await serve({
      mounts: {
        '/dist/': root('dist'),
        '/test/': root('test/stories/browser'),
        '/models/': folder,
        '/bundled/': root('models'),
      },
      csp: CSP,
      isolated: false,
    });
    const browser = await openBrowser();
    try {
      const page = await browser.context.newPage();
      await page.goto(`${plain.origin}/test/page.html`);
      await page.waitForFunction(() => globalThis.ready);
      const told = await page.evaluate(async (url) => {
        const model = await globalThis.Octavo.load(url, { device: 'auto' });
        const { text } = await model.complete('The garden is', { maxTokens: 4, temperature: 0 });
        const { description, reason } = model.device;
        await model.destroy();
        return { isolated: crossOriginIsolated, text, description, reason };
      }, `${plain.origin}/models/nano.gguf`);
      expect(told.isolated).toBe(false);
      expect(told.description).not.toContain('threads');
      expect(told.reason.length).toBeGreaterThan(10);
    } finally {
      await browser.close();
      await plain.close();
    }
  }, 120_000);
});
