/**
 * The page's own `fetch` for the engine. A function cannot be sent to a worker, so the page answers calls on a separate
 * port: the head of the response is an event, its body a stream of items with the back-pressure of the protocol. Both
 * ends are downloaded only when an app gives such a function.
 */
import type { Call } from './api.ts';
import { Caller } from './caller.ts';
import { portEndpoint } from './endpoints.ts';
import { respond } from './responder.ts';

/** The part of a request that is sent. */
interface LentRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly credentials: RequestCredentials | undefined;
  readonly cache: RequestCache | undefined;
  readonly redirect: RequestRedirect | undefined;
}

/** A response without its body. */
interface ResponseHead {
  readonly status: number;
  readonly statusText: string;
  readonly headers: readonly (readonly [string, string])[];
}

interface FetchApi {
  readonly fetch: Call<LentRequest, void, ResponseHead, Uint8Array>;
}

/** Statuses whose responses have no body; for them `Response` refuses one. */
const WITHOUT_BODY: readonly number[] = [204, 205, 304];

/**
 * The page's end: answers requests on `port` with `own`, until the function that is returned ends them: an engine that is gone cancels none.
 */
export function lendFetch(own: typeof fetch, port: MessagePort): () => void {
  const cancel = respond<FetchApi>(portEndpoint(port), {
    fetch: async ({ url, headers, credentials, cache, redirect }, call) => {
      const response = await own(url, {
        headers: { ...headers },
        signal: call.signal,
        ...(credentials !== undefined && { credentials }),
        ...(cache !== undefined && { cache }),
        ...(redirect !== undefined && { redirect }),
      });
      call.event({ status: response.status, statusText: response.statusText, headers: [...response.headers] });
      const reader = response.body?.getReader();
      if (reader === undefined) return;
      const stop = (): void => void reader.cancel().catch(() => undefined);
      call.signal.addEventListener('abort', stop);
      try {
        for (;;) {
          const { done, value } = await reader.read();
          if (done) return;
          await call.item(value);
        }
      } finally {
        stop();
      }
    },
  });
  return () => {
    cancel(() => true);
    port.close();
  };
}

/**
 * The engine's end: a `fetch` whose requests the page makes. It takes the URLs, headers and options that `src/load`
 * uses.
 */
export function borrowFetch(port: MessagePort): typeof fetch {
  const caller = new Caller<FetchApi>(portEndpoint(port));
  return (input, init = {}) => {
    const { headers, credentials, cache, redirect, signal } = init;
    const request: LentRequest = {
      url: input instanceof Request ? input.url : String(input),
      headers: Object.fromEntries(new Headers(headers)),
      credentials,
      cache,
      redirect,
    };
    return new Promise<Response>((resolve, reject) => {
      const ended = new AbortController();
      const stop = (): void => ended.abort(signal?.reason);
      if (signal?.aborted) stop();
      signal?.addEventListener('abort', stop, { once: true });
      let body: ReadableStreamDefaultController<Uint8Array> | undefined;
      const waiting: Uint8Array[] = [];
      const { result, take } = caller.stream('fetch', request, {
        signal: ended.signal,
        onEvent: (head) => resolve(answer(head)),
        onItem: (bytes) => {
          waiting.push(bytes);
          more();
        },
      });
      /** Delivers one chunk when the reader waits for one, and lets the page send the next. */
      const more = (): void => {
        if (body === undefined || (body.desiredSize ?? 0) <= 0) return;
        const next = waiting.shift();
        if (next === undefined) return;
        body.enqueue(next);
        take();
      };
      const stream = new ReadableStream<Uint8Array>(
        {
          start: (controller) => void (body = controller),
          pull: more,
          cancel: (reason) => ended.abort(reason),
        },
        { highWaterMark: 1 },
      );
      const answer = ({ status, statusText, headers: fields }: ResponseHead): Response => {
        const init: ResponseInit = { status, statusText, headers: fields.map(([name, value]) => [name, value]) };
        // A redirect that was not followed has status 0, and nothing else is known of it.
        if (status < 200) return Response.error();
        return new Response(WITHOUT_BODY.includes(status) ? null : stream, init);
      };
      result
        .then(
          () => {
            for (const bytes of waiting.splice(0)) body?.enqueue(bytes);
            body?.close();
          },
          (error: unknown) => {
            reject(error);
            body?.error(error);
          },
        )
        .catch(() => undefined)
        .finally(() => signal?.removeEventListener('abort', stop));
    });
  };
}
