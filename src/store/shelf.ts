/**
 * The storage of saved sessions: IndexedDB in browsers (indexed-shelf.ts), a folder in Node (folder-shelf.ts).
 *
 * A save writes its parts under a new generation, which is not visible yet; `commit` assigns them to a name and removes
 * those that they replace, in one step. So a tab that is killed at any moment leaves either the old session or the new
 * one, and of two tabs that write one name the later one replaces the other completely. A generation that is being
 * written has a lease, renewed with every part; `sweep` removes those whose lease has expired, and a writer that was
 * suspended for so long may not commit.
 */
import { StorageError } from '../errors.ts';

/**
 * The version of manifests, of the records that they name and of the pages in those: incremented whenever the layout of
 * any of them changes. Records of another version are not read.
 */
export const RECORD_VERSION = 3;

/** Throws `StorageError('changed')` for a record of another version. */
export function checkVersion(version: number): void {
  if (version === RECORD_VERSION) return;
  const [author, remedy] =
    version < RECORD_VERSION
      ? ['an older Octavo', 'remove it (Octavo.sessions.remove) and prompt its text again']
      : ['a newer Octavo', 'update Octavo, or remove it (Octavo.sessions.remove) and prompt its text again'];
  throw new StorageError(
    'changed',
    `the saved session was written by ${author}: it has version ${version} and this one reads version ${RECORD_VERSION}; ${remedy}`,
    { version, reads: RECORD_VERSION },
  );
}

/**
 * The facts about a session that are known without reading it. A field may be added or changed only with a new
 * `RECORD_VERSION`.
 */
export interface SessionManifest {
  /** The version of the layout of all parts: `RECORD_VERSION`. */
  readonly version: number;
  readonly name: string;
  readonly generation: string;
  /** The model's fingerprint, and its file name for messages. */
  readonly model: string;
  readonly modelName: string;
  /**
   * Covers what pages depend on besides the model and the ids: sessions with equal keys may read each other's pages.
   */
  readonly contentKey: string;
  readonly tokens: number;
  /** Bytes of all parts. */
  readonly bytes: number;
  readonly parts: number;
  /** Kept by content and not under a name of the caller; the first to be removed when storage is short. */
  readonly automatic: boolean;
  /** A chained hash of the ids up to the end of each whole block; a match is verified id by id. */
  readonly chain: readonly number[];
  /** Milliseconds since 1970. */
  readonly saved: number;
  readonly used: number;
  /** A check value of all other fields: see `sealed`. */
  readonly check: number;
}

export interface Shelf {
  /** For messages. */
  readonly place: string;
  /** Returns all manifests, unordered, as they were found; they may be damaged. */
  manifests(): Promise<readonly unknown[]>;
  manifest(name: string): Promise<unknown>;
  /** Opens a new generation. */
  begin(generation: string): Promise<void>;
  /**
   * `bytes` may be reused when the promise settles. Throws `StorageError`: `quota`, or `changed` when the lease has
   * expired.
   */
  write(generation: string, part: number, bytes: Uint8Array): Promise<void>;
  /** Returns undefined when there is none; the result must not be modified. */
  read(generation: string, part: number): Promise<Uint8Array | undefined>;
  /** All or nothing. Throws `StorageError('changed')` when the generation's lease has expired. */
  commit(manifest: SessionManifest): Promise<void>;
  /** Replaces `used` if the manifest still belongs to that generation. */
  touch(name: string, generation: string, used: number): Promise<void>;
  /** Removes the session; if a generation is given, only if it belongs to that. */
  remove(name: string, generation?: string): Promise<boolean>;
  /** Removes one part of a generation that is being written. */
  erase(generation: string, part: number): Promise<void>;
  /** Removes what a failed save has written; nothing if it was committed after all. */
  discard(generation: string): Promise<void>;
  /**
   * Removes generations without a manifest whose lease is older than `age` milliseconds. Resolves with their number.
   */
  sweep(age: number): Promise<number>;
  /** Bytes used and allowed here, as far as known. */
  estimate(): Promise<{ readonly usage: number | undefined; readonly quota: number | undefined }>;
}

/** Returns the manifest with its check value, by which changed fields are detected. */
export function sealed(facts: Omit<SessionManifest, 'check'>): SessionManifest {
  return { ...facts, check: checkOf(facts) };
}

/**
 * Tells whether the value read is an intact manifest of any version; `checkVersion` says whether it can be used. Names,
 * sizes and times are read from every version, so that everything stored can be listed, counted and removed.
 */
export function isManifest(value: unknown): value is SessionManifest {
  if (typeof value !== 'object' || value === null) return false;
  const found = value as Readonly<Record<keyof SessionManifest, unknown>>;
  const counts = [found.version, found.tokens, found.bytes, found.parts, found.saved, found.used];
  const texts = [found.name, found.generation, found.model, found.modelName];
  return (
    counts.every((count) => typeof count === 'number' && Number.isFinite(count) && count >= 0) &&
    texts.every((text) => typeof text === 'string') &&
    typeof found.automatic === 'boolean' &&
    (found.version !== RECORD_VERSION || (typeof found.contentKey === 'string' && Array.isArray(found.chain))) &&
    found.check === checkOf(found)
  );
}

/** FNV-1a, 32 bits, over all fields but itself, in the order of their names. */
function checkOf(facts: object): number {
  const entries = Object.entries(facts).filter(([name]) => name !== 'check');
  const text = JSON.stringify(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
