/**
 * Downloaded files in IndexedDB:
 *
 *     ['file', key]         manifest: what the file is, how many bytes have come, the hash so far, whether it is whole
 *     ['data', key, index]  bytes [index * RECORD_BYTES, ...), the last one as long as has come
 *     ['url', url]          key: where an address was stored
 *     ['note', name]        small facts that make a reload work without network (a repository's listing)
 *
 * A record and the manifest that counts it are written in one transaction, so a tab killed at any moment leaves a file
 * that can be taken up at a byte, never one that passes for whole. Two tabs without Web Locks cannot harm each other either:
 * a write that does not continue what the manifest says is refused (`commit` returns false).
 */
import { StorageError } from '../errors.ts';
import { Database, type Key } from './database.ts';

/** Within the 8 to 16 MB at which all browsers write at full speed; what is read back at once. */
export const RECORD_BYTES = 8 << 20;
const DATABASE = 'octavo-models';

export interface Manifest {
  /** `sha256-<hex>` where the content is known beforehand, else `url-<hash of the address>`. */
  readonly key: string;
  readonly url: string;
  /** What the caller asked for (`hf:owner/repo`, a URL): `remove` takes it. */
  readonly model: string;
  readonly name: string;
  /** Undefined while the server has not said. */
  readonly size: number | undefined;
  readonly received: number;
  readonly recordBytes: number;
  readonly etag: string | undefined;
  readonly lastModified: string | undefined;
  /** Lower-case hex, of the whole file, once complete. */
  readonly sha256: string | undefined;
  /** hash-wasm's state after `received` bytes. */
  readonly hashState: Uint8Array | undefined;
  readonly complete: boolean;
  readonly created: number;
}

/** What `list` tells. */
export interface StoredFile {
  readonly key: string;
  readonly url: string;
  readonly model: string;
  readonly name: string;
  readonly size: number | undefined;
  readonly received: number;
  readonly complete: boolean;
  readonly sha256?: string;
  readonly created: Date;
}

export interface StorageEstimate {
  readonly usage: number | undefined;
  readonly quota: number | undefined;
}

export class ModelStore {
  readonly #database: Database;

  constructor(database: Database = new Database(DATABASE)) {
    this.#database = database;
  }

  /** Whether this platform has IndexedDB at all; Node has not. */
  static get supported(): boolean {
    return typeof indexedDB !== 'undefined';
  }

  /** All files, whole and partial. */
  async list(): Promise<StoredFile[]> {
    const manifests = await this.#database.all<Manifest>(['file']);
    return manifests.map(({ key, url, model, name, size, received, complete, sha256, created }) => ({
      key,
      url,
      model,
      name,
      size,
      received,
      complete,
      created: new Date(created),
      ...(sha256 === undefined ? {} : { sha256 }),
    }));
  }

  /** Removes every file with this key, address or model name, and resolves with how many there were. */
  async remove(target: string): Promise<number> {
    const manifests = await this.#database.all<Manifest>(['file']);
    const byUrl = await this.#database.get<string>(['url', target]);
    const found = manifests.filter(({ key, url, model }) => [key, url, model].includes(target) || key === byUrl);
    for (const { key } of found) await this.discard(key);
    const notes = [...new Set([target, ...found.map(({ model }) => model)])].map((model): Key => ['note', model]);
    await this.#database.change(['url', target], () => ({ remove: [['url', target], ...notes] }));
    return found.length;
  }

  /** Bytes used and allowed, as the browser tells them (WebKitGTK does not). */
  async estimate(): Promise<StorageEstimate> {
    try {
      const { usage, quota } = (await navigator.storage?.estimate?.()) ?? {};
      return { usage, quota };
    } catch {
      return { usage: undefined, quota: undefined };
    }
  }

  /** Asks that the browser does not evict the site's data under pressure; it may say no, and may ask the person. */
  persist(): void {
    try {
      void navigator.storage?.persist?.().catch(() => {});
    } catch {
      // Not there, or not allowed here: the store works without.
    }
  }

  // What follows serves src/load.

  /** The manifest for a key or an address. */
  async find(target: string): Promise<Manifest | undefined> {
    const manifest = await this.#database.get<Manifest>(['file', target]);
    if (manifest !== undefined) return manifest;
    const key = await this.#database.get<string>(['url', target]);
    return key === undefined ? undefined : this.#database.get<Manifest>(['file', key]);
  }

  /** Runs `body` while no other tab downloads this file; without Web Locks at once. */
  async lock<T>(key: string, signal: AbortSignal | undefined, body: () => Promise<T>): Promise<T> {
    const locks = (globalThis as { navigator?: { locks?: LockManager } }).navigator?.locks;
    if (locks === undefined) return body();
    return locks.request(`octavo:${key}`, signal === undefined ? {} : { signal }, body);
  }

  /**
   * Writes what has come since `before` (the manifest as last read or written; undefined: none) and the new manifest.
   * `records` are exact-size arrays by index. False, and nothing written, when another tab has written meanwhile.
   */
  async commit(
    before: Manifest | undefined,
    after: Manifest,
    records: readonly { readonly index: number; readonly bytes: Uint8Array }[],
  ): Promise<boolean> {
    const asBlobs = records.length > 0 && (await this.#database.blobs());
    const put = records.map(({ index, bytes }) => ({
      key: ['data', after.key, index],
      // An exact-size copy: a view would store its whole buffer.
      value: asBlobs ? new Blob([bytes as Uint8Array<ArrayBuffer>]) : bytes.slice(),
    }));
    let written = false;
    await this.#database.change<Manifest>(['file', after.key], (found) => {
      written =
        found?.received === before?.received &&
        found?.complete === before?.complete &&
        found?.created === before?.created;
      if (!written) return {};
      return {
        put: [...put, { key: ['url', after.url], value: after.key }, { key: ['file', after.key], value: after }],
      };
    });
    return written;
  }

  /** Everything of one file, in one transaction. */
  async discard(key: string): Promise<void> {
    await this.#database.change<Manifest>(['file', key], (found) => {
      const remove: Key[] = [
        ['file', key],
        ['data', key],
      ];
      if (found !== undefined) remove.push(['url', found.url]);
      return { remove };
    });
  }

  /** Records that lie under a file. */
  countRecords(key: string): Promise<number> {
    return this.#database.count(['data', key]);
  }

  /** Bytes `[from, to)` of one record. */
  async readRecord(manifest: Manifest, index: number, from: number, to: number): Promise<Uint8Array> {
    const record = await this.#database.get<Blob | Uint8Array>(['data', manifest.key, index]);
    if (record instanceof Blob) {
      if (record.size >= to) {
        try {
          return new Uint8Array(await record.slice(from, to).arrayBuffer());
        } catch (cause) {
          throw lost(manifest, index, cause);
        }
      }
    } else if (record !== undefined && record.length >= to) {
      return record.subarray(from, to);
    }
    throw lost(manifest, index);
  }

  note<T>(name: string): Promise<T | undefined> {
    return this.#database.get<T>(['note', name]);
  }

  setNote(name: string, value: unknown): Promise<void> {
    return this.#database.put({ key: ['note', name], value });
  }
}

function lost(manifest: Manifest, index: number, cause?: unknown): StorageError {
  return new StorageError(
    'unavailable',
    `${manifest.name}: part ${index} of the stored copy is gone or unreadable; remove it (store.remove) and load again`,
    { key: manifest.key, part: index },
    { cause },
  );
}
