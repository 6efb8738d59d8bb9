/** The same files in a real Chromium, in the page and in a worker, beside Node. Skipped (and counted) where none starts. */
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { build } from 'esbuild';
import { createNodeDecoder } from '../../src/platform/images-node.ts';
import { encodePng, readImage } from '../../src/vision/index.ts';
import { FileServer } from '../load/server.ts';
import { hasBrowser, openBrowser } from '../../tools/browser.mjs';
import { random } from '../support/random.ts';
import { noisePicture, pictureFile, pictures } from './pictures.ts';

/** A picture, or an error, as text. */
interface Told {
  readonly width?: number;
  readonly height?: number;
  readonly data?: number[];
  readonly name?: string;
  readonly code?: string;
  readonly message?: string;
}

declare global {
  var seen: (kind: string, url: string, cut?: number) => Promise<Told>;
  var written: (data: readonly number[], width: number, height: number) => Promise<{ native: number[]; png: number[] }>;
  var inWorker: (urls: string[]) => Promise<Told[]>;
}

const server = new FileServer();
let base = '';
let available = false;
const LEVELS = 3;

/** Runs in the page and, its first part, in a worker. */
const READ = `
import { readImage, encodePng, toImageBitmap, toImageData } from './src/vision/index.ts';
const tell = async (make) => {
  try {
    const { data, width, height } = await make();
    return { data: [...data], width, height };
  } catch ({ name, code, message }) {
    return { name, code, message };
  }
};
`;
const WORKER = `${READ}
self.onmessage = async ({ data: urls }) => {
  const told = [];
  for (const url of urls) told.push(await tell(() => readImage(url)));
  self.postMessage(told);
};`;
const PAGE = `${READ}
globalThis.seen = (kind, url, cut) => tell(async () => {
  if (kind === 'url') return readImage(url);
  if (kind === 'img') return readImage(Object.assign(new Image(), { src: url }));
  const blob = await (await fetch(url)).blob();
  if (kind === 'cut') return readImage(blob.slice(0, cut));
  if (kind === 'without OffscreenCanvas') {
    const kept = globalThis.OffscreenCanvas;
    delete globalThis.OffscreenCanvas;
    try { return await readImage(blob); } finally { globalThis.OffscreenCanvas = kept; }
  }
  if (kind === 'blob URL') return readImage(URL.createObjectURL(blob));
  if (kind === 'file') return readImage(new File([blob], 'x.gif'));
  if (kind === 'buffer') return readImage(await blob.arrayBuffer());
  const image = await readImage(blob);
  if (kind === 'ImageData') return readImage(toImageData(image));
  const bitmap = await toImageBitmap(image);
  if (kind === 'ImageBitmap') return readImage(bitmap);
  if (kind === 'closed ImageBitmap') { bitmap.close(); return readImage(bitmap); }
  const canvas = kind === 'canvas' ? document.createElement('canvas') : new OffscreenCanvas(1, 1);
  canvas.width = image.width;
  canvas.height = image.height;
  canvas.getContext('2d').putImageData(toImageData(image), 0, 0);
  return readImage(canvas);
});
globalThis.written = async (data, width, height) => {
  const file = await encodePng({ data: Uint8ClampedArray.from(data), width, height });
  const bitmap = await createImageBitmap(new Blob([file]));
  const paper = new OffscreenCanvas(width, height).getContext('2d');
  paper.drawImage(bitmap, 0, 0);
  return { native: [...paper.getImageData(0, 0, width, height).data], png: [...file] };
};
globalThis.inWorker = (urls) => new Promise((resolve) => {
  const worker = new Worker('/worker.js');
  worker.onmessage = ({ data }) => resolve(data);
  worker.postMessage(urls);
});`;

async function bundle(contents: string): Promise<Uint8Array> {
  const made = await build({
    stdin: { contents, resolveDir: fileURLToPath(new URL('../..', import.meta.url)), loader: 'ts' },
    bundle: true,
    format: 'iife',
    write: false,
    target: 'es2022',
  });
  return new Uint8Array(made.outputFiles[0]!.contents);
}

beforeAll(async () => {
  available = await hasBrowser();
  if (!available) console.warn('skipped: no browser could be started');
  base = (await server.start()).replace('127.0.0.1', 'localhost');
  server.files.set('/', {
    bytes: new TextEncoder().encode(
      '<!doctype html><meta charset="utf-8"><title>vision</title><script src="/app.js"></script>',
    ),
  });
  server.files.set('/app.js', { bytes: await bundle(PAGE) });
  server.files.set('/worker.js', { bytes: await bundle(WORKER) });
  for (const { name } of pictures) server.files.set(`/${name}`, { bytes: pictureFile(name) });
}, 120_000);
afterAll(() => server.stop());

function expectNear(
  name: string,
  found: Told,
  wanted: { width: number; height: number; data: ArrayLike<number> },
): void {
  expect({ name, width: found.width, height: found.height, message: found.message }).toEqual({
    name,
    width: wanted.width,
    height: wanted.height,
  });
  const worst = found.data!.reduce((most, value, i) => Math.max(most, Math.abs(value - wanted.data[i]!)), 0);
  if (worst > LEVELS) throw new Error(`${name}: ${worst} levels from Node's`);
}

describe('in Chromium', () => {
  test('every file within three levels of Node, in the page, in a worker, and without OffscreenCanvas; from everything; cut; written', async () => {
    if (!available) return;
    const decoder = createNodeDecoder();
    const browser = await openBrowser();
    try {
      const page = await browser.context.newPage();
      await page.goto(base);
      const see = (kind: string, name: string, cut?: number): Promise<Told> =>
        page.evaluate(([kind, url, cut]) => globalThis.seen(kind, url, cut), [kind, `${base}/${name}`, cut] as const);
      const worker = await page.evaluate(
        (urls) => globalThis.inWorker(urls),
        pictures.map(({ name }) => `${base}/${name}`),
      );
      for (const [i, { name }] of pictures.entries()) {
        const wanted = await readImage(pictureFile(name), { decoder });
        expectNear(name, await see('url', name), wanted);
        expectNear(name, worker[i]!, wanted);
        expectNear(name, await see('without OffscreenCanvas', name), wanted);
        const bytes = pictureFile(name);
        for (let end = 0; end < bytes.length; end += 100) {
          const told = await see('cut', name, end);
          if (told.name === undefined) expectNear(name, told, wanted);
          else
            expect(`${name} to ${end}: ${told.name} ${told.code}`).toMatch(
              /FileError (truncated|unsupported)|InputError empty/,
            );
        }
      }
      const upright = await readImage(pictureFile('orientation-6.jpg'), { decoder });
      for (const kind of ['blob URL', 'file', 'buffer', 'ImageData', 'ImageBitmap', 'img', 'canvas', 'OffscreenCanvas'])
        expectNear(kind, await see(kind, 'orientation-6.jpg'), upright);
      expect(await see('closed ImageBitmap', 'rgb.png')).toMatchObject({ name: 'InputError', code: 'argument' });
      expect(await see('img', 'none.png')).toMatchObject({ name: 'FileError', code: 'malformed' });

      const image = noisePicture(random(9), 37, 23);
      const { native, png } = await page.evaluate(([data, width, height]) => globalThis.written(data, width, height), [
        [...image.data],
        image.width,
        image.height,
      ] as const);
      expect(native).toEqual([...image.data]);
      expect((await readImage(Uint8Array.from(png), { decoder })).data).toEqual(image.data);
      expect(await encodePng(image)).toHaveLength(png.length);
    } finally {
      await browser.close();
    }
  }, 300_000);
});
