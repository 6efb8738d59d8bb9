/** A real HTTP server that serves files by ranges and misbehaves on demand. */
import { gzipSync } from 'node:zlib';
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

export interface ServedFile {
  bytes: Uint8Array;
  etag?: string | undefined;
  lastModified?: string | undefined;
}

export interface Behaviour {
  /** Serves ranges; otherwise every answer is the whole file. */
  ranges: boolean;
  /** Sends Content-Length; otherwise chunked. */
  length: boolean;
  /** For request n (from 0): breaks the connection after this many bytes of the body. */
  breakAfter(request: number): number | undefined;
  /** For request n: answers with this status and nothing else. */
  status(request: number, path: string): number | undefined;
  /** For request n: sends nothing more after this many bytes. */
  stallAfter(request: number): number | undefined;
  /** Answers a request with a range by this status and no body, and one without as `ranges: false`. */
  refuse: number | undefined;
  /** Compresses every body, whatever the request accepts; `hidden`: without saying so, as a page of another origin sees it. */
  gzip: boolean | 'hidden';
  /** Ends the body of request n, in good order, after this many bytes. */
  endAfter(request: number): number | undefined;
  /** Sends the body's last bytes again and again. */
  endless: boolean;
  /** Redirects this path. */
  redirect(path: string): string | undefined;
  /** Bytes of the body per write. */
  chunk: number;
  /** Milliseconds between writes. */
  delay: number;
}

/** Waits until the response can take more or is closed, or for so many milliseconds. Leaves no listener behind. */
function drained(response: ServerResponse, milliseconds?: number): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      response.off('drain', done).off('close', done);
      resolve();
    };
    const timer = milliseconds === undefined ? undefined : setTimeout(done, milliseconds);
    response.on('drain', done).on('close', done);
  });
}

export class FileServer {
  readonly files = new Map<string, ServedFile>();
  readonly requests: {
    path: string;
    url: string;
    range: string | undefined;
    ifRange: string | undefined;
    headers: IncomingHttpHeaders;
    status: number;
  }[] = [];
  behaviour: Behaviour = FileServer.good();
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor() {
    this.#server = createServer((request, response) => this.#answer(request, response));
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
  }

  static good(): Behaviour {
    return {
      ranges: true,
      length: true,
      breakAfter: () => undefined,
      status: () => undefined,
      stallAfter: () => undefined,
      refuse: undefined,
      gzip: false,
      endAfter: () => undefined,
      endless: false,
      redirect: () => undefined,
      chunk: 64 << 10,
      delay: 0,
    };
  }

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  reset(): void {
    this.files.clear();
    this.requests.length = 0;
    this.behaviour = FileServer.good();
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const path = decodeURIComponent(new URL(request.url!, 'http://x').pathname);
    const n = this.requests.length;
    const entry = {
      path,
      url: request.url ?? '',
      headers: request.headers,
      range: request.headers.range,
      ifRange: request.headers['if-range'] as string | undefined,
      status: 0,
    };
    this.requests.push(entry);
    const end = (status: number, headers: Record<string, string | number> = {}): void => {
      entry.status = status;
      response.writeHead(status, headers).end();
    };
    const to = this.behaviour.redirect(path);
    if (to !== undefined) return end(302, { location: to });
    const status = this.behaviour.status(n, path);
    if (status !== undefined) return end(status);
    const file = this.files.get(path);
    if (file === undefined) return end(404);
    const { refuse, gzip } = this.behaviour;
    if (refuse !== undefined && request.headers.range !== undefined) return end(refuse);
    const { etag, lastModified } = file;
    const bytes = gzip === false ? file.bytes : gzipSync(file.bytes);
    const headers: Record<string, string | number> = {};
    if (this.behaviour.ranges) headers['accept-ranges'] = 'bytes';
    if (etag !== undefined) headers['etag'] = etag;
    if (lastModified !== undefined) headers['last-modified'] = lastModified;
    let from = 0;
    let until = bytes.length;
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
    const still = entry.ifRange === undefined || entry.ifRange === etag;
    if (gzip === true) headers['content-encoding'] = 'gzip';
    if (this.behaviour.ranges && refuse === undefined && gzip === false && range !== null && still) {
      from = Number(range[1]);
      if (from >= bytes.length) return end(416, { 'content-range': `bytes */${bytes.length}` });
      if (range[2] !== '') until = Math.min(until, Number(range[2]) + 1);
      headers['content-range'] = `bytes ${from}-${until - 1}/${bytes.length}`;
      entry.status = 206;
    } else entry.status = 200;
    if (this.behaviour.length) headers['content-length'] = until - from;
    response.writeHead(entry.status, headers);
    const body = bytes.subarray(from, until);
    if (this.behaviour.endless) return void this.#sendForEver(response, body);
    const cut = this.behaviour.endAfter(n);
    void this.#send(response, body.subarray(0, cut), this.behaviour.breakAfter(n), this.behaviour.stallAfter(n));
  }

  /** Bytes that were sent without end so far. */
  sent = 0;

  async #sendForEver(response: ServerResponse, body: Uint8Array): Promise<void> {
    response.write(body);
    const more = new Uint8Array(64 << 10);
    while (!response.destroyed) {
      response.write(more);
      this.sent += more.length;
      await drained(response, response.writableNeedDrain ? 20 : 0);
    }
  }

  async #send(
    response: ServerResponse,
    body: Uint8Array,
    breakAfter: number | undefined,
    stallAfter: number | undefined,
  ): Promise<void> {
    const stop = Math.min(breakAfter ?? Infinity, stallAfter ?? Infinity, body.length);
    for (let at = 0; at < stop; at += this.behaviour.chunk) {
      if (response.destroyed) return;
      response.write(body.subarray(at, Math.min(stop, at + this.behaviour.chunk)));
      if (this.behaviour.delay > 0) await new Promise((resolve) => setTimeout(resolve, this.behaviour.delay));
      if (response.writableNeedDrain) await drained(response);
    }
    if (stallAfter !== undefined && stop < body.length) return;
    if (breakAfter !== undefined && stop < body.length) {
      // Let what was written leave first.
      setTimeout(() => response.destroy(), 20);
      return;
    }
    response.end();
  }
}
