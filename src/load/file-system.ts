/** Access to files by path for `load`. Node's implementation is `src/platform/node-files.ts`; browsers have none. */
import type { ByteSource } from './byte-source.ts';

export interface FileSystemReader {
  /** Undefined where nothing is there. */
  stat(path: string): Promise<{ readonly directory: boolean } | undefined>;
  /** Throws `FileError('missing')`. The caller closes it. */
  open(path: string, sha256?: string): Promise<ByteSource>;
  join(directory: string, name: string): string;
  fromUrl(url: URL): string;
}
