/**
 * The main process in plain Node, on modules that stand for Electron's (fake-electron.ts): the bridge and its misuse, engines in processes that are killed, two
 * windows that load one model, and quitting while a session is saved. The engine's process and the preload script are those of dist/.
 */
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createDesktop, type Desktop, type DesktopOptions } from '../../src/electron/desktop.ts';
import type { Contents } from '../../src/electron/electron.ts';
import { Lending } from '../../src/electron/lending.ts';
import type { Bridge, DesktopEvent } from '../../src/electron/messages.ts';
import { PageBridge } from '../../src/electron/page-bridge.ts';
import type { LentApi } from '../../src/electron/process-api.ts';
import type { OctavoModel } from '../../src/face/model.ts';
import { Caller } from '../../src/worker/caller.ts';
import { portEndpoint } from '../../src/worker/endpoints.ts';
import { serve } from '../../tools/static-server.mjs';
import { CHATML, tinyModel } from '../support/tiny-model.ts';
import { FakeElectron } from './fake-electron.ts';

const scripts = fileURLToPath(new URL('../../dist', import.meta.url));
const ID = '0123abcd-0000-4000-8000-000000000000';
const TINY = 'octavo://files/models/tiny.gguf';
const greedy = { temperature: 0 };

let folder: string;
let electron: FakeElectron;
let desktop: Desktop;

async function begin(options: Partial<DesktopOptions> = {}): Promise<void> {
  electron = new FakeElectron(join(folder, 'userData'));
  desktop = createDesktop(electron, {
    pages: join(folder, 'pages'),
    folders: { models: join(folder, 'models') },
    scripts,
    ...options,
  });
  electron.start();
  await desktop.ready;
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'octavo-desktop-'));
  for (const name of ['pages', 'models', 'userData']) mkdirSync(join(folder, name));
  writeFileSync(join(folder, 'pages/index.html'), '<p>app');
  writeFileSync(join(folder, 'models/tiny.gguf'), tinyModel({ template: CHATML }));
  writeFileSync(join(folder, 'secret.gguf'), tinyModel({}));
  await begin();
});
afterEach(() => {
  electron.close();
  rmSync(folder, { recursive: true, maxRetries: 5 });
});

const answer = async (model: OctavoModel, prompt = 'hello'): Promise<string> => {
  const session = await model.createSession(greedy);
  const text = await session.prompt(prompt, { maxTokens: 8 });
  session.destroy();
  return text;
};

describe('the app', () => {
  test('registers its scheme before it is ready, serves pages, and hardens windows', async () => {
    expect(electron.schemes[0]).toMatchObject({ scheme: 'octavo', privileges: { standard: true, secure: true } });
    expect(electron.schemes[0]!.privileges).not.toHaveProperty('bypassCSP');
    expect((await electron.request(desktop.origin)).status).toBe(200);
    expect(desktop.webPreferences).toMatchObject({
      contextIsolation: true,
      sandbox: true,
      nodeIntegration: false,
      webviewTag: false,
    });
    expect(() => createDesktop(electron, { pages: folder, scripts })).toThrow('ready already');
    const { contents } = electron.open();
    for (const event of ['will-navigate', 'will-redirect', 'will-frame-navigate'] as const) {
      expect(contents.navigate(event, 'octavo://app/other.html')).toBe(true);
      for (const url of [
        'https://evil.example/',
        'octavo://files/models/evil.html',
        'file:///etc/passwd',
        'octavo://app.evil/',
        'javascript:alert(1)',
        'data:text/html,x',
        'about:blank',
      ])
        expect([event, url, contents.navigate(event, url)]).toEqual([event, url, false]);
    }
    expect(contents.openHandler!({ url: 'https://example.com/' })).toEqual({ action: 'deny' });
    expect(electron.permission!(null, 'media')).toBe(false);
    expect(electron.permission!(null, 'fullscreen')).toBe(true);
  });

  test('trusts no development server when it is packaged', () => {
    const packaged = new FakeElectron(folder);
    Object.assign(packaged.app, { isPackaged: true });
    expect(() => createDesktop(packaged, { pages: folder, scripts, development: 'http://localhost:5173' })).toThrow(
      'packaged',
    );
  });
});

describe('the bridge', () => {
  test('has three members and answers the top frame of the app alone', async () => {
    const page = electron.open();
    expect(Object.keys(page.bridge).sort()).toEqual(['listen', 'place', 'request']);
    expect(await page.bridge.request({ kind: 'files' })).toEqual({ value: [] });
    const foreign = [
      electron.open('https://evil.example'),
      electron.open('octavo://files'),
      electron.open('null'),
      electron.open('octavo://app', { parent: {} }),
    ];
    for (const { bridge } of foreign)
      for (const kind of ['files', 'sessions', 'usage'] as const)
        expect(await bridge.request({ kind })).toMatchObject({ error: { code: 'argument' } });
    expect(await foreign[0]!.bridge.request({ kind: 'connect', engine: ID })).toHaveProperty('error');
    expect(electron.children).toHaveLength(0);
  });

  test.each([
    [undefined],
    [null],
    ['files'],
    [{}],
    [{ kind: 'grant', path: '/etc/passwd' }],
    [{ kind: 'constructor' }],
    [{ kind: '__proto__' }],
    [{ kind: 'connect' }],
    [{ kind: 'connect', engine: '../../x' }],
    [{ kind: 'connect', engine: { toString: 1 } }],
    [{ kind: 'end', engine: 1 }],
    [{ kind: 'holding', count: -1 }],
    [{ kind: 'holding', count: 1e9 }],
    [{ kind: 'remove-file' }],
    [{ kind: 'remove-file', target: '' }],
    [{ kind: 'remove-file', target: 'x'.repeat(5000) }],
    [{ kind: 'remove-session', name: ['a'] }],
  ])('refuses %j', async (message) => {
    const page = electron.open();
    expect(await page.invoke('octavo:request', message)).toMatchObject({ error: { name: 'InputError' } });
    expect(electron.children).toHaveLength(0);
  });

  test('tells events, also those that came before the page listened', async () => {
    const page = electron.open();
    await page.bridge.request({ kind: 'files' });
    writeFileSync(join(folder, 'letter.txt'), 'Dear');
    const contents = page.contents as unknown as Contents;
    const [file] = await desktop.open(contents, [join(folder, 'letter.txt')]);
    desktop.command(contents, 'new-chat');
    electron.power.emit('suspend');
    const events: DesktopEvent[] = [];
    page.pageBridge.listen((event) => events.push(event));
    await new Promise((resolve) => setTimeout(resolve, 20));
    electron.power.emit('resume');
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(file!.name).toBe('letter.txt');
    expect(await (await electron.request(file!.address)).text()).toBe('Dear');
    expect(events).toEqual([
      { kind: 'open', files: [file] },
      { kind: 'command', name: 'new-chat' },
      { kind: 'power', state: 'suspend' },
      { kind: 'power', state: 'resume' },
    ]);
    page.contents.close();
    electron.power.emit('suspend');
  });
});

describe('engines', () => {
  test('answer as an engine in a worker does, and read what the page lends', async () => {
    const { octavo } = electron.open();
    const phases = new Set<string>();
    const model = await octavo.load(TINY, { device: 'wasm', onProgress: ({ phase }) => phases.add(phase) });
    expect(model.device.kind).toBe('wasm');
    expect(phases.size).toBeGreaterThan(0);
    const text = await answer(model);
    expect(text).not.toBe('');
    const parts: string[] = [];
    const session = await model.createSession(greedy);
    for await (const part of session.promptStreaming('hello', { maxTokens: 8 })) parts.push(part);
    expect(parts.join('')).toBe(text);
    await model.destroy();
    const file = new File([tinyModel({ template: CHATML })], 'mine.gguf');
    const lent = await octavo.load(file, { device: 'wasm' });
    expect(lent.name).toContain('mine.gguf');
    expect(await answer(lent)).toBe(text);
    const bytes = await octavo.load(tinyModel({ template: CHATML }), { device: 'wasm' });
    expect(await answer(bytes)).toBe(text);
    const nano = await octavo.load('nano', { device: 'wasm' });
    expect(nano.capabilities.paint).toBe(true);
    const reader = await octavo.load('nano-text', { device: 'wasm' });
    expect(reader.capabilities.paint).toBe(false);
    await Promise.all([lent.destroy(), bytes.destroy(), nano.destroy(), reader.destroy()]);
    for (const input of [TINY, file, 'nano'])
      expect(await octavo.inspect(input)).toMatchObject({ runs: true, format: 'gguf' });
    expect(await octavo.availability(TINY)).toBe('available');
    await until(() => electron.children.every(({ pid }) => pid === undefined || !alive(pid)));
  });

  test.each([
    ['a path', () => join(folder, 'secret.gguf')],
    ['a file: URL', () => `file://${join(folder, 'secret.gguf')}`],
    ['a path out of the folder', () => 'octavo://files/models/..%2f..%2fsecret.gguf'],
    ['a relative path', () => '../secret.gguf'],
    ['the name of an inner path', () => 'files/models/tiny.gguf'],
    ['a page', () => 'octavo://app/index.html'],
    ['a file that was not lent', () => `octavo-lent:${ID}/x.gguf`],
    ['a server that is not allowed', () => 'https://evil.example/model.gguf?secret'],
    ['a model of the hub', () => 'hf:owner/repo'],
  ])('do not read %s', async (_, place) => {
    await begin({ downloads: [] });
    const { octavo } = electron.open();
    const error = await octavo.load(place(), { device: 'wasm' }).catch((fault: unknown) => fault);
    expect(error).toMatchObject({ name: expect.stringMatching(/^(InputError|FileError)$/) as unknown });
    expect(String(error)).not.toContain('secret.gguf: ');
    await expect(octavo.inspect(place())).rejects.toMatchObject({ message: (error as Error).message });
  });

  test('have what the page lends as long as they run', async () => {
    const lending = new Lending();
    const place = String(lending.addresses(new Uint8Array(8)));
    const file = place.slice(place.indexOf(':') + 1);
    const sizeOf = (port: MessagePort) => new Caller<LentApi>(portEndpoint(port)).call('size', { file });
    const { port, end } = lending.open([place]);
    expect(await sizeOf(port)).toBe(8);
    end();
    const other = lending.open([]);
    expect(await sizeOf(other.port)).toBeUndefined();
    other.end();
  });

  test('hold nothing of a load that was aborted before they started', async () => {
    const lent = jest.spyOn(Lending.prototype, 'addresses');
    try {
      await begin();
      const { octavo } = electron.open();
      const loading = octavo.load(new Uint8Array(8), { signal: AbortSignal.abort(new Error('enough')) });
      await expect(loading).rejects.toThrow('enough');
      const controller = new AbortController();
      const later = octavo.load(new Uint8Array(8), { signal: controller.signal });
      controller.abort(new Error('enough'));
      await expect(later).rejects.toThrow('enough');
      expect(lent).not.toHaveBeenCalled();
    } finally {
      lent.mockRestore();
    }
  });

  test('whose port does not come are ended', async () => {
    jest.useFakeTimers();
    try {
      const asked: string[] = [];
      const request: Bridge['request'] = async ({ kind }) => {
        asked.push(kind);
        return { value: undefined };
      };
      const silent = { addEventListener: () => undefined, removeEventListener: () => undefined };
      const starting = new PageBridge({ place: 'process', request, listen: () => undefined }, silent).start();
      starting.catch(() => undefined);
      await jest.advanceTimersByTimeAsync(30_000);
      await expect(starting).rejects.toMatchObject({ name: 'DeviceError', code: 'unavailable' });
      expect(asked).toEqual(['connect', 'end']);
    } finally {
      jest.useRealTimers();
    }
  });

  test('do not read a projector or a hub beside what is allowed', async () => {
    const { octavo } = electron.open();
    await expect(octavo.load(TINY, { mmproj: join(folder, 'secret.gguf') })).rejects.toMatchObject({
      code: 'argument',
    });
    await expect(octavo.load('hf:owner/repo', { hub: 'https://evil.example' })).rejects.toMatchObject({
      code: 'argument',
    });
  });

  test('survive messages that no page of ours sends', async () => {
    const page = electron.open();
    const { port } = await page.pageBridge.start();
    const answers: unknown[] = [];
    port.onmessage = ({ data }: MessageEvent<unknown>) => answers.push(data);
    for (const message of [
      null,
      1,
      'x',
      [],
      {},
      { kind: 'call' },
      { kind: 'call', id: 1.5, method: 'load', params: {}, credits: 0 },
      { kind: 'call', id: -1 },
      { kind: 'cancel', id: 'x' },
      { kind: 'credit', id: 1, count: Infinity },
      { kind: 'result', id: 1 },
    ])
      port.postMessage(message);
    const call = (id: number, method: string, params: unknown): void =>
      port.postMessage({ kind: 'call', id, method, params, credits: 0 });
    call(1, '__proto__', {});
    call(2, 'constructor', {});
    call(3, 'load', {});
    call(4, 'load', { input: { length: 1 }, settings: null });
    call(5, 'load', { input: [TINY, '/etc/passwd'], settings: { mmproj: { toString: 1 } } });
    call(6, 'prompt', { model: 99, session: 1 });
    port.postMessage({
      kind: 'call',
      id: 7,
      method: 'load',
      params: { input: TINY, settings: {} },
      credits: 0,
      carried: 'lent',
    });
    await until(() => answers.filter((one) => (one as { kind: string }).kind !== 'event').length === 7);
    const settled = answers.filter((one) => (one as { kind: string }).kind !== 'event') as {
      kind: string;
      id: number;
    }[];
    expect(settled.map(({ kind, id }) => [id, kind]).sort(([a], [b]) => Number(a) - Number(b))).toEqual([
      [1, 'error'],
      [2, 'error'],
      [3, 'error'],
      [4, 'error'],
      [5, 'error'],
      [6, 'error'],
      [7, 'result'],
    ]);
  });

  test('are bounded in number, and belong to their page', async () => {
    // Engines that do nothing, as many as a page may have.
    const idle = join(folder, 'idle');
    mkdirSync(idle);
    writeFileSync(join(idle, 'electron-engine.js'), 'setInterval(() => {}, 1e6)');
    writeFileSync(join(idle, 'electron-preload.cjs'), '');
    await begin({ scripts: idle, patience: 50 });
    const page = electron.open();
    const other = electron.open();
    const engine = (i: number): string => `0123abcd-0000-4000-8000-0000000000${String(i).padStart(2, '0')}`;
    for (let i = 0; i < 16; i++)
      expect(await page.bridge.request({ kind: 'connect', engine: engine(i) })).toEqual({
        value: undefined,
      });
    expect(await page.bridge.request({ kind: 'connect', engine: engine(16) })).toMatchObject({
      error: { code: 'busy' },
    });
    expect(await other.bridge.request({ kind: 'connect', engine: engine(3) })).toMatchObject({
      error: { code: 'argument' },
    });
    await other.bridge.request({ kind: 'end', engine: engine(3) });
    expect(electron.children.every(({ pid }) => pid !== undefined && alive(pid))).toBe(true);
    page.contents.close();
    await until(() => electron.children.every(({ pid }) => !alive(pid!)));
  });

  test('that are killed are noticed, and sessions that were saved go on in the next one', async () => {
    const { octavo } = electron.open();
    const model = await octavo.load(TINY, { device: 'wasm' });
    const session = await model.createSession(greedy);
    await session.prompt('Remember this', { maxTokens: 4 });
    await session.save('kept');
    expect((await octavo.sessions.list()).map(({ name }) => name)).toEqual(['kept']);
    const expected = await (await session.clone()).prompt('Go on', { maxTokens: 8 });
    const pending = session.prompt('This will be cut off', { maxTokens: 400 });
    const failed = pending.catch((error: unknown) => error);
    process.kill(electron.children[0]!.pid!, 'SIGKILL');
    expect(await failed).toMatchObject({ name: 'DeviceError', code: 'lost' });
    expect(await model.lost).toMatchObject({ name: 'DeviceError', code: 'lost', facts: { code: 9 } });
    await expect(model.createSession()).rejects.toMatchObject({ code: 'lost' });
    const again = await octavo.load(TINY, { device: 'wasm' });
    expect(electron.children).toHaveLength(2);
    const resumed = await octavo.sessions.resume(again, 'kept');
    expect(await resumed.prompt('Go on', { maxTokens: 8 })).toBe(expected);
    await model.destroy();
  });

  test('of two windows download a model once, and go on where a killed one stopped', async () => {
    const bytes = tinyModel({
      template: CHATML,
      metadata: { 'general.description': ['string', 'x'.repeat(2 << 20)] as never },
    });
    writeFileSync(join(folder, 'models/large.gguf'), bytes);
    const server = await serve({ mounts: { '/': join(folder, 'models') }, throttle: 700_000 });
    try {
      await begin({ downloads: [server.origin] });
      const url = `${server.origin}/large.gguf`;
      const sent = (): number => server.requests.reduce((sum, { sent }) => sum + sent, 0);
      const [first, second] = [electron.open(), electron.open()];
      const cut = first.octavo.load(url, { device: 'wasm' }).catch((error: unknown) => error);
      await until(() => sent() > 900_000);
      process.kill(electron.children[0]!.pid!, 'SIGKILL');
      expect(await cut).toMatchObject({ code: 'lost' });
      const before = sent();
      const seen: number[][] = [[], []];
      const models = await Promise.all(
        [first, second].map(({ octavo }, i) =>
          octavo.load(url, {
            device: 'wasm',
            onProgress: ({ phase, loaded }) => phase === 'download' && seen[i]!.push(loaded),
          }),
        ),
      );
      expect(await answer(models[0]!)).toBe(await answer(models[1]!));
      for (const loaded of seen)
        expect(loaded.filter((one) => one > 0 && one < bytes.length).length).toBeGreaterThan(1);
      // Both windows see one download, which did not begin anew.
      expect(sent()).toBeLessThan(before + bytes.length * 0.9);
      expect(server.requests.filter(({ status }) => status === 206).length).toBeGreaterThan(0);
      const stored = await second.octavo.store.list();
      expect(stored).toMatchObject([{ url, complete: true, size: bytes.length }]);
      expect(stored[0]!.sha256).toMatch(/^[0-9a-f]{64}$/);
      expect(await first.octavo.availability(url)).toBe('available');
      expect(readdirSync(join(folder, 'userData/octavo'))).toContain('models');
      expect(await first.octavo.store.remove(url)).toBe(1);
      expect(await second.octavo.store.list()).toEqual([]);
      await expect(first.octavo.load(url, { device: 'wasm', sha256: '0'.repeat(64) })).rejects.toMatchObject({
        code: 'checksum',
      });
      expect(await second.octavo.store.list()).toEqual([]);
    } finally {
      await server.close();
    }
  });
});

describe('quitting', () => {
  const saveSlowly = async (
    slow: number,
    options: Partial<DesktopOptions> = {},
  ): Promise<{ expected: string; saving: Promise<unknown> }> => {
    await begin(options);
    electron.environment = { OCTAVO_TEST_SLOW_WRITES: String(slow) };
    const { octavo } = electron.open();
    const model = await octavo.load(TINY, { device: 'wasm' });
    const session = await model.createSession(greedy);
    await session.prompt('Remember this', { maxTokens: 4 });
    const expected = await (await session.clone()).prompt('Go on', { maxTokens: 8 });
    const saving = session.save('last').catch((error: unknown) => error);
    const sessions = join(folder, 'userData/octavo/sessions');
    await until(() => existsSync(sessions) && readdirSync(sessions, { recursive: true }).length > 2);
    return { expected, saving };
  };

  test('waits for a session that is being saved', async () => {
    const { expected, saving } = await saveSlowly(150);
    electron.app.quit();
    expect(electron.ended).toBe(false);
    await until(() => electron.ended);
    expect(electron.quits).toBe(2);
    expect(await saving).toMatchObject({ name: 'last' });
    await begin();
    const { octavo } = electron.open();
    const model = await octavo.load(TINY, { device: 'wasm' });
    expect(await (await octavo.sessions.resume(model, 'last')).prompt('Go on', { maxTokens: 8 })).toBe(expected);
  });

  test('closing the window waits, too', async () => {
    await saveSlowly(150);
    const { pid } = electron.children[0]!;
    electron.closeAll();
    await until(() => !alive(pid!));
    await begin();
    const { octavo } = electron.open();
    expect((await octavo.sessions.list()).map(({ name }) => name)).toEqual(['last']);
  });

  test('waits no longer than the patience, and a save that was cut off leaves nothing half', async () => {
    const { saving } = await saveSlowly(3000, { patience: 300 });
    const begun = performance.now();
    electron.app.quit();
    await until(() => electron.ended);
    expect(performance.now() - begun).toBeLessThan(2500);
    expect(await saving).toMatchObject({ code: 'lost' });
    await begin();
    const { octavo } = electron.open();
    expect(await octavo.sessions.list()).toEqual([]);
    const model = await octavo.load(TINY, { device: 'wasm' });
    await expect(octavo.sessions.resume(model, 'last')).rejects.toMatchObject({ name: 'InputError' });
  });

  test('waits for saves in pages, and not at all where nothing is saved', async () => {
    const page = electron.open();
    await page.bridge.request({ kind: 'holding', count: 2 });
    electron.app.quit();
    expect(electron.ended).toBe(false);
    // Whoever else waits does not wait longer.
    const begun = performance.now();
    const others = [desktop.settled(), desktop.settled()];
    await page.bridge.request({ kind: 'holding', count: 0 });
    await until(() => electron.ended);
    await Promise.all(others);
    expect(performance.now() - begun).toBeLessThan(5000);
    await begin();
    electron.app.quit();
    expect([electron.ended, electron.quits]).toEqual([true, 1]);
  });
});

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; !condition(); i++) {
    if (i > 2000) throw new Error('it did not happen within 20 s');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
