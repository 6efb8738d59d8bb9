/**
 * Messages between the page and the engine. A call has an id; the page may cancel it or grant it credits, the engine sends events
 * (unlimited), items (one credit each, some given with the call: the back-pressure of streams) and at last a result or an error. Signals, iterators and
 * streams cannot be cloned, and not every browser can transfer them: they are rebuilt from these messages on the other side.
 */
import {
  DeviceError,
  FileError,
  InputError,
  ModelError,
  OctavoError,
  StorageError,
  type ErrorFacts,
} from '../errors.ts';

/** What a MessagePort, a Worker and Node's parentPort have in common, seen from one end. */
export interface Endpoint {
  post(message: unknown, transfer?: readonly Transferable[]): void;
  /** `message` is called with each message of the other end, `failed` when the other end is gone. */
  listen(message: (message: unknown) => void, failed?: (error: Error) => void): void;
  /** Keeps Node's event loop alive while calls are pending, and only then. */
  hold?(pending: boolean): void;
  close(): void;
}

export type ToEngine =
  | {
      readonly kind: 'call';
      readonly id: number;
      readonly method: string;
      readonly params: unknown;
      readonly credits: number;
    }
  | { readonly kind: 'cancel'; readonly id: number }
  | { readonly kind: 'credit'; readonly id: number; readonly count: number };

export type ToPage =
  | { readonly kind: 'event'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'item'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'result'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'error'; readonly id: number; readonly error: WireError };

/** Items a stream may send before the page has taken one. */
export const CREDITS = 16;

/** An error as plain data: its class by name, code and facts for ours. */
export interface WireError {
  readonly name: string;
  readonly message: string;
  readonly code?: string;
  readonly facts?: ErrorFacts;
  readonly stack?: string;
  readonly cause?: WireError;
}

/** Causes of causes beyond this are dropped. */
const MAX_CAUSES = 4;

export function packError(error: unknown, depth = 0): WireError {
  // A DOMException of another realm is no `Error` of this one.
  if (typeof error !== 'object' || error === null || !('message' in error))
    return { name: 'Error', message: String(error) };
  const { name, message, stack, cause } = error as Error;
  return {
    name,
    message,
    ...(stack === undefined ? {} : { stack }),
    ...(error instanceof OctavoError ? { code: error.code, facts: error.facts } : {}),
    ...(cause === undefined || depth === MAX_CAUSES ? {} : { cause: packError(cause, depth + 1) }),
  };
}

const CLASSES: ReadonlyMap<string, { readonly prototype: OctavoError }> = new Map(
  Object.entries({ OctavoError, FileError, ModelError, InputError, DeviceError, StorageError }),
);

/** Restores an error with its class, code, facts and the stack of the other side. */
export function unpackError(wire: WireError): Error {
  const options = wire.cause === undefined ? {} : { cause: unpackError(wire.cause) };
  const kind = wire.code === undefined ? undefined : CLASSES.get(wire.name);
  let error: Error;
  if (kind !== undefined && wire.code !== undefined) {
    // The message exists already, so the constructors of the subclasses, which build it from facts, are not used.
    error = new OctavoError(wire.code, wire.message, wire.facts, options);
    Object.setPrototypeOf(error, kind.prototype);
  } else if (typeof DOMException === 'function' && (wire.name === 'AbortError' || wire.name === 'TimeoutError')) {
    error = new DOMException(wire.message, wire.name);
  } else {
    error = new Error(wire.message, options);
  }
  try {
    Object.defineProperty(error, 'name', { value: wire.name, configurable: true, writable: true });
    if (wire.stack !== undefined)
      Object.defineProperty(error, 'stack', { value: wire.stack, configurable: true, writable: true });
  } catch {
    // A DOMException's own fields stay as they are.
  }
  return error;
}
