/**
 * Pool threads that the page starts for the engine's worker. Workers of a worker are unreliable in Firefox and cannot
 * be started from a script of another origin, so the engine asks the page over a separate port, and the page reports
 * the state of each thread.
 */
import type { PoolWorker, SpawnPoolWorker } from '../backend/pool.ts';
import { openPoolWorker, type MakePoolWorker } from './pool-browser.ts';

/** `line`: the engine's own port to the thread, which carries its `PoolStart`. */
type ToHost = { readonly thread: number; readonly line: MessagePort } | { readonly thread: number; readonly end: true };
type ToEngine =
  | { readonly thread: number; readonly ready: true }
  | { readonly thread: number; readonly failed: string }
  | { readonly thread: number; readonly ended: string | undefined };

/** How long threads may take to end after they were asked to, before they are terminated. */
const GRACE_MILLISECONDS = 1000;

const message = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/**
 * The page's end. `close` ends every thread; it waits for those that are ending, since Chromium does not free the
 * memory of terminated ones.
 */
export function hostPool(port: MessagePort, make: MakePoolWorker): { close(): Promise<void> } {
  const threads = new Map<number, PoolWorker>();
  const post = (sent: ToEngine): void => port.postMessage(sent);
  port.onmessage = ({ data }: MessageEvent<ToHost>): void => {
    const { thread } = data;
    if ('end' in data) {
      threads.get(thread)?.terminate();
      return;
    }
    let worker: PoolWorker;
    try {
      worker = openPoolWorker(thread, data.line, make);
    } catch (error) {
      post({ thread, failed: message(error) });
      return;
    }
    threads.set(thread, worker);
    worker.ready.then(
      () => post({ thread, ready: true }),
      (error: unknown) => post({ thread, failed: message(error) }),
    );
    void worker.ended.then((error) => {
      threads.delete(thread);
      post({ thread, ended: error?.message });
    });
  };
  return {
    close: async () => {
      const grace = new Promise((resolve) => setTimeout(resolve, GRACE_MILLISECONDS));
      await Promise.race([Promise.all([...threads.values()].map(({ ended }) => ended)), grace]);
      for (const worker of threads.values()) worker.terminate();
      port.close();
    },
  };
}

/** The engine's end. */
export function poolOver(port: MessagePort): SpawnPoolWorker {
  const waiting = new Map<number, (told: ToEngine) => void>();
  let next = 1;
  port.onmessage = ({ data }: MessageEvent<ToEngine>): void => waiting.get(data.thread)?.(data);
  return (start) => {
    const thread = next++;
    let end: (error: Error | undefined) => void = () => {};
    const ended = new Promise<Error | undefined>((resolve) => {
      end = (error) => {
        waiting.delete(thread);
        resolve(error);
      };
    });
    const ready = new Promise<void>((resolve, reject) => {
      waiting.set(thread, (told) => {
        if ('ready' in told) resolve();
        else if ('failed' in told) {
          const error = new Error(told.failed);
          reject(error);
          end(error);
        } else end(told.ended === undefined ? undefined : new Error(told.ended));
      });
    });
    const { port1, port2 } = new MessageChannel();
    try {
      port1.postMessage(start);
      port.postMessage({ thread, line: port2 } satisfies ToHost, [port2]);
    } catch (error) {
      waiting.get(thread)?.({ thread, failed: message(error) });
    }
    return {
      ready,
      ended,
      terminate: () => {
        port.postMessage({ thread, end: true } satisfies ToHost);
        end(undefined);
      },
    };
  };
}
