/**
 * A pool thread in a browser: a port in, on it one message of the engine, then WASM until the engine stops the pool. The memory does not pass through the
 * page, where the message would keep it until the page's heap is collected. A file of its own, so that `script-src 'self'` suffices.
 */
import type { PoolStart } from '../backend/pool.ts';
import { POOL_LOST } from '../backend/wasm/layouts.ts';

self.onmessage = ({ data: line }: MessageEvent<MessagePort>): void => {
  line.onmessageerror = () => self.postMessage({ failed: 'the shared memory could not be sent to it' });
  line.onmessage = ({ data }: MessageEvent<PoolStart>) => void run(data);
};

async function run({ module, memory, pool, thread }: PoolStart): Promise<void> {
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
}
