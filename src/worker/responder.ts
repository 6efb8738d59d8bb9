/** The engine's end: runs calls, counts the credits of streams, and turns cancel messages into signals. */
import { InputError } from '../errors.ts';
import type { Calls } from './api.ts';
import { packError, type Endpoint, type ToEngine, type ToPage } from './protocol.ts';

export interface CallContext<Event = unknown, Item = unknown> {
  /** Aborted by the page's cancel message, or when the page is gone. */
  readonly signal: AbortSignal;
  event(value: Event): void;
  /** Sends one item of a stream: at once if the page can take it, otherwise as soon as it can. */
  item(value: Item): void | Promise<void>;
  /**
   * Sends an item that a newer one may replace: when the page cannot take it, only the newest waits and the others are
   * dropped.
   */
  latest(value: Item, transfer?: readonly Transferable[]): void;
  /** Parts of the result that are transferred to the page without a copy. */
  transfer(...parts: readonly Transferable[]): void;
}

/** The handlers of the calls of an API. */
export type Handlers<Api extends Calls<Api>> = {
  readonly [Method in keyof Api]: (
    params: Api[Method]['params'],
    context: CallContext<Api[Method]['event'], Api[Method]['item']>,
  ) => Api[Method]['result'] | Promise<Api[Method]['result']>;
};

type CallMessage = Extract<ToEngine, { kind: 'call' }>;
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
  readonly params: unknown;

  constructor({ id, params, credits }: CallMessage, post: Post) {
    this.params = params;
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

/**
 * Answers calls on `endpoint` until it closes. Returns a function that cancels the running calls whose parameters
 * `which` selects. The messages are untyped, but they have the types of `Api`, since `Caller` uses the same type.
 */
export function respond<Api extends Calls<Api>>(
  endpoint: Endpoint,
  handlers: Handlers<Api>,
): (which: (params: Api[keyof Api]['params']) => boolean) => void {
  const running = new Map<number, Running>();
  const post: Post = (message, transfer) => endpoint.post(message, transfer);
  const cancel = (which: (params: Api[keyof Api]['params']) => boolean): void => {
    for (const call of running.values()) if (which(call.params)) call.cancel();
  };

  const start = async (message: CallMessage): Promise<void> => {
    const { id, method, params } = message;
    const call = new Running(message, post);
    running.set(id, call);
    try {
      const handler = Object.hasOwn(handlers, method) ? handlers[method as keyof Api] : undefined;
      if (handler === undefined)
        throw new InputError(
          'argument',
          `the engine knows no method '${method}'; page and worker are of different versions`,
        );
      const value = await handler(params, call);
      post({ kind: 'result', id, value }, call.transferred);
    } catch (error) {
      post({ kind: 'error', id, error: packError(error) });
    } finally {
      running.delete(id);
    }
  };

  endpoint.listen(
    (raw) => {
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
    },
    () => cancel(() => true),
  );
  return cancel;
}
