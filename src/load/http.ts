/**
 * One GET over HTTP (RFC 9110): a range if the server serves ranges, otherwise the whole file, and the validator that
 * tells whether two responses belong to one file. `retry.ts` repeats requests; `download.ts` and `http-source.ts` use
 * the bytes.
 */
import { InputError, StorageError } from '../errors.ts';
import { displayName } from '../store/address.ts';
import { isOwnScheme } from './own-scheme.ts';
import { Break, type RetryPolicy } from './retry.ts';

/** The longest Retry-After of a server that is obeyed. */
const MAX_WAIT_MS = 60_000;
/**
 * Responses to a range request from servers that do not serve ranges, or serve compressed bodies only. Their response
 * to a plain GET counts instead.
 */
const RANGE_REFUSED: readonly number[] = [400, 405, 406, 416, 501];
/** Text from a server is shown up to this length. */
const SHOWN = 80;

export interface Network {
  readonly fetch: typeof fetch;
  readonly retry: RetryPolicy;
  /** Sent with every request; never shown or stored. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly credentials?: RequestCredentials | undefined;
  /**
   * URLs that are requested without a range: their server refused one or answered it unusably (`refused`), or only the connection failed (`tried`). `cleared`:
   * such a connection succeeded later, and the server says that it serves ranges, which are asked for again. Filled by `request`.
   */
  readonly plain: Map<string, 'refused' | 'tried' | 'cleared'>;
  /**
   * URLs whose Content-Length is that of a compressed body and therefore says nothing. Filled by the readers of bodies.
   */
  readonly unsized: Set<string>;
}

export function createNetwork(options: Pick<Network, 'fetch' | 'retry' | 'headers' | 'credentials'>): Network {
  return { ...options, plain: new Map(), unsized: new Set() };
}

/**
 * What shows that a file is unchanged: ETag, otherwise Last-Modified (cross-origin pages see no ETag unless it is
 * exposed).
 */
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

/** True if the two are known to belong to one file, which is required to join bytes of two responses. */
export function surelySameFile(a: Validator, b: Validator): boolean {
  const known =
    (a.etag !== undefined && b.etag !== undefined) || (a.lastModified !== undefined && b.lastModified !== undefined);
  return known && sameFile(a, b);
}

/** Proxies that compress mark the tag of the same bytes as weak. */
function opaque(etag: string): string {
  return etag.replace(/^W\//, '');
}

export interface RemoteBody {
  /** The position of the body's first byte. */
  readonly start: number;
  /** The size of the whole file; undefined if the server does not report it. */
  readonly size: number | undefined;
  readonly validator: Validator;
  /** False if the server sent the whole file in place of a range. */
  readonly ranges: boolean;
  /**
   * Whether a broken download of this file can be continued: the server serves ranges and distinguishes versions of the
   * file.
   */
  readonly resumable: boolean;
  /** Yields chunks as they arrive; throws `Break` when the connection breaks. Returning early cancels the request. */
  bytes(): AsyncIterable<Uint8Array>;
  cancel(): Promise<void>;
}

/** Throws `InputError` for URLs that `fetch` cannot or must not read. The message shows no secret. */
export function checkUrl(url: string): void {
  const name = displayName(url);
  if (!URL.canParse(url)) throw new InputError('argument', `${JSON.stringify(name)} is not a URL`, { url: name });
  const { protocol, username, password } = new URL(url);
  if (protocol !== 'http:' && protocol !== 'https:' && !isOwnScheme(protocol))
    throw new InputError(
      'argument',
      `${name.slice(0, SHOWN)}: '${protocol}' addresses are not read; give an address of http: or https:, a File, or hf:owner/repository`,
      { url: name, scheme: protocol },
    );
  if (username !== '' || password !== '')
    throw new InputError(
      'argument',
      `${name}: the address contains a user name or a password, which browsers refuse to send; give them as headers: { Authorization: 'Basic ...' }`,
      { url: name },
    );
}

/**
 * One GET for bytes `[start, end)` (to the end of the file without `end`). If the server refuses the range, it is asked
 * again without one, then and later. Throws `Break`, `InputError`, or `StorageError('network' | 'changed')`.
 */
export async function request(
  url: string,
  start: number,
  end: number | undefined,
  known: Validator,
  network: Network,
  signal?: AbortSignal,
): Promise<RemoteBody> {
  checkUrl(url);
  const asked = network.plain.get(url);
  if (asked === undefined || asked === 'cleared') {
    const ranged = await send(url, { start, end, known }, network, signal);
    if (ranged !== undefined) return ranged;
    network.plain.set(url, 'refused');
  }
  const plain = await send(url, undefined, network, signal);
  if (plain !== undefined) return plain;
  throw new StorageError('network', `${displayName(url)}: the server does not answer GET`, { url: displayName(url) });
}

interface Range {
  readonly start: number;
  readonly end: number | undefined;
  readonly known: Validator;
}

/** Undefined when the server does not accept the range. */
async function send(
  url: string,
  range: Range | undefined,
  network: Network,
  signal: AbortSignal | undefined,
): Promise<RemoteBody | undefined> {
  signal?.throwIfAborted();
  const control = new AbortController();
  const stop = (): void => control.abort(signal?.reason);
  signal?.addEventListener('abort', stop, { once: true });
  const done = (): void => signal?.removeEventListener('abort', stop);
  try {
    let response: Response;
    try {
      response = await stalling(
        network.fetch(url, {
          headers: { ...network.headers, ...rangeHeaders(url, range) },
          ...(network.credentials === undefined ? {} : { credentials: network.credentials }),
          signal: control.signal,
          cache: 'no-store',
        }),
        network.retry.stall,
      );
    } catch (cause) {
      signal?.throwIfAborted();
      control.abort();
      throw cause instanceof Break ? cause : await connectionFault(url, range, network, cause, signal);
    }
    const body = await understand(response, url, range, network);
    if (body === undefined) {
      done();
      control.abort();
      return undefined;
    }
    return {
      ...body,
      bytes: () => bodyBytes(response, { url, range, network, signal, control, done }),
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

function rangeHeaders(url: string, range: Range | undefined): Record<string, string> {
  if (range === undefined) return {};
  const { start, end, known } = range;
  const headers: Record<string, string> = { Range: `bytes=${start}-${end === undefined ? '' : end - 1}` };
  // If-Range is not a simple header: across origins it would cost a preflight that few servers allow. The response's
  // validator is compared in any case.
  if (start > 0 && known.etag !== undefined && !known.etag.startsWith('W/') && isSameOrigin(url))
    headers['If-Range'] = known.etag;
  return headers;
}

/** Browsers do not say why a fetch failed. A redirect loop, which Node names, would fail at every further try. */
async function connectionFault(
  url: string,
  range: Range | undefined,
  network: Network,
  cause: unknown,
  signal: AbortSignal | undefined,
): Promise<Break | StorageError> {
  const name = displayName(url);
  if (/redirect count/i.test(String(fieldOf(fieldOf(cause, 'cause'), 'message'))))
    return new StorageError(
      'network',
      `${name}: the server redirects in a loop; check the address`,
      { url: name },
      { cause },
    );
  alternate(url, range, network);
  const problem =
    'the connection failed (no network, a wrong address, or a server that does not allow this page: CORS)';
  if (range !== undefined && range.start > 0) return new Break(problem, cause);
  const type = await withOwnSignal(signal, async (own) => {
    const probe = network.fetch(url, { redirect: 'manual', cache: 'no-store', signal: own });
    return (await stalling(probe, network.retry.stall)).type;
  }).catch(() => undefined);
  if (type !== 'opaqueredirect') return new Break(problem, cause);
  return new Break('the server redirects in circles, or to a place that cannot be reached', cause, undefined, 2);
}

/** A field of an error, which may belong to another realm. */
function fieldOf(error: unknown, field: 'message' | 'cause'): unknown {
  return typeof error === 'object' && error !== null && field in error
    ? (error as Record<string, unknown>)[field]
    : undefined;
}

/**
 * After a failure without a byte the next try has no range, or a range again: Chromium refuses compressed responses to
 * a range.
 */
function alternate(url: string, range: Range | undefined, network: Network): void {
  if (range === undefined) network.plain.delete(url);
  else if (network.plain.get(url) === 'cleared') network.plain.set(url, 'refused');
  else if (range.start === 0) network.plain.set(url, 'tried');
}

/** Undefined when the server does not accept the range. */
async function understand(
  response: Response,
  url: string,
  range: Range | undefined,
  network: Network,
): Promise<Omit<RemoteBody, 'bytes' | 'cancel'> | undefined> {
  const { status, headers } = response;
  const name = displayName(url);
  const validator: Validator = {
    etag: headers.get('etag') ?? undefined,
    lastModified: headers.get('last-modified') ?? undefined,
  };
  const encoded = (headers.get('content-encoding') ?? 'identity') !== 'identity';
  // Positions in a compressed body are not positions in the file.
  if (range !== undefined && encoded && response.ok) return undefined;
  const length = headers.get('content-length');
  const sized = length !== null && /^\d+$/.test(length) && !encoded && !network.unsized.has(url);
  const versioned = validator.etag !== undefined || validator.lastModified !== undefined;
  const contentRange = headers.get('content-range') ?? '';
  if (status === 206 && range !== undefined) {
    const match = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(contentRange.trim());
    // Cross-origin pages may not see Content-Range. The length of the body tells where it ends, and the caller checks
    // the hash.
    if (match === null) {
      if (contentRange !== '')
        throw new StorageError(
          'network',
          `${name}: the server answers with Content-Range ${JSON.stringify(contentRange.slice(0, SHOWN))}, which is invalid`,
          { url: name, status },
        );
      const size = sized ? range.start + Number(length) : undefined;
      return { start: range.start, size, validator, ranges: true, resumable: versioned };
    }
    if (Number(match[1]) !== range.start)
      throw new StorageError(
        'network',
        `${name}: bytes from ${range.start} were requested, but the server sends from ${match[1]}`,
        { url: name, status },
      );
    return {
      start: range.start,
      size: match[3] === '*' ? undefined : Number(match[3]),
      validator,
      ranges: true,
      resumable: versioned,
    };
  }
  if (status === 200) {
    const serves = headers.get('accept-ranges') === 'bytes';
    // It was the connection, and not the range: a download that breaks goes on at its byte.
    const cleared = serves && !encoded && network.plain.get(url) === 'tried';
    if (cleared) network.plain.set(url, 'cleared');
    const resumable = versioned && serves && (range !== undefined || cleared);
    return { start: 0, size: sized ? Number(length) : undefined, validator, ranges: false, resumable };
  }
  await response.body?.cancel().catch(() => {});
  if (status === 416 && range !== undefined && range.start > 0) {
    const total = /\/(\d+)$/.exec(contentRange)?.[1];
    throw new StorageError(
      'changed',
      `${name}: it has ${total ?? 'fewer'} bytes now, bytes from ${range.start} were requested; load it again`,
      { url: name, status },
    );
  }
  if (range !== undefined && RANGE_REFUSED.includes(status)) return undefined;
  if (status === 408 || status === 425 || status === 429 || (status >= 500 && status !== 501)) {
    const seconds = Number(headers.get('retry-after') ?? Number.NaN);
    throw new Break(
      `the server answers ${status}`,
      undefined,
      Number.isFinite(seconds) ? Math.max(0, Math.min(seconds * 1000, MAX_WAIT_MS)) : undefined,
    );
  }
  throw new StorageError(
    'network',
    `${name}: the server answers ${status} ${response.statusText.slice(0, SHOWN)}; ${remedy(status)}`,
    { url: name, status },
  );
}

function remedy(status: number): string {
  if (status === 404 || status === 410) return 'there is no such file; check the address';
  if (status === 401 || status === 403)
    return "the file is private or gated; give headers: { Authorization: 'Bearer ...' }, or download it where you are signed in and open it as a file";
  return 'check the address';
}

interface BodyParts {
  readonly url: string;
  readonly range: Range | undefined;
  readonly network: Network;
  readonly signal: AbortSignal | undefined;
  readonly control: AbortController;
  readonly done: () => void;
}

async function* bodyBytes(
  response: Response,
  { url, range, network, signal, control, done }: BodyParts,
): AsyncGenerator<Uint8Array> {
  const reader = response.body?.getReader();
  let whole = false;
  let came = false;
  try {
    for (;;) {
      const step =
        reader === undefined
          ? { done: true as const, value: undefined }
          : await stalling(reader.read(), network.retry.stall);
      signal?.throwIfAborted();
      if (step.done) break;
      came ||= step.value.length > 0;
      yield step.value;
      signal?.throwIfAborted();
    }
    whole = true;
  } catch (cause) {
    signal?.throwIfAborted();
    if (!came && !(cause instanceof Break)) alternate(url, range, network);
    throw cause instanceof Break ? cause : new Break('the connection broke', cause);
  } finally {
    done();
    if (!whole) {
      control.abort();
      reader?.cancel().catch(() => {});
    }
  }
}

/** Runs `body` with a signal that aborts with `signal`, and when `body` is over. */
export async function withOwnSignal<T>(
  signal: AbortSignal | undefined,
  body: (own: AbortSignal) => Promise<T>,
): Promise<T> {
  const control = new AbortController();
  const stop = (): void => control.abort(signal?.reason);
  if (signal?.aborted) stop();
  signal?.addEventListener('abort', stop, { once: true });
  try {
    return await body(control.signal);
  } finally {
    signal?.removeEventListener('abort', stop);
    control.abort();
  }
}

/** Returns the promise, which rejects with `Break` when it takes longer than `limit` milliseconds. */
export async function stalling<T>(promise: Promise<T>, limit: number): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Break(`the server sent nothing for ${limit} ms`)), limit);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

function isSameOrigin(url: string): boolean {
  const here = (globalThis as { location?: { origin?: string } }).location?.origin;
  return here === undefined || new URL(url).origin === here;
}
