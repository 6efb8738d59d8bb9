/**
 * Saved sessions in IndexedDB:
 *
 *     ['session', name]           manifest
 *     ['copy', name]              the same, for when that one is damaged
 *     ['lease', generation]       when the generation, which no manifest names yet, was last written to
 *     ['part', generation, part]  bytes
 *
 * A part and the renewal of its lease are one transaction; so are the new manifest, the end of its lease and the removal of what it replaces.
 */
import { StorageError } from '../errors.ts';
import { Database } from './database.ts';
import type { Change, Key, StorageEstimate } from './records.ts';
import { isManifest, sealed, type SessionManifest, type Shelf } from './shelf.ts';

const DATABASE = 'octavo-sessions';

export class IndexedShelf implements Shelf {
  readonly place = 'IndexedDB';
  readonly #database: Database;

  constructor(database: Database = new Database(DATABASE)) {
    this.#database = database;
  }

  async manifests(): Promise<readonly unknown[]> {
    const [first, second] = [await this.#database.all(['session']), await this.#database.all(['copy'])];
    const whole = first.filter(isManifest);
    const names = new Set(whole.map(({ name }) => name));
    const copies = second.filter((copy) => isManifest(copy) && !names.has(copy.name));
    const damaged = Array.from({ length: Math.max(0, first.length - whole.length - copies.length) }, () => null);
    return [...whole, ...copies, ...damaged];
  }

  async manifest(name: string): Promise<unknown> {
    const first = await this.#database.get(['session', name]);
    if (isManifest(first)) return first;
    const second = await this.#database.get(['copy', name]);
    return isManifest(second) ? second : (first ?? second);
  }

  begin(generation: string): Promise<void> {
    return this.#database.put({ key: ['lease', generation], value: Date.now() });
  }

  async write(generation: string, part: number, bytes: Uint8Array): Promise<void> {
    // A copy of the exact size, since a view would store its whole buffer.
    const value = (await this.#database.blobs()) ? new Blob([bytes as Uint8Array<ArrayBuffer>]) : bytes.slice();
    await this.#leased(generation, [], () => ({
      put: [
        { key: ['part', generation, part], value },
        { key: ['lease', generation], value: Date.now() },
      ],
    }));
  }

  async read(generation: string, part: number): Promise<Uint8Array | undefined> {
    const found = await this.#database.get<unknown>(['part', generation, part]);
    if (ArrayBuffer.isView(found)) return new Uint8Array(found.buffer, found.byteOffset, found.byteLength);
    if (!(found instanceof Blob)) return undefined;
    try {
      return new Uint8Array(await found.arrayBuffer());
    } catch {
      // Its file is gone: removed meanwhile, or lost by the browser.
      return undefined;
    }
  }

  async commit(manifest: SessionManifest): Promise<void> {
    const { name, generation } = manifest;
    await this.#leased(generation, manifestKeys(name), (before) => ({
      put: manifestKeys(name).map((key) => ({ key, value: manifest })),
      remove: [['lease', generation], ...partsOf(before)],
    }));
  }

  async touch(name: string, generation: string, used: number): Promise<void> {
    await this.#database.changeAll(manifestKeys(name), (both) => {
      const found = both.find(isManifest);
      if (found?.generation !== generation) return {};
      return { put: manifestKeys(name).map((key) => ({ key, value: sealed({ ...found, used }) })) };
    });
  }

  async remove(name: string, generation?: string): Promise<boolean> {
    let removed = false;
    await this.#database.changeAll(manifestKeys(name), (both) => {
      removed =
        generation === undefined
          ? both.some((each) => each !== undefined)
          : both.find(isManifest)?.generation === generation;
      return removed ? { remove: [...manifestKeys(name), ...partsOf(both)] } : {};
    });
    return removed;
  }

  async erase(generation: string, part: number): Promise<void> {
    const key: Key = ['part', generation, part];
    await this.#database.change(key, () => ({ remove: [key] }));
  }

  async discard(generation: string): Promise<void> {
    // Without a lease it was either committed, without its writer receiving the result, or swept.
    await this.#database.change(['lease', generation], (lease) =>
      lease === undefined
        ? {}
        : {
            remove: [
              ['lease', generation],
              ['part', generation],
            ],
          },
    );
  }

  async sweep(age: number): Promise<number> {
    let swept = 0;
    for (const [, generation] of await this.#database.keys(['lease'])) {
      if (typeof generation !== 'string') continue;
      await this.#database.change(['lease', generation], (lease) => {
        // Checked again in the transaction that decides, since its writer may have renewed it.
        if (typeof lease === 'number' && Date.now() - lease <= age) return {};
        swept++;
        return {
          remove: [
            ['lease', generation],
            ['part', generation],
          ],
        };
      });
    }
    return swept + (await this.#sweepNameless());
  }

  /**
   * Returns parts that neither a lease nor a manifest names: those of a manifest that was damaged and removed. They are
   * read in this order, since a commit removes the lease and adds the manifest.
   */
  async #sweepNameless(): Promise<number> {
    const parts = await this.#database.keys(['part']);
    const named = new Set((await this.#database.keys(['lease'])).map(([, generation]) => generation));
    for (const manifest of await this.manifests()) if (isManifest(manifest)) named.add(manifest.generation);
    const nameless = [...new Set(parts.map(([, generation]) => generation))].filter(
      (generation) => generation !== undefined && !named.has(generation),
    );
    for (const generation of nameless)
      await this.#database.change(['lease', generation ?? ''], () => ({ remove: [['part', generation ?? '']] }));
    return nameless.length;
  }

  estimate(): Promise<StorageEstimate> {
    return this.#database.estimate();
  }

  /** A change by the writer of `generation`, only while its lease exists. */
  async #leased(
    generation: string,
    keys: readonly Key[],
    decide: (found: readonly unknown[]) => Change,
  ): Promise<void> {
    await this.#database.changeAll([['lease', generation], ...keys], ([lease, ...found]) => {
      if (lease === undefined) throw leaseLost(this.place);
      return decide(found);
    });
  }
}

function manifestKeys(name: string): readonly Key[] {
  return [
    ['session', name],
    ['copy', name],
  ];
}

/** The parts of the generations that manifests name. */
function partsOf(manifests: readonly unknown[]): readonly Key[] {
  return manifests.filter(isManifest).map(({ generation }): Key => ['part', generation]);
}

export function leaseLost(place: string): StorageError {
  return new StorageError(
    'changed',
    `${place}: another tab mistook the unfinished session for one of a closed tab and removed it; save again`,
    {},
  );
}
