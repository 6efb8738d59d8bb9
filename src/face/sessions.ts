/** Saved sessions, as the page uses them: listed without a model, and the request for persistent storage. */
import { StorageError } from '../errors.ts';
import type { SessionStore, SessionUsage, StoredSession } from '../store/index.ts';
import type { OctavoModel } from './model.ts';
import type { OctavoSession } from './session.ts';
import type { Tool } from './tools.ts';

/** Options of `session.save`. */
export interface SaveOptions {
  /** Ends the call, which rejects with the signal's reason; the name keeps what it had. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Asks the browser not to remove this site's data when the disk is full (`navigator.storage.persist`), which may
   * prompt the user. A function is called with the reason first, for example to show it, and returns whether to ask.
   */
  readonly persist?: boolean | ((reason: string) => boolean | Promise<boolean>) | undefined;
  /**
   * When storage is short, whether other saved sessions may be removed, those unused for longest first. By default only
   * automatically kept prompts are removed.
   */
  readonly evict?: boolean | undefined;
}

/** What was saved. */
export interface SavedSession {
  /** The name under which it is found again. */
  readonly name: string;
  /** Tokens of its context. */
  readonly tokens: number;
  /** On the disk. */
  readonly bytes: number;
  /** Whether the browser promised to keep the session; undefined when it was not asked or cannot be asked. */
  readonly persisted?: boolean | undefined;
}

/** Options of `resumeSession`. */
export interface ResumeOptions {
  /** Ends the call, which rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** The session's tools with their functions, which are not saved; without them the app runs the tools that the session had. */
  readonly tools?: readonly Tool[] | undefined;
}

/** `Octavo.sessions`. */
export interface SavedSessions {
  /** All saved sessions and kept prompts, the most recently used first. */
  list(): Promise<readonly StoredSession[]>;
  /** Returns false when there is none with that name. */
  remove(name: string): Promise<boolean>;
  /** Bytes of saved sessions, and of the whole site if the browser reports them. */
  usage(): Promise<SessionUsage>;
  /** The session as it was when it was saved by this model: `model.resumeSession`. */
  resume(model: OctavoModel, name: string, options?: ResumeOptions): Promise<OctavoSession>;
}

/** `store` is undefined where nothing can be kept. */
export function savedSessions(
  store: () => Promise<Pick<SessionStore, 'list' | 'remove' | 'usage'> | undefined>,
): SavedSessions {
  return {
    list: async () => (await (await store())?.list()) ?? [],
    remove: async (name) => (await (await store())?.remove(name)) ?? false,
    usage: async () => {
      const found = await store();
      if (found === undefined)
        throw new StorageError(
          'unavailable',
          'sessions cannot be saved here: there is no IndexedDB (a private window, or a page without an origin)',
        );
      return found.usage();
    },
    resume: (model, name, options) => model.resumeSession(name, options),
  };
}

const REASON =
  'What was read is saved in this browser, so that it need not be read again. Browsers remove such data when the disk fills up, unless they are asked to keep it.';

/**
 * Asks the browser to keep this site's data permanently, and returns whether it does; undefined where it cannot be
 * asked.
 */
export async function askToPersist(persist: SaveOptions['persist']): Promise<boolean | undefined> {
  if (persist === undefined || persist === false) return undefined;
  if (persist !== true && !(await persist(REASON))) return undefined;
  try {
    return await (globalThis.navigator as Navigator | undefined)?.storage?.persist?.();
  } catch {
    return undefined;
  }
}
