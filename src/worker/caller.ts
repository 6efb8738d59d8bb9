/** The page's end: calls, streams and their cancellation over an endpoint. */
import { DeviceError, InputError } from '../errors.ts';
import type { Call, Calls, EngineApi } from './api.ts';
import { CREDITS, unpackError, type Endpoint, type ToEngine, type ToPage } from './protocol.ts';

export interface CallOptions<Made extends Call = Call> {
  readonly signal?: AbortSignal | undefined;
  /**
   * When this callback throws, or its promise rejects, the call is cancelled and rejects with that error. The same
   * holds for `onItem`.
   */
  readonly onEvent?: ((value: Made['event']) => unknown) | undefined;
  /**
   * Called with the result of a call that was aborted after it was sent but that the engine completed nevertheless. It
   * frees what the call created.
   */
  readonly onLate?: ((value: Made['result']) => void) | undefined;
  /** Transferred to the engine without a copy. Read when the call is sent. */
  readonly transfer?: readonly Transferable[];
  /** Does not keep Node's event loop alive. */
  readonly background?: boolean;
}

export interface StreamOptions<Made extends Call = Call> extends CallOptions<Made> {
  readonly onItem: (value: Made['item']) => unknown;
  readonly credits?: number;
}

/** A running stream. `take` says that an item was used, so that the engine may send another. */
export interface Started<Result> {
  readonly result: Promise<Result>;
  take(): void;
}

interface Pending {
  readonly background: boolean;
  event?(value: unknown): unknown;
  item?(value: unknown): unknown;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

export class Caller<Api extends Calls<Api> = EngineApi> {
  readonly #endpoint: Endpoint;
  readonly #pending = new Map<number, Pending>();
  /** Calls that were aborted and not answered yet, with the callbacks that take their results. */
  readonly #late = new Map<number, (value: unknown) => void>();
  readonly #ends: (() => void)[] = [];
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

  /** `params` may be a promise: the call is sent when it resolves, and can be aborted before that. */
  call<Method extends keyof Api & string>(
    method: Method,
    params: Api[Method]['params'] | Promise<Api[Method]['params']>,
    options: CallOptions<Api[Method]> = {},
  ): Promise<Api[Method]['result']> {
    return this.#start(method, params, options).result;
  }

  /** A call whose items arrive one by one; the engine waits when `credits` of them have not been taken. */
  stream<Method extends keyof Api & string>(
    method: Method,
    params: Api[Method]['params'] | Promise<Api[Method]['params']>,
    options: StreamOptions<Api[Method]>,
  ): Started<Api[Method]['result']> {
    const { id, result } = this.#start(method, params, { credits: CREDITS, ...options });
    return { result, take: () => this.#post({ kind: 'credit', id, count: 1 }) };
  }

  /** Calls `end` when the engine is gone, at once where it is. */
  atEnd(end: () => void): void {
    if (this.#failed === undefined) this.#ends.push(end);
    else end();
  }

  /** Rejects everything pending and all later calls. */
  fail(error: Error): void {
    this.#failed ??= error;
    for (const pending of [...this.#pending.values()]) pending.reject(this.#failed);
    this.#late.clear();
    for (const end of this.#ends.splice(0)) end();
  }

  close(reason: Error = new DeviceError('lost', 'the engine was shut down; load the model again')): void {
    this.fail(reason);
    this.#endpoint.close();
  }

  #start<Made extends Call>(
    method: string,
    params: unknown,
    options: CallOptions<Made> & Partial<StreamOptions<Made>>,
  ): { readonly id: number; readonly result: Promise<Made['result']> } {
    const { signal, onEvent, onItem, onLate, transfer, background = false, credits = 0 } = options;
    const id = this.#next++;
    const result = new Promise<Made['result']>((resolve, reject) => {
      const ready = params instanceof Promise ? params : undefined;
      // A call that is refused must not leave an unhandled rejection of its parameters.
      ready?.catch(() => undefined);
      if (signal?.aborted) return reject(signal.reason as Error);
      if (this.#failed !== undefined) return reject(this.#failed);
      let sent = false;
      // The call rejects at once with the signal's own reason; the engine ends its work at the next step.
      const abort = (): void => {
        if (sent && onLate !== undefined) this.#late.set(id, onLate);
        this.#post({ kind: 'cancel', id });
        settle(() => reject(signal?.reason as Error));
      };
      const settle = (how: () => void): void => {
        signal?.removeEventListener('abort', abort);
        this.#pending.delete(id);
        this.#hold();
        how();
      };
      const fail = (error: unknown): void => settle(() => reject(error));
      this.#pending.set(id, {
        background,
        ...(onEvent && { event: onEvent }),
        ...(onItem && { item: onItem }),
        resolve: (value: Made['result']) => settle(() => resolve(value)),
        reject: fail,
      });
      signal?.addEventListener('abort', abort, { once: true });
      this.#hold();
      const send = (given: unknown): void => {
        if (!this.#pending.has(id)) return;
        try {
          this.#post({ kind: 'call', id, method, params: given, credits }, transfer);
          sent = true;
        } catch (error) {
          fail(
            error instanceof DOMException && error.name === 'DataCloneError' ? notPlain(method, given, error) : error,
          );
        }
      };
      if (ready === undefined) send(params);
      else ready.then(send, fail);
    });
    return { id, result };
  }

  #receive(message: ToPage): void {
    const { id } = message;
    const pending = this.#pending.get(id);
    switch (message.kind) {
      case 'event':
        return this.#tell(id, pending, () => pending?.event?.(message.value));
      case 'item':
        return this.#tell(id, pending, () => pending?.item?.(message.value));
      case 'result':
        pending?.resolve(message.value);
        this.#late.get(id)?.(message.value);
        break;
      case 'error':
        pending?.reject(unpackError(message.error));
        break;
      default:
        message satisfies never;
    }
    this.#late.delete(id);
  }

  /** Runs the user's code. When it fails, the call ends with its error. */
  #tell(id: number, pending: Pending | undefined, tell: () => unknown): void {
    (async () => tell())().catch((error: unknown) => {
      if (this.#pending.get(id) !== pending) return;
      this.#post({ kind: 'cancel', id });
      pending?.reject(error);
    });
  }

  #hold(): void {
    this.#endpoint.hold?.([...this.#pending.values()].some((pending) => !pending.background));
  }

  #post(message: ToEngine, transfer?: readonly Transferable[]): void {
    if (this.#failed === undefined) this.#endpoint.post(message, transfer);
  }
}

/** How deep nested objects are searched for values that cannot be cloned. */
const MOST_DEPTH = 6;

function notPlain(method: string, params: unknown, cause: unknown): InputError {
  const name = functionWithin(params, MOST_DEPTH) ?? 'an option';
  return new InputError(
    'argument',
    `${method}: ${name} cannot be sent to the engine; give plain data, without functions`,
    { name },
    { cause },
  );
}

/** Returns the path of the first function. */
function functionWithin(value: unknown, depth: number): string | undefined {
  if (typeof value !== 'object' || value === null || depth === 0) return undefined;
  for (const [key, member] of Object.entries(value)) {
    if (typeof member === 'function') return key;
    const inner = functionWithin(member, depth - 1);
    if (inner !== undefined) return `${key}.${inner}`;
  }
  return undefined;
}
