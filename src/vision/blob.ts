/** Reads an image file's bytes from a Blob, with the name that messages use for them. */
import { BlobSource, readBytes } from '../load/byte-source.ts';
import { checkFileBytes } from './image.ts';

export interface NamedBytes {
  /** The name used in messages: a URL without its query, a path or a file's name. */
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** Throws `InputError` if the Blob is empty or too large, and `FileError('missing')` if its file has changed. */
export async function blobBytes(blob: Blob, name: string, signal: AbortSignal | undefined): Promise<NamedBytes> {
  checkFileBytes(blob.size, name);
  return { name, bytes: await readBytes(new BlobSource(name, blob), 0, blob.size, signal) };
}
