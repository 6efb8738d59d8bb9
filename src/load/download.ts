/**
 * From a URL into the store: resumed at the byte, hashed on the way, whole only when everything is right.
 * Memory: one record. The store's format and its guarantees are in `src/store/model-store.ts`.
 */
import { createSHA256, sha256 as hashOf } from 'hash-wasm';
import { StorageError } from '../errors.ts';
import { RECORD_BYTES, type Manifest, type ModelStore } from '../store/model-store.ts';
import type { ByteSource } from './byte-source.ts';
import {
  Break,
  displayName,
  request,
  sameFile,
  sleep,
  surelySameFile,
  withRetries,
  type Network,
  type RemoteBody,
  type Validator,
} from './http.ts';
import type { ReadOptions } from './model-file.ts';
import { Meter } from './progress.ts';
import { StoredSource } from './stored-source.ts';

/**
 * A slow download's partial record is written this often, so that a killed tab loses little; but only when it has grown
 * by a quarter since, so that all writings of one record add up to five times its size at most.
 */
const FLUSH_MS = 500;
const FLUSH_GROWTH = 1 / 4;
/** How often a file that changes under the download is begun anew. */
const MAX_RESTARTS = 3;
/** Another tab (without Web Locks) counts as gone when it has written nothing for this long. */
const FOLLOW_MS = 5000;

export interface DownloadRequest extends ReadOptions {
  readonly url: string;
  /** What the caller asked for, kept for `store.remove`. */
  readonly model: string;
  /** What the file should be, where known: lower-case hex, bytes. */
  readonly sha256?: string | undefined;
  readonly size?: number | undefined;
  readonly network: Network;
  readonly store: ModelStore;
  /** Bytes of a record; tests make them small. */
  readonly recordBytes?: number;
}

/** The stored file, whole and verified; touches the network only when it is not there yet. Throws `StorageError`. */
export async function downloadToStore(wanted: DownloadRequest): Promise<ByteSource> {
  const { store, url, sha256, signal } = wanted;
  let kept = await store.find(url);
  if (kept?.complete === true && (await store.countRecords(kept.key)) !== Math.ceil(kept.received / kept.recordBytes)) {
    // Somebody cleared a part of the site's data.
    await store.discard(kept.key);
    kept = undefined;
  }
  if (kept?.complete === true && (sha256 === undefined || kept.sha256 === sha256)) return new StoredSource(store, kept);
  const key = sha256 === undefined ? `url-${await hashOf(url)}` : `sha256-${sha256}`;
  if (kept?.complete === true && kept.key !== key) await store.discard(kept.key);
  store.persist();
  return store.lock(key, signal, async () => new StoredSource(store, await new Download(wanted, key).run()));
}

/** The server's file is not the one whose beginning is stored. */
class Changed extends Error {}
/** Another tab wrote into the same file. */
class Conflict extends Error {}

class Download {
  readonly #wanted: DownloadRequest;
  readonly #key: string;
  readonly #recordBytes: number;
  /** As last read or written; undefined: nothing is stored. */
  #manifest: Manifest | undefined;
  #received = 0;
  #size: number | undefined;
  #validator: Validator = {};
  /** The record being filled; its first bytes may be stored already. */
  #record = new Uint8Array(0);
  #hasher: Awaited<ReturnType<typeof createSHA256>> | undefined;
  #flushed = 0;

  constructor(wanted: DownloadRequest, key: string) {
    this.#wanted = wanted;
    this.#key = key;
    this.#recordBytes = wanted.recordBytes ?? RECORD_BYTES;
  }

  async run(): Promise<Manifest> {
    const { store, url, network, signal } = this.#wanted;
    for (let restarts = 0; ;) {
      this.#manifest = await store.find(this.#key);
      if (this.#manifest?.complete === true) return this.#manifest;
      await this.#resume();
      try {
        await withRetries(
          url,
          network,
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
              `${url}: the file changed on the server ${restarts} times while it was downloaded; try again later`,
              { url },
            );
        } else {
          throw fault;
        }
      }
    }
  }

  /** Takes up what is stored: counters, the partial record, the hash. */
  async #resume(): Promise<void> {
    const { store, url, size, sha256 } = this.#wanted;
    const manifest = this.#manifest;
    this.#received = manifest?.received ?? 0;
    this.#size = manifest?.size ?? size;
    // Another server's tags say nothing about this one's file; the SHA-256 in the key does.
    this.#validator =
      manifest !== undefined && (manifest.url === url || sha256 === undefined)
        ? { etag: manifest.etag, lastModified: manifest.lastModified }
        : {};
    this.#flushed = performance.now();
    this.#record = new Uint8Array(Math.min(this.#recordBytes, this.#size ?? this.#recordBytes));
    this.#hasher = (await createSHA256()).init();
    if (manifest === undefined) return;
    const partial = manifest.received % this.#recordBytes;
    if (manifest.recordBytes !== this.#recordBytes) {
      // Written by a version with other records.
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
        // Saved by another build of the hash: hash the stored bytes again.
        this.#hasher = (await createSHA256()).init();
      }
    }
    const meter = new Meter(monitor, 'verify', displayName(manifest.url), manifest.received);
    for await (const chunk of new StoredSource(store, manifest).stream(0, manifest.received, signal)) {
      this.#hasher?.update(chunk);
      meter.add(chunk.length);
    }
  }

  /** One request, from the first byte that is missing to the end. Throws `Break` for another try. */
  async #pull(): Promise<void> {
    const { url, monitor } = this.#wanted;
    if (this.#size !== undefined && this.#received === this.#size && this.#manifest !== undefined) return;
    const answer = await this.#request();
    if (answer === undefined) return;
    let meter: Meter;
    try {
      await this.#accept(answer);
      meter = new Meter(monitor, 'download', displayName(url), this.#size ?? 0, this.#received);
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
          throw new StorageError('network', `${url}: the server sends more than the ${this.#size} bytes it announced`, {
            url,
            size: this.#size,
          });
        }
        await this.#append(fresh);
        if (drop < chunk.length) meter.add(fresh.length);
      }
      if (this.#size !== undefined && this.#received < this.#size)
        throw new Break(`the connection ended ${this.#size - this.#received} bytes too early`);
      await this.#commit();
    } catch (fault) {
      // What came is worth keeping, whatever stopped it; if that fails too, the first failure is the one to tell.
      const lost = fault instanceof Conflict || (fault instanceof StorageError && fault.code !== 'network');
      if (!lost) {
        await this.#commit().catch((second: unknown) => {
          if (second instanceof Conflict || (second instanceof StorageError && second.code === 'quota')) throw second;
        });
      }
      throw fault;
    }
  }

  /** Undefined for an empty file. */
  async #request(): Promise<RemoteBody | undefined> {
    const { url, network, signal } = this.#wanted;
    try {
      return await request(url, this.#received, undefined, this.#validator, network, signal);
    } catch (fault) {
      // An empty file cannot satisfy any range.
      if (this.#received > 0 || !(fault instanceof StorageError) || fault.facts['status'] !== 416) throw fault;
      this.#size = 0;
      await this.#commit();
      return undefined;
    }
  }

  /** Is this the file whose beginning is stored, is it as large as it should be, and is there room for it? */
  async #accept(answer: RemoteBody): Promise<void> {
    const { url, sha256, size: expected } = this.#wanted;
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
        `${url}: the repository's listing says ${expected} bytes, the server ${answer.size}: it was just updated; load it again`,
        { url, size: answer.size, expected },
      );
    }
    this.#size = answer.size ?? this.#size;
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
        // Only where the server did not say how much comes.
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

  /** Writes the bytes that came since the last time, with the manifest that counts them. Throws `Conflict`, `StorageError('quota')`. */
  async #commit(change: Partial<Manifest> = {}): Promise<void> {
    const { store, url, model } = this.#wanted;
    const before = this.#manifest;
    const stored = before?.received ?? 0;
    if (before !== undefined && stored === this.#received && Object.keys(change).length === 0) return;
    const after: Manifest = {
      key: this.#key,
      url,
      model,
      name: displayName(url),
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

  /** The error for a full quota; what came of this file is removed, since it would only keep the room that others need. */
  async #full(cause: StorageError | undefined): Promise<StorageError> {
    const { store, url } = this.#wanted;
    const needed = this.#size ?? this.#received;
    await store.discard(this.#key).catch(() => {});
    const { usage, quota } = await store.estimate();
    const room = usage === undefined || quota === undefined ? undefined : Math.max(0, quota - usage);
    // Chromium tells pages a quota that is not the real one; a refusal is proof.
    const available = room !== undefined && cause !== undefined && room >= needed ? undefined : room;
    return new StorageError(
      'quota',
      `${url}: ${needed} bytes are needed, the browser gives this site ${available === undefined ? 'fewer' : `${available}`}; nothing of the file was kept. Remove other models (store.remove), free disk space, or load with store: false`,
      { url, needed, available },
      { cause },
    );
  }

  /** Everything came: is it what it should be? */
  async #finish(): Promise<Manifest> {
    const { store, url, sha256 } = this.#wanted;
    const found = this.#hasher?.digest('hex');
    if (sha256 !== undefined && found !== sha256) {
      await store.discard(this.#key);
      throw new StorageError(
        'checksum',
        `${url}: its SHA-256 is ${found}, it should be ${sha256}; nothing of it was kept: load it again, and if this repeats, the server's file is damaged or was replaced`,
        { url, sha256, found },
      );
    }
    await this.#commit({ complete: true, sha256: found ?? '', size: this.#received });
    const manifest = this.#manifest;
    if (manifest === undefined) throw new Conflict();
    return manifest;
  }

  /** Waits while another tab goes on with the file. */
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
