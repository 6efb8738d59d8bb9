/**
 * What the app's pages may ask of the main process, and what they are told. The preload script and the main process share these types, and the main process
 * checks every message: a page whose renderer was taken over can send anything.
 */
import type { SessionUsage, StoredFile, StoredSession } from '../store/index.ts';
import type { WireError } from '../worker/protocol.ts';

/** The channels of Electron's IPC. */
export const REQUEST_CHANNEL = 'octavo:request';
export const PORT_CHANNEL = 'octavo:port';
export const EVENT_CHANNEL = 'octavo:event';

/** The name of the bridge in the page's global scope. */
export const BRIDGE_NAME = 'octavoElectron';

/** Where engines run: in utility processes, or in workers of the page. */
export type EnginePlace = 'process' | 'page';

/** The argument by which the preload script learns where engines run. */
export const PLACE_ARGUMENT = '--octavo-engine=';

export type BridgeRequest =
  /** Starts an engine; its port comes as a message of the window with this id. */
  | { readonly kind: 'connect'; readonly engine: string }
  | { readonly kind: 'end'; readonly engine: string }
  /** Saves that run in the page: quitting waits for them. */
  | { readonly kind: 'holding'; readonly count: number }
  | { readonly kind: 'files' }
  | { readonly kind: 'has-file'; readonly target: string }
  | { readonly kind: 'remove-file'; readonly target: string }
  | { readonly kind: 'sessions' }
  | { readonly kind: 'usage' }
  | { readonly kind: 'remove-session'; readonly name: string };

/** What each request resolves with. */
export interface BridgeResults {
  readonly connect: void;
  readonly end: void;
  readonly holding: void;
  readonly files: StoredFile[];
  readonly 'has-file': boolean;
  readonly 'remove-file': number;
  readonly sessions: StoredSession[];
  readonly usage: SessionUsage;
  readonly 'remove-session': boolean;
}

/** Electron's IPC keeps nothing of an error but its message, so errors are sent as data. */
export type BridgeAnswer = { readonly value: unknown } | { readonly error: WireError };

/** A document to open: dropped on the app's icon, double-clicked, chosen in a menu. */
export interface OpenedFile {
  /** An address of the app's scheme that can be fetched, and loaded as a model. */
  readonly address: string;
  /** The name of the file. */
  readonly name: string;
}

/** What the computer does: sleeps, wakes, or changes between mains and battery. */
export type PowerState = 'suspend' | 'resume' | 'on-ac' | 'on-battery';

/** What the main process tells the app's page, by its `kind`. */
export type DesktopEvent =
  | {
      /** The computer sleeps, wakes, or changes its supply of power. */
      readonly kind: 'power';
      /** Which of them. */
      readonly state: PowerState;
    }
  | {
      /** Documents are to be opened. */
      readonly kind: 'open';
      /** The documents. */
      readonly files: readonly OpenedFile[];
    }
  | {
      /** A command of the app's menus and shortcuts was chosen. */
      readonly kind: 'command';
      /** Its name. */
      readonly name: string;
    };

/** What passes from the main process through the preload script to the page. */
export type BridgeEvent =
  | DesktopEvent
  | {
      /** An engine's process has ended. */
      readonly kind: 'ended';
      /** The engine. */
      readonly engine: string;
      /** The exit code of its process. */
      readonly code: number;
    };

/** Events that wait for a listener in the preload script and in the page; later ones are dropped. */
export const MOST_WAITING = 100;

/** What pages see as `octavoElectron`. */
export interface Bridge {
  readonly place: EnginePlace;
  request(request: BridgeRequest): Promise<BridgeAnswer>;
  /** One listener; events that came before it are told when it is set. */
  listen(listener: (event: BridgeEvent) => void): void;
}

const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** Longest address or name of a session. */
const MOST_TEXT = 4096;
/** More saves than sessions fit into memory. */
const MOST_HELD = 1000;

/** The checked copy of a message; undefined for what no preload script sends. */
export function readRequest(message: unknown): BridgeRequest | undefined {
  if (typeof message !== 'object' || message === null) return undefined;
  const { kind, engine, count, target, name } = message as Readonly<Record<string, unknown>>;
  const text = (value: unknown): value is string =>
    typeof value === 'string' && value !== '' && value.length <= MOST_TEXT;
  const isId = typeof engine === 'string' && ID.test(engine);
  switch (kind) {
    case 'connect':
    case 'end':
      return isId ? { kind, engine } : undefined;
    case 'holding':
      return typeof count === 'number' && Number.isInteger(count) && count >= 0 && count <= MOST_HELD
        ? { kind, count }
        : undefined;
    case 'has-file':
    case 'remove-file':
      return text(target) ? { kind, target } : undefined;
    case 'remove-session':
      return text(name) ? { kind, name } : undefined;
    case 'files':
    case 'sessions':
    case 'usage':
      return { kind };
    default:
      return undefined;
  }
}
