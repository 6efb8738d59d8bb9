/**
 * Bytes by position, from any place: memory, a Blob, a Node file, a URL, the store. All other files of this folder read
 * through this interface, so a parser does not depend on where a model comes from.
 */
import { FileError } from '../errors.ts';

/**
 * The largest chunk of a stream: large enough for efficient copies to the device, and small compared with any model.
 */
export const CHUNK_BYTES = 4 << 20;

/** The first bytes of a file, by which it is recognised. */
export const HEAD_BYTES = 256;

export interface ByteSource {
  /** The name in messages: a file name, path or URL. */
  readonly name: string;
  readonly size: number;
  /** Set when reading byte n requires reading the n bytes before it: a server without range requests. */
  readonly sequential?: boolean;
  /**
   * Set when two reads may return two versions of the file without any sign of it: the server sends neither ETag nor
   * Last-Modified.
   */
  readonly unvalidated?: boolean;
  /** The lower-case hex SHA-256 that the whole file should have, if it is known and not yet checked. */
  readonly expectedSha256?: string;
  /**
   * Yields bytes `[start, end)` in order, in chunks of any size up to about `CHUNK_BYTES`; a chunk is valid until the
   * next one is requested. Rejects with `signal.reason` on abort, with `FileError` or `StorageError` when the bytes are
   * not available.
   */
  stream(start: number, end: number, signal?: AbortSignal): AsyncIterable<Uint8Array>;
  close(): Promise<void>;
}

/**
 * Returns a range as one array. The caller has checked that `[start, end)` is within the file, so memory is bounded by
 * its size.
 */
export async function readBytes(
  source: ByteSource,
  start: number,
  end: number,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(end - start);
  await readInto(bytes, source, start, signal);
  return bytes;
}

/** Fills `target` with bytes from `start` on. */
export async function readInto(
  target: Uint8Array,
  source: ByteSource,
  start: number,
  signal?: AbortSignal,
): Promise<void> {
  let filled = 0;
  for await (const chunk of source.stream(start, start + target.length, signal)) {
    if (filled + chunk.length > target.length) break;
    target.set(chunk, filled);
    filled += chunk.length;
  }
  if (filled !== target.length) {
    throw new FileError(
      'truncated',
      { file: source.name, field: 'bytes', offset: start + filled },
      `${target.length} bytes were wanted from byte ${start}, ${filled} came`,
    );
  }
}

/** A source over memory; nothing is copied. */
export class BytesSource implements ByteSource {
  readonly name: string;
  readonly size: number;
  readonly expectedSha256?: string;
  readonly #bytes: Uint8Array;

  constructor(name: string, bytes: Uint8Array, expectedSha256?: string) {
    this.name = name;
    this.size = bytes.length;
    this.#bytes = bytes;
    if (expectedSha256 !== undefined) this.expectedSha256 = expectedSha256;
  }

  async *stream(start: number, end: number, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    for (let at = start; at < end; at += CHUNK_BYTES) {
      signal?.throwIfAborted();
      yield this.#bytes.subarray(at, Math.min(end, at + CHUNK_BYTES));
    }
  }

  async close(): Promise<void> {}
}

/** A source over a Blob or File. One chunk is read ahead of the consumer. */
export class BlobSource implements ByteSource {
  readonly name: string;
  readonly size: number;
  readonly expectedSha256?: string;
  readonly #blob: Blob;

  constructor(name: string, blob: Blob, expectedSha256?: string) {
    this.name = name;
    this.size = blob.size;
    this.#blob = blob;
    if (expectedSha256 !== undefined) this.expectedSha256 = expectedSha256;
  }

  /**
   * Reads into one buffer that is reused. `arrayBuffer()` of slices is three times slower in Chromium and leaves
   * garbage as large as the file, which is not collected in time because the collector sees only a few small objects.
   */
  async *stream(start: number, end: number, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    signal?.throwIfAborted();
    const stream = this.#blob.slice(start, end).stream();
    const reader = byteReader(stream);
    if (reader === undefined) {
      yield* readAhead(start, end, (from, to) => this.#read(from, to), signal);
      return;
    }
    let buffer = new ArrayBuffer(Math.min(CHUNK_BYTES, end - start));
    try {
      for (let at = start; at < end;) {
        let filled = 0;
        const wanted = Math.min(buffer.byteLength, end - at);
        while (filled < wanted) {
          const { value, done } = await abortable(
            this.#told(at + filled, reader.read(new Uint8Array(buffer, filled, wanted - filled))),
            signal,
          );
          if (done) return;
          buffer = value.buffer;
          filled += value.length;
        }
        at += filled;
        yield new Uint8Array(buffer, 0, filled);
        signal?.throwIfAborted();
      }
    } finally {
      reader.cancel().catch(() => {});
    }
  }

  async close(): Promise<void> {}

  async #read(from: number, to: number): Promise<Uint8Array> {
    return new Uint8Array(await this.#told(from, this.#blob.slice(from, to).arrayBuffer()));
  }

  /** Returns the same promise, with failures converted to a `FileError` of this file. */
  #told<T>(offset: number, promise: Promise<T>): Promise<T> {
    return promise.catch((cause: unknown) => {
      throw new FileError(
        'missing',
        { file: this.name, field: 'bytes', offset },
        'the file can no longer be read (moved or changed since it was chosen?); choose it again',
        { cause },
      );
    });
  }
}

/** Returns a reader into the caller's own buffers; undefined when blobs give no byte streams. */
function byteReader(stream: ReadableStream<Uint8Array>): ReadableStreamBYOBReader | undefined {
  try {
    return stream.getReader({ mode: 'byob' });
  } catch {
    return undefined;
  }
}

/** Yields chunks of `[start, end)` by `read`. The next chunk is read while the consumer works on the current one. */
export async function* readAhead(
  start: number,
  end: number,
  read: (from: number, to: number) => Promise<Uint8Array>,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const begin = (from: number): Promise<Uint8Array> | undefined => {
    if (from >= end) return undefined;
    const promise = read(from, Math.min(end, from + CHUNK_BYTES));
    promise.catch(() => {}); // A consumer that stops early does not await this one.
    return promise;
  };
  signal?.throwIfAborted();
  let next = begin(start);
  for (let at = start; next !== undefined;) {
    const chunk = await abortable(next, signal);
    at += chunk.length;
    next = chunk.length === 0 ? undefined : begin(at);
    yield chunk;
    signal?.throwIfAborted();
  }
}

/** Returns the promise, which also rejects with the signal's reason as soon as it aborts. */
export function abortable<T>(promise: Promise<T>, signal?: AbortSignal): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise<T>((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    if (signal.aborted) return abort();
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
