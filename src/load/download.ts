/**
 * Downloads a URL into the store: resumed where it stopped, hashed meanwhile, and complete only when everything was
 * verified. The file is long because a download is one state (bytes received, validator, record, hash) that every step
 * reads and changes. Memory: one record. `src/store/model-store.ts` defines the store's format and its guarantees.
 */
import { sha256 as hashOf, streamingSha256 } from '../hash.ts';
import { FileError, StorageError } from '../errors.ts';
import { displayName, storedAddress } from '../store/address.ts';
import { RECORD_BYTES, type Manifest, type ModelStore } from '../store/model-store.ts';
import type { ByteSource } from './byte-source.ts';
import { HeadCheck, type Expectation } from './expectation.ts';
import { tooLarge } from './http-source.ts';
import { request, sameFile, surelySameFile, type Network, type RemoteBody, type Validator } from './http.ts';
import type { ReadOptions } from './model-file.ts';
import { Meter } from './progress.ts';
import { Break, sleep, withRetries } from './retry.ts';
import { StoredSource } from './stored-source.ts';

/**
 * A slow download's partial record is written this often, so that a killed tab loses little, but only when it has grown
 * by a quarter since, so that all writes of one record add up to at most five times its size.
 */
const FLUSH_MS = 500;
const FLUSH_GROWTH = 1 / 4;
/** How often the download of a file that changes meanwhile is started again. */
const MAX_RESTARTS = 3;
/** Another tab (without Web Locks) is considered gone when it has written nothing for this long. */
const FOLLOW_MS = 5000;
/** How often the progress of a download that another tab or process makes is looked up. */
const OTHERS_MS = 500;
/** Bytes that are read again at once when a resumed download must check the beginning of its file. */
const HEAD_STEP = 1 << 20;

export interface DownloadRequest extends ReadOptions {
  readonly url: string;
  /** What the caller requested; kept for `store.remove`. */
  readonly model: string;
  /** The expected content, if known: lower-case hex, bytes. */
  readonly sha256?: string | undefined;
  readonly size?: number | undefined;
  /** The expected kind of file. */
  readonly expectation: Expectation;
  readonly network: Network;
  readonly store: ModelStore;
  /** Bytes of a record; tests make them small. */
  readonly recordBytes?: number;
}

/**
 * Returns the stored file, complete and verified; uses the network only if it is not stored yet. Throws `StorageError`,
 * and `FileError` when the server sends something else than expected, of which nothing is kept.
 */
export async function downloadToStore(wanted: DownloadRequest): Promise<ByteSource> {
  const { store, url, sha256, signal } = wanted;
  let kept = await store.find(url);
  if (kept?.complete === true && (await store.countRecords(kept.key)) !== Math.ceil(kept.received / kept.recordBytes)) {
    // A part of the site's data was cleared.
    await store.discard(kept.key);
    kept = undefined;
  }
  if (kept?.complete === true && (sha256 === undefined || kept.sha256 === sha256)) return new StoredSource(store, kept);
  const key = sha256 === undefined ? `url-${await hashOf(storedAddress(url))}` : `sha256-${sha256}`;
  if (kept?.complete === true && kept.key !== key) await store.discard(kept.key);
  store.persist();
  const others = followOther(wanted, key);
  try {
    return await store.lock(key, signal, async () => {
      others();
      return new StoredSource(store, await new Download(wanted, key).run());
    });
  } finally {
    others();
  }
}

/** While another tab, window or process has the lock, its progress is told. Returns a function that ends that. */
function followOther({ store, monitor, url }: DownloadRequest, key: string): () => void {
  if (monitor === undefined) return () => {};
  let meter: Meter | undefined;
  let seen = 0;
  let ended = false;
  const look = async (): Promise<void> => {
    const found = await store.find(key).catch(() => undefined);
    if (ended || found === undefined) return;
    const { received, size = 0 } = found;
    if (meter === undefined) meter = new Meter(monitor, 'download', displayName(url), size, received);
    else if (received > seen) meter.add(received - seen);
    seen = received;
  };
  const timer = setInterval(() => void look(), OTHERS_MS);
  return () => {
    ended = true;
    clearInterval(timer);
  };
}

/** The server's file differs from the one whose beginning is stored. */
class Changed extends Error {}
/** Another tab wrote into the same file. */
class Conflict extends Error {}

class Download {
  readonly #wanted: DownloadRequest;
  readonly #key: string;
  readonly #recordBytes: number;
  /** The manifest as last read or written; undefined when nothing is stored. */
  #manifest: Manifest | undefined;
  #received = 0;
  #size: number | undefined;
  #validator: Validator = {};
  /** The record being filled; its first bytes may be stored already. */
  #record = new Uint8Array(0);
  #hasher: Awaited<ReturnType<typeof streamingSha256>> | undefined;
  #flushed = 0;
  readonly #name: string;
  #head: HeadCheck;

  constructor(wanted: DownloadRequest, key: string) {
    this.#wanted = wanted;
    this.#key = key;
    this.#name = displayName(wanted.url);
    this.#head = new HeadCheck(wanted.expectation, this.#name, wanted.size);
    this.#recordBytes = wanted.recordBytes ?? RECORD_BYTES;
  }

  async run(): Promise<Manifest> {
    const { store, url, network, signal } = this.#wanted;
    const name = this.#name;
    for (let restarts = 0; ;) {
      this.#manifest = await store.find(this.#key);
      if (this.#manifest?.complete === true) return this.#manifest;
      await this.#resume();
      const resumed = this.#received > 0;
      try {
        await withRetries(
          url,
          network.retry,
          signal,
          () => this.#received,
          () => this.#pull(),
        );
        return await this.#finish();
      } catch (fault) {
        if (fault instanceof Conflict) {
          await this.#follow();
        } else if (
          fault instanceof Changed ||
          (fault instanceof StorageError && fault.code === 'changed' && this.#received > 0)
        ) {
          await store.discard(this.#key);
          if (++restarts > MAX_RESTARTS)
            throw new StorageError(
              'changed',
              `${name}: the file changed on the server ${restarts} times while it was downloaded; try again later`,
              { url: name },
            );
        } else {
          // It is not the expected file, so what was received is useless.
          if (!(fault instanceof FileError)) throw fault;
          await store.discard(this.#key);
          // Some of it may come from an earlier, bad response: the whole file is requested before it is refused.
          if (!resumed) throw fault;
        }
      }
    }
  }

  /** Restores what is stored: counters, the partial record, the hash. */
  async #resume(): Promise<void> {
    const { store, url, size, sha256 } = this.#wanted;
    const manifest = this.#manifest;
    this.#received = manifest?.received ?? 0;
    // When no byte was received, the size is that of a refused response and says nothing about the next one.
    this.#size = (this.#received > 0 ? manifest?.size : undefined) ?? size;
    // Another server's tags say nothing about this one's file; the SHA-256 in the key does.
    this.#validator =
      manifest !== undefined && (manifest.url === storedAddress(url) || sha256 === undefined)
        ? { etag: manifest.etag, lastModified: manifest.lastModified }
        : {};
    this.#flushed = performance.now();
    this.#record = new Uint8Array(Math.min(this.#recordBytes, this.#size ?? this.#recordBytes));
    this.#hasher = (await streamingSha256()).init();
    this.#head = new HeadCheck(this.#wanted.expectation, this.#name, this.#size);
    if (manifest === undefined) return;
    const partial = manifest.received % this.#recordBytes;
    if (manifest.recordBytes !== this.#recordBytes) {
      // Written by a version with records of another size.
      await store.discard(this.#key);
      this.#manifest = undefined;
      return this.#resume();
    }
    try {
      if (partial > 0)
        this.#record.set(
          await store.readRecord(manifest, Math.floor(manifest.received / this.#recordBytes), 0, partial),
        );
      await this.#resumeHash(manifest);
      for (let at = 0; at < manifest.received && !this.#head.done; at += HEAD_STEP) {
        const end = Math.min(manifest.received, at + HEAD_STEP);
        for await (const chunk of new StoredSource(store, manifest).stream(at, end, this.#wanted.signal))
          await this.#head.add(chunk);
      }
    } catch (fault) {
      if (!(fault instanceof StorageError)) throw fault;
      await store.discard(this.#key);
      this.#manifest = undefined;
      return this.#resume();
    }
  }

  async #resumeHash(manifest: Manifest): Promise<void> {
    const { store, signal, monitor } = this.#wanted;
    if (manifest.hashState !== undefined) {
      try {
        this.#hasher?.load(manifest.hashState);
        return;
      } catch {
        // Saved by another build of the hash function: the stored bytes are hashed again.
        this.#hasher = (await streamingSha256()).init();
      }
    }
    const meter = new Meter(monitor, 'verify', displayName(manifest.url), manifest.received);
    for await (const chunk of new StoredSource(store, manifest).stream(0, manifest.received, signal)) {
      this.#hasher?.update(chunk);
      meter.add(chunk.length);
    }
  }

  /** One request, from the first missing byte to the end. Throws `Break` to request another try. */
  async #pull(): Promise<void> {
    const { url, monitor } = this.#wanted;
    if (this.#size !== undefined && this.#received === this.#size && this.#manifest !== undefined) return;
    const { network, signal, sha256 } = this.#wanted;
    const answer = await request(url, this.#received, undefined, this.#validator, network, signal);
    let meter: Meter;
    try {
      await this.#accept(answer);
      meter = new Meter(
        monitor,
        'download',
        this.#name,
        this.#size ?? 0,
        this.#received,
        answer.resumable || sha256 !== undefined,
      );
    } catch (fault) {
      await answer.cancel();
      throw fault;
    }
    let skip = this.#received - answer.start;
    try {
      for await (const chunk of answer.bytes()) {
        const drop = Math.min(skip, chunk.length);
        skip -= drop;
        const fresh = chunk.subarray(drop);
        if (this.#size !== undefined && this.#received + fresh.length > this.#size) {
          this.#mistrustSize(answer);
          throw new StorageError(
            'network',
            `${this.#name}: the server sends more than the ${this.#size} bytes it announced`,
            { url: this.#name, size: this.#size },
          );
        }
        await this.#head.add(fresh);
        if (this.#size === undefined && this.#received + fresh.length > this.#head.most)
          throw tooLarge(this.#name, this.#received + fresh.length, this.#head.most);
        await this.#append(fresh);
        if (drop < chunk.length) meter.add(fresh.length);
      }
      if (this.#size !== undefined && this.#received < this.#size) {
        this.#mistrustSize(answer);
        throw new Break(`the connection ended ${this.#size - this.#received} bytes too early`);
      }
      await this.#commit();
    } catch (fault) {
      // What was received is worth keeping, whatever interrupted it. If that fails too, the first failure is thrown.
      const lost =
        fault instanceof Conflict ||
        fault instanceof Changed ||
        fault instanceof FileError ||
        (fault instanceof StorageError && fault.code !== 'network');
      if (!lost) {
        await this.#commit().catch((second: unknown) => {
          if (second instanceof Conflict || (second instanceof StorageError && second.code === 'quota')) throw second;
        });
      }
      throw fault;
    }
  }

  /**
   * The body of a plain response is shorter or longer than its Content-Length. This happens when the length is that of
   * a compressed body and the browser hides the encoding from other origins. The download starts again without relying
   * on the length. Throws `Changed`.
   */
  #mistrustSize(answer: RemoteBody): void {
    const { url, network, size } = this.#wanted;
    if (answer.ranges || answer.size === undefined || size !== undefined || network.unsized.has(url)) return;
    network.unsized.add(url);
    throw new Changed();
  }

  /**
   * Checks that this is the file whose beginning is stored, that its size is as expected, and that there is enough
   * storage.
   */
  async #accept(answer: RemoteBody): Promise<void> {
    const { sha256, size: expected, expectation } = this.#wanted;
    if (this.#received > 0) {
      const same =
        sha256 === undefined
          ? surelySameFile(this.#validator, answer.validator)
          : sameFile(this.#validator, answer.validator);
      const size = this.#manifest?.size;
      if (!same || (size !== undefined && answer.size !== undefined && answer.size !== size)) throw new Changed();
    }
    if (expected !== undefined && answer.size !== undefined && answer.size !== expected) {
      throw new StorageError(
        'changed',
        `${this.#name}: the repository's listing says ${expected} bytes, the server ${answer.size}: it was just updated; load it again`,
        { url: this.#name, size: answer.size, expected },
      );
    }
    this.#size = answer.size ?? this.#size;
    if (this.#size !== undefined && this.#size > expectation.limit)
      throw tooLarge(this.#name, this.#size, expectation.limit);
    this.#validator = answer.validator;
    if (this.#size !== undefined && this.#record.length < Math.min(this.#recordBytes, this.#size)) {
      const grown = new Uint8Array(Math.min(this.#recordBytes, this.#size));
      grown.set(this.#record.subarray(0, grown.length));
      this.#record = grown;
    }
    const { usage, quota } = await this.#wanted.store.estimate();
    const more = (this.#size ?? 0) - this.#received;
    if (usage !== undefined && quota !== undefined && more > quota - usage) throw await this.#full(undefined);
  }

  async #append(chunk: Uint8Array): Promise<void> {
    for (let rest = chunk; rest.length > 0;) {
      const filled = this.#received % this.#recordBytes;
      const piece = rest.subarray(0, this.#recordBytes - filled);
      if (filled + piece.length > this.#record.length) {
        // Only when the server did not announce the size.
        const grown = new Uint8Array(this.#recordBytes);
        grown.set(this.#record.subarray(0, filled));
        this.#record = grown;
      }
      this.#record.set(piece, filled);
      this.#hasher?.update(piece);
      this.#received += piece.length;
      rest = rest.subarray(piece.length);
      if (this.#received % this.#recordBytes === 0 || this.#isDue()) await this.#commit();
    }
  }

  #isDue(): boolean {
    if (performance.now() - this.#flushed < FLUSH_MS) return false;
    const filled = this.#received % this.#recordBytes;
    const fresh = this.#received - (this.#manifest?.received ?? 0);
    return fresh >= FLUSH_GROWTH * (filled - fresh);
  }

  /**
   * Writes the bytes received since the last write, with the manifest that counts them. Throws `Conflict` or
   * `StorageError('quota')`.
   */
  async #commit(change: Partial<Manifest> = {}): Promise<void> {
    const { store, url, model } = this.#wanted;
    const before = this.#manifest;
    const stored = before?.received ?? 0;
    if (before !== undefined && stored === this.#received && Object.keys(change).length === 0) return;
    const after: Manifest = {
      key: this.#key,
      url: storedAddress(url),
      model: storedAddress(model),
      name: this.#name,
      size: this.#size,
      received: this.#received,
      recordBytes: this.#recordBytes,
      etag: this.#validator.etag,
      lastModified: this.#validator.lastModified,
      sha256: undefined,
      hashState: change.complete === true ? undefined : this.#hasher?.save().slice(),
      complete: false,
      created: before?.created ?? Date.now(),
      ...change,
    };
    const records: { index: number; bytes: Uint8Array }[] = [];
    if (this.#received > stored) {
      const index = Math.floor((this.#received - 1) / this.#recordBytes);
      records.push({ index, bytes: this.#record.subarray(0, this.#received - index * this.#recordBytes) });
    }
    let written: boolean;
    try {
      written = await store.commit(before, after, records);
    } catch (fault) {
      if (fault instanceof StorageError && fault.code === 'quota') throw await this.#full(fault);
      throw fault;
    }
    if (!written) throw new Conflict();
    this.#manifest = after;
    this.#flushed = performance.now();
  }

  /**
   * Returns the error for a full quota. What was received of this file is removed, since it would only occupy storage.
   */
  async #full(cause: StorageError | undefined): Promise<StorageError> {
    const { store } = this.#wanted;
    const needed = this.#size ?? this.#received;
    await store.discard(this.#key).catch(() => {});
    const { usage, quota } = await store.estimate();
    const room = usage === undefined || quota === undefined ? undefined : Math.max(0, quota - usage);
    // Chromium reports a quota that is not the real one; a refused write is proof.
    const available = room !== undefined && cause !== undefined && room >= needed ? undefined : room;
    return new StorageError(
      'quota',
      `${this.#name}: ${needed} bytes are needed, and there is room for ${available === undefined ? 'fewer' : `${available}`}; nothing of the file was kept. Remove other models (store.remove), free disk space, or load with store: false`,
      { url: this.#name, needed, available },
      { cause },
    );
  }

  /** All bytes were received: verifies the file. Only then it counts as complete. */
  async #finish(): Promise<Manifest> {
    const { store, sha256, expectation, signal } = this.#wanted;
    const name = this.#name;
    const found = this.#hasher?.digest('hex');
    if (sha256 !== undefined && found !== sha256) {
      await store.discard(this.#key);
      throw new StorageError(
        'checksum',
        `${name}: its SHA-256 is ${found} and should be ${sha256}; nothing of it was kept: load it again, and if this repeats, the server's file is damaged or was replaced`,
        { url: name, sha256, found },
      );
    }
    // An empty file has no record; with its manifest it is one.
    if (this.#manifest === undefined) await this.#commit();
    if (this.#manifest !== undefined) await expectation.verify(new StoredSource(store, this.#manifest), signal);
    await this.#commit({ complete: true, sha256: found ?? '', size: this.#received });
    const manifest = this.#manifest;
    if (manifest === undefined) throw new Conflict();
    return manifest;
  }

  /** Waits while another tab continues this download. */
  async #follow(): Promise<void> {
    const { store, signal } = this.#wanted;
    for (let seen = -1, since = performance.now(); ;) {
      const manifest = await store.find(this.#key);
      if (manifest === undefined || manifest.complete) return;
      if (manifest.received !== seen) {
        seen = manifest.received;
        since = performance.now();
      } else if (performance.now() - since > FOLLOW_MS) return;
      await sleep(250, signal);
    }
  }
}
