/**
 * Saved sessions in a folder, for Node: a file for each part in a folder for each generation, and a file for each
 * manifest, which is replaced by renaming; a file system does that completely or not at all.
 *
 *     <folder>/parts/<generation>/<part>
 *     <folder>/names/<hash of the name>
 *
 * A lease is the time at which the generation's folder was last changed, and a record's last use that at which its manifest's file
 * was: a time can be set without writing, and so without bringing back a file that another process removes meanwhile. Only `src/platform/node-engine.ts` imports
 * this, so that the browser's bundle has no `node:fs`.
 */
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, statfs, utimes, writeFile, open } from 'node:fs/promises';
import { join } from 'node:path';
import { deserialize, serialize } from 'node:v8';
import { codeOf, folderError } from './folder-errors.ts';
import { leaseLost } from './indexed-shelf.ts';
import { isManifest, sealed, type SessionManifest, type Shelf } from './shelf.ts';

export class FolderShelf implements Shelf {
  readonly place: string;

  constructor(folder: string) {
    this.place = folder;
  }

  async manifests(): Promise<readonly unknown[]> {
    const files = await this.#list('names');
    return Promise.all(
      files.filter((file) => !file.includes('.')).map((file) => this.#manifest(join(this.place, 'names', file))),
    );
  }

  manifest(name: string): Promise<unknown> {
    return this.#manifest(this.#name(name));
  }

  async begin(generation: string): Promise<void> {
    await this.#fault(() => mkdir(this.#parts(generation), { recursive: true }));
  }

  async write(generation: string, part: number, bytes: Uint8Array): Promise<void> {
    const folder = this.#parts(generation);
    await this.#fault(async () => {
      await durable(join(folder, String(part)), bytes);
      await renew(folder);
    }, generation);
  }

  async read(generation: string, part: number): Promise<Uint8Array | undefined> {
    try {
      const bytes = await readFile(join(this.#parts(generation), String(part)));
      // Not as Node's Buffer, whose `slice` does not copy.
      return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
    } catch (cause) {
      if (codeOf(cause) === 'ENOENT') return undefined;
      throw folderError(this.place, cause);
    }
  }

  async commit(manifest: SessionManifest): Promise<void> {
    const { name, generation } = manifest;
    const target = this.#name(name);
    await this.#fault(async () => {
      await mkdir(join(this.place, 'names'), { recursive: true });
      const draft = `${target}.${generation}`;
      await durable(draft, serialize(manifest));
      await setTime(draft, manifest.used);
      const before = await this.#manifest(target);
      // Fails when the lease has expired and the parts are gone.
      await renew(this.#parts(generation)).catch(async (cause: unknown) => {
        await rm(draft, { force: true });
        throw cause;
      });
      await rename(draft, target);
      // What cannot be removed now is removed by a later sweep.
      if (isManifest(before) && before.generation !== generation)
        await this.#drop(before.generation).catch(() => undefined);
    }, generation);
  }

  async touch(name: string, generation: string, used: number): Promise<void> {
    const found = await this.manifest(name);
    if (!isManifest(found) || found.generation !== generation) return;
    await this.#fault(async () => {
      try {
        await setTime(this.#name(name), used);
      } catch (cause) {
        // It was removed meanwhile.
        if (codeOf(cause) !== 'ENOENT') throw cause;
      }
    });
  }

  async remove(name: string, generation?: string): Promise<boolean> {
    const found = await this.manifest(name);
    if (found === undefined || (generation !== undefined && !(isManifest(found) && found.generation === generation)))
      return false;
    await this.#fault(() => rm(this.#name(name), { force: true }));
    if (isManifest(found)) await this.#drop(found.generation);
    return true;
  }

  async erase(generation: string, part: number): Promise<void> {
    await this.#fault(() => rm(join(this.#parts(generation), String(part)), { force: true }));
  }

  async discard(generation: string): Promise<void> {
    const committed = (await this.manifests()).some(
      (manifest) => isManifest(manifest) && manifest.generation === generation,
    );
    if (!committed) await this.#drop(generation);
  }

  async sweep(age: number): Promise<number> {
    const named = new Set((await this.manifests()).filter(isManifest).map(({ generation }) => generation));
    let swept = 0;
    for (const generation of await this.#list('parts')) {
      if (named.has(generation)) continue;
      const folder = this.#parts(generation);
      const changed = await stat(folder).then(
        ({ mtimeMs }) => mtimeMs,
        () => Infinity,
      );
      if (Date.now() - changed <= age) continue;
      await rm(folder, { recursive: true, force: true });
      swept++;
    }
    for (const file of await this.#list('names')) {
      const path = join(this.place, 'names', file);
      const changed = file.includes('.')
        ? await stat(path).then(
            ({ mtimeMs }) => mtimeMs,
            () => Infinity,
          )
        : Infinity;
      if (Date.now() - changed > age) await rm(path, { force: true });
    }
    return swept;
  }

  async estimate(): Promise<{ readonly usage: number | undefined; readonly quota: number | undefined }> {
    try {
      const { bavail, blocks, bsize } = await statfs(this.place);
      return { usage: (blocks - bavail) * bsize, quota: blocks * bsize };
    } catch {
      return { usage: undefined, quota: undefined };
    }
  }

  #drop(generation: string): Promise<void> {
    return this.#fault(() => rm(this.#parts(generation), { recursive: true, force: true }));
  }

  #parts(generation: string): string {
    return join(this.place, 'parts', generation);
  }

  /** A name may contain any characters and be long, so its file is named by a hash. */
  #name(name: string): string {
    return join(this.place, 'names', createHash('sha256').update(name).digest('hex'));
  }

  /** Returns undefined when there is none; null when the file is not a manifest. */
  async #manifest(path: string): Promise<unknown> {
    let bytes: Uint8Array;
    let used: number;
    try {
      bytes = await readFile(path);
      used = Math.round((await stat(path)).mtimeMs);
    } catch (cause) {
      if (codeOf(cause) === 'ENOENT') return undefined;
      throw folderError(this.place, cause);
    }
    try {
      const found = deserialize(bytes) as unknown;
      return isManifest(found) ? sealed({ ...found, used }) : found;
    } catch {
      return null;
    }
  }

  async #list(folder: string): Promise<readonly string[]> {
    try {
      return await readdir(join(this.place, folder));
    } catch (cause) {
      if (codeOf(cause) === 'ENOENT') return [];
      throw folderError(this.place, cause);
    }
  }

  /** `generation`: a missing folder means that its lease has expired. */
  async #fault<T>(body: () => Promise<T>, generation?: string): Promise<T> {
    try {
      return await body();
    } catch (cause) {
      if (generation !== undefined && codeOf(cause) === 'ENOENT') throw leaseLost(this.place);
      throw folderError(this.place, cause);
    }
  }
}

/** Written to disk before the promise settles, so that a manifest never names what a power failure could lose. */
async function durable(path: string, bytes: Uint8Array): Promise<void> {
  await writeFile(path, bytes);
  const file = await open(path, 'r+');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

function renew(folder: string): Promise<void> {
  return setTime(folder, Date.now());
}

async function setTime(path: string, time: number): Promise<void> {
  await utimes(path, time / 1000, time / 1000);
}
