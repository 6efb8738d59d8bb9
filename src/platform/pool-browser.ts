/** Starts pool threads in a browser: module workers of `pool.js` (made from src/entries/pool-worker.ts). */
import type { PoolStart, PoolWorker } from '../backend/pool.ts';

/**
 * A thread that has not started by then never will: Firefox loses about one in a hundred of the workers that a worker
 * starts.
 */
const START_MILLISECONDS = 10_000;

export type MakePoolWorker = (name: string) => Worker;

const beside: MakePoolWorker = (name) => new Worker(new URL('./pool.js', import.meta.url), { type: 'module', name });

/** Starts a thread in the caller's own scope. */
export function spawnPoolWorker(start: PoolStart, make: MakePoolWorker = beside): PoolWorker {
  const { port1, port2 } = new MessageChannel();
  port1.postMessage(start);
  return openPoolWorker(start.thread, port2, make);
}

/** Starts a thread whose `PoolStart` comes on `line`, which moves to it. */
export function openPoolWorker(thread: number, line: MessagePort, make: MakePoolWorker): PoolWorker {
  const worker = make(`octavo pool ${thread}`);
  let end: (error: Error | undefined) => void;
  const ended = new Promise<Error | undefined>((resolve) => {
    end = resolve;
  });
  const ready = new Promise<void>((resolve, reject) => {
    const fail = (problem: string): void => {
      clearTimeout(late);
      const error = new Error(`pool thread ${thread}: ${problem}`);
      reject(error);
      end(error);
    };
    const late = setTimeout(() => fail(`it did not start within ${START_MILLISECONDS / 1000} s`), START_MILLISECONDS);
    worker.onmessage = ({ data }: MessageEvent<'ready' | 'ended' | { failed: string }>): void => {
      if (data === 'ready') {
        clearTimeout(late);
        resolve();
      } else if (data === 'ended') end(undefined);
      else fail(data.failed);
    };
    worker.onerror = (event): void => {
      event.preventDefault();
      fail(event.message || "its script (pool.js) could not be loaded; serve it beside Octavo's other scripts");
    };
  });
  worker.postMessage(line, [line]);
  return {
    ready,
    ended,
    terminate: () => {
      worker.terminate();
      end(undefined);
    },
  };
}
