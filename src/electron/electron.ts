/**
 * The part of Electron that `octavo/electron` uses, as structural types: the package depends on no version of Electron, and tests run the same code with
 * other implementations. examples/electron/types.ts checks them against Electron's own types.
 */

export interface Privileges {
  readonly standard?: boolean;
  readonly secure?: boolean;
  readonly supportFetchAPI?: boolean;
  readonly corsEnabled?: boolean;
  readonly stream?: boolean;
  readonly codeCache?: boolean;
  readonly allowServiceWorkers?: boolean;
}

/** Where a scheme is registered and handled. */
export interface ProtocolModule {
  registerSchemesAsPrivileged(schemes: { scheme: string; privileges?: Privileges }[]): void;
  handle(scheme: string, handler: (request: Request) => Promise<Response>): void;
}

/** One end of Electron's MessageChannelMain. Only other ports can be transferred with a message; buffers are copied. */
export interface MainPort {
  on(event: 'message', listener: (event: { readonly data: unknown; readonly ports: MainPort[] }) => void): unknown;
  on(event: 'close', listener: () => void): unknown;
  postMessage(message: unknown, transfer?: MainPort[]): void;
  start(): void;
  close(): void;
}

/** A frame of a page that sent a message. */
export interface Frame {
  readonly origin: string;
  readonly parent: object | null;
  send(channel: string, ...args: unknown[]): void;
  postMessage(channel: string, message: unknown, transfer?: MainPort[]): void;
}

export interface PreventableEvent {
  preventDefault(): void;
}

export interface Contents {
  readonly id: number;
  isDestroyed(): boolean;
  send(channel: string, ...args: unknown[]): void;
  setWindowOpenHandler(handler: (details: { url: string }) => { action: 'deny' }): void;
  on(event: 'will-navigate', listener: (event: PreventableEvent, url: string) => void): unknown;
  on(event: 'will-frame-navigate', listener: (event: PreventableEvent & { readonly url: string }) => void): unknown;
  on(event: 'will-redirect', listener: (event: PreventableEvent, url: string) => void): unknown;
  on(event: 'will-attach-webview', listener: (event: PreventableEvent) => void): unknown;
  on(event: 'did-navigate' | 'render-process-gone' | 'destroyed', listener: () => void): unknown;
}

export interface InvokeEvent {
  readonly sender: Contents;
  readonly senderFrame: Frame | null;
}

export interface IpcMainModule {
  handle(channel: string, listener: (event: InvokeEvent, ...args: unknown[]) => Promise<unknown>): void;
  removeHandler(channel: string): void;
}

/** A utility process. */
export interface Child {
  readonly pid: number | undefined;
  postMessage(message: unknown, transfer?: MainPort[]): void;
  on(event: 'message', listener: (message: unknown) => void): unknown;
  on(event: 'exit', listener: (code: number) => void): unknown;
  kill(): boolean;
}

export interface ForkOptions {
  env?: Record<string, string>;
  execArgv?: string[];
  serviceName?: string;
  stdio?: 'pipe' | 'ignore' | 'inherit';
}

export interface AppModule {
  readonly isPackaged: boolean;
  getPath(name: 'userData'): string;
  isReady(): boolean;
  whenReady(): Promise<void>;
  quit(): void;
  on(event: 'before-quit', listener: (event: PreventableEvent) => void): unknown;
  on(event: 'web-contents-created', listener: (event: object, contents: Contents) => void): unknown;
}

export interface PowerMonitorModule {
  on(event: 'suspend' | 'resume' | 'on-ac' | 'on-battery', listener: () => void): unknown;
}

/** What `session.defaultSession`, or the session of the app's windows, is used for. */
export interface WindowSession {
  readonly protocol: Pick<ProtocolModule, 'handle'>;
  setPermissionRequestHandler(
    handler: (contents: Contents | null, permission: string, callback: (granted: boolean) => void) => void,
  ): void;
  setPermissionCheckHandler(handler: (contents: Contents | null, permission: string) => boolean): void;
}

/** The class of Electron's message channels. */
export type MessageChannelClass = new () => { port1: MainPort; port2: MainPort };

/** The part of the module `electron/main` that is used. */
export interface ElectronMain {
  /** Electron's `app`. */
  readonly app: AppModule;
  /** Electron's `protocol`. */
  readonly protocol: ProtocolModule;
  /** Electron's `ipcMain`. */
  readonly ipcMain: IpcMainModule;
  /** Electron's `utilityProcess`. */
  readonly utilityProcess: {
    /** Starts a process of Node. */
    fork(path: string, args?: string[], options?: ForkOptions): Child;
  };
  /** Electron's `MessageChannelMain`. */
  readonly MessageChannelMain: MessageChannelClass;
  /** Electron's `powerMonitor`. */
  readonly powerMonitor: PowerMonitorModule;
  /** Electron's `session`. */
  readonly session: {
    /** The session of windows that name none. */
    readonly defaultSession: WindowSession;
  };
}
