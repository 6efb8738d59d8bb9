/**
 * Downloaded files, in IndexedDB or (in Node) a folder:
 *
 *     ['file', key]         manifest: what the file is, the bytes received, the hash so far, whether it is complete
 *     ['data', key, index]  record: bytes [index * RECORD_BYTES, ...), the last one as long as received, and block sums
 *     ['url', address]      key: where a URL was stored (see `storedAddress`: no URL is stored with its query)
 *     ['note', name]        small facts that make a reload work without network (a repository's listing)
 *
 * A record and the manifest that counts it are written together, so a tab that is killed at any moment leaves a file
 * that can be resumed at a byte, never one that counts as complete. Two tabs without Web Locks cannot harm each other
 * either: a write that does not continue what the manifest says is refused (`commit` returns false). A file is complete
 * only after it was verified, and its bytes are compared with their sums whenever they are read: a damaged file is
 * removed at once, so that the next load downloads it again.
 */
import { StorageError } from '../errors.ts';
import { storedAddress } from './address.ts';
import { BLOCK_BYTES, blockSums, sumsMatch } from './block-sums.ts';
import { Database } from './database.ts';
import type { Key, Records, StorageEstimate } from './records.ts';

/** Within the 8 to 16 MB at which all browsers write at full speed; also the unit of reading. */
export const RECORD_BYTES = 8 << 20;
const DATABASE = 'octavo-models';

export interface Manifest {
  /** `sha256-<hex>` if the content is known beforehand, otherwise `url-<hash of the address>`. */
  readonly key: string;
  /** As `storedAddress` returns it. */
  readonly url: string;
  /** What the caller requested (`hf:owner/repo`, a URL as `storedAddress` returns it), by which `remove` finds it. */
  readonly model: string;
  readonly name: string;
  /** Undefined until the server has reported it. */
  readonly size: number | undefined;
  readonly received: number;
  readonly recordBytes: number;
  readonly etag: string | undefined;
  readonly lastModified: string | undefined;
  /** Lower-case hex of the whole file, once it is complete. */
  readonly sha256: string | undefined;
  /** hash-wasm's state after `received` bytes. */
  readonly hashState: Uint8Array | undefined;
  /** All bytes were received and verified. */
  readonly complete: boolean;
  readonly created: number;
}

/** The bytes of a file in their stored form. */
interface StoredRecord {
  readonly bytes: Blob | Uint8Array;
  readonly sums: Uint32Array;
}

/** A downloaded file of a model, as `Octavo.store.list` gives it. */
export interface StoredFile {
  /** Identifies the file; `remove` takes it. */
  readonly key: string;
  /** Its address, without query. */
  readonly url: string;
  /** The model that it belongs to: its name or address. */
  readonly model: string;
  /** The name of the file. */
  readonly name: string;
  /** Bytes, as far as they are known. */
  readonly size: number | undefined;
  /** Bytes that are kept. */
  readonly received: number;
  /** Whether all of it is there and verified; a load goes on where it stopped. */
  readonly complete: boolean;
  /** Hexadecimal, where it is known. */
  readonly sha256?: string;
  /** When its download began. */
  readonly created: Date;
}

export class ModelStore {
  readonly #records: Records;

  constructor(records: Records = new Database(DATABASE)) {
    this.#records = records;
  }

  /** Whether this platform has IndexedDB; Node does not. */
  static get supported(): boolean {
    return typeof indexedDB !== 'undefined';
  }

  /** Returns all files, complete and partial. */
  async list(): Promise<StoredFile[]> {
    const manifests = await this.#manifests();
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

  /** Removes every file with this key, URL or model name, and resolves with their number. */
  async remove(target: string): Promise<number> {
    const address = storedAddress(target);
    const byUrl = await this.#records.get<string>(['url', address]);
    const found = (await this.#manifests()).filter(
      ({ key, url, model }) => [key, url, model].includes(address) || key === byUrl,
    );
    for (const { key } of found) await this.discard(key);
    const notes = [...new Set([address, ...found.map(({ model }) => model)])].map((model): Key => ['note', model]);
    await this.#records.change(['url', address], () => ({ remove: [['url', address], ...notes] }));
    return found.length;
  }

  /** Tells whether this URL or model is stored, and every file of it is complete. */
  async has(target: string): Promise<boolean> {
    const address = storedAddress(target);
    const files = (await this.#manifests()).filter(({ url, model }) => url === address || model === address);
    return files.length > 0 && files.every(({ complete }) => complete);
  }

  /** Returns bytes used and allowed where the store is, as far as known. */
  estimate(): Promise<StorageEstimate> {
    return this.#records.estimate();
  }

  /** Asks the browser not to evict the site's data under pressure; it may refuse, and may prompt the user. */
  persist(): void {
    try {
      void globalThis.navigator?.storage?.persist?.().catch(() => {});
    } catch {
      // Unavailable or not allowed here; the store works without it.
    }
  }

  // The methods below serve src/load.

  /** Returns the manifest for a key or a URL. A damaged one is removed, with its data. */
  async find(target: string): Promise<Manifest | undefined> {
    const address = storedAddress(target);
    for (const key of [address, await this.#records.get<unknown>(['url', address])]) {
      if (typeof key !== 'string') continue;
      const found = await this.#records.get<unknown>(['file', key]);
      if (isManifest(found) && found.key === key) return found;
      if (found !== undefined) await this.discard(key);
    }
    return undefined;
  }

  /** Runs `body` while no other tab or process downloads this file. */
  lock<T>(key: string, signal: AbortSignal | undefined, body: () => Promise<T>): Promise<T> {
    return this.#records.lock(key, signal, body);
  }

  /**
   * Writes what was received since `before` (the manifest as last read or written; undefined: none) and the new
   * manifest. `records` are exact-size arrays by index. Returns false, with nothing written, when another tab has
   * written meanwhile.
   */
  async commit(
    before: Manifest | undefined,
    after: Manifest,
    records: readonly { readonly index: number; readonly bytes: Uint8Array }[],
  ): Promise<boolean> {
    const asBlobs = records.length > 0 && (await this.#records.blobs());
    const put = records.map(({ index, bytes }) => ({
      key: ['data', after.key, index],
      value: {
        // A copy of the exact size, since a view would store its whole buffer.
        bytes: asBlobs ? new Blob([bytes as Uint8Array<ArrayBuffer>]) : bytes.slice(),
        sums: blockSums(bytes, index),
      } satisfies StoredRecord,
    }));
    let written = false;
    await this.#records.change<Manifest>(['file', after.key], (found) => {
      written =
        found?.received === before?.received &&
        found?.complete === before?.complete &&
        found?.created === before?.created;
      if (!written) return {};
      return {
        put: [
          ...put,
          { key: ['url', after.url], value: after.key },
          { key: ['file', after.key], value: sealed(after) },
        ],
      };
    });
    return written;
  }

  /** Removes everything of one file, in one transaction. */
  async discard(key: string): Promise<void> {
    await this.#records.change<unknown>(['file', key], (found) => {
      const remove: Key[] = [
        ['file', key],
        ['data', key],
      ];
      if (isManifest(found)) remove.push(['url', found.url]);
      return { remove };
    });
  }

  /** Returns the records of a file. */
  countRecords(key: string): Promise<number> {
    return this.#records.count(['data', key]);
  }

  /**
   * Returns bytes `[from, to)` of one record, checked. If they are damaged or lost, the file is removed; throws
   * `StorageError('checksum')`.
   */
  async readRecord(manifest: Manifest, index: number, from: number, to: number): Promise<Uint8Array> {
    const record: unknown = await this.#records.get(['data', manifest.key, index]);
    // Whole blocks are read, since the sums are for blocks.
    const first = Math.floor(from / BLOCK_BYTES);
    try {
      if (isRecord(record)) {
        const end = Math.min(sizeOf(record.bytes), Math.ceil(to / BLOCK_BYTES) * BLOCK_BYTES);
        const blocks = await slice(record.bytes, first * BLOCK_BYTES, end);
        if (end >= to && sumsMatch(blocks, first, record.sums, index))
          return blocks.subarray(from - first * BLOCK_BYTES, to - first * BLOCK_BYTES);
      }
    } catch (cause) {
      throw await this.#damaged(manifest, index, cause);
    }
    throw await this.#damaged(manifest, index);
  }

  /** Undefined where there is none, and where it is damaged. */
  async note<T>(name: string): Promise<T | undefined> {
    return (await this.#records.get<T>(['note', storedAddress(name)])) ?? undefined;
  }

  setNote(name: string, value: unknown): Promise<void> {
    return this.#records.put({ key: ['note', storedAddress(name)], value });
  }

  async #manifests(): Promise<Manifest[]> {
    return (await this.#records.all<unknown>(['file'])).filter(isManifest);
  }

  async #damaged({ key, name }: Manifest, index: number, cause?: unknown): Promise<StorageError> {
    const removed = await this.discard(key).then(
      () => true,
      () => false,
    );
    return new StorageError(
      'checksum',
      `${name}: part ${index} of the stored copy is damaged or gone; ${removed ? 'the copy was removed: load again to download it' : 'remove it (store.remove) and load again'}`,
      { key, part: index },
      { cause },
    );
  }
}

function isRecord(value: unknown): value is StoredRecord {
  if (typeof value !== 'object' || value === null) return false;
  const { bytes, sums } = value as Partial<Record<keyof StoredRecord, unknown>>;
  return (bytes instanceof Blob || isTyped(bytes, 'Uint8Array')) && isTyped(sums, 'Uint32Array');
}

/** Recognised by its tag, since a structured clone may belong to another realm. */
function isTyped(value: unknown, kind: 'Uint8Array' | 'Uint32Array'): boolean {
  return ArrayBuffer.isView(value) && Object.prototype.toString.call(value) === `[object ${kind}]`;
}

function sizeOf(bytes: Blob | Uint8Array): number {
  return bytes instanceof Blob ? bytes.size : bytes.length;
}

async function slice(bytes: Blob | Uint8Array, from: number, to: number): Promise<Uint8Array> {
  return bytes instanceof Blob ? new Uint8Array(await bytes.slice(from, to).arrayBuffer()) : bytes.subarray(from, to);
}

/** A manifest with a check value by which a damaged one is recognised. */
function sealed(manifest: Manifest): Manifest & { readonly check: number } {
  return { ...manifest, check: checkOf(manifest) };
}

function isManifest(value: unknown): value is Manifest {
  if (typeof value !== 'object' || value === null) return false;
  const found = value as Manifest & { readonly check?: unknown };
  return found.check === checkOf(found);
}

/** The fields of a manifest in the order in which its check value covers them. */
const FIELDS = [
  'key',
  'url',
  'model',
  'name',
  'size',
  'received',
  'recordBytes',
  'etag',
  'lastModified',
  'sha256',
  'hashState',
  'complete',
  'created',
] as const satisfies readonly (keyof Manifest)[];

function checkOf(manifest: Manifest): number {
  const { hashState } = manifest;
  const state = isTyped(hashState, 'Uint8Array') ? [...blockSums(hashState as Uint8Array, 0)] : null;
  const facts = FIELDS.map((field) => (field === 'hashState' ? state : manifest[field]));
  return blockSums(new TextEncoder().encode(JSON.stringify(facts)), 1)[0] ?? 0;
}
