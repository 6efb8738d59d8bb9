/** The app's scheme: ranges, conditions, isolation, and everything by which a page could try to read what it may not. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { execFileSync } from 'node:child_process';
import {
  linkSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundledAddress, isPlainName, namesOf, parseFileAddress } from '../../src/electron/addresses.ts';
import { Files, openFound } from '../../src/electron/files.ts';
import { bundledModel } from '../../src/load/bundled.ts';
import { rangeOf } from '../../src/electron/ranges.ts';
import { createHandler, pagePolicy } from '../../src/electron/serve.ts';

const PAGE_POLICY = pagePolicy();
const folder = mkdtempSync(join(tmpdir(), 'octavo-serve-'));
const models = join(folder, 'models');
const content = Buffer.from(Array.from({ length: 1000 }, (_, i) => i % 251));
const files = new Files({ models }, { pages: join(folder, 'pages'), package: join(folder, 'package') });
const handle = createHandler({
  pages: join(folder, 'pages'),
  files,
  policy: PAGE_POLICY,
  origins: ['octavo://app', 'http://localhost:5173'],
});
const get = async (url: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Response> =>
  handle(new Request(url, { method, headers }));
const bytes = async (response: Response): Promise<Buffer> => Buffer.from(await response.arrayBuffer());
const FILE = 'octavo://files/models/deep/er.gguf';

beforeAll(() => {
  mkdirSync(join(models, 'deep'), { recursive: true });
  mkdirSync(join(models, '.hidden'));
  mkdirSync(join(folder, 'pages/assets'), { recursive: true });
  writeFileSync(join(folder, 'secret.txt'), 'secret');
  writeFileSync(join(models, 'deep/er.gguf'), content);
  writeFileSync(join(models, '.hidden/key'), 'key');
  writeFileSync(join(models, 'evil.html'), '<script>alert(1)</script>');
  writeFileSync(join(models, 'empty'), '');
  writeFileSync(join(models, 'Größe & Maß 100%.pdf'), 'pdf');
  writeFileSync(join(folder, 'pages/index.html'), '<p>app');
  writeFileSync(join(folder, 'pages/assets/app.js'), 'export {}');
  symlinkSync(join(folder, 'secret.txt'), join(models, 'leak.txt'));
  symlinkSync('/', join(models, 'root'));
  symlinkSync('..', join(models, 'up'));
  symlinkSync(join(models, 'deep'), join(models, 'inner'));
  symlinkSync(join(models, '.hidden'), join(models, 'unhidden'));
  symlinkSync('loop', join(models, 'loop'));
  symlinkSync(join(folder, 'secret.txt'), join(folder, 'pages/leak.html'));
  execFileSync('mkfifo', [join(models, 'pipe')]);
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('files', () => {
  test('whole, with what tells versions apart', async () => {
    const response = await get(FILE);
    expect(response.status).toBe(200);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'accept-ranges': 'bytes',
      'content-length': '1000',
      'content-type': 'application/octet-stream',
      etag: expect.stringMatching(/^"[0-9a-f]+-[0-9a-f]+"$/) as unknown,
      'last-modified': expect.stringMatching(/ GMT$/) as unknown,
      'access-control-allow-origin': 'octavo://app',
      'cross-origin-resource-policy': 'same-origin',
      'x-content-type-options': 'nosniff',
    });
    expect(await bytes(response)).toEqual(content);
  });

  test.each([
    ['bytes=0-0', 0, 1],
    ['bytes=10-19', 10, 20],
    ['bytes=990-', 990, 1000],
    ['bytes=990-5000', 990, 1000],
    ['bytes=-10', 990, 1000],
    ['bytes=-5000', 0, 1000],
    ['BYTES=0-9', 0, 10],
  ])('%s is a part', async (range, start, end) => {
    const response = await get(FILE, { range });
    expect(response.status).toBe(206);
    expect(response.headers.get('content-range')).toBe(`bytes ${start}-${end - 1}/1000`);
    expect(response.headers.get('content-length')).toBe(String(end - start));
    expect(await bytes(response)).toEqual(content.subarray(start, end));
  });

  test.each(['bytes=1000-', 'bytes=5000-6000', 'bytes=-0'])('%s is outside of the file', async (range) => {
    const response = await get(FILE, { range });
    expect(response.status).toBe(416);
    expect(response.headers.get('content-range')).toBe('bytes */1000');
    expect(response.body).toBeNull();
  });

  test.each(['bytes=0-1,5-6', 'bytes=9-3', 'bytes=-', 'bytes=a-b', 'lines=0-1', 'bytes=0x1-2'])(
    '%s is answered by the whole file',
    async (range) => {
      const response = await get(FILE, { range });
      expect([response.status, (await bytes(response)).length]).toEqual([200, 1000]);
    },
  );

  test('ranges of any size are what arithmetic says', () => {
    fc.assert(
      fc.property(fc.nat(2000), fc.nat(2000), fc.nat(1500), (first, length, size) => {
        const reply = rangeOf(`bytes=${first}-${first + length}`, size);
        if (first >= size) expect(reply).toEqual({ status: 416 });
        else expect(reply).toEqual({ status: 206, start: first, end: Math.min(first + length + 1, size) });
      }),
    );
  });

  test('HEAD tells the same without a body', async () => {
    const [head, whole] = [await get(FILE, { range: 'bytes=0-3' }, 'HEAD'), await get(FILE)];
    expect([head.status, head.body]).toEqual([200, null]);
    expect(head.headers.get('content-length')).toBe('1000');
    expect(head.headers.get('etag')).toBe(whole.headers.get('etag'));
    await whole.body?.cancel();
  });

  test('conditions', async () => {
    const whole = await get(FILE, {}, 'HEAD');
    const etag = whole.headers.get('etag')!;
    const modified = whole.headers.get('last-modified')!;
    const status = async (headers: Record<string, string>): Promise<number> => {
      const response = await get(FILE, headers);
      await response.body?.cancel();
      return response.status;
    };
    const range = 'bytes=0-9';
    expect(await status({ 'if-none-match': etag })).toBe(304);
    expect(await status({ 'if-none-match': `"other", W/${etag}` })).toBe(304);
    expect(await status({ 'if-none-match': '"other"' })).toBe(200);
    expect(await status({ 'if-modified-since': modified })).toBe(304);
    expect(await status({ 'if-modified-since': new Date(0).toUTCString() })).toBe(200);
    expect(await status({ 'if-match': '"other"' })).toBe(412);
    expect(await status({ 'if-match': `W/${etag}` })).toBe(412);
    expect(await status({ 'if-match': etag })).toBe(200);
    expect(await status({ 'if-unmodified-since': new Date(0).toUTCString() })).toBe(412);
    expect(await status({ range, 'if-range': etag })).toBe(206);
    expect(await status({ range, 'if-range': modified })).toBe(206);
    expect(await status({ range, 'if-range': '"other"' })).toBe(200);
    expect(await status({ range, 'if-range': new Date(0).toUTCString() })).toBe(200);
  });

  test('another version has another tag, also within a second and at the same size', async () => {
    const path = join(models, 'changing');
    writeFileSync(path, 'one');
    utimesSync(path, 1000, 1000.25);
    const first = await get('octavo://files/models/changing', {}, 'HEAD');
    writeFileSync(path, 'two');
    utimesSync(path, 1000, 1000.5);
    const second = await get('octavo://files/models/changing', {}, 'HEAD');
    expect(second.headers.get('last-modified')).toBe(first.headers.get('last-modified'));
    expect(second.headers.get('etag')).not.toBe(first.headers.get('etag'));
  });

  test('a file that becomes shorter while it is read does not look complete', async () => {
    const path = join(models, 'shrinking');
    writeFileSync(path, Buffer.alloc(1 << 20));
    const response = await get('octavo://files/models/shrinking');
    const reader = response.body!.getReader();
    await reader.read();
    writeFileSync(path, 'short');
    await expect(
      (async () => {
        while (!(await reader.read()).done);
      })(),
    ).rejects.toThrow('shorter');
  });

  test('an empty file, and names with every kind of letter', async () => {
    const empty = await get('octavo://files/models/empty');
    expect([empty.status, empty.headers.get('content-length'), await empty.text()]).toEqual([200, '0', '']);
    const named = await get(`octavo://files/models/${encodeURIComponent('Größe & Maß 100%.pdf')}`);
    expect([named.status, named.headers.get('content-type'), await named.text()]).toEqual([
      200,
      'application/pdf',
      'pdf',
    ]);
  });

  test('what stands in a document never runs', async () => {
    const response = await get('octavo://files/models/evil.html');
    expect(response.headers.get('content-type')).toBe('application/octet-stream');
    expect(response.headers.get('content-security-policy')).toContain('sandbox');
    expect(response.headers.get('content-disposition')).toBe('attachment');
    await response.body?.cancel();
  });

  test('other origins', async () => {
    const preflight = await get(
      FILE,
      { origin: 'octavo://app', 'access-control-request-headers': 'if-range' },
      'OPTIONS',
    );
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get('access-control-allow-headers')).toContain('if-range');
    const allowed = await get(FILE, { origin: 'http://localhost:5173' }, 'HEAD');
    expect(allowed.headers.get('access-control-allow-origin')).toBe('http://localhost:5173');
    const foreign = await get(FILE, { origin: 'https://evil.example' }, 'HEAD');
    expect(foreign.headers.get('access-control-allow-origin')).toBe('octavo://app');
    for (const url of [FILE, 'octavo://app/']) {
      const request = Object.assign(new Request(url), { initiatorOrigin: 'https://evil.example' });
      expect((await handle(request)).status).toBe(403);
    }
  });

  test('only reading', async () => {
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH'])
      for (const url of [FILE, 'octavo://app/']) {
        const response = await get(url, {}, method);
        expect([response.status, response.headers.get('allow')?.startsWith('GET, HEAD')]).toEqual([405, true]);
      }
  });
});

test('engines find the bundled models by their addresses, and nothing else of the package', async () => {
  const find = async (address: string): Promise<string | undefined> =>
    (await files.find(parseFileAddress(address, false)!))?.path;
  for (const name of ['nano', 'nano-text']) {
    const address = bundledAddress(bundledModel(name)!);
    expect(address).toBe(`octavo://bundled/${name}.gguf`);
    expect(await find(address)).toBe(join(folder, `package/models/${name}/${name}.gguf`));
  }
  for (const path of ['nano', 'other.gguf', 'nano/nano.gguf', 'package.json', 'nano.gguf/nano.gguf'])
    expect(await find(`octavo://bundled/${path}`)).toBeUndefined();
});

describe('nothing outside of the folders', () => {
  test.each([
    'octavo://files/models/../secret.txt',
    'octavo://files/models/%2e%2e/secret.txt',
    'octavo://files/models/..%2fsecret.txt',
    'octavo://files/models/..%2Fsecret.txt',
    'octavo://files/models/..%5csecret.txt',
    'octavo://files/models/%252e%252e%252fsecret.txt',
    'octavo://files/models/deep/..%2f..%2fsecret.txt',
    'octavo://files/models/%2fetc%2fpasswd',
    'octavo://files/models//etc/passwd',
    'octavo://files/models/deep//er.gguf',
    'octavo://files/models/deep/er.gguf%00.txt',
    'octavo://files/models/%00',
    'octavo://files/models/C:%5cWindows%5cwin.ini',
    'octavo://files/models/..%c0%afsecret.txt',
    'octavo://files/models/%ff',
    'octavo://files/models/%',
    'octavo://files/models/leak.txt',
    'octavo://files/models/root/etc/passwd',
    'octavo://files/models/up/secret.txt',
    'octavo://files/models/up/models/deep/er.gguf/../../../secret.txt',
    'octavo://files/models/loop',
    'octavo://files/models/.hidden/key',
    'octavo://files/models/unhidden/key',
    'octavo://files/models/pipe',
    'octavo://files/models/deep',
    'octavo://files/models/',
    'octavo://files/models',
    'octavo://files/',
    'octavo://files/models/missing',
    'octavo://files/other/er.gguf',
    'octavo://files/__proto__/er.gguf',
    'octavo://files/models/deep/er.gguf/',
    'octavo://files/models/deep/er.gguf?query',
    'octavo://files:80/models/deep/er.gguf',
    'octavo://user@files/models/deep/er.gguf',
    'octavo://files.evil/models/deep/er.gguf',
    'octavo://elsewhere/models/deep/er.gguf',
    'octavo://bundled/nano.gguf',
    'octavo://bundled/other.gguf',
    'octavo://granted/00000000-0000-0000-0000-000000000000/er.gguf',
    'octavo:files/models/deep/er.gguf',
    'file:///etc/passwd',
    'octavo://app/../secret.txt',
    'octavo://app/%2e%2e%2fsecret.txt',
    'octavo://app/leak.html',
    'octavo://app/assets',
    'octavo://app/assets/',
  ])('%s', async (url) => {
    const response = await get(url).catch(() => undefined);
    // Undici refuses some addresses before they are sent.
    if (response !== undefined) expect([response.status, await response.text()]).toEqual([404, '']);
  });

  test('paths and names that are too long', async () => {
    for (const path of ['a/'.repeat(3000), 'a/'.repeat(100), 'a'.repeat(300)])
      expect((await get(`octavo://files/models/${path}x`)).status).toBe(404);
    expect(parseFileAddress('octavo://user@files/models/deep/er.gguf', false)).toBeUndefined();
  });

  test('links within a folder are followed', async () => {
    expect((await bytes(await get('octavo://files/models/inner/er.gguf'))).length).toBe(1000);
  });

  test('a folder that becomes a link between finding and opening', async () => {
    mkdirSync(join(folder, 'outside'));
    writeFileSync(join(folder, 'outside/file'), 'outside');
    mkdirSync(join(models, 'swapped'));
    writeFileSync(join(models, 'swapped/file'), 'inside');
    const found = (await files.find(parseFileAddress('octavo://files/models/swapped/file', false)!))!;
    renameSync(join(models, 'swapped'), join(models, 'moved'));
    symlinkSync(join(folder, 'outside'), join(models, 'swapped'));
    expect(await openFound(found)).toBeUndefined();
    unlinkSync(join(models, 'swapped'));
  });

  test('removed folders and revoked grants', async () => {
    const own = new Files({ a: models });
    const serve = createHandler({ pages: models, files: own, policy: '', origins: [] });
    const status = async (url: string): Promise<number> => {
      const response = await serve(new Request(url));
      await response.body?.cancel();
      return response.status;
    };
    const address = await own.grant(join(models, 'deep/er.gguf'));
    expect(address).toMatch(/^octavo:\/\/granted\/[0-9a-f-]{36}\/er\.gguf$/);
    expect(await own.grant(join(models, 'inner/er.gguf'))).toBe(address);
    expect(await status(address)).toBe(200);
    expect(await status(address.replace('er.gguf', 'er2.gguf'))).toBe(404);
    expect(await status(`${address}/more`)).toBe(404);
    expect(await status('octavo://files/a/empty')).toBe(200);
    own.remove('a');
    own.revoke(address);
    expect(await status('octavo://files/a/empty')).toBe(404);
    expect(await status(address)).toBe(404);
    await expect(own.grant(models)).rejects.toMatchObject({ code: 'argument' });
    await expect(own.grant(join(models, 'pipe'))).rejects.toMatchObject({ code: 'argument' });
    await expect(own.grant(join(folder, 'none'))).rejects.toMatchObject({ code: 'argument' });
    expect(() => own.add('../x', models)).toThrow('small letters');
    expect(() => own.add('x', 'relative')).toThrow('absolute');
  });

  test('a granted file whose place another took', async () => {
    const path = join(models, 'document.txt');
    writeFileSync(path, 'mine');
    const address = await files.grant(path);
    expect(await (await get(address)).text()).toBe('mine');
    unlinkSync(path);
    symlinkSync(join(folder, 'secret.txt'), path);
    expect((await get(address)).status).toBe(404);
    unlinkSync(path);
    linkSync(join(models, 'empty'), path);
    expect((await get(address)).status).toBe(200);
  });

  test('names that Windows reads in its own way', () => {
    for (const name of [
      'C:',
      'a:b',
      'file.txt::$DATA',
      'CON',
      'nul.txt',
      'com1',
      'COM¹.log',
      'a.',
      'a ',
      'a?',
      'a|b',
      '..',
      'a\\b',
    ])
      expect([name, isPlainName(name, true)]).toEqual([name, false]);
    for (const name of ['a.txt', 'CONSOLE', 'com10.x', 'Größe 1.pdf'])
      expect([name, isPlainName(name, true)]).toEqual([name, true]);
    expect(namesOf('/a/C:/b', true)).toBeUndefined();
    expect(namesOf('/a/C:/b', false)).toEqual(['a', 'C:', 'b']);
  });

  test('whatever an address holds, its names stay below', () => {
    const pieces = fc.constantFrom(
      '..',
      '.',
      '%2e',
      '%2E%2e',
      '/',
      '%2f',
      '\\',
      '%5c',
      '%00',
      'a',
      '%25',
      '%252e',
      ':',
      ' ',
      '%20',
      'ü',
      '',
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 12 }), fc.boolean(), (parts, windows) => {
        const names = namesOf(`/${parts.join('')}`, windows);
        for (const name of names ?? []) {
          expect(name).not.toMatch(/^\.|[/\\\0]/);
          expect(join('/root', name).startsWith('/root/')).toBe(true);
        }
      }),
    );
  });
});

describe('pages', () => {
  test('are isolated and run their own scripts only', async () => {
    for (const url of ['octavo://app/', 'octavo://app/index.html', 'octavo://app/assets/app.js']) {
      const response = await get(url);
      expect(response.status).toBe(200);
      expect(Object.fromEntries(response.headers)).toMatchObject({
        'cross-origin-opener-policy': 'same-origin',
        'cross-origin-embedder-policy': 'require-corp',
        'cross-origin-resource-policy': 'same-origin',
        'content-security-policy': PAGE_POLICY,
        'x-content-type-options': 'nosniff',
      });
      expect(response.headers.get('content-type')).toBe(
        url.endsWith('.js') ? 'text/javascript; charset=utf-8' : 'text/html; charset=utf-8',
      );
      await response.body?.cancel();
    }
    expect(/script-src ([^;]*)/.exec(PAGE_POLICY)![1]).toBe("'self' 'wasm-unsafe-eval'");
    expect(/connect-src ([^;]*)/.exec(PAGE_POLICY)![1]).not.toContain('http');
    expect(pagePolicy(['https://models.example'])).toContain(' octavo://granted https://models.example;');
  });
});
