/**
 * Electron's modules for tests of the main process in plain Node. What they carry is real: requests and answers of `fetch`, processes that can be killed, ports,
 * and the built preload script, run as a sandboxed one is: with nothing but `electron` to require.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { runInNewContext } from 'node:vm';
import type {
  Child,
  Contents,
  ElectronMain,
  ForkOptions,
  Frame,
  InvokeEvent,
  MainPort,
} from '../../src/electron/electron.ts';
import { BRIDGE_NAME, type Bridge } from '../../src/electron/messages.ts';
import { PageBridge, type PageWindow } from '../../src/electron/page-bridge.ts';
import { createPagePlatform } from '../../src/electron/page-platform.ts';
import { createFace, type OctavoFace } from '../../src/face/octavo.ts';
import { testPlace } from '../support/engine.ts';
import { copy, Port, Relay } from './ports.mjs';

const utility = fileURLToPath(new URL('utility.mjs', import.meta.url));
const preload = fileURLToPath(new URL('../../dist/electron-preload.cjs', import.meta.url));

type Invoke = (event: InvokeEvent, ...args: unknown[]) => Promise<unknown>;

class FakeChild extends EventEmitter {
  readonly #process: ChildProcess;
  readonly #relay: Relay;

  constructor(script: string, options: ForkOptions, extra: Readonly<Record<string, string>>) {
    super();
    this.#process = fork(utility, [script], {
      serialization: 'advanced',
      env: { ...options.env, ...extra },
      execArgv: options.execArgv ?? [],
    });
    const child = this.#process;
    this.#relay = new Relay(
      'm',
      (message: object) => {
        if (child.connected) child.send(message, () => {});
      },
      ({ data }: { data: unknown }) => this.emit('message', data),
    );
    child.on('message', (message) => this.#relay.take(message as never));
    child.on('exit', (code, signal) => {
      this.#relay.end();
      this.emit('exit', code ?? (signal === 'SIGKILL' ? 9 : 15));
    });
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  postMessage(message: unknown, transfer: MainPort[] = []): void {
    if (transfer.some((one) => !(one instanceof Port))) throw new TypeError('Port at index 0 is not a valid port');
    this.#relay.post(message, transfer as unknown as Port[]);
  }

  kill(): boolean {
    return this.#process.kill();
  }
}

/** What the page of a window has, with the functions that the context bridge put there. */
export interface FakePage {
  readonly contents: FakeContents;
  readonly bridge: Bridge;
  readonly pageBridge: PageBridge;
  readonly octavo: OctavoFace;
  /** Sends anything to the main process, as a renderer that was taken over could. */
  invoke(channel: string, ...args: unknown[]): Promise<unknown>;
  readonly window: PageWindow & { postMessage(data: unknown, origin: string, ports: readonly unknown[]): void };
}

export class FakeContents extends EventEmitter {
  readonly id: number;
  destroyed = false;
  openHandler: ((details: { url: string }) => { action: 'deny' }) | undefined;
  readonly renderer = new EventEmitter();

  constructor(id: number) {
    super();
    this.id = id;
  }

  isDestroyed(): boolean {
    return this.destroyed;
  }

  send(channel: string, ...args: unknown[]): void {
    if (this.destroyed) throw new TypeError('Object has been destroyed');
    setImmediate(() => this.renderer.emit(channel, { ports: [] }, ...args.map((one) => copy(one))));
  }

  setWindowOpenHandler(handler: (details: { url: string }) => { action: 'deny' }): void {
    this.openHandler = handler;
  }

  /** Tries to go elsewhere; returns whether it was allowed. */
  navigate(event: 'will-navigate' | 'will-redirect' | 'will-frame-navigate', url: string): boolean {
    let allowed = true;
    this.emit(event, { url, preventDefault: () => (allowed = false) }, url);
    return allowed;
  }

  close(): void {
    this.destroyed = true;
    this.emit('destroyed');
  }
}

/** What passes the context bridge: functions as proxies, everything else as a copy. */
function bridged(value: unknown): unknown {
  if (typeof value === 'function') return (...args: unknown[]) => bridgedResult(value(...args.map(bridged)));
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(bridged);
  if (Object.getPrototypeOf(Object.getPrototypeOf(value)) === null)
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, bridged(member)]));
  return structuredClone(value);
}
function bridgedResult(value: unknown): unknown {
  return typeof value === 'object' && value !== null && 'then' in value
    ? (value as Promise<unknown>).then(bridged)
    : bridged(value);
}

export class FakeElectron implements ElectronMain {
  readonly children: FakeChild[] = [];
  readonly windows: FakeContents[] = [];
  readonly schemes: { scheme: string; privileges?: object }[] = [];
  readonly power = new EventEmitter();
  readonly events = new EventEmitter();
  quits = 0;
  /** Whether the app has ended: nothing prevented it from quitting. */
  ended = false;
  permission: ((contents: Contents | null, permission: string) => boolean) | undefined;
  /** More of the environment of engine processes. */
  environment: Readonly<Record<string, string>> = {};
  readonly #userData: string;
  readonly #invokes = new Map<string, Invoke>();
  #handler: ((request: Request) => Promise<Response>) | undefined;
  #ready = false;
  #contents = 1;
  #becomeReady: () => void = () => {};
  readonly #whenReady = new Promise<void>((resolve) => (this.#becomeReady = resolve));

  constructor(userData: string) {
    this.#userData = userData;
  }

  start(): void {
    this.#ready = true;
    this.#becomeReady();
  }

  readonly app: ElectronMain['app'] = {
    isPackaged: false,
    getPath: () => this.#userData,
    isReady: () => this.#ready,
    whenReady: () => this.#whenReady,
    quit: () => {
      this.quits++;
      let prevented = false;
      this.events.emit('before-quit', { preventDefault: () => (prevented = true) });
      if (prevented) return;
      this.events.emit('will-quit', { preventDefault: () => {} });
      this.ended = true;
      // What still runs does not survive the app.
      for (const child of this.children) if (child.pid !== undefined) kill(child.pid);
      this.events.emit('ended');
    },
    on: (event: string, listener: unknown) => this.events.on(event, listener as (...args: unknown[]) => void),
  };
  readonly protocol: ElectronMain['protocol'] = {
    registerSchemesAsPrivileged: (schemes) => {
      if (this.#ready) throw new Error('protocol.registerSchemesAsPrivileged should be called before app is ready');
      this.schemes.push(...schemes);
    },
    handle: (_, handler) => (this.#handler = handler),
  };
  readonly session: ElectronMain['session'] = {
    defaultSession: {
      protocol: this.protocol,
      setPermissionRequestHandler: () => {},
      setPermissionCheckHandler: (handler) => (this.permission = handler),
    },
  };
  readonly ipcMain: ElectronMain['ipcMain'] = {
    handle: (channel, listener) => this.#invokes.set(channel, listener),
    removeHandler: (channel) => this.#invokes.delete(channel),
  };
  readonly utilityProcess: ElectronMain['utilityProcess'] = {
    fork: (path, _, options = {}) => {
      if (!this.#ready) throw new Error('utilityProcess cannot be created before app is ready');
      const child = new FakeChild(path, options, this.environment);
      this.children.push(child);
      return child as Child;
    },
  };
  readonly MessageChannelMain = class {
    readonly port1: MainPort;
    readonly port2: MainPort;
    constructor() {
      const [port1, port2] = Port.pair();
      this.port1 = port1 as unknown as MainPort;
      this.port2 = port2 as unknown as MainPort;
    }
  };
  readonly powerMonitor: ElectronMain['powerMonitor'] = { on: (event, listener) => this.power.on(event, listener) };

  /** A request of a page for an address of the app's scheme. */
  request(url: string, init: RequestInit = {}, from?: string): Promise<Response> {
    if (this.#handler === undefined) throw new Error('no handler');
    const request = new Request(url, init);
    if (from !== undefined) Object.assign(request, { initiatorOrigin: from });
    return this.#handler(request);
  }

  /** Opens a window on a page of an origin, with the built preload script. */
  open(origin = 'octavo://app', { parent = null as object | null, place = 'process' } = {}): FakePage {
    const contents = new FakeContents(this.#contents++);
    this.events.emit('web-contents-created', {}, contents);
    this.windows.push(contents);
    const { renderer } = contents;
    const frame: Frame = {
      origin,
      parent,
      send: (channel, ...args) => contents.send(channel, ...args),
      postMessage: (channel, message, transfer = []) => {
        setImmediate(() => renderer.emit(channel, { ports: transfer }, copy(message)));
      },
    };
    const invoke = async (channel: string, ...args: unknown[]): Promise<unknown> => {
      const listener = this.#invokes.get(channel);
      if (listener === undefined) throw new Error(`No handler registered for '${channel}'`);
      const event = { sender: contents as unknown as Contents, senderFrame: frame };
      return copy(await listener(event, ...args.map((one) => copy(one))));
    };
    const listeners = new Set<(event: MessageEvent) => void>();
    const window = {
      addEventListener: (_: string, listener: (event: MessageEvent) => void) => listeners.add(listener),
      removeEventListener: (_: string, listener: (event: MessageEvent) => void) => listeners.delete(listener),
      postMessage: (data: unknown, target: string, ports: readonly unknown[]) => {
        if (target !== origin) return;
        setImmediate(() => {
          for (const listener of listeners) listener({ data, ports, source: window, origin } as never);
        });
      },
    } as unknown as FakePage['window'];
    let bridge: Bridge | undefined;
    const electron = {
      contextBridge: {
        exposeInMainWorld: (name: string, api: unknown) => {
          if (name === BRIDGE_NAME) bridge = bridged(api) as Bridge;
        },
      },
      ipcRenderer: {
        on: (channel: string, listener: (...args: unknown[]) => void) => renderer.on(channel, listener),
        invoke,
      },
    };
    runInNewContext(readFileSync(preload, 'utf8'), {
      require: (name: string) => {
        if (name !== 'electron') throw new Error(`module not found: ${name}`);
        return electron;
      },
      window,
      location: { origin },
      process: { argv: [`--octavo-engine=${place}`] },
    });
    if (bridge === undefined) throw new Error('the preload script exposed nothing');
    const pageBridge = new PageBridge(bridge, window);
    return {
      contents,
      bridge,
      pageBridge,
      octavo: createFace(createPagePlatform(() => pageBridge, testPlace())),
      invoke,
      window,
    };
  }

  /** Closes all windows. */
  closeAll(): void {
    for (const contents of this.windows) contents.close();
  }

  /** Ends all engine processes. */
  close(): void {
    for (const { pid } of this.children) if (pid !== undefined) kill(pid);
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}
