/** Threads: the same bits with any number of them, and an end to all of them whatever happens. */
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from '@jest/globals';
import type { Backend, Tensor } from '../../../src/backend/backend.ts';
import type { PoolStart, PoolWorker } from '../../../src/backend/pool.ts';
import { POOL_LOST } from '../../../src/backend/wasm/layouts.ts';
import { createWasmBackend } from '../../../src/backend/wasm.ts';
import { denseCausal } from '../../../src/kv/ranges.ts';
import { spawnPoolWorker } from '../../../src/platform/pool-node.ts';
import { quantise } from '../../support/quantise.ts';
import { random } from '../../support/random.ts';
import { openWasm, openWasmBackend } from '../../support/wasm.ts';

async function product(backend: Backend, tokens: number): Promise<Float32Array> {
  const r = random(tokens);
  const writer = backend.weight({ name: 'w', shape: [320, 64], format: 'Q8_0' });
  await writer.write(quantise('Q8_0', r.normals(320 * 64)));
  const weight = await writer.finish();
  const out = backend.scope(() => backend.linear(backend.upload(r.normals(tokens * 64), [tokens, 64]), [weight]));
  weight.free();
  const values = await backend.download(out);
  backend.free(out);
  return values;
}

/** `spawnPoolWorker`, and what it was given and made. */
function watched(): { spawn: (start: PoolStart) => PoolWorker; workers: PoolWorker[] } {
  const workers: PoolWorker[] = [];
  return {
    workers,
    spawn: (start) => {
      const worker = spawnPoolWorker(start);
      workers.push(worker);
      return worker;
    },
  };
}

describe('pool', () => {
  test('one, two and five threads give the same bits, prefill and split decode alike', async () => {
    const results: Float32Array[][] = [];
    for (const threads of [1, 2, 5]) {
      const backend = await openWasmBackend('simd-threads', threads);
      expect(backend.threads).toBe(threads);
      const r = random(9);
      const pool = backend.kvPool({ layers: 1, kvHeads: 2, headDim: 16, format: 'f32' });
      pool.reserve(100);
      const kv = { pool, blocks: 50, table: Int32Array.from({ length: 100 }, (_, i) => i), version: 0 };
      const rope = {
        inverseFrequency: Float64Array.from({ length: 8 }, (_, i) => 10 ** -i),
        magnitude: 1,
        style: 'half',
      } as const;
      const run = (tokens: number, position: number): Tensor =>
        backend.scope(() => {
          const q = backend.ropeAppend(backend.upload(r.normals(tokens * 128), [tokens, 128]), kv, 0, position, {
            heads: 4,
            rope,
          });
          return backend.attention(q, kv, 0, position, denseCausal(tokens, position + tokens), {
            heads: 4,
            scale: 0.25,
          });
        });
      const found = [
        await product(backend, 1),
        await product(backend, 33),
        await backend.download(run(1200, 0)),
        await backend.download(run(1, 1200)),
      ];
      results.push(found);
      backend.destroy();
    }
    expect(results[1]).toEqual(results[0]);
    expect(results[2]).toEqual(results[0]);
  });

  test('destroy ends every worker, asleep or awake', async () => {
    const { spawn, workers } = watched();
    const backend = await createWasmBackend({ wasm: await openWasm('simd-threads'), threads: 4, spawn });
    await product(backend, 5);
    backend.destroy();
    expect(await Promise.all(workers.map((worker) => worker.ended))).toEqual([undefined, undefined, undefined]);
    const asleep = watched();
    const other = await createWasmBackend({ wasm: await openWasm('simd-threads'), threads: 3, spawn: asleep.spawn });
    await new Promise((resolve) => setTimeout(resolve, 50));
    other.destroy();
    other.destroy();
    expect(await Promise.all(asleep.workers.map((worker) => worker.ended))).toEqual([undefined, undefined]);
    expect(() => other.ids(1)).toThrow(expect.objectContaining({ name: 'InputError', code: 'destroyed' }));
  });

  test('a worker that ends makes the device lost, and the others end too', async () => {
    const { spawn, workers } = watched();
    const backend = await createWasmBackend({ wasm: await openWasm('simd-threads'), threads: 3, spawn });
    workers[0]!.terminate();
    await expect(backend.lost).resolves.toMatchObject({ name: 'DeviceError', code: 'lost' });
    await Promise.all(workers.map((worker) => worker.ended));
    expect(() => backend.ids(1)).toThrow(expect.objectContaining({ name: 'DeviceError', code: 'lost' }));
    await expect(backend.idle()).rejects.toMatchObject({ code: 'lost' });
    backend.destroy();
  });

  test('a worker that dies within a tile ends the wait for it', async () => {
    // Takes a tile as the pool's loop does, and dies as the platform's script does when WASM traps.
    const script = `
      const { parentPort, workerData: { memory, pool } } = require('node:worker_threads');
      const words = new Int32Array(memory.buffer), ticket = new BigInt64Array(memory.buffer, pool, 1);
      parentPort.postMessage('ready');
      for (;;) {
        const seen = Atomics.load(ticket, 0);
        if ((seen & 0xffffffffn) !== 0n && Atomics.compareExchange(ticket, 0, seen, seen - 1n) === seen) break;
        if (Atomics.load(words, (pool + 204) >> 2) !== 0) process.exit(0);
      }
      Atomics.store(words, (pool + ${POOL_LOST}) >> 2, 1);`;
    const spawn = (start: PoolStart): PoolWorker => {
      const worker = new Worker(script, { eval: true, workerData: start });
      return {
        ready: new Promise((resolve) => worker.once('message', () => resolve())),
        ended: new Promise((resolve) => worker.once('exit', () => resolve(new Error('died')))),
        terminate: () => void worker.terminate(),
      };
    };
    const backend = await createWasmBackend({ wasm: await openWasm('simd-threads'), threads: 2, spawn });
    let failure: unknown;
    for (let i = 0; i < 1000 && failure === undefined; i++)
      await product(backend, 40).catch((error: unknown) => (failure = error));
    expect(failure).toMatchObject({ name: 'DeviceError', code: 'lost' });
    await expect(backend.lost).resolves.toMatchObject({ code: 'lost' });
    backend.destroy();
  });

  test('a worker that cannot start is an error, and leaves none behind', async () => {
    const { spawn, workers } = watched();
    const broken = (start: PoolStart): PoolWorker =>
      spawn(start.thread === 2 ? { ...start, module: undefined as unknown as WebAssembly.Module } : start);
    const wasm = await openWasm('simd-threads');
    await expect(createWasmBackend({ wasm, threads: 3, spawn: broken })).rejects.toMatchObject({
      name: 'DeviceError',
      code: 'unavailable',
    });
    await Promise.all(workers.map((worker) => worker.ended));
  });

  test('a build without threads runs alone whatever is asked', async () => {
    const backend = await openWasmBackend('simd', 4);
    expect(backend.threads).toBe(1);
    expect(backend.description).toBe('WASM (simd), 1 thread');
    backend.destroy();
  });
});
