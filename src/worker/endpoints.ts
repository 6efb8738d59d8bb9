/** Endpoints over the message channels of browsers and Node. */
import { DeviceError } from '../errors.ts';
import type { Endpoint } from './protocol.ts';

function workerFailed(problem: string): DeviceError {
  return new DeviceError('lost', `the engine's worker ended: ${problem}; load the model again`, { problem });
}

/**
 * Browsers send no event when a worker closes itself or is killed. So the page names a lock, the worker acquires it for
 * its lifetime and confirms with the same message, and the page waits for the lock. Where there are no Web Locks (pages
 * without a secure context), the end of a worker is not noticed.
 */
interface LockMessage {
  readonly lock: string;
}

function isLockMessage(message: unknown): message is LockMessage {
  return typeof message === 'object' && message !== null && 'lock' in message;
}

function withLock({ lock }: LockMessage, held: () => unknown): void {
  globalThis.navigator?.locks?.request(lock, async () => held()).catch(() => undefined);
}

/** The page's end of a browser worker. */
export function workerEndpoint(worker: Worker): Endpoint {
  return {
    post: (message, transfer = []) => worker.postMessage(message, [...transfer]),
    listen: (message, failed) => {
      worker.onmessage = ({ data }: MessageEvent<unknown>) =>
        isLockMessage(data)
          ? withLock(data, () => failed?.(workerFailed('it closed itself or was killed')))
          : message(data);
      worker.onerror = (event) => {
        event.preventDefault();
        failed?.(
          workerFailed(
            event.message ||
              'its script could not be loaded or threw (is it served from this origin, and allowed by the content security policy?)',
          ),
        );
      };
      worker.onmessageerror = () => failed?.(workerFailed('a message could not be read'));
      if (globalThis.navigator?.locks)
        worker.postMessage({ lock: `octavo ${crypto.randomUUID()}` } satisfies LockMessage);
    },
    close: () => worker.terminate(),
  };
}

/** The engine's end inside a browser worker. */
export function scopeEndpoint(
  scope: Pick<DedicatedWorkerGlobalScope, 'postMessage' | 'close'> & { onmessage: unknown },
): Endpoint {
  return {
    post: (message, transfer = []) => scope.postMessage(message, [...transfer]),
    listen: (message) => {
      scope.onmessage = ({ data }: MessageEvent<unknown>) => {
        if (!isLockMessage(data)) return message(data);
        withLock(data, () => {
          scope.postMessage(data);
          return new Promise(() => undefined);
        });
      };
    },
    close: () => scope.close(),
  };
}

/**
 * One end of a MessageChannel, for an engine in the caller's own thread. In Node only pending calls keep the process
 * alive.
 */
export function portEndpoint(port: MessagePort): Endpoint {
  const node = port as MessagePort & { ref?: () => void; unref?: () => void };
  return {
    post: (message, transfer = []) => port.postMessage(message, [...transfer]),
    listen: (message) => {
      port.onmessage = (event: MessageEvent<unknown>) => message(event.data);
      node.unref?.();
    },
    hold: (pending) => (pending ? node.ref?.() : node.unref?.()),
    close: () => port.close(),
  };
}

/** The common interface of a Worker and `parentPort` in Node's `worker_threads`. */
interface NodePort {
  postMessage(message: unknown, transfer?: readonly never[]): void;
  on(event: 'message', listener: (message: unknown) => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'exit', listener: (code: number) => void): unknown;
  ref(): void;
  unref(): void;
}

/** Either end of a Node worker; `end` terminates it. */
export function nodeEndpoint(port: NodePort, end: () => void): Endpoint {
  let closed = false;
  return {
    post: (message, transfer = []) => port.postMessage(message, transfer as readonly never[]),
    listen: (message, failed) => {
      port.on('message', message);
      port.on('error', (error) => failed?.(workerFailed(error.message)));
      port.on('exit', (code) => {
        if (!closed) failed?.(workerFailed(`exit code ${code}`));
      });
    },
    hold: (pending) => (pending ? port.ref() : port.unref()),
    close: () => {
      closed = true;
      end();
    },
  };
}
