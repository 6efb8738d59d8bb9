/** What a file system refuses, as `StorageError`, for the stores in folders. */
import { OctavoError, StorageError } from '../errors.ts';

export function codeOf(cause: unknown): string | undefined {
  return typeof cause === 'object' && cause !== null && 'code' in cause && typeof cause.code === 'string'
    ? cause.code
    : undefined;
}

/** Errors of our own stay as they are, and so does what the file system did not throw. */
export function folderError(folder: string, cause: unknown): unknown {
  const code = codeOf(cause);
  if (cause instanceof OctavoError || code === undefined) return cause;
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new StorageError(
      'quota',
      `${folder}: the disk is full; free space, or name a folder on another disk with OCTAVO_CACHE`,
      { folder },
      { cause },
    );
  return new StorageError(
    'unavailable',
    `${folder}: ${cause instanceof Error ? cause.message : code}; make it a folder that can be written, or name another one with OCTAVO_CACHE`,
    { folder },
    { cause },
  );
}
