/**
 * The whole in a real Electron, by Playwright: what the page may and may not do, an answer of an engine in a utility process, its death, and a save while the
 * program quits. It runs where there is an Electron binary: OCTAVO_ELECTRON names it, or examples/electron has it (`npx electron --version` there fetches it). Linux
 * needs a display (Xvfb). Elsewhere it is skipped, and says so; fake-electron.ts then stands for Electron.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { _electron, type ElectronApplication, type Page } from 'playwright-core';
import type { OctavoFace } from '../../src/face/octavo.ts';
import { CHATML, tinyModel } from '../support/tiny-model.ts';

declare global {
  var octavo: OctavoFace;
}

const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const BINARIES: Readonly<Partial<Record<NodeJS.Platform, string>>> = {
  darwin: 'Electron.app/Contents/MacOS/Electron',
  win32: 'electron.exe',
};
const binary =
  process.env['OCTAVO_ELECTRON'] ??
  path(`../../examples/electron/node_modules/electron/dist/${BINARIES[process.platform] ?? 'electron'}`);
const runs = existsSync(binary) && (process.platform !== 'linux' || process.env['DISPLAY'] !== undefined);
if (!runs) console.warn(`skipped: no Electron at ${binary}, or no display; see the head of test/electron/e2e.test.ts`);

const folder = mkdtempSync(join(tmpdir(), 'octavo-e2e-'));
let app: ElectronApplication;

async function start(): Promise<Page> {
  app = await _electron.launch({
    executablePath: binary,
    args: ['--no-sandbox', path('e2e/main.mjs')],
    env: { ...(process.env as Record<string, string>), NODE_OPTIONS: '', OCTAVO_E2E: folder },
  });
  const page = await app.firstWindow();
  await page.waitForFunction(() => globalThis.octavo !== undefined);
  return page;
}

beforeAll(() => {
  mkdirSync(join(folder, 'models'));
  mkdirSync(join(folder, 'pages'));
  writeFileSync(join(folder, 'models/tiny.gguf'), tinyModel({ template: CHATML }));
  writeFileSync(join(folder, 'pages/index.html'), '<!doctype html><script type="module" src="page.js"></script>');
  writeFileSync(
    join(folder, 'pages/page.js'),
    "import { Octavo } from './dist/electron-renderer.js';\nglobalThis.octavo = Octavo;\n",
  );
  cpSync(path('../../dist'), join(folder, 'pages/dist'), { recursive: true });
});
afterAll(async () => {
  await app?.close();
  rmSync(folder, { recursive: true, maxRetries: 5 });
});

(runs ? test : test.skip)(
  'a page asks an engine in a process of its own, which dies, and quitting saves',
  async () => {
    const page = await start();
    const seen = await page.evaluate(async () => ({
      isolated: crossOriginIsolated,
      node: typeof (globalThis as { require?: unknown }).require,
      outside: (await fetch('octavo://files/models/..%2fpages%2findex.html')).status,
      range: await (await fetch('octavo://files/models/tiny.gguf', { headers: { range: 'bytes=0-3' } })).text(),
      network: await fetch('https://example.org/').then(
        () => true,
        () => false,
      ),
    }));
    expect(seen).toEqual({ isolated: true, node: 'undefined', outside: 404, range: 'GGUF', network: false });

    const kept = await page.evaluate(async () => {
      const model = await octavo.load('octavo://files/models/tiny.gguf', { device: 'wasm' });
      const session = await model.createSession({ temperature: 0 });
      await session.prompt('Remember', { maxTokens: 4 });
      await session.save('kept');
      const lost = model.lost.then(({ name }) => name);
      Object.assign(globalThis, { lost });
      return (await session.clone()).prompt('Go on', { maxTokens: 8 });
    });
    await app.evaluate((electron) => {
      const { app } = electron as unknown as { app: { getAppMetrics(): { pid: number; name?: string }[] } };
      for (const { pid, name } of app.getAppMetrics()) if (name === 'Octavo engine') process.kill(pid, 'SIGKILL');
    });
    expect(await page.evaluate(() => (globalThis as { lost?: Promise<string> }).lost)).toBe('DeviceError');
    const resumed = await page.evaluate(async () => {
      const model = await octavo.load('octavo://files/models/tiny.gguf', { device: 'wasm' });
      const session = await model.resumeSession('kept');
      const text = await (await session.clone()).prompt('Go on', { maxTokens: 8 });
      void session.save('last');
      return text;
    });
    expect(resumed).toBe(kept);
    await app.close();
    const again = await start();
    expect(await again.evaluate(async () => (await octavo.sessions.list()).map(({ name }) => name).sort())).toEqual([
      'kept',
      'last',
    ]);
  },
  120_000,
);

test('the program of this test is a module that Node can read', () => {
  execFileSync(process.execPath, ['--check', path('e2e/main.mjs')], { env: { ...process.env, NODE_OPTIONS: '' } });
});
