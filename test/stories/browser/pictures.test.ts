/** Pictures in a real Chromium, on the built package: whatever a page has is seen, and what is painted can be shown and kept. Skipped (and counted) where no browser starts. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { hasBrowser, openBrowser } from '../../../tools/browser.mjs';
import { serve } from '../../../tools/static-server.mjs';
import { tinyUniPic } from '../../support/tiny-unipic.ts';
import type { Octavo as OctavoType } from '../../../src/index.ts';

declare global {
  var Octavo: typeof OctavoType;
  var violations: string[];
  var ready: boolean;
}

const CSP =
  "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; connect-src 'self'; img-src 'self'; object-src 'none'";
const root = (path: string): string => fileURLToPath(new URL(`../../../${path}`, import.meta.url));

let available = false;
let folder: string;
let server: Awaited<ReturnType<typeof serve>>;

beforeAll(async () => {
  available = await hasBrowser();
  if (!available) console.warn('skipped: no browser could be started');
  folder = mkdtempSync(join(tmpdir(), 'octavo-pictures-'));
  writeFileSync(join(folder, 'tiny.gguf'), tinyUniPic());
  server = await serve({
    mounts: { '/dist/': root('dist'), '/test/': root('test/stories/browser'), '/models/': folder },
    csp: CSP,
  });
}, 120_000);

afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

describe('in Chromium', () => {
  test('canvases, bitmaps, pixels and files are seen alike; a painting is shown, kept and edited', async () => {
    if (!available) return;
    const browser = await openBrowser();
    try {
      const page = await browser.context.newPage();
      const errors: string[] = [];
      page.on('pageerror', (error) => errors.push(error.message));
      await page.goto(`${server.origin}/test/page.html`);
      await page.waitForFunction(() => globalThis.ready);
      page.setDefaultTimeout(0);
      const found = await page.evaluate(async (url) => {
        const model = await globalThis.Octavo.load(url, { device: 'wasm' });
        const canvas = Object.assign(document.createElement('canvas'), { width: 24, height: 16 });
        const paper = canvas.getContext('2d')!;
        paper.fillStyle = '#fff';
        paper.fillRect(0, 0, 24, 16);
        paper.fillStyle = '#c03010';
        paper.fillRect(3, 3, 9, 9);
        const offscreen = new OffscreenCanvas(24, 16);
        offscreen.getContext('2d')!.drawImage(canvas, 0, 0);
        const data = paper.getImageData(0, 0, 24, 16);
        const blob = await new Promise<Blob>((resolve) => canvas.toBlob((made) => resolve(made!)));
        const inputs = {
          canvas,
          offscreen,
          bitmap: await createImageBitmap(canvas),
          data,
          blob,
          file: new File([blob], 'red.png'),
          bytes: new Uint8Array(await blob.arrayBuffer()),
          address: canvas.toDataURL(),
        };
        const answers: Record<string, string> = {};
        for (const [name, value] of Object.entries(inputs)) {
          const session = await model.createSession({ temperature: 0, maxTokens: 8 });
          answers[name] = await session.prompt([
            {
              role: 'user',
              content: [
                { type: 'image', value },
                { type: 'text', value: 'What?' },
              ],
            },
          ]);
          session.destroy();
        }
        let previews = 0;
        const options = { seed: 1, steps: 3, diffusionSteps: 2 };
        const painted = await model.paint({
          prompt: 'a square',
          ...options,
          onPreview: ({ data }) => void (previews += data.length),
        });
        const bitmap = await painted.toImageBitmap();
        const png = await createImageBitmap(await painted.toBlob());
        const shown = new OffscreenCanvas(16, 16).getContext('2d')!;
        shown.drawImage(png, 0, 0);
        const kept = shown.getImageData(0, 0, 16, 16).data.every((value, i) => value === painted.data[i]);
        const edited = await model.edit({ instruction: 'blue', image: bitmap, ...options });
        const error = await model
          .edit({ instruction: 'blue', image: new Blob(['no picture']) })
          .catch((problem: Error) => problem.name);
        await model.destroy();
        return {
          answers,
          previews,
          kept,
          sizes: [bitmap.width, painted.toImageData().width, edited.width, data.data.length],
          error,
        };
      }, `${server.origin}/models/tiny.gguf`);
      expect(new Set(Object.values(found.answers)).size).toBe(1);
      expect(Object.keys(found.answers)).toHaveLength(8);
      expect(found).toMatchObject({ kept: true, sizes: [16, 16, 16, 4 * 24 * 16], error: 'FileError' });
      expect(found.previews % (4 * 16 * 16)).toBe(0);
      expect(found.previews).toBeGreaterThan(0);
      expect(await page.evaluate(() => globalThis.violations)).toEqual([]);
      expect(errors).toEqual([]);
    } finally {
      await browser.close();
    }
  }, 240_000);
});
