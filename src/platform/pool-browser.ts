/** Starts pool threads in a browser: module workers of the file beside this one (`pool.js`, made from pool-worker.ts). */
import type { PoolStart, PoolWorker } from '../backend/pool.ts';

export function spawnPoolWorker(start: PoolStart): PoolWorker {
  const worker = new Worker(new URL('./pool.js', import.meta.url), {
    type: 'module',
    name: `octavo pool ${start.thread}`,
  });
  let end: (error: Error | undefined) => void;
  const ended = new Promise<Error | undefined>((resolve) => {
    end = resolve;
  });
  const ready = new Promise<void>((resolve, reject) => {
    const fail = (problem: string): void => {
      const error = new Error(`pool thread ${start.thread}: ${problem}`);
      reject(error);
      end(error);
    };
    worker.onmessage = ({ data }: MessageEvent<'ready' | 'ended' | { failed: string }>): void => {
      if (data === 'ready') resolve();
      else if (data === 'ended') end(undefined);
      else fail(data.failed);
    };
    worker.onerror = (event): void => {
      event.preventDefault();
      fail(event.message || "its script (pool.js) could not be loaded; serve it beside Octavo's other scripts");
    };
    worker.onmessageerror = (): void => fail('the shared memory could not be sent to it');
  });
  worker.postMessage(start);
  return {
    ready,
    ended,
    terminate: () => {
      worker.terminate();
      end(undefined);
    },
  };
}
