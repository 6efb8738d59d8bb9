/**
 * Requests to a server: a time limit without a byte, another try where the server asks for it, and errors of our own classes. Whatever a server
 * sends is bounded and may be wrong.
 */
import { abortable } from '../load/byte-source.ts';
import { sleep } from '../load/retry.ts';
import { clipped, InputError, StorageError } from '../errors.ts';
import { displayName } from '../store/address.ts';
import type { Server } from './settings.ts';

/** Bytes of an answer that is not a stream: a list of models, vectors, an error. */
const MOST_BODY = 1 << 28;
const MOST_ERROR = 1 << 16;
/** A server that asks to wait longer is taken at its word: the app may ask again then. Milliseconds. */
const LONGEST_WAIT = 30_000;
const FIRST_WAIT = 500;

/** What a server may answer differently in a moment. */
const TEMPORARY: ReadonlySet<number> = new Set([429, 502, 503, 504]);

/** A body as it comes. Ends the request where nothing came for too long, and when it is left. */
export interface Received {
  readonly type: string;
  chunks(): AsyncGenerator<Uint8Array, void>;
  /** Ends the request, whatever was read of it. */
  cancel(): void;
}

function failed(server: Server, path: string, problem: string, facts: object = {}, cause?: unknown): StorageError {
  const url = displayName(addressOf(server, path));
  return new StorageError('network', `${url}: ${problem}`, { url, ...facts }, { cause });
}

function addressOf({ base }: Server, path: string): string {
  const url = new URL(base);
  url.pathname = `${url.pathname.replace(/\/+$/, '')}/${path}`;
  return url.href;
}

/** Rejects with `StorageError('network')`, with `InputError` for what the server refuses, or with the signal's reason. */
export async function send(
  server: Server,
  path: string,
  body: object | undefined,
  signal: AbortSignal | undefined,
): Promise<Received> {
  for (let tries = 1; ; tries++) {
    const own = new AbortController();
    const abort = (): void => own.abort(signal?.reason);
    signal?.throwIfAborted();
    signal?.addEventListener('abort', abort, { once: true });
    const end = (): void => {
      signal?.removeEventListener('abort', abort);
      own.abort(new DOMException('the request has ended', 'AbortError'));
    };
    let response: Response | undefined;
    let problem: { readonly error: unknown; readonly wait: number | undefined };
    try {
      const asked = server.fetch(addressOf(server, path), {
        method: body === undefined ? 'GET' : 'POST',
        headers: { ...server.headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: own.signal,
      });
      response = await inTime(server, path, asked, own.signal);
      if (response.ok) return received(server, path, response, own.signal, end);
      const { status } = response;
      const wait = TEMPORARY.has(status) ? waitOf(response.headers.get('retry-after'), tries) : undefined;
      const text = await errorText(server, path, response, own.signal);
      problem = { error: refused(server, path, status, text, response.headers.get('retry-after')), wait };
    } catch (error) {
      signal?.throwIfAborted();
      const known = error instanceof StorageError;
      problem = {
        error: known
          ? error
          : failed(server, path, 'could not be reached; is it running, and does it allow this page (CORS)?', {}, error),
        wait: known ? undefined : FIRST_WAIT * 2 ** (tries - 1),
      };
    }
    end();
    if (problem.wait === undefined || problem.wait > LONGEST_WAIT || tries > server.retries) throw problem.error;
    await sleep(problem.wait, signal);
  }
}

/** The whole of an answer, as JSON. */
export async function sendForJson(
  server: Server,
  path: string,
  body: object | undefined,
  signal: AbortSignal | undefined,
): Promise<unknown> {
  return parsed(server, path, await textOf(await send(server, path, body, signal), server, path));
}

export async function textOf(
  { chunks }: Pick<Received, 'chunks'>,
  server: Server,
  path: string,
  most = MOST_BODY,
): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  for await (const chunk of chunks()) {
    bytes += chunk.length;
    if (bytes > most) throw failed(server, path, `answered with more than ${most} bytes`, { most });
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

/** Throws `StorageError('network')` for what is no JSON. */
export function parsed(server: Server, path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw failed(server, path, `answered with what is no JSON: ${JSON.stringify(clipped(text, 80))}`, {}, cause);
  }
}

/** The server broke its own protocol. */
export function malformed(server: Server, path: string, problem: string): StorageError {
  return failed(server, path, problem);
}

function received(server: Server, path: string, response: Response, signal: AbortSignal, end: () => void): Received {
  return {
    type: response.headers.get('content-type') ?? '',
    cancel: end,
    async *chunks() {
      const reader = response.body?.getReader();
      try {
        for (;;) {
          if (reader === undefined) return;
          const { done, value } = await inTime(server, path, reader.read(), signal);
          if (done) return;
          yield value;
        }
      } catch (error) {
        if (error instanceof StorageError) throw error;
        // An abort, or a connection that broke.
        signal.throwIfAborted();
        throw failed(server, path, 'the connection broke; ask again', {}, error);
      } finally {
        end();
      }
    },
  };
}

/** Waits for the server as long as it may be silent. */
async function inTime<T>(server: Server, path: string, waited: Promise<T>, signal: AbortSignal): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () =>
        reject(
          failed(server, path, `sent nothing for ${server.timeout / 1000} s; raise timeout, or ask again`, {
            timeout: server.timeout,
          }),
        ),
      server.timeout,
    );
  });
  waited.catch(() => undefined);
  try {
    return await abortable(Promise.race([waited, late]), signal);
  } finally {
    clearTimeout(timer);
  }
}

function waitOf(retryAfter: string | null, tries: number): number {
  const seconds = Number(retryAfter ?? NaN);
  if (Number.isFinite(seconds) && seconds >= 0) return seconds * 1000;
  const date = Date.parse(retryAfter ?? '');
  return Number.isNaN(date) ? FIRST_WAIT * 2 ** (tries - 1) : Math.max(0, date - Date.now());
}

async function errorText(server: Server, path: string, response: Response, signal: AbortSignal): Promise<string> {
  try {
    return await textOf(
      received(server, path, response, signal, () => undefined),
      server,
      path,
      MOST_ERROR,
    );
  } catch {
    signal.throwIfAborted();
    return '';
  }
}

/** How servers say that a prompt is too long: OpenAI, llama.cpp, vLLM. */
const TOO_LONG = /context_length_exceeded|exceed_context_size|maximum context length|context (?:window|size)/i;

/** OpenAI's shape, FastAPI's, or none. */
export function messageOf(text: string): string {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return clipped(text.trim());
  }
  for (let at: unknown = body; typeof at === 'object' && at !== null;) {
    const { error, message, detail } = at as Readonly<Record<string, unknown>>;
    const next: unknown = error ?? message ?? detail;
    if (typeof next === 'string') return clipped(next);
    at = next;
  }
  return clipped(text);
}

export function refused(
  server: Server,
  path: string,
  status: number,
  text: string,
  retryAfter: string | null = null,
): Error {
  const message = messageOf(text);
  const said = message === '' ? '' : `: ${message}`;
  if ((status === 400 || status === 413 || status === 422) && TOO_LONG.test(text))
    return new InputError('too-long', `the server says that the prompt is too long${said}`, { status });
  if (status === 400 || status === 422)
    return new InputError('argument', `${displayName(addressOf(server, path))} refuses the request${said}`, { status });
  const remedy =
    status === 401 || status === 403
      ? '; give apiKey, or the headers that it asks for'
      : status === 404
        ? '; check baseURL and model'
        : status === 429
          ? `; ask again ${retryAfter === null ? 'later' : `when its Retry-After is over (${clipped(retryAfter, 40)})`}`
          : '';
  return failed(server, path, `answered with status ${status}${said}${remedy}`, {
    status,
    ...(retryAfter === null ? {} : { retryAfter }),
  });
}
