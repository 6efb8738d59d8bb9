/**
 * Messages between the page and the engine. A call has an id. The page may cancel it or grant it credits. The engine
 * sends events (unlimited), items (one credit each, some granted with the call, which gives streams back-pressure) and
 * finally a result or an error. Signals, iterators and streams cannot be cloned, and not every browser can transfer
 * them, so the other side rebuilds them from these messages.
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

/** The common interface of a MessagePort, a Worker and Node's parentPort, seen from one end. */
export interface Endpoint {
  post(message: unknown, transfer?: readonly Transferable[]): void;
  /** `message` is called with each message from the other end, `failed` when the other end is gone. */
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

/** Items that a stream may send before the page has taken one. */
export const CREDITS = 16;

/** An error as plain data: its class by name, and code and facts for our own classes. */
export interface WireError {
  readonly name: string;
  readonly message: string;
  readonly code?: string;
  readonly facts?: ErrorFacts;
  readonly stack?: string;
  readonly cause?: WireError;
}

/** Causes nested deeper than this are dropped. */
const MAX_CAUSES = 4;

export function packError(error: unknown, depth = 0): WireError {
  // A DOMException of another realm is not an instance of this realm's `Error`.
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
    // The message is already complete, so the constructors of the subclasses, which compose it from facts, are not
    // used.
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
    // The fields of a DOMException are not overwritten.
  }
  return error;
}
