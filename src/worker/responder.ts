/** The engine's end: runs calls, counts the credits of streams, and turns cancel messages into signals. */
import { InputError } from '../errors.ts';
import { packError, type Endpoint, type ToEngine, type ToPage } from './protocol.ts';

export interface CallContext {
  /** Aborted by the page's cancel message, or when the page is gone. */
  readonly signal: AbortSignal;
  event(value: unknown): void;
  /** Sends one item of a stream; resolves when the page has room for another. */
  item(value: unknown): Promise<void>;
}

export type Handler = (params: never, context: CallContext) => unknown;

class Running implements CallContext {
  readonly #controller = new AbortController();
  readonly signal = this.#controller.signal;
  readonly #post: (message: ToPage) => void;
  readonly #id: number;
  #credits = 0;
  #waiting: (() => void) | undefined;

  constructor(id: number, post: (message: ToPage) => void) {
    this.#id = id;
    this.#post = post;
  }

  event(value: unknown): void {
    this.#post({ kind: 'event', id: this.#id, value });
  }

  async item(value: unknown): Promise<void> {
    while (this.#credits === 0 && !this.signal.aborted) await new Promise<void>((resolve) => (this.#waiting = resolve));
    this.signal.throwIfAborted();
    this.#credits--;
    this.#post({ kind: 'item', id: this.#id, value });
  }

  grant(count: number): void {
    this.#credits += count;
    this.#wake();
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
  const post = (message: ToPage): void => endpoint.post(message);
  const cancelAll = (): void => running.forEach((call) => call.cancel());

  const start = async (id: number, method: string, params: unknown): Promise<void> => {
    const call = new Running(id, post);
    running.set(id, call);
    try {
      const handler = Object.hasOwn(handlers, method) ? handlers[method] : undefined;
      if (handler === undefined) throw new InputError('argument', `the engine knows no method '${method}'; page and worker are of different versions`);
      post({ kind: 'result', id, value: await handler(params as never, call) });
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
        return void start(message.id, message.method, message.params);
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
