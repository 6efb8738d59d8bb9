/**
 * The packed SDK in projects of other people's tools, without a word of configuration for it: dev servers and bundlers, another origin, a service
 * worker, Deno, and Node from a bundle. Each page runs nano for text and then paints, whose code is fetched when it is needed. Skipped (and counted) where
 * no browser starts; the tools come by `npm ci` in this folder.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { tinyModel } from '../../support/tiny-model.ts';
import { hasBrowser, openBrowser } from '../../../tools/browser.mjs';

interface Outcome {
  readonly text?: string;
  readonly width?: number;
  readonly device?: string;
  readonly error?: string;
}

declare global {
  var outcome: Promise<Outcome> | undefined;
}

const run = promisify(execFile);
const here = fileURLToPath(new URL('./', import.meta.url));
const root = fileURLToPath(new URL('../../../', import.meta.url));
/** Outside of this repository, whose tsconfig.json would lead bundlers to the sources; kept between runs, by the tools' versions. */
const lock = createHash('sha256')
  .update(readFileSync(join(here, 'package-lock.json')))
  .digest('hex');
const workspace = join(tmpdir(), `octavo-bundlers-${lock.slice(0, 12)}`);
/** nano, and a language model whose page needs no code for pictures. */
const models = join(workspace, 'models');
const installed = join(workspace, 'node_modules/octavo');

let browser: Awaited<ReturnType<typeof openBrowser>> | undefined;

beforeAll(async () => {
  if (!existsSync(join(workspace, 'node_modules/.package-lock.json'))) {
    mkdirSync(workspace, { recursive: true });
    for (const file of ['package.json', 'package-lock.json']) cpSync(join(here, file), join(workspace, file));
    await run('npm', ['ci', '--no-audit', '--no-fund'], { cwd: workspace });
  }
  mkdirSync(models, { recursive: true });
  cpSync(join(root, 'models/nano/nano.gguf'), join(models, 'nano.gguf'));
  writeFileSync(join(models, 'tiny.gguf'), tinyModel({}));
  const scratch = mkdtempSync(join(tmpdir(), 'octavo-pack-'));
  const { stdout } = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', scratch], {
    cwd: root,
    maxBuffer: 1 << 26,
  });
  const [{ filename }] = JSON.parse(stdout) as [{ filename: string }];
  rmSync(installed, { recursive: true, force: true });
  mkdirSync(installed, { recursive: true });
  await run('tar', ['xzf', join(scratch, filename), '-C', installed, '--strip-components=1']);
  rmSync(scratch, { recursive: true });
  if (await hasBrowser()) browser = await openBrowser();
  else console.warn('skipped: no browser could be started');
}, 300_000);

afterAll(async () => {
  await browser?.close();
});

interface Visit {
  readonly outcome: Outcome;
  /** Bytes after gzip by file. */
  readonly downloaded: Readonly<Record<string, number>>;
}

const visits = new Map<string, Promise<Visit>>();

/** What a project's page gave; a project is built once for all tests that ask for the same page. */
function visit(project: string, search = ''): Promise<Visit> {
  const page = project + search;
  const known = visits.get(page) ?? newVisit(project, search);
  visits.set(page, known);
  return known;
}

/** Builds and serves a project in a process of its own, and opens its page. */
async function newVisit(project: string, search: string): Promise<Visit> {
  const server: ChildProcess = spawn(process.execPath, [join(here, 'serve.mjs'), project, workspace, models], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, NODE_OPTIONS: '', NODE_ENV: '' },
  });
  let problems = '';
  server.stderr?.on('data', (chunk: Buffer) => (problems += chunk.toString()));
  const lines = createInterface({ input: server.stdout! });
  const said = <T>(what: string): Promise<T> =>
    new Promise((resolve, reject) => {
      lines.on('line', (line) => {
        if (line.startsWith(`{"${what}"`)) resolve(JSON.parse(line) as T);
      });
      server.on('exit', (code) => reject(new Error(`${project} ended with ${code}: ${problems}`)));
    });
  try {
    const { origin, path } = await said<{ origin: string; path: string }>('origin');
    const page = await browser!.context.newPage();
    page.setDefaultTimeout(120_000);
    try {
      await page.goto(origin + path + search);
      await page.waitForFunction(() => globalThis.outcome !== undefined);
      const outcome = await page.evaluate(() => globalThis.outcome!);
      const told = said<{ downloaded: Record<string, number> }>('downloaded');
      server.stdin?.end();
      return { outcome, ...(await told) };
    } finally {
      await page.close();
    }
  } finally {
    server.kill();
  }
}

describe('in Chromium', () => {
  test.each([
    ['vite6-dev', 'WASM (relaxed), 1 thread'],
    ['vite6-build', 'WASM (relaxed-threads), 2 threads'],
    ['vite7-dev', 'WASM (relaxed), 1 thread'],
    ['vite7-build', 'WASM (relaxed-threads), 2 threads'],
    ['vite8-dev', 'WASM (relaxed), 1 thread'],
    ['vite8-build', 'WASM (relaxed-threads), 2 threads'],
    ['vite8-nano', 'WASM (relaxed-threads), 2 threads'],
    ['webpack', 'WASM (relaxed-threads), 2 threads'],
    ['webpack-nano', 'WASM (relaxed-threads), 2 threads'],
    ['next', 'WASM (relaxed), 1 thread'],
    ['esbuild', 'WASM (relaxed-threads), 2 threads'],
    ['service-worker', 'WASM (relaxed), 1 thread'],
    ['plain', 'WASM (relaxed-threads), 2 threads'],
    ['cdn', 'WASM (relaxed-threads), 2 threads'],
  ])(
    '%s',
    async (project, device) => {
      if (browser === undefined) return;
      const { outcome } = await visit(project);
      expect(outcome).toEqual({ text: 'string', width: 64, device });
    },
    240_000,
  );
});

/** Bytes after gzip that a page with a language model may download before the weights: the face, the engine, one WASM build, and what a chat needs. */
const TEXT_LIMIT = 180 * 1024;

describe('what a page downloads before the weights', () => {
  test.each(['plain', 'vite8-build', 'webpack'])(
    '%s',
    async (project) => {
      if (browser === undefined) return;
      const sum = (files: Readonly<Record<string, number>>): number =>
        Object.values(files).reduce((total, bytes) => total + bytes, 0);
      const { downloaded: text } = await visit(project, '?text');
      const { downloaded: painting } = await visit(project);
      console.log(
        `${project}: ${(sum(text) / 1024).toFixed(1)} KB gzip for a conversation, ${(sum(painting) / 1024).toFixed(1)} KB with a painting\n` +
          Object.entries(painting)
            .map(([file, bytes]) => `  ${file} ${(bytes / 1024).toFixed(1)}${file in text ? '' : ' (painting)'}`)
            .join('\n'),
      );
      expect(sum(text)).toBeLessThan(TEXT_LIMIT);
      expect(sum(painting)).toBeGreaterThan(sum(text));
      expect(Object.keys(text).some((file) => file.includes('unipic'))).toBe(false);
    },
    240_000,
  );
});

test('the types are complete: checked with skipLibCheck off', async () => {
  const folder = join(workspace, 'types');
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    join(folder, 'app.ts'),
    `import { Octavo } from 'octavo';
     import { nano } from 'octavo/nano';
     import { nanoText } from 'octavo/nano-text';
     export const models: readonly string[] = [nano, nanoText];
     export const answer = async (): Promise<string> => (await (await Octavo.load(nano)).createSession()).prompt('Hello');`,
  );
  const compilerOptions = {
    target: 'es2022',
    module: 'esnext',
    moduleResolution: 'bundler',
    lib: ['es2023', 'dom', 'dom.iterable'],
    types: [],
    strict: true,
    skipLibCheck: false,
    noEmit: true,
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['app.ts'] }));
  await run(join(root, 'node_modules/.bin/tsc'), ['-p', folder]);
}, 60_000);

test('in Deno, from the package as npm installs it', async () => {
  const app = join(workspace, 'deno');
  cpSync(join(here, 'app'), app, { recursive: true });
  const { stdout } = await run(
    join(workspace, 'node_modules/.bin/deno'),
    ['run', '--allow-all', '--no-prompt', '--node-modules-dir=manual', join(app, 'node.js'), join(models, 'nano.gguf')],
    { cwd: workspace },
  );
  const { device, ...outcome } = JSON.parse(stdout) as Outcome;
  expect(outcome).toEqual({ text: 'string', width: 64 });
  expect(device).toMatch(/^WASM \(relaxed-threads\), [2-9]\d* threads$/);
}, 60_000);

describe('in Node, from a bundle in a folder without the package', () => {
  test.each(['esm', 'cjs'] as const)(
    '%s',
    async (format) => {
      const folder = mkdtempSync(join(tmpdir(), 'octavo-bundle-'));
      try {
        const app = join(workspace, `node-${format}`);
        cpSync(join(here, 'app'), app, { recursive: true });
        const outfile = join(folder, format === 'esm' ? 'app.mjs' : 'app.cjs');
        await run(join(workspace, 'node_modules/.bin/esbuild'), [
          join(app, 'node.js'),
          '--bundle',
          '--platform=node',
          `--format=${format}`,
          '--log-level=error',
          `--outfile=${outfile}`,
        ]);
        const { stdout } = await run(process.execPath, [outfile, join(models, 'nano.gguf')], {
          cwd: folder,
          env: { ...process.env, NODE_OPTIONS: '' },
        });
        expect(JSON.parse(stdout)).toMatchObject({ text: 'string', width: 64 });
      } finally {
        rmSync(folder, { recursive: true });
      }
    },
    120_000,
  );

  test.each(['nano', 'nano-text'])(
    'require("octavo") and %s',
    async (name) => {
      const { stdout } = await run(
        process.execPath,
        [
          '-e',
          `require('octavo').Octavo.load('${name}').then((model) => model.complete('a', { maxTokens: 1 }).then(({ text }) => (console.log(typeof text), model.destroy())))`,
        ],
        { cwd: workspace, env: { ...process.env, NODE_OPTIONS: '' } },
      );
      expect(stdout.trim()).toBe('string');
    },
    60_000,
  );
});
