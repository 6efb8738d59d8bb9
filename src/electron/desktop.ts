/** The main process's part: the app's scheme, the bridge of its pages, engine processes, and what happens when the app sleeps or quits. */
import { join } from 'node:path';
import { InputError } from '../errors.ts';
import { packagedFile } from '../platform/packaged-file.ts';
import { FolderRecords } from '../store/folder-records.ts';
import { FolderShelf } from '../store/folder-shelf.ts';
import { ModelStore } from '../store/model-store.ts';
import { SessionStore } from '../store/session-store.ts';
import { packError } from '../worker/protocol.ts';
import { APP_ORIGIN, SCHEME } from './addresses.ts';
import type { Contents, ElectronMain, InvokeEvent, PreventableEvent, Privileges, WindowSession } from './electron.ts';
import { Engines } from './engines.ts';
import { Files } from './files.ts';
import {
  EVENT_CHANNEL,
  PLACE_ARGUMENT,
  readRequest,
  REQUEST_CHANNEL,
  type BridgeAnswer,
  type DesktopEvent,
  type BridgeRequest,
  type EnginePlace,
  type OpenedFile,
  type PowerState,
} from './messages.ts';
import { createHandler, pagePolicy } from './serve.ts';
import { confine } from './windows.ts';

export interface DesktopOptions {
  /** The folder of the app's pages, served as `octavo://app/`. */
  readonly pages: string;
  /** Folders whose files pages and engines may read, as `octavo://files/<name>/...`. */
  readonly folders?: Readonly<Record<string, string>> | undefined;
  /** Where downloads and saved sessions are kept (default: `octavo` in the app's `userData`). */
  readonly data?: string | undefined;
  /** Whether engines run in utility processes (default), or in workers of the page, with Chromium's WebGPU. */
  readonly engine?: EnginePlace | undefined;
  /**
   * Origins from which models may be downloaded (default: https://huggingface.co). Engines in pages also need those to which the servers redirect; the default
   * has them.
   */
  readonly downloads?: readonly string[] | undefined;
  /** The Content-Security-Policy of the pages, in place of `pagePolicy()`. */
  readonly policy?: string | undefined;
  /** The origin of a development server whose pages are trusted as the app's own. Never set it in a packaged app. */
  readonly development?: string | undefined;
  /** Permissions that pages may have, by Electron's names (default: 'clipboard-sanitized-write', 'fullscreen'). */
  readonly permissions?: readonly string[] | undefined;
  /** Called with the address of a link that would have opened a window. Check it before giving it to the system. */
  readonly onLink?: ((address: string) => void) | undefined;
  /** Other schemes of the app: Electron registers all of them at once. */
  readonly schemes?:
    | readonly {
        /** Its name, without the colon. */
        readonly scheme: string;
        /** As Electron's `registerSchemesAsPrivileged` takes them. */
        readonly privileges: Privileges;
      }[]
    | undefined;
  /** The session of the app's windows (default: Electron's default session). */
  readonly session?: (() => WindowSession) | undefined;
  /** How long quitting waits for sessions that are being saved, in milliseconds (default 10,000). */
  readonly patience?: number | undefined;
  /** The folder of Octavo's scripts, where a bundler has moved this one (default: beside this script, or the installed package). */
  readonly scripts?: string | undefined;
}

/** `webPreferences` of the app's windows. */
export interface DesktopPreferences {
  /** The path of `octavo/electron/preload`. */
  readonly preload: string;
  /** Tells the preload script where engines run. */
  readonly additionalArguments: string[];
  /** The preload script and the page do not share objects. */
  readonly contextIsolation: true;
  /** Chromium's sandbox. */
  readonly sandbox: true;
  /** Pages have no Node. */
  readonly nodeIntegration: false;
  /** Workers of pages have no Node. */
  readonly nodeIntegrationInWorker: false;
  /** Frames of pages have no Node. */
  readonly nodeIntegrationInSubFrames: false;
  /** The same-origin policy holds. */
  readonly webSecurity: true;
  /** Pages embed no `<webview>`. */
  readonly webviewTag: false;
  /** Pages load nothing over plain http. */
  readonly allowRunningInsecureContent: false;
  /** A dropped file does not replace the page. */
  readonly navigateOnDragDrop: false;
}

const PRIVILEGES: Privileges = {
  standard: true,
  secure: true,
  supportFetchAPI: true,
  corsEnabled: true,
  stream: true,
  codeCache: true,
};
const DOWNLOADS = ['https://huggingface.co'];
/** Where the hub redirects: the content security policy of a page counts redirects, too. */
const REDIRECTED = ['https://*.huggingface.co', 'https://*.hf.co'];
const PERMISSIONS = ['clipboard-sanitized-write', 'fullscreen'];
const PATIENCE = 10_000;

/**
 * Call it once, before the app is ready: the scheme must be registered by then. `electron` is the module `electron/main`. Windows are made with
 * `webPreferences: desktop.webPreferences` and load `desktop.origin`.
 */
export function createDesktop(electron: ElectronMain, options: DesktopOptions): Desktop {
  if (electron.app.isReady())
    throw new InputError('argument', 'createDesktop: the app is ready already; call it while the main script runs');
  electron.protocol.registerSchemesAsPrivileged([
    { scheme: SCHEME, privileges: PRIVILEGES },
    ...(options.schemes ?? []),
  ]);
  return new Desktop(electron, options);
}

export class Desktop {
  /** The address of the app's first page. */
  readonly origin = `${APP_ORIGIN}/`;
  /** For the `BrowserWindow`s of the app. */
  readonly webPreferences: DesktopPreferences;
  /** Resolves when windows may be opened. */
  readonly ready: Promise<void>;
  readonly #electron: ElectronMain;
  readonly #files: Files;
  readonly #engines: Engines;
  readonly #models: ModelStore;
  readonly #sessions: SessionStore;
  readonly #origins: readonly string[];
  readonly #patience: number;
  readonly #pages = new Map<number, Contents>();
  /** Saves that run in pages. */
  readonly #held = new Map<number, number>();
  /** Who waits for their end. */
  readonly #waiting = new Set<() => void>();
  #saved = false;

  /** Made by `createDesktop`. */
  constructor(electron: ElectronMain, options: DesktopOptions) {
    const { development, engine = 'process', patience = PATIENCE, scripts } = options;
    if (development !== undefined && electron.app.isPackaged)
      throw new InputError('argument', `development: ${development} must not be trusted by a packaged app`);
    const script = (name: string): string => {
      const found = scripts === undefined ? packagedFile(name) : join(scripts, name);
      if (found !== undefined) return found;
      throw new InputError('argument', `${name} was not found; give the folder of octavo's scripts as 'scripts'`, {
        name,
      });
    };
    const data = options.data ?? join(electron.app.getPath('userData'), 'octavo');
    this.#electron = electron;
    this.#patience = patience;
    this.#origins = [APP_ORIGIN, ...(development === undefined ? [] : [new URL(development).origin])];
    const engineScript = script('electron-engine.js');
    this.#files = new Files(options.folders ?? {}, {
      pages: options.pages,
      package: join(engineScript, '../..'),
    });
    this.#models = new ModelStore(new FolderRecords(join(data, 'models')));
    this.#sessions = new SessionStore(new FolderShelf(join(data, 'sessions')));
    this.#engines = new Engines(electron, {
      script: engineScript,
      data,
      downloads: options.downloads ?? DOWNLOADS,
      files: this.#files,
      patience,
    });
    this.webPreferences = {
      preload: script('electron-preload.cjs'),
      additionalArguments: [PLACE_ARGUMENT + engine],
      contextIsolation: true,
      sandbox: true,
      nodeIntegration: false,
      nodeIntegrationInWorker: false,
      nodeIntegrationInSubFrames: false,
      webSecurity: true,
      webviewTag: false,
      allowRunningInsecureContent: false,
      navigateOnDragDrop: false,
    };
    const { app } = electron;
    app.on('web-contents-created', (_, contents) => confine(contents, this.#origins, options.onLink));
    app.on('before-quit', (event) => this.#beforeQuit(event));
    this.ready = app.whenReady().then(() => this.#start(options));
  }

  /** Lets pages and engines read what is below a folder, as `octavo://files/<name>/...`. */
  addFolder(name: string, path: string): void {
    this.#files.add(name, path);
  }

  /** Pages cannot read the folder any more. */
  removeFolder(name: string): void {
    this.#files.remove(name);
  }

  /** Lets pages and engines read one file, and returns its address, which nobody can guess. */
  grant(path: string): Promise<string> {
    return this.#files.grant(path);
  }

  /** The address of an opened file is not answered any more. */
  revoke(address: string): void {
    this.#files.revoke(address);
  }

  /** Grants files and tells a page to open them. Paths come from the system: a dialog, `open-file`, the command line. */
  async open(contents: Contents, paths: readonly string[]): Promise<readonly OpenedFile[]> {
    const files: OpenedFile[] = [];
    for (const path of paths) files.push({ address: await this.grant(path), name: path.replace(/^.*[/\\]/, '') });
    this.#tell(contents, { kind: 'open', files });
    return files;
  }

  /** Tells a page that a command of a menu or shortcut was given. */
  command(contents: Contents, name: string): void {
    this.#tell(contents, { kind: 'command', name });
  }

  /** Resolves when nothing is being saved any more, or after the patience. Quitting waits for it, too. */
  async settled(): Promise<void> {
    await Promise.all([this.#engines.settled(), this.#unheld()]);
  }

  async #start(options: DesktopOptions): Promise<void> {
    const { pages, permissions = PERMISSIONS, session, engine } = options;
    const downloads = options.downloads ?? [...DOWNLOADS, ...REDIRECTED];
    const policy = options.policy ?? pagePolicy(engine === 'page' ? downloads : []);
    const { ipcMain, powerMonitor } = this.#electron;
    const own = session?.() ?? this.#electron.session.defaultSession;
    own.protocol.handle(SCHEME, createHandler({ pages, files: this.#files, policy, origins: this.#origins }));
    own.setPermissionRequestHandler((_, permission, callback) => callback(permissions.includes(permission)));
    own.setPermissionCheckHandler((_, permission) => permissions.includes(permission));
    ipcMain.handle(REQUEST_CHANNEL, (event, request) => this.#request(event, request));
    const states: readonly PowerState[] = ['suspend', 'resume', 'on-ac', 'on-battery'];
    for (const state of states)
      powerMonitor.on(state, () => {
        for (const contents of this.#pages.values()) this.#tell(contents, { kind: 'power', state });
      });
  }

  #tell(contents: Contents, event: DesktopEvent): void {
    if (!contents.isDestroyed()) contents.send(EVENT_CHANNEL, event);
  }

  /** Only the top frame of a page of the app's own origin is answered. */
  async #request(event: InvokeEvent, message: unknown): Promise<BridgeAnswer> {
    try {
      const { sender, senderFrame: frame } = event;
      if (frame === null || frame.parent !== null || !this.#origins.includes(frame.origin))
        throw new InputError('argument', 'only the pages of the app may use its bridge');
      const request = readRequest(message);
      if (request === undefined) throw new InputError('argument', 'the bridge knows no such request');
      this.#watch(sender);
      if (request.kind !== 'connect') return { value: await this.#answer(request, sender.id) };
      this.#engines.start(sender.id, frame, request.engine);
      return { value: undefined };
    } catch (error) {
      return { error: packError(error) };
    }
  }

  #answer(request: Exclude<BridgeRequest, { kind: 'connect' }>, page: number): unknown {
    switch (request.kind) {
      case 'end':
        return this.#engines.end(page, request.engine);
      case 'holding':
        return this.#hold(page, request.count);
      case 'files':
        return this.#models.list();
      case 'has-file':
        return this.#models.has(request.target);
      case 'remove-file':
        return this.#models.remove(request.target);
      case 'sessions':
        return this.#sessions.list();
      case 'usage':
        return this.#sessions.usage();
      case 'remove-session':
        return this.#sessions.remove(request.name);
      default:
        return request satisfies never;
    }
  }

  /** A page that is left, reloaded, crashed or closed takes its engines with it. */
  #watch(contents: Contents): void {
    const { id } = contents;
    if (this.#pages.has(id)) return;
    this.#pages.set(id, contents);
    const leave = (): void => {
      this.#hold(id, 0);
      void this.#engines.endAll(id);
    };
    contents.on('did-navigate', leave);
    contents.on('render-process-gone', leave);
    contents.on('destroyed', () => {
      this.#pages.delete(id);
      leave();
    });
  }

  #hold(page: number, count: number): void {
    if (count === 0) this.#held.delete(page);
    else this.#held.set(page, count);
    if (this.#held.size === 0) for (const released of this.#waiting) released();
  }

  async #unheld(): Promise<void> {
    if (this.#held.size === 0) return;
    await new Promise<void>((resolve) => {
      const released = (): void => {
        clearTimeout(late);
        this.#waiting.delete(released);
        resolve();
      };
      const late = setTimeout(released, this.#patience);
      late.unref();
      this.#waiting.add(released);
    });
  }

  /** Quits again when everything is saved. Another listener may still prevent that, so engines are not ended here. */
  #beforeQuit(event: PreventableEvent): void {
    if (this.#saved) {
      this.#saved = false;
      return;
    }
    if (this.#engines.count === 0 && this.#held.size === 0) return;
    event.preventDefault();
    void this.settled().then(() => {
      this.#saved = true;
      this.#electron.app.quit();
    });
  }
}
