/**
 * examples/electron/main.js itself, run in plain Node on fake-modules.ts and the built `octavo/electron`: how documents come to its window, menu, tray, shortcut, power,
 * and how it ends.
 */
import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DesktopEvent } from '../../src/electron/messages.ts';
import type * as FakeModules from './fake-modules.ts';
import type { BrowserWindow, FakeItem } from './fake-modules.ts';

type Program = typeof FakeModules.program;

const { argv } = process;
let folder: string;
let program: Program;

/** Runs the main script, on a command line with documents. */
async function start(documents: readonly string[] = [], { first = true } = {}): Promise<void> {
  jest.resetModules();
  process.argv = ['electron', 'main.js', ...documents];
  ({ program } = (await import('electron/main' as string)) as typeof FakeModules);
  program.first = first;
  await import('../../examples/electron/main.js' as string);
}

/** The system says that it is ready; resolves with the first window. */
async function ready(): Promise<{ readonly window: BrowserWindow; readonly events: DesktopEvent[] }> {
  program.electron.start();
  await until(() => program.windows.length > 0);
  return listened();
}

function listened(): { readonly window: BrowserWindow; readonly events: DesktopEvent[] } {
  const window = program.windows[0]!;
  const events: DesktopEvent[] = [];
  window.page.pageBridge.listen((event) => events.push(event));
  return { window, events };
}

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; !condition(); i++) {
    if (i > 2000) throw new Error('it did not happen within 10 s');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const item = (label: RegExp, items: readonly FakeItem[] = program.menu): FakeItem => {
  const all = (list: readonly FakeItem[]): readonly FakeItem[] =>
    list.flatMap((one) => [one, ...all(one.submenu ?? [])]);
  const found = all(items).find((one) => label.test(one.label ?? one.role ?? ''));
  if (found === undefined) throw new Error(`no item ${label}`);
  return found;
};
const names = (events: readonly DesktopEvent[]): readonly string[] =>
  events.flatMap((event) => (event.kind === 'open' ? event.files.map(({ name }) => name) : []));
const path = (name: string): string => join(folder, name);

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'octavo-documents-'));
  for (const name of ['a.pdf', 'b.txt', 'c.md']) writeFileSync(path(name), `text of ${name}`);
});
afterEach(() => {
  process.argv = argv;
  program.electron.close();
  rmSync(folder, { recursive: true });
});

test('opens a hardened window, a menu, a tray and a shortcut, with the documents of the command line', async () => {
  await start([path('a.pdf'), '--flag', path('missing.pdf')]);
  expect(program.windows).toHaveLength(0);
  const { window, events } = await ready();
  expect(window.address).toBe('octavo://app/');
  expect(window.options.webPreferences).toMatchObject({
    sandbox: true,
    contextIsolation: true,
    nodeIntegration: false,
  });
  await until(() => names(events).length > 0);
  expect(names(events)).toEqual(['a.pdf']);
  const [event] = events;
  const { address } = event?.kind === 'open' ? event.files[0]! : { address: '' };
  expect(await (await program.electron.request(address)).text()).toBe('text of a.pdf');
  await until(() => program.system.length > 0);
  expect(program.system).toEqual([path('a.pdf')]);
  expect(JSON.parse(readFileSync(join(program.electron.app.getPath('userData'), 'recent.json'), 'utf8'))).toEqual([
    path('a.pdf'),
  ]);
  expect(item(/^a\.pdf$/)).toBeDefined();
  expect(program.trays[0]).toMatchObject({ tip: 'Octavo Documents' });
  expect([...program.shortcuts.keys()]).toEqual(['CommandOrControl+Shift+O']);
  expect(window.webContents.openHandler!({ url: 'https://example.org/' })).toEqual({ action: 'deny' });
  window.webContents.openHandler!({ url: 'file:///etc/passwd' });
  expect(program.opened).toEqual(['https://example.org/']);
});

test('opens what the system and a second start give, before and after it is ready', async () => {
  await start();
  let prevented = 0;
  const event = { preventDefault: () => prevented++ };
  program.electron.events.emit('open-file', event, path('a.pdf'));
  const { window, events } = await ready();
  await until(() => names(events).length === 1);
  program.electron.events.emit('open-file', event, path('b.txt'));
  await until(() => names(events).length === 2);
  window.minimized = true;
  program.electron.events.emit('second-instance', {}, ['electron', 'c.md'], folder);
  await until(() => names(events).length === 3);
  expect(names(events)).toEqual(['a.pdf', 'b.txt', 'c.md']);
  expect([prevented, window.minimized, program.windows.length]).toEqual([2, false, 1]);
  expect(window.focused).toBeGreaterThan(0);
});

test('its menu opens, remembers, forgets and commands; what is not there any more is said', async () => {
  await start();
  const { events } = await ready();
  program.picks = [path('b.txt'), path('c.md')];
  item(/Open…/).click!();
  await until(() => program.system.length === 2);
  expect(names(events)).toEqual(['b.txt', 'c.md']);
  item(/^b\.txt$/).click!();
  await until(() => names(events).length === 3);
  rmSync(path('c.md'));
  item(/^c\.md$/).click!();
  await until(() => program.errors.length === 1);
  expect(program.errors[0]).toContain('cannot be opened');
  item(/Clear/).click!();
  expect(program.system).toEqual([]);
  expect(item(/Open &Recent/).enabled).toBe(false);
  for (const label of [/Models/, /Settings/, /Shortcuts/]) item(label).click!();
  const commands = (): readonly string[] => events.flatMap((event) => (event.kind === 'command' ? [event.name] : []));
  await until(() => commands().length === 3);
  expect(commands()).toEqual(['show-models', 'show-settings', 'show-shortcuts']);
});

test('its tray and its shortcut show the window, or another one where it was closed', async () => {
  await start();
  const { window } = await ready();
  await until(() => program.trays.length > 0);
  window.minimized = true;
  const [[, shortcut] = ['', () => {}]] = [...program.shortcuts];
  shortcut();
  expect([window.minimized, window.focused]).toEqual([false, 1]);
  program.trays[0]!.emit('click');
  item(/Show/, program.trays[0]!.menu).click!();
  expect(window.focused).toBe(3);
  // The program goes on without a window, as on macOS.
  program.electron.events.removeAllListeners('window-all-closed');
  window.close();
  program.picks = [path('a.pdf')];
  item(/Open…/, program.trays[0]!.menu).click!();
  // The document is told before the page of the new window listens.
  await until(() => program.system.length > 0);
  const { events } = listened();
  expect(names(events)).toEqual(['a.pdf']);
});

test('tells its page of sleep and of the end of it, and ends when its last window is closed', async () => {
  await start();
  const { window, events } = await ready();
  await window.page.bridge.request({ kind: 'files' });
  for (const state of ['suspend', 'resume'] as const) program.electron.power.emit(state);
  await until(() => events.length === 2);
  expect(events).toEqual([
    { kind: 'power', state: 'suspend' },
    { kind: 'power', state: 'resume' },
  ]);
  await until(() => program.shortcuts.size > 0);
  window.close();
  await until(() => program.electron.ended);
  expect(program.shortcuts.size).toBe(0);
});

test('quits when what its page saves is saved, and not before', async () => {
  await start();
  const { window } = await ready();
  await window.page.bridge.request({ kind: 'holding', count: 1 });
  program.electron.app.quit();
  expect(program.electron.ended).toBe(false);
  await window.page.bridge.request({ kind: 'holding', count: 0 });
  await until(() => program.electron.ended);
});

test('a second start ends at once', async () => {
  await start([path('a.pdf')], { first: false });
  expect([program.electron.quits, program.windows.length]).toEqual([1, 0]);
  expect(program.electron.schemes).toEqual([]);
});
