/**
 * Reads an image file's bytes from a URL (http(s), data, blob) or, in Node, from a path. This module is loaded only by
 * pages that pass URLs.
 */
import { InputError, StorageError } from '../errors.ts';
import { readBytes } from '../load/byte-source.ts';
import type { FileSystemReader } from '../load/file-system.ts';
import { createNetwork, request, type RemoteBody } from '../load/http.ts';
import { Break } from '../load/retry.ts';
import { displayName } from '../store/address.ts';
import { blobBytes, type NamedBytes } from './blob.ts';
import { checkFileBytes, MAX_FILE_BYTES } from './image.ts';

export interface FetchOptions {
  /** Node's file system, provided by the platform. Without it paths are relative URLs. */
  readonly files?: FileSystemReader | undefined;
  readonly fetch?: typeof fetch | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * A connection counts as broken after this long without a byte. Images are small, so a broken connection is reported
 * and not resumed.
 */
const STALL_MS = 30_000;

/**
 * Throws `StorageError('network')`, `FileError('missing')` or `InputError`; rejects with the signal's reason on abort.
 */
export async function fetchImage(address: string, options: FetchOptions): Promise<NamedBytes> {
  // One letter and a colon is a Windows drive, not a scheme.
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(address)?.[1]?.toLowerCase();
  const { files } = options;
  if (scheme === 'data') return { name: 'data URL', bytes: dataUrlBytes(address) };
  if (scheme === 'http' || scheme === 'https') return fetchUrl(address, options);
  if (scheme === 'blob') return fetchBlob(address, options);
  if (scheme === 'file' && files !== undefined) return readPath(files.fromUrl(new URL(address)), files, options.signal);
  if (scheme !== undefined)
    throw new InputError(
      'argument',
      `${address.slice(0, 80)}: '${scheme}:' URLs cannot be read here; give a File, bytes, or an http(s), data or blob URL`,
      { scheme },
    );
  if (files !== undefined) return readPath(address, files, options.signal);
  const base = (globalThis as { location?: { href?: string } }).location?.href;
  if (base === undefined || !URL.canParse(address, base))
    throw new InputError(
      'argument',
      `${JSON.stringify(address.slice(0, 80))} is not a URL, and paths cannot be read here`,
      { input: address.slice(0, 80) },
    );
  return fetchUrl(new URL(address, base).href, options);
}

async function readPath(path: string, files: FileSystemReader, signal: AbortSignal | undefined): Promise<NamedBytes> {
  if ((await files.stat(path))?.directory === true)
    throw new InputError('argument', `${path} is a folder; give an image file`, { path });
  const source = await files.open(path);
  try {
    checkFileBytes(source.size, path);
    return { name: path, bytes: await readBytes(source, 0, source.size, signal) };
  } finally {
    await source.close();
  }
}

async function fetchUrl(
  url: string,
  { fetch = globalThis.fetch.bind(globalThis), signal }: FetchOptions,
): Promise<NamedBytes> {
  const name = displayName(url);
  const network = createNetwork({ fetch, retry: { attempts: 1, delay: () => 0, stall: STALL_MS } });
  try {
    const body = await request(url, 0, undefined, {}, network, signal);
    return { name, bytes: await gather(body, name) };
  } catch (fault) {
    // This is how servers answer a range request for an empty file.
    if (fault instanceof StorageError && fault.facts['status'] === 416) checkFileBytes(0, name);
    if (!(fault instanceof Break)) throw fault;
    throw new StorageError('network', `${name}: ${fault.problem}; try again`, { url: name }, { cause: fault.cause });
  }
}

/** Requests no range, because Node's answer to one lacks its last byte. */
async function fetchBlob(
  url: string,
  { fetch = globalThis.fetch.bind(globalThis), signal }: FetchOptions,
): Promise<NamedBytes> {
  let blob: Blob;
  try {
    blob = await (await fetch(url, signal === undefined ? {} : { signal })).blob();
  } catch (cause) {
    signal?.throwIfAborted();
    throw new StorageError(
      'network',
      `${url}: the blob cannot be read (it was revoked, or the content security policy's connect-src blocks it); give the Blob itself`,
      { url },
      { cause },
    );
  }
  return blobBytes(blob, url, signal);
}

/** Returns the body in one piece. The length that the server declares is checked before memory is allocated for it. */
async function gather(body: RemoteBody, name: string): Promise<Uint8Array> {
  if (body.size !== undefined && body.size > MAX_FILE_BYTES) {
    await body.cancel();
    checkFileBytes(body.size, name);
  }
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body.bytes()) {
    length += chunk.length;
    if (length > MAX_FILE_BYTES) checkFileBytes(length, name);
    chunks.push(chunk);
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

/** Decodes data URLs by hand (RFC 2397), because a strict content security policy forbids pages to fetch them. */
function dataUrlBytes(url: string): Uint8Array {
  const comma = url.indexOf(',');
  if (comma < 0) throw new InputError('argument', 'data URL: there is no comma before the data', {});
  // Four characters give at least three bytes.
  checkFileBytes(Math.floor(((url.length - comma - 1) * 3) / 4), 'data URL');
  const text = url
    .slice(comma + 1)
    .replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  try {
    const binary = /;\s*base64\s*$/i.test(url.slice(0, comma)) ? atob(text) : text;
    const bytes = new Uint8Array(binary.length);
    for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
    return bytes;
  } catch (cause) {
    throw new InputError('argument', 'data URL: the data is not base64', {}, { cause });
  }
}
