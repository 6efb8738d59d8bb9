/**
 * Files over HTTP (RFC 9110: range requests, validators). One request at a time, in order; a broken connection is
 * taken up again at the byte where it broke, and only if the file is still the same.
 */
import { StorageError } from '../errors.ts';
import { abortable, CHUNK_BYTES, type ByteSource } from './byte-source.ts';

export interface RetryPolicy {
  /** Tries without a byte of progress before giving up. */
  readonly attempts: number;
  /** Milliseconds before try n (from 1). */
  readonly delay: (attempt: number) => number;
  /** Milliseconds without a byte after which a connection counts as broken. */
  readonly stall: number;
}

export const DEFAULT_RETRY: RetryPolicy = {
  attempts: 5,
  delay: (attempt) => 500 * 2 ** (attempt - 1) * (0.75 + Math.random() / 2),
  stall: 60_000,
};
/** The longest that a server's Retry-After is obeyed. */
const MAX_WAIT_MS = 60_000;

export interface Network {
  readonly fetch: typeof fetch;
  readonly retry: RetryPolicy;
}

/** What says that a file is still the same: ETag, else Last-Modified (cross-origin pages see no ETag unless it is exposed). */
export interface Validator {
  readonly etag?: string | undefined;
  readonly lastModified?: string | undefined;
}

/** True unless the two are known to differ. */
export function sameFile(a: Validator, b: Validator): boolean {
  if (a.etag !== undefined && b.etag !== undefined) return opaque(a.etag) === opaque(b.etag);
  if (a.lastModified !== undefined && b.lastModified !== undefined) return a.lastModified === b.lastModified;
  return true;
}

/** True if the two are known to be of one file: what bytes may be joined on. */
export function surelySameFile(a: Validator, b: Validator): boolean {
  const known =
    (a.etag !== undefined && b.etag !== undefined) || (a.lastModified !== undefined && b.lastModified !== undefined);
  return known && sameFile(a, b);
}

/** Proxies that compress mark the same bytes' tag as weak. */
function opaque(etag: string): string {
  return etag.replace(/^W\//, '');
}

export interface RemoteBody {
  /** The position of the body's first byte. */
  readonly start: number;
  /** Of the whole file; undefined where the server does not say. */
  readonly size: number | undefined;
  readonly validator: Validator;
  /** False where the server ignored the range and sends the whole file. */
  readonly ranges: boolean;
  /** Chunks as they come; throws `Break` where the connection breaks. Returning early cancels the request. */
  bytes(): AsyncIterable<Uint8Array>;
  cancel(): Promise<void>;
}

/** The connection failed in a way that a second try may mend. */
export class Break {
  readonly cause: unknown;
  readonly problem: string;
  readonly wait: number | undefined;
  constructor(problem: string, cause?: unknown, wait?: number) {
    this.problem = problem;
    this.cause = cause;
    this.wait = wait;
  }
}

/** One GET for bytes `[start, end)` (to the file's end without `end`). Throws `Break` or `StorageError('network' | 'changed')`. */
export async function request(
  url: string,
  start: number,
  end: number | undefined,
  known: Validator,
  network: Network,
  signal?: AbortSignal,
): Promise<RemoteBody> {
  signal?.throwIfAborted();
  const headers: Record<string, string> = { Range: `bytes=${start}-${end === undefined ? '' : end - 1}` };
  // If-Range is no simple header: across origins it would cost a preflight that few servers allow. The answer's validator is compared in any case.
  if (start > 0 && known.etag !== undefined && !known.etag.startsWith('W/') && isSameOrigin(url))
    headers['If-Range'] = known.etag;
  const control = new AbortController();
  const stop = (): void => control.abort(signal?.reason);
  signal?.addEventListener('abort', stop, { once: true });
  const done = (): void => signal?.removeEventListener('abort', stop);
  try {
    let response: Response;
    try {
      response = await stalling(
        network.fetch(url, { headers, signal: control.signal, cache: 'no-store' }),
        network.retry.stall,
        url,
      );
    } catch (cause) {
      signal?.throwIfAborted();
      control.abort();
      throw cause instanceof Break
        ? cause
        : new Break(
            'the connection failed (no network, a wrong address, or a server that does not allow this page: CORS)',
            cause,
          );
    }
    const body = await understand(response, url, start);
    return {
      ...body,
      bytes: () => bodyBytes(response, url, network.retry.stall, signal, control, done),
      cancel: async () => {
        done();
        control.abort();
        await response.body?.cancel().catch(() => {});
      },
    };
  } catch (fault) {
    done();
    control.abort();
    throw fault;
  }
}

async function understand(
  response: Response,
  url: string,
  start: number,
): Promise<Omit<RemoteBody, 'bytes' | 'cancel'>> {
  const { status, headers } = response;
  const validator: Validator = {
    etag: headers.get('etag') ?? undefined,
    lastModified: headers.get('last-modified') ?? undefined,
  };
  const range = headers.get('content-range') ?? '';
  if (status === 206) {
    const match = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(range.trim());
    // Cross-origin pages may not see Content-Range; the body's length tells where it ends, and the sum is checked by the caller.
    if (match === null) {
      if (range !== '')
        throw new StorageError(
          'network',
          `${url}: the server answers with Content-Range ${JSON.stringify(range)}, which makes no sense`,
          { url, status },
        );
      const length = Number(headers.get('content-length') ?? Number.NaN);
      return { start, size: Number.isFinite(length) ? start + length : undefined, validator, ranges: true };
    }
    if (Number(match[1]) !== start)
      throw new StorageError(
        'network',
        `${url}: bytes from ${start} were asked for, the server sends from ${match[1]}`,
        { url, status },
      );
    return { start, size: match[3] === '*' ? undefined : Number(match[3]), validator, ranges: true };
  }
  if (status === 200) {
    const length = headers.get('content-length');
    const encoded = headers.get('content-encoding') ?? 'identity';
    return {
      start: 0,
      size: length === null || encoded !== 'identity' ? undefined : Number(length),
      validator,
      ranges: false,
    };
  }
  await response.body?.cancel().catch(() => {});
  if (status === 416) {
    const total = /\/(\d+)$/.exec(range)?.[1];
    throw new StorageError(
      'changed',
      `${url}: it has ${total ?? 'fewer'} bytes now, bytes from ${start} were asked for; load it anew`,
      { url, status },
    );
  }
  if (status === 408 || status === 425 || status === 429 || status >= 500) {
    const seconds = Number(headers.get('retry-after') ?? Number.NaN);
    throw new Break(
      `the server answers ${status}`,
      undefined,
      Number.isFinite(seconds) ? Math.min(seconds * 1000, MAX_WAIT_MS) : undefined,
    );
  }
  const remedy =
    status === 404 || status === 410
      ? 'there is no such file; check the address'
      : status === 401 || status === 403
        ? 'the file is private or gated; download it where you are signed in and open it as a file'
        : 'check the address';
  throw new StorageError('network', `${url}: the server answers ${status} ${response.statusText}; ${remedy}`, {
    url,
    status,
  });
}

async function* bodyBytes(
  response: Response,
  url: string,
  stall: number,
  signal: AbortSignal | undefined,
  control: AbortController,
  done: () => void,
): AsyncGenerator<Uint8Array> {
  const reader = response.body?.getReader();
  let whole = false;
  try {
    for (;;) {
      const step =
        reader === undefined ? { done: true as const, value: undefined } : await stalling(reader.read(), stall, url);
      signal?.throwIfAborted();
      if (step.done) break;
      yield step.value;
      signal?.throwIfAborted();
    }
    whole = true;
  } catch (cause) {
    signal?.throwIfAborted();
    throw cause instanceof Break ? cause : new Break('the connection broke', cause);
  } finally {
    done();
    if (!whole) {
      control.abort();
      reader?.cancel().catch(() => {});
    }
  }
}

/** The promise, or `Break` when it takes longer than `limit` milliseconds. */
async function stalling<T>(promise: Promise<T>, limit: number, url: string): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Break(`${url} sent nothing for ${limit} ms`)), limit);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

function isSameOrigin(url: string): boolean {
  const here = (globalThis as { location?: { origin?: string } }).location?.origin;
  return here === undefined || new URL(url, here).origin === here;
}

/** Runs `attempt` until it returns; after a `Break` it waits and tries again, giving up when `progress` stands still. */
export async function withRetries<T>(
  url: string,
  network: Network,
  signal: AbortSignal | undefined,
  progress: () => number,
  attempt: () => Promise<T>,
): Promise<T> {
  let tries = 0;
  let reached = progress();
  for (;;) {
    try {
      return await attempt();
    } catch (fault) {
      if (!(fault instanceof Break)) throw fault;
      tries = progress() > reached ? 0 : tries + 1;
      reached = progress();
      if (tries >= network.retry.attempts) {
        throw new StorageError(
          'network',
          `${url}: ${fault.problem}; given up after ${tries} tries at byte ${reached}. What came is kept where there is a store: load again to go on`,
          { url, tries, loaded: reached },
          { cause: fault.cause },
        );
      }
      await sleep(fault.wait ?? network.retry.delay(Math.max(1, tries)), signal);
    }
  }
}

export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  return abortable(
    new Promise<void>((resolve) => {
      timer = setTimeout(resolve, ms);
    }),
    signal,
  ).finally(() => clearTimeout(timer));
}

/** A file read straight from its URL, nothing kept. */
export class HttpSource implements ByteSource {
  readonly name: string;
  readonly size: number;
  readonly sequential?: boolean;
  readonly expectedSha256?: string;
  readonly #url: string;
  readonly #validator: Validator;
  readonly #network: Network;

  private constructor(
    url: string,
    size: number,
    ranges: boolean,
    validator: Validator,
    network: Network,
    sha256: string | undefined,
  ) {
    this.#url = url;
    this.name = displayName(url);
    this.size = size;
    if (!ranges) this.sequential = true;
    if (sha256 !== undefined) this.expectedSha256 = sha256;
    this.#validator = validator;
    this.#network = network;
  }

  /** Asks for one byte to learn size, validator and whether ranges are served. */
  static async open(url: string, network: Network, signal?: AbortSignal, sha256?: string): Promise<HttpSource> {
    return withRetries(
      url,
      network,
      signal,
      () => 0,
      async () => {
        let answer: RemoteBody;
        try {
          answer = await request(url, 0, 1, {}, network, signal);
        } catch (fault) {
          // An empty file has no byte 0.
          if (fault instanceof StorageError && fault.facts['status'] === 416)
            return new HttpSource(url, 0, true, {}, network, sha256);
          throw fault;
        }
        await answer.cancel();
        const { size, ranges, validator } = answer;
        if (size === undefined || (ranges && size === 1)) return measured(url, network, signal, sha256, validator);
        return new HttpSource(url, size, ranges, validator, network, sha256);
      },
    );

    /** The size by reading all: servers that do not say it (or hide it from this origin). */
    async function measured(
      at: string,
      net: Network,
      stop: AbortSignal | undefined,
      sha: string | undefined,
      validator: Validator,
    ): Promise<HttpSource> {
      const answer = await request(at, 0, undefined, {}, net, stop);
      if (answer.size !== undefined) {
        await answer.cancel();
        return new HttpSource(at, answer.size, answer.ranges, validator, net, sha);
      }
      let size = 0;
      for await (const chunk of answer.bytes()) size += chunk.length;
      return new HttpSource(at, size, answer.ranges, validator, net, sha);
    }
  }

  async *stream(start: number, end: number, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    let position = start;
    // A generator cannot yield from inside `withRetries`, so each try hands over what it got.
    let chunks: AsyncIterator<Uint8Array> | undefined;
    try {
      while (position < end) {
        const step = await withRetries(
          this.#url,
          this.#network,
          signal,
          () => position,
          async () => {
            chunks ??= this.#from(position, end, signal);
            try {
              const next = await chunks.next();
              if (next.done === true) throw new Break('the connection ended too early');
              return next.value;
            } catch (fault) {
              chunks = undefined;
              throw fault;
            }
          },
        );
        position += step.length;
        yield step;
      }
    } finally {
      await chunks?.return?.();
    }
  }

  async close(): Promise<void> {}

  /** Chunks of `[start, end)` by one request, gathered to `CHUNK_BYTES`; what came before a break is handed over first. */
  async *#from(start: number, end: number, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
    const answer = await request(this.#url, start, end, this.#validator, this.#network, signal);
    if (
      !sameFile(this.#validator, answer.validator) ||
      (!answer.ranges && answer.size !== undefined && answer.size !== this.size)
    ) {
      await answer.cancel();
      throw new StorageError(
        'changed',
        `${this.#url}: the file changed on the server while it was read; load it anew`,
        { url: this.#url },
      );
    }
    let skip = start - answer.start;
    let left = end - start;
    let gathered = new Uint8Array(Math.min(left, CHUNK_BYTES));
    let filled = 0;
    let broken: Break | undefined;
    try {
      for await (let chunk of answer.bytes()) {
        if (skip > 0) {
          const drop = Math.min(skip, chunk.length);
          skip -= drop;
          chunk = chunk.subarray(drop);
        }
        while (chunk.length > 0 && left > 0) {
          const piece = chunk.subarray(0, Math.min(gathered.length - filled, left));
          gathered.set(piece, filled);
          filled += piece.length;
          left -= piece.length;
          chunk = chunk.subarray(piece.length);
          if (filled < gathered.length) continue;
          yield gathered;
          gathered = new Uint8Array(Math.min(left, CHUNK_BYTES));
          filled = 0;
        }
        if (left === 0) return;
      }
    } catch (fault) {
      if (!(fault instanceof Break)) throw fault;
      broken = fault;
    }
    if (filled > 0) yield gathered.subarray(0, filled);
    if (broken !== undefined) throw broken;
  }
}

/** The address without query and fragment, which may hold secrets. */
export function displayName(url: string): string {
  return url.replace(/[?#].*$/, '');
}
