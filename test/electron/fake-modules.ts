/**
 * `electron/main` and `electron/common` for a whole program in plain Node: fake-electron.ts, and what a program has besides: windows, menus, tray, dialogs and shortcuts.
 * One program a module registry; a test that wants another one resets the modules.
 */
import { EventEmitter } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FakeElectron, type FakePage } from './fake-electron.ts';

export interface FakeItem {
  readonly label?: string;
  readonly role?: string;
  readonly enabled?: boolean;
  readonly submenu?: readonly FakeItem[];
  click?(): void;
}

const electron = new FakeElectron(mkdtempSync(join(tmpdir(), 'octavo-program-')));

export class BrowserWindow extends EventEmitter {
  readonly options: { readonly webPreferences: object };
  readonly page: FakePage = electron.open();
  address: string | undefined;
  minimized = false;
  shown = 0;
  focused = 0;

  constructor(options: { readonly webPreferences: object }) {
    super();
    this.options = options;
    program.windows.push(this);
  }

  get webContents(): FakePage['contents'] {
    return this.page.contents;
  }
  async loadURL(address: string): Promise<void> {
    this.address = address;
    await new Promise((resolve) => setImmediate(resolve));
    this.emit('ready-to-show');
    this.webContents.emit('did-finish-load');
  }
  show(): void {
    this.shown++;
  }
  focus(): void {
    this.focused++;
  }
  isMinimized(): boolean {
    return this.minimized;
  }
  restore(): void {
    this.minimized = false;
  }
  /** As the user closes it. */
  close(): void {
    program.windows.splice(program.windows.indexOf(this), 1);
    this.webContents.close();
    this.emit('closed');
    if (program.windows.length === 0) electron.events.emit('window-all-closed');
  }
}

export class Tray extends EventEmitter {
  menu: readonly FakeItem[] = [];
  tip = '';
  readonly icon: unknown;
  constructor(icon: unknown) {
    super();
    this.icon = icon;
    program.trays.push(this);
  }
  setToolTip(tip: string): void {
    this.tip = tip;
  }
  setContextMenu(menu: { readonly items: readonly FakeItem[] }): void {
    this.menu = menu.items;
  }
}

/** What the program has made, and what its surroundings answer. */
export const program = {
  electron,
  windows: [] as BrowserWindow[],
  trays: [] as Tray[],
  menu: [] as readonly FakeItem[],
  shortcuts: new Map<string, () => void>(),
  /** What the system's list of documents has. */
  system: [] as string[],
  errors: [] as string[],
  opened: [] as string[],
  /** What the user picks in the dialog. */
  picks: [] as string[],
  /** Whether no other one runs. */
  first: true,
};

export const app = Object.assign(electron.app, {
  name: 'Octavo Documents',
  requestSingleInstanceLock: () => program.first,
  addRecentDocument: (path: string) => program.system.push(path),
  clearRecentDocuments: () => program.system.splice(0),
});
export const { protocol, session, ipcMain, utilityProcess, MessageChannelMain, powerMonitor } = electron;
export const nativeTheme = { shouldUseDarkColors: false };
export const autoUpdater = new EventEmitter();
export const Menu = {
  buildFromTemplate: (items: readonly FakeItem[]) => ({ items }),
  setApplicationMenu: (menu: { readonly items: readonly FakeItem[] }) => (program.menu = menu.items),
};
export const dialog = {
  showOpenDialog: async () => ({ filePaths: program.picks }),
  showErrorBox: (title: string, text: string) => program.errors.push(`${title}: ${text}`),
};
export const globalShortcut = {
  register: (keys: string, run: () => void) => program.shortcuts.set(keys, run),
  unregisterAll: () => program.shortcuts.clear(),
};
export const nativeImage = { createFromPath: (path: string) => ({ resize: (size: object) => ({ path, size }) }) };
export const shell = { openExternal: async (address: string) => program.opened.push(address) };
