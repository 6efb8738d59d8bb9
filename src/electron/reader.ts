/**
 * Files for an engine in a process of its own: those that the main process finds for it, and those that the page lends. No other path is opened, whatever a page
 * asks for.
 */
import { FileError } from '../errors.ts';
import { readAhead, type ByteSource } from '../load/byte-source.ts';
import type { FileSystemReader } from '../load/file-system.ts';
import type { Caller } from '../worker/caller.ts';
import { SCHEME } from './addresses.ts';
import type { FoundFile } from './files.ts';
import type { HostApi, LentApi } from './process-api.ts';

/** Paths of the page's files: `lent/<number of the port>/<id>/<name>`. */
const LENT = /^(lent\/\d+\/)(.+)$/;

export class GuardedFiles implements FileSystemReader {
  readonly #host: Caller<HostApi>;
  readonly #disk: FileSystemReader;
  readonly #lent = new Map<string, Caller<LentApi>>();

  /** `disk` opens what the main process has found. */
  constructor(host: Caller<HostApi>, disk: FileSystemReader) {
    this.#host = host;
    this.#disk = disk;
  }

  /** Returns the prefix of the lent files' paths. */
  lend(page: Caller<LentApi>): string {
    const prefix = `lent/${this.#lent.size}/`;
    this.#lent.set(prefix, page);
    return prefix;
  }

  async stat(path: string): Promise<{ readonly directory: boolean } | undefined> {
    const lent = this.#lentFile(path);
    if (lent !== undefined) {
      const { page, file } = lent;
      if ((await page.call('size', { file })) !== undefined) return { directory: false };
      return file.endsWith('/') ? { directory: true } : undefined;
    }
    const found = await this.#find(path);
    return found && { directory: found.directory };
  }

  async open(path: string, sha256?: string): Promise<ByteSource> {
    const lent = this.#lentFile(path);
    if (lent === undefined) {
      const found = await this.#find(path);
      if (found === undefined) throw missing(path);
      return this.#disk.open(found.path, sha256);
    }
    const { page, file } = lent;
    const size = await page.call('size', { file });
    if (size === undefined) throw missing(path);
    const source: ByteSource = {
      name: path.replace(/^.*\//, ''),
      size,
      stream: (start, end, signal) =>
        readAhead(start, end, (from, to) => page.call('read', { file, start: from, end: to }), signal),
      close: async () => {},
    };
    return sha256 === undefined ? source : { ...source, expectedSha256: sha256 };
  }

  join(folder: string, name: string): string {
    return `${folder.replace(/\/$/, '')}/${name.split('/').map(encodeURIComponent).join('/')}`;
  }

  fromUrl(url: URL): string {
    throw missing(url.href);
  }

  #lentFile(path: string): { readonly page: Caller<LentApi>; readonly file: string } | undefined {
    const [, prefix = '', file = ''] = LENT.exec(path) ?? [];
    const page = this.#lent.get(prefix);
    return page && { page, file };
  }

  /** Paths are addresses without their scheme (guard.ts); the main process refuses all others. */
  async #find(path: string): Promise<FoundFile | undefined> {
    return this.#host.call('find', { address: `${SCHEME}://${path}` });
  }
}

function missing(path: string): FileError {
  return new FileError(
    'missing',
    { file: path.slice(0, 200), field: 'file' },
    'there is no such file among those that the app may read',
  );
}
