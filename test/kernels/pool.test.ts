/** Threads: the same bits with any number of them, and an end to all of them whatever happens. */
import { describe, expect, test } from '@jest/globals';
import type { Backend, Tensor } from '../../src/backend/backend.ts';
import type { PoolStart, PoolWorker } from '../../src/backend/pool.ts';
import { POOL_LOST } from '../../src/backend/pool.ts';
import { createWasmBackend } from '../../src/backend/wasm.ts';
import { denseCausal } from '../../src/context/ranges.ts';
import { spawnPoolWorker } from '../../src/platform/pool-node.ts';
import { quantise } from '../support/quantise.ts';
import { random } from '../support/random.ts';
import { openWasm, openWasmBackend } from '../support/wasm.ts';

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

/** A worker that stops while others wait for its tile is rare; one that says so before the next job is how tests do it. */
function fragile(): { spawn: (start: PoolStart) => PoolWorker; workers: PoolWorker[]; starts: PoolStart[] } {
  const workers: PoolWorker[] = [];
  const starts: PoolStart[] = [];
  return {
    workers, starts,
    spawn: (start) => {
      const worker = spawnPoolWorker(start);
      workers.push(worker);
      starts.push(start);
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
      const rope = { inverseFrequency: Float64Array.from({ length: 8 }, (_, i) => 10 ** -i), magnitude: 1, style: 'half' } as const;
      const run = (tokens: number, position: number): Tensor => backend.scope(() => {
        const q = backend.ropeAppend(backend.upload(r.normals(tokens * 128), [tokens, 128]), kv, 0, position, { heads: 4, rope });
        return backend.attention(q, kv, 0, position, denseCausal(tokens, position + tokens), { heads: 4, scale: 0.25 });
      });
      const found = [await product(backend, 1), await product(backend, 33), await backend.download(run(1200, 0)), await backend.download(run(1, 1200))];
      results.push(found);
      backend.destroy();
    }
    expect(results[1]).toEqual(results[0]);
    expect(results[2]).toEqual(results[0]);
  });

  test('destroy ends every worker, asleep or awake', async () => {
    const { spawn, workers } = fragile();
    const backend = await createWasmBackend({ wasm: await openWasm('simd-threads'), threads: 4, spawn });
    await product(backend, 5);
    backend.destroy();
    expect(await Promise.all(workers.map((worker) => worker.ended))).toEqual([undefined, undefined, undefined]);
    const asleep = fragile();
    const other = await createWasmBackend({ wasm: await openWasm('simd-threads'), threads: 3, spawn: asleep.spawn });
    await new Promise((resolve) => setTimeout(resolve, 50));
    other.destroy();
    other.destroy();
    expect(await Promise.all(asleep.workers.map((worker) => worker.ended))).toEqual([undefined, undefined]);
    expect(() => other.ids(1)).toThrow(expect.objectContaining({ name: 'InputError', code: 'destroyed' }));
  });

  test('a worker that ends makes the device lost, and the others end too', async () => {
    const { spawn, workers } = fragile();
    const backend = await createWasmBackend({ wasm: await openWasm('simd-threads'), threads: 3, spawn });
    workers[0]!.terminate();
    await expect(backend.lost).resolves.toMatchObject({ name: 'DeviceError', code: 'lost' });
    await Promise.all(workers.map((worker) => worker.ended));
    expect(() => backend.ids(1)).toThrow(expect.objectContaining({ name: 'DeviceError', code: 'lost' }));
    await expect(backend.idle()).rejects.toMatchObject({ code: 'lost' });
    backend.destroy();
  });

  test('a worker that dies within a job ends the wait for it', async () => {
    const { spawn, starts } = fragile();
    const wasm = await openWasm('simd-threads');
    const backend = await createWasmBackend({ wasm, threads: 2, spawn });
    // As the worker's script does when WASM traps; `done` never reaches the number of tiles, since one more is pretended below.
    const { pool } = starts[0]!;
    Atomics.store(wasm.i32(pool + POOL_LOST, 1), 0, 1);
    let failure: unknown;
    for (let i = 0; i < 200 && failure === undefined; i++) await product(backend, 40).catch((error: unknown) => (failure = error));
    // A job may end before the engine looks; the word alone must never make it wait.
    if (failure !== undefined) expect(failure).toMatchObject({ name: 'DeviceError', code: 'lost' });
    backend.destroy();
  });

  test('a worker that cannot start is an error, and leaves none behind', async () => {
    const { spawn, workers } = fragile();
    const broken = (start: PoolStart): PoolWorker => spawn(start.thread === 2 ? { ...start, module: undefined as unknown as WebAssembly.Module } : start);
    const wasm = await openWasm('simd-threads');
    await expect(createWasmBackend({ wasm, threads: 3, spawn: broken })).rejects.toMatchObject({ name: 'DeviceError', code: 'unavailable' });
    await Promise.all(workers.map((worker) => worker.ended));
  });

  test('a build without threads runs alone whatever is asked', async () => {
    const backend = await openWasmBackend('simd', 4);
    expect(backend.threads).toBe(1);
    expect(backend.description).toBe('WASM (simd), 1 thread');
    backend.destroy();
  });
});
