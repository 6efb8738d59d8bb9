/**
 * `octavo/openai`: loaded models behind a `fetch` that answers as OpenAI's HTTP API does, for the `openai` package in the same page, for service
 * workers, and for `octavo serve`. Nothing is sent anywhere: requests are answered on this device.
 */
import type { SessionOptions } from '../face/session.ts';
import { chat } from './chat.ts';
import { completions } from './completions.ts';
import { embeddings } from './embeddings.ts';
import { readBody, type Fields } from './fields.ts';
import type { RemoteImages } from './messages.ts';
import { pictures } from './pictures.ts';
import { problemResponse, refusal } from './problem.ts';
import { Models, type ModelSource, type Served } from './served.ts';

export type { RemoteImages } from './messages.ts';
export type { ModelSource, ServedModel } from './served.ts';

/** Limits of `createFetch`. */
export interface FetchOptions {
  /** Bytes of a request's body at most (default 32 MiB): pictures come in it. */
  readonly maxBody?: number | undefined;
  /** Requests to a model that are answered or wait at most (default 64); others are refused with 429. */
  readonly maxWaiting?: number | undefined;
  /** How the contexts of chats are kept, as in `createSession`: a preset, or its options. */
  readonly context?: SessionOptions['context'];
  /** Whether pictures may be fetched from addresses that a request names, all or those for which the function returns true. Default: none. */
  readonly remoteImages?: RemoteImages | undefined;
}

const MAX_BODY = 1 << 25;
const MAX_WAITING = 64;

type Settings = { readonly remoteImages: RemoteImages; readonly context: SessionOptions['context'] };
type Handler = (fields: Fields, served: Served, signal: AbortSignal, settings: Settings) => Promise<Response>;

const ROUTES: ReadonlyMap<string, Handler> = new Map<string, Handler>([
  ['chat/completions', chat],
  ['completions', completions],
  ['embeddings', embeddings],
  ['images/generations', pictures],
]);

function isSource(models: ModelSource | Readonly<Record<string, ModelSource>>): models is ModelSource {
  return typeof models === 'function' || ('createSession' in models && typeof models.createSession === 'function');
}

/**
 * A `fetch` that answers requests to `/v1/chat/completions`, `/v1/completions`, `/v1/embeddings`, `/v1/images/generations` and `/v1/models`, whatever
 * their host. `models`: one that answers to every name, or several by name; a function loads its model with the first request. Requests to a model are
 * answered one after the other. A request that is aborted, or whose response is cancelled, ends its answer.
 */
export function createFetch(
  models: ModelSource | Readonly<Record<string, ModelSource>>,
  options: FetchOptions = {},
): (input: RequestInfo | URL, init?: RequestInit) => Promise<Response> {
  const { maxBody = MAX_BODY, maxWaiting = MAX_WAITING, remoteImages = false, context } = options;
  const sources = isSource(models) ? { [typeof models === 'function' ? 'octavo' : models.name]: models } : models;
  const served = new Models(sources, maxWaiting);
  return async (input, init) => {
    const request = new Request(input, init);
    const signal = init?.signal ?? request.signal;
    signal.throwIfAborted();
    try {
      return await answer(request, served, signal, { maxBody, remoteImages, context });
    } catch (error) {
      signal.throwIfAborted();
      return problemResponse(error);
    }
  };
}

async function answer(
  request: Request,
  models: Models,
  signal: AbortSignal,
  { maxBody, ...settings }: Settings & { readonly maxBody: number },
): Promise<Response> {
  const { pathname } = new URL(request.url);
  const path = pathname.replace(/^.*\/v1\//, '').replace(/^\/|\/$/g, '');
  const [, name] = /^models(?:\/(.+))?$/.exec(path) ?? [undefined, undefined];
  const handler = ROUTES.get(path);
  const isList = path === 'models' || name !== undefined;
  if (!isList && handler === undefined)
    throw refusal(404, `Unknown request URL: ${request.method} ${pathname.slice(0, 200)}`, { code: 'unknown_url' });
  const method = isList ? 'GET' : 'POST';
  if (request.method !== method)
    throw refusal(405, `Not allowed: ${request.method} ${pathname.slice(0, 200)}; use ${method}`, {
      code: 'method_not_allowed',
    });
  if (handler === undefined) return Response.json(name === undefined ? models.list() : models.describe(decoded(name)));
  const fields = await readBody(request, maxBody);
  return handler(fields, models.get(fields.text('model')), signal, settings);
}

/** A name that is no valid encoding stands for itself, and is that of no model. */
function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}
