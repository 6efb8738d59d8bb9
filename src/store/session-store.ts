/** Saved sessions by name: listing, saving, evicting and reading them. The content of their parts is defined in `src/saved/record.ts`. */
import { InputError, StorageError } from '../errors.ts';
import { checkVersion, isManifest, sealed, type SessionManifest, type Shelf } from './shelf.ts';

/** A save that has written nothing for this long, in milliseconds, is considered abandoned by a killed tab. A part takes seconds at most. */
const LEASE = 10 * 60_000;
/** Longest name, in characters: it must fit into a line of a list. */
const MOST_NAME = 200;
/** How often a read is retried when another tab replaces the session during it. */
const READINGS = 3;
/** Defaults of `KeepLimits`. */
const KEPT_BYTES = 2 * 2 ** 30;
const KEPT_SHARE = 1 / 4;
const KEPT_DAYS = 30;
const DAY = 86_400_000;

/** The entry of `list` for a session. */
export interface StoredSession {
  /** The name under which it was saved, or that of a kept prompt. */
  readonly name: string;
  /** The file name of its model; only that model reads it. */
  readonly model: string;
  /** Identifies that model. */
  readonly fingerprint: string;
  /** Tokens of its context. */
  readonly tokens: number;
  /** Bytes on disk. */
  readonly bytes: number;
  /** Kept because a context asked for it (`keep`), not under a name given by the caller. */
  readonly automatic: boolean;
  /** When it was saved. */
  readonly saved: Date;
  /** When it was last read. */
  readonly used: Date;
}

/** Bytes of saved sessions, and the storage as a whole. */
export interface SessionUsage {
  /** The number of saved sessions and kept prompts. */
  readonly sessions: number;
  /** Bytes of them on disk. */
  readonly bytes: number;
  /** Bytes that the site uses in all, as the browser estimates them. */
  readonly usage: number | undefined;
  /** Bytes that the site may use, as the browser estimates them. */
  readonly quota: number | undefined;
}

/**
 * What of kept prompts stays on the disk, of all models together. Those unused for longest are removed first, when the
 * next prompt is kept; sessions that were saved by name stay.
 */
export interface KeepLimits {
  /** The most bytes. Default 2 GiB, or a quarter of what the site may store if that is less. A longer prompt is not kept. */
  readonly bytes?: number | undefined;
  /** Days after which a prompt that was not used is removed. Default 30. */
  readonly days?: number | undefined;
}

export interface SaveFacts extends Pick<
  SessionManifest,
  'version' | 'name' | 'model' | 'modelName' | 'contentKey' | 'tokens' | 'automatic' | 'chain'
> {
  /** Bytes of all parts, for which the quota must suffice. */
  readonly bytes: number;
}

export interface SaveOptions {
  /**
   * When storage is short, whether saved sessions may be removed too, those unused for longest first; by default only
   * automatically kept prompts are.
   */
  readonly evict?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Parts in order, made on demand: `parts(generation)` gives the bytes of part 0, 1, ... */
export type Parts = (generation: string) => AsyncIterable<Uint8Array>;

export class SessionStore {
  readonly #shelf: Shelf;

  constructor(shelf: Shelf) {
    this.#shelf = shelf;
  }

  /** Returns all readable sessions, the most recently used first. Removes what killed tabs have left. */
  async list(): Promise<readonly StoredSession[]> {
    await this.#shelf.sweep(LEASE);
    return (await this.#manifests())
      .sort((a, b) => b.used - a.used || b.saved - a.saved)
      .map(({ name, modelName, model, tokens, bytes, automatic, saved, used }) => ({
        name,
        model: modelName,
        fingerprint: model,
        tokens,
        bytes,
        automatic,
        saved: new Date(saved),
        used: new Date(used),
      }));
  }

  /** Removes a session, readable or not; returns false when there is none with that name. */
  async remove(name: string): Promise<boolean> {
    return this.#shelf.remove(checkName(name));
  }

  async usage(): Promise<SessionUsage> {
    const manifests = await this.#manifests();
    return {
      sessions: manifests.length,
      bytes: manifests.reduce((sum, { bytes }) => sum + bytes, 0),
      ...(await this.#shelf.estimate()),
    };
  }

  /**
   * Writes a session under its name, replacing the old one when everything is written. Throws `StorageError('quota')`
   * when there is not enough storage and nothing may be evicted; the old session is then unchanged.
   */
  async save(facts: SaveFacts, parts: Parts, { evict = false, signal }: SaveOptions = {}): Promise<SessionManifest> {
    checkName(facts.name);
    await this.#shelf.sweep(LEASE);
    const generation = crypto.randomUUID();
    try {
      await this.#withRoom(facts, evict, () => this.#shelf.begin(generation));
      let part = 0;
      let bytes = 0;
      for await (const piece of parts(generation)) {
        signal?.throwIfAborted();
        await this.#withRoom(facts, evict, () => this.#shelf.write(generation, part, piece));
        bytes += piece.length;
        part++;
      }
      const now = Date.now();
      const { version, name, model, modelName, contentKey, tokens, automatic, chain } = facts;
      const manifest = sealed({
        version,
        name,
        generation,
        model,
        modelName,
        contentKey,
        tokens,
        bytes,
        parts: part,
        automatic,
        chain,
        saved: now,
        used: now,
      });
      signal?.throwIfAborted();
      await this.#withRoom(facts, evict, () => this.#shelf.commit(manifest));
      return manifest;
    } catch (error) {
      // If even that fails, the lease expires and a sweep removes it.
      await this.#shelf.discard(generation).catch(() => undefined);
      throw error;
    }
  }

  /**
   * Returns the manifest of a name. Throws `InputError('argument')` when there is none, `StorageError('changed')` for
   * one of another version, and `StorageError('checksum')` for a damaged one.
   */
  async find(name: string): Promise<SessionManifest> {
    const found = await this.#shelf.manifest(checkName(name));
    if (found === undefined)
      throw new InputError(
        'argument',
        `no session '${name}' is saved here; Octavo.sessions.list() returns those that are`,
        {
          name,
        },
      );
    // Also for manifests that were sealed in another way.
    if (typeof found === 'object' && found !== null && 'version' in found && typeof found.version === 'number')
      checkVersion(found.version);
    if (!isManifest(found) || found.name !== name) {
      throw new StorageError(
        'checksum',
        `the entry of the saved session '${name}' in ${this.#shelf.place} is damaged; remove it (Octavo.sessions.remove) and save again`,
        { name },
      );
    }
    return found;
  }

  /** Returns the sessions that `wanted` accepts, the most recently used first. */
  async candidates(wanted: (manifest: SessionManifest) => boolean): Promise<readonly SessionManifest[]> {
    return (await this.#manifests()).filter(wanted).sort((a, b) => b.used - a.used);
  }

  /** Returns one part, or undefined when it is lost. */
  read({ generation }: SessionManifest, part: number): Promise<Uint8Array | undefined> {
    return this.#shelf.read(generation, part);
  }

  /**
   * Runs `body` on a name's manifest, again when `body` found parts missing (undefined) because another tab has
   * replaced the session meanwhile.
   */
  async reading<T>(name: string, body: (manifest: SessionManifest) => Promise<T | undefined>): Promise<T | undefined> {
    for (let tries = 0, manifest = await this.find(name); ; tries++) {
      const result = await body(manifest);
      if (result !== undefined || tries === READINGS) return result;
      const now = await this.find(name);
      if (now.generation === manifest.generation) return undefined;
      manifest = now;
    }
  }

  /** Records that the session was used now; failures are ignored. */
  async used({ name, generation }: SessionManifest): Promise<void> {
    await this.#shelf.touch(name, generation, Date.now()).catch(() => undefined);
  }

  /** The most bytes that kept prompts may take. */
  async mostKept({ bytes }: KeepLimits): Promise<number> {
    if (bytes !== undefined) return bytes;
    const { quota = Infinity } = await this.#shelf.estimate();
    return Math.min(KEPT_BYTES, KEPT_SHARE * quota);
  }

  /** Removes kept prompts beyond the limits, those unused for longest first. */
  async trim(limits: KeepLimits): Promise<void> {
    const most = await this.mostKept(limits);
    const oldest = Date.now() - (limits.days ?? KEPT_DAYS) * DAY;
    let held = 0;
    for (const { name, generation, bytes, used } of await this.candidates(({ automatic }) => automatic)) {
      held += bytes;
      if (held > most || used < oldest) await this.#shelf.remove(name, generation);
    }
  }

  async #manifests(): Promise<SessionManifest[]> {
    return (await this.#shelf.manifests()).filter(isManifest);
  }

  /** Runs a write. When it exceeds the quota, something is removed and it is tried again. */
  async #withRoom(facts: SaveFacts, evict: boolean, write: () => Promise<void>): Promise<void> {
    for (;;) {
      try {
        return await write();
      } catch (error) {
        if (!(error instanceof StorageError) || error.code !== 'quota') throw error;
        if (!(await this.#evict(facts.name, evict))) throw await this.#full(facts, error);
      }
    }
  }

  /**
   * Removes the session that was unused for longest, but never the one that is being replaced. Returns false when none
   * may be removed.
   */
  async #evict(replaced: string, all: boolean): Promise<boolean> {
    const [oldest] = (await this.#manifests())
      .filter(({ name, automatic }) => name !== replaced && (automatic || all))
      .sort((a, b) => Number(b.automatic) - Number(a.automatic) || a.used - b.used);
    return oldest !== undefined && (await this.#shelf.remove(oldest.name, oldest.generation));
  }

  async #full({ name, bytes }: SaveFacts, cause: unknown): Promise<StorageError> {
    const others = (await this.#manifests().catch(() => [])).sort((a, b) => a.used - b.used);
    const { usage, quota } = await this.#shelf.estimate();
    const held = others.reduce((sum, one) => sum + one.bytes, 0);
    const room =
      quota === undefined || usage === undefined
        ? ''
        : `, and ${this.#shelf.place} says that ${usage} of ${quota} bytes are taken`;
    const remedy =
      others.length === 0
        ? 'free disk space, remove stored models (Octavo.store.remove), or save with fewer kvBits'
        : `remove some (Octavo.sessions.remove; the longest unused: '${others[0]?.name ?? ''}', ${others[0]?.bytes ?? 0} bytes), save with {evict: true}, or with fewer kvBits`;
    return new StorageError(
      'quota',
      `the session '${name}' needs ${bytes} bytes and there is no room for it; other saved sessions take ${held} bytes${room}: ${remedy}`,
      { name, needed: bytes, held, usage, quota },
      { cause },
    );
  }
}

function checkName(name: unknown): string {
  if (typeof name !== 'string' || name.length === 0 || name.length > MOST_NAME) {
    throw new InputError(
      'argument',
      `name: ${typeof name === 'string' ? `${name.length} characters` : String(name)}; a session's name has 1 to ${MOST_NAME} characters`,
      { most: MOST_NAME },
    );
  }
  return name;
}
