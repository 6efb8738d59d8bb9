/**
 * A `fetch` handler behind Node's HTTP server. Pages of other origins are refused unless their origin is named, with or without CORS in mind: a page could
 * otherwise use this machine's model by a plain form. Without a token, requests must name this machine (`Host`), or a page whose name was pointed at
 * this machine (DNS rebinding) would be of the same origin.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { isIP, type AddressInfo } from 'node:net';
import { Readable } from 'node:stream';

export interface HttpOptions {
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** What `Authorization: Bearer` must say. */
  readonly token?: string | undefined;
  /** Origins whose pages may ask; '*' allows all. */
  readonly origins: readonly string[];
}

export interface HttpServer {
  readonly url: string;
  /** Ends connections and what is answered on them. */
  close(): Promise<void>;
}

type Handler = (request: Request) => Promise<Response>;

const MOST_CONNECTIONS = 256;
/** Names of this machine that no other can take. */
const LOOPBACK: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '::1']);

export const isLoopback = (host: string): boolean => LOOPBACK.has(host);

/** Rejects with the system's error where the port is taken. */
export async function startServer(handler: Handler, options: HttpOptions): Promise<HttpServer> {
  const server = createServer((incoming, outgoing) => {
    answer(handler, options, incoming, outgoing).catch(() => outgoing.destroy());
  });
  server.maxConnections = MOST_CONNECTIONS;
  server.listen(options.port, options.host);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const host = isIP(options.host) === 6 ? `[${options.host}]` : options.host;
  return {
    url: `http://${host}:${port}`,
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function answer(
  handler: Handler,
  options: HttpOptions,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  const aborted = new AbortController();
  const { signal } = aborted;
  outgoing.on('close', () => aborted.abort(new DOMException('the client has closed the connection', 'AbortError')));
  const cors = corsHeaders(options, incoming);
  const response = refused(options, incoming) ?? preflight(incoming) ?? (await handler(requestOf(incoming, signal)));
  outgoing.writeHead(response.status, { ...Object.fromEntries(response.headers), ...cors });
  for await (const chunk of response.body ?? []) if (!outgoing.write(chunk)) await once(outgoing, 'drain', { signal });
  outgoing.end();
}

function requestOf(incoming: IncomingMessage, signal: AbortSignal): Request {
  const { method = 'GET', url = '/' } = incoming;
  const headers = Object.entries(incoming.headers).flatMap(([name, value]): [string, string][] =>
    typeof value === 'string' ? [[name, value]] : [],
  );
  const plain = method === 'GET' || method === 'HEAD';
  // Only the path counts; the host was checked.
  return new Request(new URL(url.replace(/^\/*/, '/'), 'http://localhost'), {
    method,
    headers,
    signal,
    ...(plain ? {} : { body: Readable.toWeb(incoming) as ReadableStream<Uint8Array<ArrayBuffer>>, duplex: 'half' }),
  });
}

function problem(status: number, code: string, message: string): Response {
  const error = { message, type: 'invalid_request_error', param: null, code };
  return Response.json({ error }, { status, headers: status === 401 ? { 'www-authenticate': 'Bearer' } : {} });
}

/** What may not ask at all. */
function refused({ token, origins }: HttpOptions, { headers, method }: IncomingMessage): Response | undefined {
  const { origin, host = '', authorization = '' } = headers;
  if (origin !== undefined && !allows(origins, origin))
    return problem(
      403,
      'origin_not_allowed',
      `Pages of ${origin.slice(0, 200)} may not ask here; start with --cors ${origin.slice(0, 200)}`,
    );
  if (token === undefined)
    return LOOPBACK.has(host.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1'))
      ? undefined
      : problem(
          403,
          'host_not_allowed',
          `'${host.slice(0, 200)}' is not a name of this machine; use localhost, or start with --token`,
        );
  if (method === 'OPTIONS' || sameText(authorization, `Bearer ${token}`)) return undefined;
  return problem(401, 'invalid_api_key', 'The token is missing or wrong: send it as the API key');
}

const allows = (origins: readonly string[], origin: string): boolean =>
  origins.includes('*') || origins.includes(origin);

/** In a time that does not depend on where they differ. */
function sameText(a: string, b: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}

function preflight({ method }: IncomingMessage): Response | undefined {
  return method === 'OPTIONS' ? new Response(null, { status: 204 }) : undefined;
}

const PREFLIGHT_SECONDS = '600';

function corsHeaders({ origins }: HttpOptions, { headers, method }: IncomingMessage): Record<string, string> {
  const { origin } = headers;
  if (origin === undefined || !allows(origins, origin)) return {};
  const asked = headers['access-control-request-headers'];
  return {
    'access-control-allow-origin': origin,
    vary: 'origin',
    ...(method === 'OPTIONS' && {
      'access-control-allow-methods': 'GET, POST',
      'access-control-allow-headers': asked ?? 'authorization, content-type',
      'access-control-max-age': PREFLIGHT_SECONDS,
    }),
  };
}
