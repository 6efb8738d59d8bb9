/** The files that the app's pages and engines may read: those below chosen folders, and single ones that were granted. */
import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { open, realpath, stat, type FileHandle } from 'node:fs/promises';
import { basename, isAbsolute, join, relative, sep } from 'node:path';
import { InputError } from '../errors.ts';
import { bundledFile, bundledModel } from '../load/bundled.ts';
import { bundledAddress, fileAddress, isPlainName, type FileAddress } from './addresses.ts';

export interface FoundFile {
  /** Without symbolic links. */
  readonly path: string;
  readonly directory: boolean;
}

/** Grants that are kept; the oldest ones end first. */
const MOST_GRANTS = 1000;

const isWindows = process.platform === 'win32';

export class Files {
  readonly #folders = new Map<string, string>();
  /** Real paths by their tokens. */
  readonly #granted = new Map<string, string>();
  readonly #package: string | undefined;
  readonly #pages: string | undefined;

  /** `own`: the folder of the app's pages, and the package's folder, of which engines may read the bundled models. */
  constructor(
    folders: Readonly<Record<string, string>>,
    own: { readonly pages?: string | undefined; readonly package?: string | undefined } = {},
  ) {
    for (const [name, path] of Object.entries(folders)) this.add(name, path);
    this.#package = own.package;
    this.#pages = own.pages;
  }

  /** Everything below the folder, and nothing hidden, can be read as `octavo://files/<name>/...`. */
  add(name: string, path: string): void {
    if (!/^[a-z0-9][a-z0-9-]{0,63}$/.test(name))
      throw new InputError(
        'argument',
        `folder ${JSON.stringify(name.slice(0, 80))}: a name has 1 to 64 small letters, digits and hyphens`,
        { name },
      );
    if (!isAbsolute(path))
      throw new InputError('argument', `folder ${name}: ${JSON.stringify(path)} is not an absolute path`, { path });
    this.#folders.set(name, path);
  }

  remove(name: string): void {
    this.#folders.delete(name);
  }

  /** Grants one file; returns its address. Throws `InputError` for what is not a regular file. */
  async grant(path: string): Promise<string> {
    const real = await realpath(path).catch(() => undefined);
    if (real === undefined || !(await stat(real)).isFile())
      throw new InputError('argument', `grant: ${JSON.stringify(path)} is no file that can be read`, { path });
    const token = [...this.#granted].find(([, known]) => known === real)?.[0] ?? randomUUID();
    this.#granted.delete(token);
    this.#granted.set(token, real);
    for (const oldest of this.#granted.keys()) {
      if (this.#granted.size <= MOST_GRANTS) break;
      this.#granted.delete(oldest);
    }
    return fileAddress('granted', token, basename(real));
  }

  /** Ends a grant. */
  revoke(address: string): void {
    const [, token = ''] = /^[a-z]+:\/\/granted\/([^/]+)\//.exec(address) ?? [];
    this.#granted.delete(token);
  }

  /** Undefined for everything that is not there or may not be read, without a difference between the two. */
  async find({ host, names, folder }: FileAddress): Promise<FoundFile | undefined> {
    const [first = '', ...rest] = names;
    switch (host) {
      case 'files': {
        const root = this.#folders.get(first);
        if (root === undefined) return undefined;
        const found = await findInside(root, rest);
        return folder && found?.directory === false ? undefined : found;
      }
      case 'granted': {
        const path = this.#granted.get(first);
        if (path === undefined || rest.length !== 1 || rest[0] !== basename(path)) return undefined;
        // What a link took the place of is not what was granted.
        return (await realpath(path).catch(() => undefined)) === path ? { path, directory: false } : undefined;
      }
      case 'app':
        return this.#pages === undefined ? undefined : findInside(this.#pages, names);
      case 'bundled': {
        const model = bundledModel(first.replace(/\.gguf$/, ''));
        if (this.#package === undefined || model === undefined || fileAddress(host, ...names) !== bundledAddress(model))
          return undefined;
        return { path: join(this.#package, bundledFile(model)), directory: false };
      }
      default:
        return host satisfies never;
    }
  }
}

/** Resolves every link, then looks where the result lies. */
export async function findInside(root: string, names: readonly string[]): Promise<FoundFile | undefined> {
  try {
    const base = await realpath(root);
    const path = await realpath(join(base, ...names));
    const inner = relative(base, path);
    if (isAbsolute(inner)) return undefined;
    // The place that links lead to must be reachable by plain names, too.
    if (inner !== '' && !inner.split(sep).every((name) => isPlainName(name, isWindows))) return undefined;
    return { path, directory: (await stat(path)).isDirectory() };
  } catch {
    return undefined;
  }
}

export interface OpenFile {
  readonly handle: FileHandle;
  readonly size: number;
  readonly etag: string;
  readonly modified: Date;
}

/** Opens what `find` found. Undefined where it is not a regular file, or another one took its place. */
export async function openFound({ path }: FoundFile): Promise<OpenFile | undefined> {
  // Without waiting, since opening a pipe would wait for its other end. Windows has neither flag.
  const flags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);
  const handle = await open(path, flags).catch(() => undefined);
  if (handle === undefined) return undefined;
  const facts = await handle.stat({ bigint: true }).catch(() => undefined);
  // A folder on the way may have become a link since the path was resolved.
  const same = (await realpath(path).catch(() => undefined)) === path;
  if (facts?.isFile() !== true || !same) {
    await handle.close();
    return undefined;
  }
  const { size, mtimeNs, mtimeMs } = facts;
  return {
    handle,
    size: Number(size),
    etag: `"${size.toString(16)}-${mtimeNs.toString(16)}"`,
    modified: new Date(Number(mtimeMs)),
  };
}
