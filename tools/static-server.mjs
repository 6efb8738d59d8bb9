// A small HTTP server for the browser stories and the benchmarks: folders by prefix, ranges, cross-origin isolation, a content security policy, and a log.
import { createReadStream, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout } from 'node:timers/promises';

const TYPES = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
  '.json': 'application/json',
  '.txt': 'text/plain',
  '.svg': 'image/svg+xml',
  '.css': 'text/css',
  '.png': 'image/png',
  '.woff2': 'font/woff2',
  '.webmanifest': 'application/manifest+json',
};

/**
 * `mounts`: URL prefix -> folder (longest prefix wins). `isolated`: send COOP and COEP. `csp`: a Content-Security-Policy header.
 * `throttle`: bytes per second of every body, or undefined. `port`: 0 takes a free one. `cors`: pages of
 * other origins may read, as from a CDN. `host`: the address to listen on. Resolves to { origin, requests, throttle(bytesPerSecond), close() };
 * `requests` lists every request as { path, range, status, sent }.
 * @param {{ mounts: Readonly<Record<string, string>>; isolated?: boolean; csp?: string; throttle?: number; port?: number; cors?: boolean; host?: string }} options
 */
export async function serve({ mounts, isolated = true, csp, throttle, port = 0, cors = false, host = '127.0.0.1' }) {
  const requests = [];
  const prefixes = Object.keys(mounts).sort((a, b) => b.length - a.length);
  let speed = throttle;
  const server = createServer((request, response) => {
    const path = pathOf(request.url ?? '/');
    const entry = { path, range: request.headers.range, status: 0, sent: 0 };
    requests.push(entry);
    const finish = (status, headers = {}) => {
      entry.status = status;
      response.writeHead(status, {
        'cache-control': 'no-store',
        ...(isolated
          ? {
              'cross-origin-opener-policy': 'same-origin',
              'cross-origin-embedder-policy': 'require-corp',
              'cross-origin-resource-policy': 'same-origin',
            }
          : {}),
        ...(cors ? { 'access-control-allow-origin': '*', 'cross-origin-resource-policy': 'cross-origin' } : {}),
        ...(csp ? { 'content-security-policy': csp } : {}),
        ...headers,
      });
    };
    const prefix = prefixes.find((p) => path.startsWith(p));
    const rest = prefix === undefined ? '' : normalize(path.slice(prefix.length) || 'index.html');
    let file;
    let stats;
    try {
      if (prefix === undefined || rest.startsWith('..')) throw new Error('outside');
      file = join(mounts[prefix], rest);
      stats = statSync(file);
      if (stats.isDirectory()) throw new Error('folder');
    } catch {
      finish(404);
      response.end();
      return;
    }
    const etag = `"${stats.size}-${Math.floor(stats.mtimeMs)}"`;
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
    const useRange =
      range !== null && (request.headers['if-range'] === undefined || request.headers['if-range'] === etag);
    const start = useRange ? Number(range[1]) : 0;
    const end = useRange && range[2] !== '' ? Math.min(Number(range[2]), stats.size - 1) : stats.size - 1;
    if (useRange && start > end) {
      finish(416, { 'content-range': `bytes */${stats.size}` });
      response.end();
      return;
    }
    const headers = {
      'content-type': TYPES[extname(file)] ?? 'application/octet-stream',
      'accept-ranges': 'bytes',
      etag,
      'content-length': String(end - start + 1),
    };
    if (useRange) finish(206, { ...headers, 'content-range': `bytes ${start}-${end}/${stats.size}` });
    else finish(200, headers);
    if (request.method === 'HEAD' || stats.size === 0) {
      response.end();
      return;
    }
    const bytes = createReadStream(file, { start, end, highWaterMark: speed === undefined ? 1 << 20 : 1 << 14 });
    const paced = Readable.from(
      (async function* () {
        for await (const chunk of bytes) {
          if (speed !== undefined) await setTimeout((chunk.length / speed) * 1000);
          entry.sent += chunk.length;
          yield chunk;
        }
      })(),
      { objectMode: false },
    );
    pipeline(paced, response).catch(() => response.destroy());
  });
  await new Promise((resolve, reject) => server.once('error', reject).listen(port, host, resolve));
  return {
    origin: `http://localhost:${server.address().port}`,
    requests,
    throttle: (bytesPerSecond) => {
      speed = bytesPerSecond;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  };
}

/** The path of a request; what is no valid encoding stands for itself. */
function pathOf(url) {
  const { pathname } = new URL(url, 'http://localhost');
  try {
    return decodeURIComponent(pathname);
  } catch {
    return pathname;
  }
}
