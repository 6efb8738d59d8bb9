/** A pool thread in a browser: one message in, then WASM until the engine stops the pool. A file of its own, so that `script-src 'self'` suffices. */
import type { PoolStart } from '../backend/pool.ts';
import { POOL_LOST } from '../backend/wasm/layouts.ts';

self.onmessage = async ({ data }: MessageEvent<PoolStart>): Promise<void> => {
  const { module, memory, pool, thread } = data;
  try {
    const { exports } = await WebAssembly.instantiate(module, { env: { memory } });
    self.postMessage('ready');
    (exports['workerLoop'] as (pool: number, thread: number) => void)(pool, thread);
    self.postMessage('ended');
    self.close();
  } catch (error) {
    Atomics.store(new Int32Array(memory.buffer), (pool + POOL_LOST) >>> 2, 1);
    self.postMessage({ failed: String(error) });
    self.close();
  }
};
