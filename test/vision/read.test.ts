/** Pictures from everything that Node has, beside what PIL reads from the same files; and what is no picture. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { OctavoError } from '../../src/errors.ts';
import { createNodeDecoder } from '../../src/platform/images-node.ts';
import { nodeFiles } from '../../src/platform/node-files.ts';
import { encodePng, MAX_FILE_BYTES, readImage, type ImageInput, type Rgba } from '../../src/vision/index.ts';
import { FileServer } from '../load/server.ts';
import { random } from '../support/random.ts';
import { noisePicture, pictureFile, pictures, rgbOf } from './pictures.ts';

const options = { decoder: createNodeDecoder(), files: nodeFiles };
/** Levels between decoders: chroma and AV1 arithmetic may round otherwise. */
const LEVELS = 3;

/** Jest's own comparison of long arrays takes seconds. */
function expectEqual(found: Rgba, wanted: Rgba): void {
  expect([found.width, found.height, Buffer.compare(Buffer.from(found.data), Buffer.from(wanted.data))]).toEqual([
    wanted.width,
    wanted.height,
    0,
  ]);
}

async function fault(input: unknown, more: object = {}): Promise<OctavoError> {
  try {
    await readImage(input as ImageInput, { ...options, ...more });
  } catch (error) {
    if (error instanceof OctavoError) return error;
    throw error;
  }
  throw new Error('it was taken');
}

describe('as PIL', () => {
  test.each(pictures.map((picture): [string, (typeof pictures)[number]] => [picture.name, picture]))(
    '%s',
    async (name, { width, height, rgb }) => {
      const image = await readImage(pictureFile(name), options);
      expect([image.width, image.height]).toEqual([width, height]);
      const wanted = Buffer.from(rgb, 'base64');
      for (const [i, value] of rgbOf(image).entries())
        if (Math.abs(value - wanted[i]!) > LEVELS) throw new Error(`byte ${i}: ${value}, PIL reads ${wanted[i]}`);
      expect(image.data.every((value, i) => i % 4 !== 3 || value === 255)).toBe(true);
    },
  );
});

describe('broken files', () => {
  test.each(pictures.map(({ name }) => name))('%s, cut at every tenth byte: refused, or whole', async (name) => {
    const bytes = pictureFile(name);
    const whole = await readImage(bytes, options);
    for (let end = 1; end < bytes.length; end += 10) {
      const image = await readImage(bytes.subarray(0, end), options).catch((error: unknown) => error);
      if (!(image instanceof OctavoError)) expectEqual(image as Rgba, whole);
    }
  });

  test('a photo, cut at every hundredth byte', async () => {
    const shared = new URL('../../../shared/data/images/dog.jpg', import.meta.url);
    const bytes = existsSync(shared)
      ? new Uint8Array(readFileSync(shared))
      : await encodePng(noisePicture(random(8), 110, 90));
    for (let end = 100; end < bytes.length; end += 100)
      expect(await fault(bytes.subarray(0, end))).toMatchObject({
        name: 'FileError',
        code: expect.stringMatching(/truncated|unsupported/),
      });
    expect((await readImage(bytes, options)).width).toBeGreaterThan(100);
  });

  test('random damage: a picture of the same size or less, or a typed error, never a hang', async () => {
    const source = random(21);
    for (const { name } of pictures) {
      const bytes = pictureFile(name);
      for (let turn = 0; turn < 12; turn++) {
        const damaged = Uint8Array.from(bytes);
        for (let i = 0; i < 4; i++) damaged[source.integer(0, damaged.length)] = source.integer(0, 256);
        const image = await readImage(damaged, options).catch((error: unknown) => error);
        if (image instanceof OctavoError) expect(image.message).toMatch(/^image: /);
        else expect((image as Rgba).data.length).toBe((image as Rgba).width * (image as Rgba).height * 4);
      }
    }
  });

  test('a header over nothing that decodes', async () => {
    const bytes = Uint8Array.from(pictureFile('lossless.webp'));
    bytes.fill(0xaa, 26);
    const error = await fault(bytes);
    expect(error).toMatchObject({ name: 'FileError', code: 'malformed' });
    expect(error.message).toMatch(/image: webp: it could not be decoded: the file is damaged; get it again/);
  });
});

describe('from everything', () => {
  const folder = mkdtempSync(join(tmpdir(), 'octavo-images-'));
  const server = new FileServer();
  let base = '';
  const file = pictureFile('orientation-6.jpg');
  let wanted: Rgba;
  beforeAll(async () => {
    base = await server.start();
    wanted = await readImage(file, options);
    writeFileSync(join(folder, 'a picture.jpg'), file);
  });
  afterAll(async () => {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  beforeEach(() => {
    server.reset();
    server.files.set('/p.jpg', { bytes: file });
  });

  test('bytes, Blob, File, paths, URLs', async () => {
    const path = join(folder, 'a picture.jpg');
    const inputs: ImageInput[] = [
      file,
      Buffer.from(file),
      file.slice().buffer,
      new Blob([file.slice()]),
      new File([file.slice()], 'x.png'),
      path,
      pathToFileURL(path),
      pathToFileURL(path).href,
      `${base}/p.jpg`,
      new URL(`${base}/p.jpg?token=secret`),
      `data:image/png;base64,${Buffer.from(file).toString('base64')}`,
      `data:,${[...file].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('')}`,
      URL.createObjectURL(new Blob([file.slice()])),
    ];
    for (const input of inputs) expectEqual(await readImage(input, options), wanted);
  });

  test('pixels: a copy, over white', async () => {
    const pixels: Rgba = {
      data: Uint8ClampedArray.of(10, 20, 30, 255, 10, 20, 30, 128, 1, 2, 3, 0),
      width: 3,
      height: 1,
    };
    const image = await readImage(pixels);
    expect([...image.data]).toEqual([10, 20, 30, 255, 132, 137, 142, 255, 255, 255, 255, 255]);
    expect(pixels.data[11]).toBe(0);
    const opaque = await readImage(wanted);
    expect(opaque).toEqual(wanted);
    expect(opaque.data.buffer).not.toBe(wanted.data.buffer);
  });

  test.each<[string, unknown, string, RegExp]>([
    ['nothing', undefined, 'argument', /must be a Blob/],
    ['null', null, 'argument', /must be a Blob/],
    ['a number', 7, 'argument', /must be a Blob/],
    ['an empty Blob', new Blob([]), 'empty', /no bytes/],
    ['a folder', folder, 'argument', /is a folder/],
    ['another scheme', 'ftp://example.org/x.png', 'argument', /'ftp:' URLs cannot be read/],
    ['bad base64', 'data:;base64,%%%', 'argument', /not base64/],
    ['a data URL without data', 'data:image/png', 'argument', /no comma/],
    ['too few pixels', { data: new Uint8ClampedArray(3), width: 1, height: 1 }, 'argument', /3 bytes for 1 x 1/],
    ['no side', { data: new Uint8ClampedArray(0), width: 0, height: 5 }, 'argument', /0 x 5 pixels/],
    ['no whole side', { data: new Uint8ClampedArray(4), width: 0.5, height: 2 }, 'argument', /0.5 x 2/],
    ['a side too many', { data: new Uint8ClampedArray(0), width: 20_000, height: 20_000 }, 'argument', /20000 x 20000/],
    ['floats', { data: new Float32Array(4), width: 1, height: 1 }, 'argument', /Uint8ClampedArray/],
  ])('%s', async (_, input, code, told) => {
    const error = await fault(input);
    expect(error).toMatchObject({ name: 'InputError', code });
    expect(error.message).toMatch(told);
  });

  test('no such file; no such page; no connection; a page instead of an image; too long', async () => {
    expect(await fault(join(folder, 'none.png'))).toMatchObject({ name: 'FileError', code: 'missing' });
    expect(await fault(`${base}/none.png?token=secret`)).toMatchObject({
      name: 'StorageError',
      code: 'network',
      facts: expect.objectContaining({ status: 404 }),
    });
    const broken = await fault('http://127.0.0.1:1/x.png?token=secret');
    expect(broken).toMatchObject({ name: 'StorageError', code: 'network' });
    expect(broken.message).not.toMatch(/secret/);
    server.files.set('/page.png', { bytes: new TextEncoder().encode('<!doctype html>') });
    expect((await fault(`${base}/page.png`)).message).toMatch(/page.png: format at byte 0: it is a web page/);
    server.files.set('/empty.png', { bytes: new Uint8Array(0) });
    expect((await fault(`${base}/empty.png`)).code).toBe('empty');
    const long = (async () =>
      new Response(new Uint8Array(8), { headers: { 'content-length': String(MAX_FILE_BYTES + 1) } })) as typeof fetch;
    expect((await fault(`${base}/long.png`, { fetch: long })).message).toMatch(
      /134217729 bytes; image files of at most 134217728/,
    );
    // A server that does not say how much comes.
    const endless = (async () =>
      new Response(new ReadableStream({ pull: (to) => to.enqueue(new Uint8Array(16 << 20)) }))) as typeof fetch;
    expect((await fault(`${base}/endless.png`, { fetch: endless })).message).toMatch(/at most 134217728/);
    server.behaviour.breakAfter = () => 100;
    expect((await fault(`${base}/p.jpg`)).message).toMatch(/the connection broke; try again/);
  });

  test('aborted before, while it waits for bytes, while it decodes', async () => {
    await expect(readImage(file, { ...options, signal: AbortSignal.abort('no') })).rejects.toBe('no');
    server.behaviour.stallAfter = () => 10;
    await expect(readImage(`${base}/p.jpg`, { ...options, signal: AbortSignal.timeout(100) })).rejects.toMatchObject({
      name: 'TimeoutError',
    });
    const control = new AbortController();
    const slow = { decode: () => new Promise<Rgba>(() => control.abort('late')) };
    await expect(readImage(file, { decoder: slow, signal: control.signal })).rejects.toBe('late');
  });

  test('without the package, or any decoder: what to install', async () => {
    const none = await fault(file, {
      decoder: createNodeDecoder(async () => {
        throw new Error('not found');
      }),
    });
    expect(none).toMatchObject({ name: 'DeviceError', code: 'unavailable' });
    expect(none.message).toMatch(/npm i @napi-rs\/canvas/);
    expect(await fault(file, { decoder: undefined })).toMatchObject({ name: 'DeviceError', code: 'unavailable' });
  });

  test('a picture of several bands', async () => {
    const [width, height] = [2048, 2300];
    const source = random(6);
    const rows = Uint8Array.from({ length: width * height * 3 }, () => source.integer(0, 256));
    const header = Buffer.alloc(54);
    header.write('BM');
    header.writeUInt32LE(54 + rows.length, 2);
    for (const [at, value] of [
      [10, 54],
      [14, 40],
      [18, width],
      [22, -height],
      [26, 1 + (24 << 16)],
    ] as const)
      header.writeInt32LE(value, at);
    const image = await readImage(Buffer.concat([header, rows]), options);
    // Blue comes first in the file.
    const wanted = Buffer.alloc(width * height * 4, 255);
    for (let i = 0; i < width * height; i++) for (let c = 0; c < 3; c++) wanted[4 * i + c] = rows[3 * i + 2 - c]!;
    expectEqual(image, { data: new Uint8ClampedArray(wanted), width, height });
  });
});
