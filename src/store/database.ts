/**
 * Wraps idb-keyval, and adds what it leaves to its users: errors that are null or nameless get a name, a deleted
 * database is not blocked, several keys change in one transaction, and Blobs are used only where they can be stored.
 */
import { createStore, promisifyRequest } from 'idb-keyval';
import { StorageError } from '../errors.ts';
import type { Change, Entry, Key, Records, StorageEstimate } from './records.ts';

/**
 * A transaction on the one object store, as idb-keyval's `createStore` gives it. Declared here, so that the package's
 * types need no other package.
 */
type UseStore = <T>(mode: IDBTransactionMode, callback: (store: IDBObjectStore) => T | PromiseLike<T>) => Promise<T>;

export class Database implements Records {
  readonly name: string;
  #use: UseStore;
  #blobs: Promise<boolean> | undefined;

  /** `use` replaces IndexedDB in tests. */
  constructor(name: string, use?: UseStore) {
    this.name = name;
    this.#use = use ?? createStore(name, 'octavo');
  }

  get<T>(key: Key): Promise<T | undefined> {
    return this.#run('readonly', (store) => promisifyRequest<T | undefined>(store.get([...key])));
  }

  /** Returns all values whose keys begin with `prefix`; the values should be small. */
  all<T>(prefix: Key): Promise<T[]> {
    return this.#run('readonly', (store) => promisifyRequest<T[]>(store.getAll(family(prefix))));
  }

  /** Returns all keys that begin with `prefix`. */
  keys(prefix: Key): Promise<Key[]> {
    return this.#run('readonly', async (store) => (await promisifyRequest(store.getAllKeys(family(prefix)))) as Key[]);
  }

  count(prefix: Key): Promise<number> {
    return this.#run('readonly', (store) => promisifyRequest(store.count(family(prefix))));
  }

  /**
   * Reads `key`, lets `decide` choose what to do, and does it, all in one transaction: either everything happens or
   * nothing. Resolves with the value found.
   */
  async change<T>(key: Key, decide: (found: T | undefined) => Change): Promise<T | undefined> {
    const [found] = await this.changeAll([key], ([value]) => decide(value as T | undefined));
    return found as T | undefined;
  }

  /** `change` decided on several values, in the order of `keys`. */
  changeAll(keys: readonly Key[], decide: (found: readonly unknown[]) => Change): Promise<readonly unknown[]> {
    return this.#run('readwrite', async (store) => {
      const done = promisifyRequest(store.transaction);
      done.catch(() => {}); // Awaited below, unless `decide` throws.
      // A failed request is reported before its transaction has an error (a full quota in Firefox).
      let refused: unknown;
      const found = await Promise.all(keys.map((key) => promisifyRequest<unknown>(store.get([...key]))));
      try {
        const { put = [], remove = [] } = decide(found);
        for (const prefix of remove) store.delete(family(prefix));
        for (const entry of put) {
          const request = store.put(entry.value, [...entry.key]);
          request.onerror = () => (refused ??= request.error);
        }
      } catch (fault) {
        // A value that cannot be cloned throws at once and would leave the others stored.
        store.transaction.abort();
        throw fault;
      }
      await done.catch((fault: unknown) => {
        throw fault ?? refused;
      });
      return found;
    });
  }

  put(...entries: readonly Entry[]): Promise<void> {
    const [first] = entries;
    return first === undefined ? Promise.resolve() : this.change(first.key, () => ({ put: entries })).then(() => {});
  }

  /** Uses Web Locks; without them it runs at once. */
  async lock<T>(name: string, signal: AbortSignal | undefined, body: () => Promise<T>): Promise<T> {
    const locks = (globalThis as { navigator?: { locks?: LockManager } }).navigator?.locks;
    if (locks === undefined) return body();
    return locks.request(`octavo:${name}`, signal === undefined ? {} : { signal }, body);
  }

  /** Bytes used and allowed on this site, as the browser reports them (WebKitGTK does not). */
  async estimate(): Promise<StorageEstimate> {
    try {
      const { usage, quota } = (await globalThis.navigator?.storage?.estimate?.()) ?? {};
      return { usage, quota };
    } catch {
      return { usage: undefined, quota: undefined };
    }
  }

  /** Tells whether Blobs can be stored: WebKit refuses them in private windows. Tried once with a small one. */
  blobs(): Promise<boolean> {
    this.#blobs ??= this.#probeBlobs();
    return this.#blobs;
  }

  async #probeBlobs(): Promise<boolean> {
    const key = ['probe'];
    try {
      await this.put({ key, value: new Blob([Uint8Array.of(1, 2, 3)]) });
      const found = await this.get<Blob>(key);
      const bytes = found instanceof Blob ? new Uint8Array(await found.arrayBuffer()) : new Uint8Array(0);
      return bytes.length === 3 && bytes[2] === 3;
    } catch {
      return false;
    } finally {
      await this.change(key, () => ({ remove: [key] })).catch(() => {});
    }
  }

  async #run<T>(mode: IDBTransactionMode, body: (store: IDBObjectStore) => Promise<T>): Promise<T> {
    try {
      return await this.#use(mode, (store) => {
        const { db } = store.transaction;
        // Another tab wants to delete the database: it is closed, and opened again by the next call.
        db.onversionchange ??= () => {
          db.close();
          this.#use = createStore(this.name, 'octavo');
        };
        return body(store);
      });
    } catch (cause) {
      throw normalise(cause, this.name);
    }
  }
}

function family(prefix: Key): IDBKeyRange {
  // An array sorts after every string and number, so [...prefix, []] is after all keys that begin with the prefix.
  return IDBKeyRange.bound([...prefix], [...prefix, []]);
}

/** Converts IndexedDB's failures to one class; WebKit and a closing browser reject with null. */
function normalise(cause: unknown, name: string): Error {
  if (cause instanceof StorageError) return cause;
  if (cause instanceof Error || cause instanceof DOMException) {
    if (cause.name === 'QuotaExceededError')
      return new StorageError('quota', `${name}: the browser gives this site no more storage`, {}, { cause });
    if (cause instanceof DOMException)
      return new StorageError(
        'unavailable',
        `${name}: IndexedDB failed: ${cause.name}${cause.message === '' ? '' : `, ${cause.message}`}`,
        {},
        { cause },
      );
    return cause;
  }
  return new StorageError(
    'unavailable',
    `${name}: IndexedDB failed without giving a reason (a private window, or the browser is closing)`,
    {},
    { cause },
  );
}
