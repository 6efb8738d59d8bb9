/** Files in Node. Only `src/node.ts` imports this, so that the browser's bundle has no `node:fs`. */
import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { clipped, FileError, InputError } from '../errors.ts';
import { readAhead, type ByteSource } from '../load/byte-source.ts';
import type { FileSystemReader } from '../load/file-system.ts';

export const nodeFiles: FileSystemReader = {
  async stat(path) {
    try {
      const found = await stat(path);
      return { directory: found.isDirectory() };
    } catch (cause) {
      if (isMissing(cause)) return undefined;
      throw unreadable(path, cause);
    }
  },
  async open(path, sha256): Promise<ByteSource> {
    try {
      const handle = await open(path, 'r');
      const { size } = await handle.stat();
      const source: ByteSource = {
        name: path,
        size,
        stream: (start, end, signal) =>
          readAhead(
            start,
            end,
            async (from, to) => {
              const chunk = new Uint8Array(to - from);
              let filled = 0;
              while (filled < chunk.length) {
                const { bytesRead } = await handle.read(chunk, filled, chunk.length - filled, from + filled);
                if (bytesRead === 0) break;
                filled += bytesRead;
              }
              return filled === chunk.length ? chunk : chunk.subarray(0, filled);
            },
            signal,
          ),
        close: () => handle.close(),
      };
      return sha256 === undefined ? source : { ...source, expectedSha256: sha256 };
    } catch (cause) {
      throw unreadable(path, cause);
    }
  },
  join,
  fromUrl: pathOf,
};

/** The path of a file URL. Throws `InputError` for one that names no file of this machine. */
export function pathOf(url: URL | string): string {
  try {
    return fileURLToPath(url);
  } catch (cause) {
    const given = clipped(String(url));
    const problem = cause instanceof Error ? cause.message : String(cause);
    throw new InputError(
      'argument',
      `${given} is not the address of a file here (${problem}); give its path`,
      { url: given },
      { cause },
    );
  }
}

function isMissing(cause: unknown): boolean {
  return (
    typeof cause === 'object' &&
    cause !== null &&
    'code' in cause &&
    (cause.code === 'ENOENT' || cause.code === 'ENOTDIR')
  );
}

function unreadable(path: string, cause: unknown): FileError {
  const reason = isMissing(cause)
    ? 'no such file; check the path'
    : cause instanceof Error
      ? cause.message
      : String(cause);
  return new FileError('missing', { file: path, field: 'file' }, reason, { cause });
}
