/**
 * `Records` in a folder, for Node: a file for each value, named by its key. A value is replaced by renaming, which a
 * file system does completely or not at all. A change writes what it adds before the values that it was decided on, so
 * that a process killed in between leaves the old state.
 *
 *     <folder>/<family>/<part>/.../<part>
 *
 * Only the platform's Node files import this, so that the browser's bundle has no `node:fs`.
 */
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, stat, statfs, utimes, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { deserialize, serialize } from 'node:v8';
import { codeOf, folderError } from './folder-errors.ts';
import type { Change, Entry, Key, Records, StorageEstimate } from './records.ts';

/** A lock whose holder has not renewed it for this long, in milliseconds, is considered abandoned. */
const LOCK_MS = 30_000;
const RENEWAL_MS = 5000;
const POLL_MS = 100;
/** A draft that is older than this, in milliseconds, belongs to a process that was killed: writing one takes seconds. */
const DRAFT_MS = 3_600_000;
const DRAFT = /\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** Parts of keys that are valid file names are used as such; others are named by their hash. */
const PLAIN = /^[a-z0-9][a-z0-9-]{0,100}$/;

export class FolderRecords implements Records {
  readonly #folder: string;
  /** Changes of one process are made one after the other, so that what one was decided on is there when it writes. */
  #changing: Promise<unknown> = Promise.resolve();
  #swept: Promise<void> | undefined;

  constructor(folder: string) {
    this.#folder = folder;
  }

  get<T>(key: Key): Promise<T | null | undefined> {
    return this.#named(() => read<T>(this.#path(key)));
  }

  all<T>(prefix: Key): Promise<(T | null)[]> {
    return this.#named(async () => {
      const values: (T | null)[] = [];
      for (const path of await files(this.#path(prefix))) {
        const value = await read<T>(path);
        if (value !== undefined) values.push(value);
      }
      return values;
    });
  }

  count(prefix: Key): Promise<number> {
    return this.#named(async () => (await files(this.#path(prefix))).length);
  }

  change<T>(key: Key, decide: (found: T | null | undefined) => Change): Promise<T | null | undefined> {
    const changed = this.#changing.then(() => this.#change(key, decide));
    this.#changing = changed.catch(() => undefined);
    return changed;
  }

  #change<T>(key: Key, decide: (found: T | null | undefined) => Change): Promise<T | null | undefined> {
    return this.#named(async () => {
      await (this.#swept ??= sweepDrafts(this.#folder).catch(() => {}));
      const own = this.#path(key);
      const found = await read<T>(own);
      const { put = [], remove = [] } = decide(found);
      const first = ({ key: other }: Entry): number => (this.#path(other) === own ? 1 : 0);
      // What is removed loses its own entry first, what is added gets it last.
      for (const prefix of remove) await rm(this.#path(prefix), { recursive: true, force: true });
      for (const entry of put.toSorted((a, b) => first(a) - first(b))) await write(this.#path(entry.key), entry.value);
      return found;
    });
  }

  async put(...entries: readonly Entry[]): Promise<void> {
    for (const { key, value } of entries) await this.#named(() => write(this.#path(key), value));
  }

  async blobs(): Promise<boolean> {
    return false;
  }

  /**
   * A holder has a file of its own, which it renews while it holds the lock and removes afterwards. A holder that was suspended for longer than `LOCK_MS` has lost it:
   * others have removed its file. Since no file has the name of another one, whoever removes an abandoned one never removes that of the next holder.
   */
  async lock<T>(name: string, signal: AbortSignal | undefined, body: () => Promise<T>): Promise<T> {
    const path = this.#path(['lock', name]);
    const own = `${path}.${process.pid}.${randomUUID()}`;
    await this.#named(() => mkdir(dirname(path), { recursive: true }));
    while (!(await this.#named(() => take(path, own)))) {
      signal?.throwIfAborted();
      // Of those that have withdrawn for each other, one is first.
      await new Promise((resolve) => setTimeout(resolve, POLL_MS * (0.5 + Math.random())));
    }
    const renew = (): void => {
      const now = new Date();
      utimes(own, now, now).catch(() => {});
    };
    const renewal = setInterval(renew, RENEWAL_MS);
    renewal.unref();
    try {
      signal?.throwIfAborted();
      return await body();
    } finally {
      clearInterval(renewal);
      await rm(own, { force: true }).catch(() => {});
    }
  }

  async estimate(): Promise<StorageEstimate> {
    try {
      const { bavail, blocks, bsize } = await statfs(this.#folder);
      return { usage: (blocks - bavail) * bsize, quota: blocks * bsize };
    } catch {
      return { usage: undefined, quota: undefined };
    }
  }

  #path(key: Key): string {
    return join(this.#folder, ...key.map((part) => nameOf(String(part))));
  }

  async #named<T>(body: () => Promise<T>): Promise<T> {
    try {
      return await body();
    } catch (cause) {
      throw folderError(this.#folder, cause);
    }
  }
}

function nameOf(part: string): string {
  return PLAIN.test(part) ? part : createHash('sha256').update(part).digest('hex');
}

/** Returns undefined when there is none; null when the file does not hold a value. */
async function read<T>(path: string): Promise<T | null | undefined> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    // A folder is a family of keys, which has no value of its own, as in IndexedDB.
    if (isMissing(cause) || codeOf(cause) === 'EISDIR') return undefined;
    throw cause;
  }
  try {
    return deserialize(bytes) as T;
  } catch {
    return null;
  }
}

/** First written to disk under another name. */
async function write(path: string, value: unknown): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const draft = `${path}.${randomUUID()}`;
  try {
    const file = await open(draft, 'wx');
    try {
      await file.writeFile(serialize(value));
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(draft, path);
  } catch (fault) {
    await rm(draft, { force: true }).catch(() => {});
    throw fault;
  }
}

/** Removes what processes that were killed have left half-written. */
async function sweepDrafts(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile() || !DRAFT.test(entry.name)) continue;
    const path = join(entry.parentPath ?? entry.path, entry.name);
    const written = await stat(path).then(
      ({ mtimeMs }) => mtimeMs,
      () => Infinity,
    );
    if (Date.now() - written > DRAFT_MS) await rm(path, { force: true });
  }
}

/** Returns all files at or below a path, without drafts. */
async function files(path: string): Promise<string[]> {
  let entries;
  try {
    entries = await readdir(path, { withFileTypes: true, recursive: true });
  } catch (cause) {
    if (isMissing(cause)) return [];
    throw cause;
  }
  return entries
    .filter((entry) => entry.isFile() && !entry.name.includes('.'))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
}

/**
 * Returns true when `own` now holds the lock `path`. The file is written before it is looked for others, so that of two
 * that come at once at least one sees the other, and withdraws.
 */
async function take(path: string, own: string): Promise<boolean> {
  if (await isHeld(path, own)) return false;
  let alone = false;
  try {
    await writeFile(own, '', { flag: 'wx' });
    // One that was suspended meanwhile may have lost its file.
    alone =
      !(await isHeld(path, own)) &&
      (await stat(own).then(
        () => true,
        () => false,
      ));
  } finally {
    if (!alone) await rm(own, { force: true });
  }
  return alone;
}

/** Returns true when another one than `own` holds the lock, or is about to. Removes abandoned files. */
async function isHeld(path: string, own: string): Promise<boolean> {
  const folder = dirname(path);
  const begin = `${basename(path)}.`;
  for (const name of await readdir(folder)) {
    const other = join(folder, name);
    if (!name.startsWith(begin) || other === own) continue;
    const changed = await stat(other).then(
      ({ mtimeMs }) => mtimeMs,
      () => 0,
    );
    if (Date.now() - changed <= LOCK_MS && isAlive(Number.parseInt(name.slice(begin.length), 10))) return true;
    await rm(other, { force: true });
  }
  return false;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (cause) {
    return codeOf(cause) === 'EPERM';
  }
}

function isMissing(cause: unknown): boolean {
  const code = codeOf(cause);
  return code === 'ENOENT' || code === 'ENOTDIR';
}
