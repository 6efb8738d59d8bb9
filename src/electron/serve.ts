/**
 * The handler of the app's scheme: pages with cross-origin isolation and a content security policy, files with ranges. Everything that may not be read is
 * answered as if it were not there.
 */
import type { FileHandle } from 'node:fs/promises';
import { extname } from 'node:path';
import { APP_ORIGIN, FILE_HOSTS, namesOf, parseFileAddress, SCHEME } from './addresses.ts';
import { findInside, openFound, type Files, type FoundFile } from './files.ts';
import { replyTo } from './ranges.ts';

export interface ServeOptions {
  /** The folder of the app's pages. */
  readonly pages: string;
  readonly files: Files;
  /** The whole Content-Security-Policy of the pages. */
  readonly policy: string;
  /** Origins that may read files, besides the app's own: a development server. */
  readonly origins: readonly string[];
}

const FILE_SOURCES = FILE_HOSTS.map((host) => `${SCHEME}://${host}`).join(' ');

/**
 * The Content-Security-Policy of pages: they run their own scripts only, and connect to nothing but the app's own files and `connect`, the origins from
 * which engines in the page download. `style-src` allows inline styles, which component libraries set.
 */
export const pagePolicy = (connect: readonly string[] = []): string =>
  [
    "default-src 'none'",
    "script-src 'self' 'wasm-unsafe-eval'",
    "worker-src 'self' blob:",
    "style-src 'self' 'unsafe-inline'",
    `img-src 'self' blob: data: ${FILE_SOURCES}`,
    "font-src 'self'",
    "media-src 'self' blob:",
    `connect-src ${["'self' blob: data:", FILE_SOURCES, ...connect].join(' ')}`,
    "manifest-src 'self'",
    "frame-src 'none'",
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');

/** Documents are data: if one is opened as a page all the same, it can do nothing. */
const FILE_POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'";

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
  '.wasm': 'application/wasm',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.jpeg': 'image/jpeg',
  '.webp': 'image/webp',
  '.gif': 'image/gif',
  '.ico': 'image/x-icon',
  '.woff': 'font/woff',
  '.woff2': 'font/woff2',
  '.ttf': 'font/ttf',
  '.txt': 'text/plain; charset=utf-8',
  '.webmanifest': 'application/manifest+json',
  '.gguf': 'application/octet-stream',
  '.bin': 'application/octet-stream',
};
/** Files are told apart by their bytes; these types run nothing. */
const FILE_TYPES: Readonly<Record<string, string>> = { '.pdf': 'application/pdf', '.txt': 'text/plain; charset=utf-8' };
const UNKNOWN_TYPE = 'application/octet-stream';

/** Bytes of one read: large enough for a fast disk, small enough that a cancelled request costs little. */
const CHUNK = 1 << 18;

const windows = process.platform === 'win32';

/** A request as Electron gives it: newer versions say which origin it comes from. */
type AppRequest = Request & { readonly initiatorOrigin?: string };

export function createHandler(options: ServeOptions): (request: Request) => Promise<Response> {
  return async (request: AppRequest) => {
    try {
      return await answer(request, options);
    } catch {
      // What went wrong is the main process's business.
      return plain(500);
    }
  };
}

function plain(status: number, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(null, { status, headers: { 'x-content-type-options': 'nosniff', ...headers } });
}

async function answer(request: AppRequest, options: ServeOptions): Promise<Response> {
  const { protocol, host } = new URL(request.url);
  const { initiatorOrigin: from } = request;
  if (protocol !== `${SCHEME}:`) return plain(404);
  if (from !== undefined && from !== APP_ORIGIN && !options.origins.includes(from)) return plain(403);
  return host === 'app' ? servePage(request, options) : serveFile(request, options);
}

const READING: readonly string[] = ['GET', 'HEAD'];

async function servePage(request: Request, { pages, policy }: ServeOptions): Promise<Response> {
  const headers = {
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-embedder-policy': 'require-corp',
    'cross-origin-resource-policy': 'same-origin',
    'content-security-policy': policy,
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    // Revalidated with every request: the pages of an updated app replace those of the old one.
    'cache-control': 'no-cache',
  };
  if (!READING.includes(request.method)) return plain(405, { ...headers, allow: READING.join(', ') });
  const { pathname } = new URL(request.url);
  const names = namesOf(pathname.endsWith('/') ? `${pathname}index.html` : pathname, windows);
  const found = names && (await findInside(pages, names));
  return send(request, found, {
    ...headers,
    'content-type': TYPES[extname(found?.path ?? '').toLowerCase()] ?? UNKNOWN_TYPE,
  });
}

async function serveFile(request: Request, { files, origins }: ServeOptions): Promise<Response> {
  const origin = request.headers.get('origin');
  const headers = {
    'access-control-allow-origin': origin !== null && origins.includes(origin) ? origin : APP_ORIGIN,
    'access-control-allow-methods': READING.join(', '),
    'access-control-allow-headers': 'range, if-range, if-match, if-none-match',
    'access-control-expose-headers': 'accept-ranges, content-length, content-range, etag, last-modified',
    vary: 'origin',
    'cross-origin-resource-policy': 'same-origin',
    'content-security-policy': FILE_POLICY,
    'content-disposition': 'attachment',
    'x-content-type-options': 'nosniff',
    'cache-control': 'no-cache',
  };
  if (request.method === 'OPTIONS') return new Response(null, { status: 204, headers });
  if (!READING.includes(request.method)) return plain(405, { ...headers, allow: [...READING, 'OPTIONS'].join(', ') });
  const address = parseFileAddress(request.url, windows);
  const readable = address !== undefined && FILE_HOSTS.some((one) => one === address.host);
  const found = readable ? await files.find(address) : undefined;
  return send(request, found, {
    ...headers,
    'content-type': FILE_TYPES[extname(found?.path ?? '').toLowerCase()] ?? UNKNOWN_TYPE,
  });
}

async function send(
  request: Request,
  found: FoundFile | undefined,
  headers: Readonly<Record<string, string>>,
): Promise<Response> {
  const file = found === undefined || found.directory ? undefined : await openFound(found);
  if (file === undefined) {
    const { 'content-type': _, ...others } = headers;
    return plain(404, others);
  }
  const { handle, size, etag, modified } = file;
  const reply = replyTo(request.headers, file, request.method);
  const facts = { ...headers, 'accept-ranges': 'bytes', etag, 'last-modified': modified.toUTCString() };
  if (reply.status === 304 || reply.status === 412 || reply.status === 416) {
    await handle.close();
    return plain(reply.status, reply.status === 416 ? { ...facts, 'content-range': `bytes */${size}` } : facts);
  }
  const { start, end } = reply.status === 206 ? reply : { start: 0, end: size };
  const all = {
    ...facts,
    'content-length': String(end - start),
    ...(reply.status === 206 ? { 'content-range': `bytes ${start}-${end - 1}/${size}` } : {}),
  };
  if (request.method === 'HEAD' || end === start) {
    await handle.close();
    return new Response(null, { status: reply.status, headers: all });
  }
  return new Response(streamOf(handle, start, end, request.signal), { status: reply.status, headers: all });
}

/** Reads as far as the reader takes, and closes the file at the end, on cancellation, and with the request. */
function streamOf(handle: FileHandle, start: number, end: number, signal: AbortSignal): ReadableStream<Uint8Array> {
  let at = start;
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => {
    signal.removeEventListener('abort', stop);
    return (closed ??= handle.close());
  };
  const stop = (): void => void close().catch(() => {});
  signal.addEventListener('abort', stop, { once: true });
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const chunk = new Uint8Array(Math.min(CHUNK, end - at));
          const { bytesRead } = await handle.read(chunk, 0, chunk.length, at);
          // A file that was cut meanwhile must not look complete.
          if (bytesRead === 0) throw new Error('the file became shorter while it was read');
          at += bytesRead;
          controller.enqueue(bytesRead === chunk.length ? chunk : chunk.subarray(0, bytesRead));
          if (at < end) return;
          await close();
          controller.close();
        } catch (error) {
          await close().catch(() => {});
          controller.error(error);
        }
      },
      cancel: close,
    },
    { highWaterMark: 0 },
  );
}
