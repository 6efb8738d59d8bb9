/** An image file's bytes from a Blob, and what its bytes are called. */
import { BlobSource, readBytes } from '../load/byte-source.ts';
import { checkFileBytes } from './image.ts';

export interface NamedBytes {
  /** For messages: an address without its query, a path, a file's name. */
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** Throws `InputError` for an empty or too large one, `FileError('missing')` where its file changed. */
export async function blobBytes(blob: Blob, name: string, signal: AbortSignal | undefined): Promise<NamedBytes> {
  checkFileBytes(blob.size, name);
  return { name, bytes: await readBytes(new BlobSource(name, blob), 0, blob.size, signal) };
}
