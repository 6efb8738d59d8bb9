/** Files found by name: a record, a directory, an address, a repository. */
import type { ByteSource } from './byte-source.ts';

export interface FileSet {
  /** For messages, and what `store.remove` takes. */
  readonly name: string;
  /** Undefined where there is no such file. The taker closes it. */
  open(name: string): Promise<ByteSource | undefined>;
}

/** A plain name, or one in a folder of the set: `1_Pooling/config.json`. */
export function isInnerName(name: string): boolean {
  const parts = name.split('/');
  return parts.length <= 2 && parts.every(isPlainName);
}

/** Characters that would leave the set's folder. */
export function isPlainName(name: string): boolean {
  return name !== '' && !/[/\\:?#\0]/.test(name) && name !== '.' && name !== '..';
}
