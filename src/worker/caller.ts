/** The page's end: calls, streams and their cancellation over an endpoint. */
import { DeviceError } from '../errors.ts';
import { CREDITS, unpackError, type Endpoint, type ToEngine, type ToPage } from './protocol.ts';

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: ((value: unknown) => void) | undefined;
  /** Goes over without a copy; read when the call is sent. */
  readonly transfer?: readonly Transferable[];
  /** Does not keep Node's event loop alive. */
  readonly background?: boolean;
}

export interface StreamOptions extends CallOptions {
  readonly onItem: (value: unknown) => void;
  readonly credits?: number;
}

interface Pending {
  readonly background: boolean;
  readonly event: ((value: unknown) => void) | undefined;
  readonly item: ((value: unknown) => void) | undefined;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

export class Caller {
  readonly #endpoint: Endpoint;
  readonly #pending = new Map<number, Pending>();
  #next = 1;
  #failed: Error | undefined;

  constructor(endpoint: Endpoint) {
    this.#endpoint = endpoint;
    endpoint.listen(
      (message) => this.#receive(message as ToPage),
      (error) => this.fail(error),
    );
    this.#hold();
  }

  /** `params`, or a promise of them: the call is sent when they are there, and an abort before that is heard. */
  call(method: string, params: unknown, options: CallOptions = {}): Promise<unknown> {
    return this.#start(method, params, options).result;
  }

  /** A call whose items arrive one by one; the engine waits when `credits` of them have not been taken. `take` says that one was. */
  stream(method: string, params: unknown, options: StreamOptions): { result: Promise<unknown>; take: () => void } {
    const { id, result } = this.#start(method, params, options, { credits: CREDITS, ...options });
    return { result, take: () => this.#post({ kind: 'credit', id, count: 1 }) };
  }

  /** Rejects everything pending and whatever is called later. */
  fail(error: Error): void {
    this.#failed ??= error;
    for (const [id, pending] of this.#pending) {
      this.#pending.delete(id);
      pending.reject(this.#failed);
    }
    this.#hold();
  }

  close(reason: Error = new DeviceError('lost', 'the engine was shut down; load the model again')): void {
    this.fail(reason);
    this.#endpoint.close();
  }

  #start(
    method: string,
    params: unknown,
    { signal, onEvent, transfer, background = false }: CallOptions,
    stream?: Required<Pick<StreamOptions, 'onItem' | 'credits'>>,
  ): { id: number; result: Promise<unknown> } {
    const id = this.#next++;
    const result = new Promise<unknown>((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason as Error);
      if (this.#failed !== undefined) return reject(this.#failed);
      // The caller hears of its abort at once and by its own reason; the engine ends the call at its next step.
      const abort = (): void => {
        this.#post({ kind: 'cancel', id });
        settle(() => reject(signal?.reason as Error));
      };
      const settle = (how: () => void): void => {
        signal?.removeEventListener('abort', abort);
        this.#pending.delete(id);
        this.#hold();
        how();
      };
      this.#pending.set(id, {
        background,
        event: onEvent,
        item: stream?.onItem,
        resolve: (value) => settle(() => resolve(value)),
        reject: (error) => settle(() => reject(error)),
      });
      signal?.addEventListener('abort', abort, { once: true });
      this.#hold();
      const send = (ready: unknown): void => {
        if (!this.#pending.has(id)) return;
        try {
          this.#post({ kind: 'call', id, method, params: ready, credits: stream?.credits ?? 0 }, transfer);
        } catch (error) {
          settle(() => reject(error));
        }
      };
      if (params instanceof Promise) params.then(send, (error: unknown) => settle(() => reject(error)));
      else send(params);
    });
    return { id, result };
  }

  #receive(message: ToPage): void {
    const pending = this.#pending.get(message.id);
    if (pending === undefined) return;
    switch (message.kind) {
      case 'event':
        return pending.event?.(message.value);
      case 'item':
        return pending.item?.(message.value);
      case 'result':
        return pending.resolve(message.value);
      case 'error':
        return pending.reject(unpackError(message.error));
      default:
        message satisfies never;
    }
  }

  #hold(): void {
    this.#endpoint.hold?.([...this.#pending.values()].some((pending) => !pending.background));
  }

  #post(message: ToEngine, transfer?: readonly Transferable[]): void {
    if (this.#failed === undefined) this.#endpoint.post(message, transfer);
  }
}
