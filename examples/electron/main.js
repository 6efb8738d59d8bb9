// The desktop program: one window on the document application, whose engine runs in a process of its own.
import { nativeImage, shell } from 'electron/common';
import * as electron from 'electron/main';
import { join } from 'node:path';
import { createDesktop } from 'octavo/electron';
import { documentsOf } from './documents.js';
import { menuTemplate } from './menu.js';
import { RecentDocuments } from './recent.js';
import { followUpdates } from './updates.js';

const { app, BrowserWindow, dialog, globalShortcut, Menu, Tray } = electron;

/** Shows the window from anywhere. */
const SHORTCUT = 'CommandOrControl+Shift+O';
/** Links that may be opened in the browser. */
const LINK = /^https:\/\//;

const pages = join(import.meta.dirname, 'dist');
const icon = join(pages, 'icon-192.png');

/** @type {Electron.BrowserWindow | undefined} */
let window;
/** Kept, since a tray that is collected vanishes. @type {Electron.Tray | undefined} */
let tray;
/** Documents that came before there was a window. @type {string[]} */
const early = [];

// A second start gives its documents to the first and ends.
if (!app.requestSingleInstanceLock()) app.quit();
else start();

function start() {
  const desktop = createDesktop(electron, {
    pages,
    onLink: (address) => {
      if (LINK.test(address)) void shell.openExternal(address);
    },
  });
  const recent = new RecentDocuments(join(app.getPath('userData'), 'recent.json'));

  const show = () => {
    if (window === undefined) openWindow();
    else if (window.isMinimized()) window.restore();
    window?.show();
    window?.focus();
  };

  /** @param {readonly string[]} paths */
  const open = async (paths) => {
    if (paths.length === 0) return;
    if (window === undefined) {
      early.push(...paths);
      if (app.isReady()) openWindow();
      return;
    }
    show();
    try {
      await desktop.open(window.webContents, paths);
    } catch (error) {
      dialog.showErrorBox('The document cannot be opened', error instanceof Error ? error.message : String(error));
      return;
    }
    recent.add(paths);
    for (const path of paths) app.addRecentDocument(path);
    showMenu();
  };

  const choose = async () => {
    const { filePaths } = await dialog.showOpenDialog({
      properties: ['openFile', 'multiSelections'],
      filters: [{ name: 'Documents', extensions: ['pdf', 'txt', 'md', 'markdown', 'html', 'htm', 'csv', 'docx'] }],
    });
    await open(filePaths);
  };

  /** @param {string} name */
  const command = (name) => {
    show();
    if (window !== undefined) desktop.command(window.webContents, name);
  };

  const showMenu = () => {
    const template = menuTemplate({
      mac: process.platform === 'darwin',
      recent: recent.paths,
      choose: () => void choose(),
      open: (path) => void open([path]),
      forget: () => {
        recent.clear();
        app.clearRecentDocuments();
        showMenu();
      },
      command,
    });
    Menu.setApplicationMenu(Menu.buildFromTemplate(template));
  };

  const openWindow = () => {
    window = new BrowserWindow({
      width: 1280,
      height: 840,
      minWidth: 360,
      minHeight: 480,
      show: false,
      icon,
      backgroundColor: electron.nativeTheme.shouldUseDarkColors ? '#131416' : '#f6f6f3',
      webPreferences: desktop.webPreferences,
    });
    window.once('ready-to-show', () => window?.show());
    window.on('closed', () => (window = undefined));
    window.webContents.once('did-finish-load', () => void open(early.splice(0)));
    void window.loadURL(desktop.origin);
  };

  // macOS tells of files by events, from before the program is ready; other systems by the command line.
  app.on('open-file', (event, path) => {
    event.preventDefault();
    void open([path]);
  });
  app.on('second-instance', (_, argv, folder) => {
    show();
    void open(documentsOf(argv, folder));
  });
  app.on('activate', show);
  app.on('window-all-closed', () => {
    if (process.platform !== 'darwin') app.quit();
  });
  app.on('will-quit', () => globalShortcut.unregisterAll());

  early.push(...documentsOf(process.argv, process.cwd()));
  void desktop.ready.then(() => {
    showMenu();
    openWindow();
    tray = new Tray(nativeImage.createFromPath(icon).resize({ width: 18, height: 18 }));
    tray.setToolTip(app.name);
    tray.setContextMenu(
      Menu.buildFromTemplate([
        { label: 'Show', click: show },
        { label: 'Open…', click: () => void choose() },
        { type: 'separator' },
        { role: 'quit' },
      ]),
    );
    tray.on('click', show);
    globalShortcut.register(SHORTCUT, show);
    followUpdates(electron);
  });
}
