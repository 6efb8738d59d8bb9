/** Files found by name: a record, a directory, a URL, a repository. */
import type { ByteSource } from './byte-source.ts';

export interface FileSet {
  /** The name in messages, which `store.remove` also takes. */
  readonly name: string;
  /** Undefined when there is no such file. The caller closes it. */
  open(name: string): Promise<ByteSource | undefined>;
}

/** A plain name, or one in a folder of the set: `1_Pooling/config.json`. */
export function isInnerName(name: string): boolean {
  const parts = name.split('/');
  return parts.length <= 2 && parts.every(isPlainName);
}

/** Characters that would lead out of the folder. */
export function isPlainName(name: string): boolean {
  return name !== '' && !/[/\\:?#\0]/.test(name) && name !== '.' && name !== '..';
}
