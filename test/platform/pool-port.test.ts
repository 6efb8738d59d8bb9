/** Pool threads that the page starts: what passes through the page, and what does not. */
import { expect, test } from '@jest/globals';
import type { PoolStart } from '../../src/backend/pool.ts';
import { poolOver } from '../../src/platform/pool-port.ts';

const next = (port: MessagePort): Promise<unknown> =>
  new Promise((resolve) => (port.onmessage = ({ data }: MessageEvent<unknown>) => resolve(data)));

test('the shared memory goes straight to the thread; the page, which would keep it, gets a port alone', async () => {
  const { port1: engine, port2: page } = new MessageChannel();
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const module = new WebAssembly.Module(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]));
  const start: PoolStart = { module, memory, pool: 64, thread: 1 };
  const thread = poolOver(engine)(start);
  const asked = (await next(page)) as { thread: number; line: MessagePort };
  expect(Object.keys(asked).sort()).toEqual(['line', 'thread']);
  const received = (await next(asked.line)) as PoolStart;
  expect([received.pool, received.thread]).toEqual([64, 1]);
  expect(Object.prototype.toString.call(received.memory.buffer)).toBe('[object SharedArrayBuffer]');
  page.postMessage({ thread: asked.thread, ready: true });
  await thread.ready;
  page.postMessage({ thread: asked.thread, ended: undefined });
  expect(await thread.ended).toBeUndefined();
  page.close();
  engine.close();
  asked.line.close();
});
