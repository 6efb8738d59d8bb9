/** A document's bytes and name, wherever they come from. */
import { FileError, InputError, StorageError } from '../errors.ts';
import { displayName } from '../store/address.ts';
import type { DocumentEnvironment } from './environment.ts';
import { MOST_BYTES } from './limits.ts';
import type { DocumentSource } from './options.ts';

export interface SourceBytes {
  readonly bytes: Uint8Array;
  readonly name: string;
  /** What the source says that it is. */
  readonly type: string | undefined;
}

const UNNAMED = 'document';

/** Throws `InputError` for what is no source, `FileError` and `StorageError` for what cannot be read. */
export async function readSource(
  source: DocumentSource,
  { readPath }: DocumentEnvironment,
  signal: AbortSignal | undefined,
): Promise<SourceBytes> {
  const place = source instanceof URL ? source.href : source;
  if (typeof place === 'string') {
    if (/^https?:/i.test(place) || (readPath === undefined && !/^file:/i.test(place))) {
      const base = globalThis.location?.href;
      if (!URL.canParse(place, base)) throw notSource(`the text ${JSON.stringify(place.slice(0, 80))}`);
      return fetched(await fetch(new URL(place, base), { signal: signal ?? null }));
    }
    if (readPath === undefined || place.trim() === '') throw notSource(place === '' ? 'an empty text' : 'a path');
    const { bytes, name } = await readPath(place);
    return { bytes: bounded(bytes, name), name, type: undefined };
  }
  if (ArrayBuffer.isView(place)) {
    const bytes = new Uint8Array(place.buffer, place.byteOffset, place.byteLength);
    return { bytes: bounded(bytes, UNNAMED), name: UNNAMED, type: undefined };
  }
  const tag = Object.prototype.toString.call(place);
  if (tag === '[object ArrayBuffer]')
    return { bytes: bounded(new Uint8Array(place as ArrayBuffer), UNNAMED), name: UNNAMED, type: undefined };
  if (typeof place === 'object' && place !== null && 'bodyUsed' in place) return fetched(place);
  if (typeof place === 'object' && place !== null && 'arrayBuffer' in place) {
    const name = 'name' in place && typeof place.name === 'string' && place.name !== '' ? place.name : UNNAMED;
    checkSize(place.size, name);
    try {
      return { bytes: new Uint8Array(await place.arrayBuffer()), name, type: place.type || undefined };
    } catch (cause) {
      throw new FileError(
        'missing',
        { file: name, field: 'document' },
        'it cannot be read any more: it was changed, moved or removed since it was chosen; choose it again',
        { cause },
      );
    }
  }
  throw notSource(tag.slice(8, -1));
}

async function fetched(response: Response): Promise<SourceBytes> {
  const address = displayName(response.url);
  const name = decodeURIComponentSafely(address.replace(/[?#].*$/, '').replace(/^.*\//, '')) || UNNAMED;
  if (!response.ok)
    throw new StorageError('network', `${address || name}: the server answered ${response.status}; check the address`, {
      url: address,
      status: response.status,
    });
  checkSize(Number(response.headers.get('content-length') ?? 0), name);
  const bytes = bounded(new Uint8Array(await response.arrayBuffer()), name);
  const type = response.headers.get('content-type') ?? undefined;
  // What servers say of files that they do not know.
  return { bytes, name, type: type?.startsWith('application/octet-stream') === true ? undefined : type };
}

function decodeURIComponentSafely(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function bounded(bytes: Uint8Array, name: string): Uint8Array {
  checkSize(bytes.length, name);
  return bytes;
}

function checkSize(size: number, name: string): void {
  if (size > MOST_BYTES)
    throw new FileError(
      'limit',
      { file: name, field: 'document' },
      `it has ${size} bytes and documents are read up to ${MOST_BYTES}; split it`,
    );
}

function notSource(given: string): InputError {
  return new InputError(
    'argument',
    `openDocument: the source is ${given}; give a File or Blob, bytes, a URL, a Response, or (in Node) a path`,
    { given },
  );
}
