/** The engine's end: runs calls, counts the credits of streams, and turns cancel messages into signals. */
import { InputError } from '../errors.ts';
import { packError, type Endpoint, type ToEngine, type ToPage } from './protocol.ts';

export interface CallContext {
  /** Aborted by the page's cancel message, or when the page is gone. */
  readonly signal: AbortSignal;
  event(value: unknown): void;
  /** Sends one item of a stream: at once where the page has room for it, else when it has. */
  item(value: unknown): void | Promise<void>;
  /** Sends what counts only until there is something newer: where the page has no room, the newest of them when it has. */
  latest(value: unknown, transfer?: readonly Transferable[]): void;
  /** Parts of the result that go over without a copy. */
  transfer(...parts: readonly Transferable[]): void;
}

export type Handler = (params: never, context: CallContext) => unknown;

type Post = (message: ToPage, transfer?: readonly Transferable[]) => void;

class Running implements CallContext {
  readonly #controller = new AbortController();
  readonly signal = this.#controller.signal;
  readonly transferred: Transferable[] = [];
  readonly #post: Post;
  readonly #id: number;
  #credits: number;
  #waiting: (() => void) | undefined;
  #latest: { readonly value: unknown; readonly transfer: readonly Transferable[] } | undefined;

  constructor(id: number, credits: number, post: Post) {
    this.#id = id;
    this.#credits = credits;
    this.#post = post;
  }

  event(value: unknown): void {
    this.#post({ kind: 'event', id: this.#id, value });
  }

  item(value: unknown): void | Promise<void> {
    this.signal.throwIfAborted();
    return this.#credits > 0 ? this.#send(value) : this.#sendLater(value);
  }

  latest(value: unknown, transfer: readonly Transferable[] = []): void {
    if (this.#credits > 0) this.#send(value, transfer);
    else this.#latest = { value, transfer };
  }

  transfer(...parts: readonly Transferable[]): void {
    this.transferred.push(...parts);
  }

  grant(count: number): void {
    this.#credits += count;
    const latest = this.#latest;
    this.#latest = undefined;
    if (latest !== undefined) this.#send(latest.value, latest.transfer);
    this.#wake();
  }

  async #sendLater(value: unknown): Promise<void> {
    while (this.#credits === 0 && !this.signal.aborted) await new Promise<void>((resolve) => (this.#waiting = resolve));
    this.signal.throwIfAborted();
    this.#send(value);
  }

  #send(value: unknown, transfer?: readonly Transferable[]): void {
    this.#credits--;
    this.#post({ kind: 'item', id: this.#id, value }, transfer);
  }

  cancel(): void {
    this.#controller.abort();
    this.#wake();
  }

  #wake(): void {
    this.#waiting?.();
    this.#waiting = undefined;
  }
}

/** Answers calls on `endpoint` until it closes; returns a function that cancels everything that runs. */
export function respond(endpoint: Endpoint, handlers: Readonly<Record<string, Handler>>): () => void {
  const running = new Map<number, Running>();
  const post: Post = (message, transfer) => endpoint.post(message, transfer);
  const cancelAll = (): void => running.forEach((call) => call.cancel());

  const start = async ({ id, method, params, credits }: Extract<ToEngine, { kind: 'call' }>): Promise<void> => {
    const call = new Running(id, credits, post);
    running.set(id, call);
    try {
      const handler = Object.hasOwn(handlers, method) ? handlers[method] : undefined;
      if (handler === undefined)
        throw new InputError(
          'argument',
          `the engine knows no method '${method}'; page and worker are of different versions`,
        );
      const value = await handler(params as never, call);
      post({ kind: 'result', id, value }, call.transferred);
    } catch (error) {
      post({ kind: 'error', id, error: packError(error) });
    } finally {
      running.delete(id);
    }
  };

  endpoint.listen((raw) => {
    const message = raw as ToEngine;
    switch (message.kind) {
      case 'call':
        return void start(message);
      case 'cancel':
        return running.get(message.id)?.cancel();
      case 'credit':
        return running.get(message.id)?.grant(message.count);
      default:
        message satisfies never;
    }
  }, cancelAll);
  return cancelAll;
}
