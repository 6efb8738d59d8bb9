/** The bridge: the interface of the exports against the modules, its views, and what happens when memory runs out. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { createWasmBackend } from '../src/backend/wasm.ts';
import { moduleOf, openWasm, openWasmBackend, TEST_BUILDS } from './support/wasm.ts';

describe('exports', () => {
  /** Names and numbers of parameters in src/wasm-exports.ts. */
  const source = readFileSync(new URL('../src/wasm-exports.ts', import.meta.url), 'utf8');
  const declared = new Map<string, number>();
  for (const [, body] of source.matchAll(/interface WasmExports \{\n([^}]*)\}/g)) {
    for (const [, name, parameters] of body!.matchAll(/^ {2}(\w+)\(([^)]*)\)/gm))
      declared.set(name!, parameters!.split(':').length - 1);
  }

  test.each(TEST_BUILDS)('%s has exactly the functions that src/wasm-exports.ts declares', async (build) => {
    const module = await moduleOf(build);
    const found = WebAssembly.Module.exports(module)
      .filter((one) => one.kind === 'function')
      .map((one) => one.name);
    expect(found.toSorted()).toEqual([...declared.keys()].toSorted());
    expect(WebAssembly.Module.imports(module)).toEqual([{ module: 'env', name: 'memory', kind: 'memory' }]);
  });

  test.each(TEST_BUILDS)('%s: with as many parameters', async (build) => {
    const { exports } = await openWasm(build);
    for (const [name, count] of declared)
      expect([name, (exports as unknown as Record<string, (...x: number[]) => void>)[name]!.length]).toEqual([
        name,
        count,
      ]);
  });
});

describe.each(TEST_BUILDS)('%s', (build) => {
  test('memory is given out aligned, taken back and joined', async () => {
    const wasm = await openWasm(build);
    const start = wasm.exports.allocated();
    const blocks = [1, 64, 65, 100_000, 7].map((size) => wasm.alloc(size));
    for (const block of blocks) expect(block % 64).toBe(0);
    expect(new Set(blocks).size).toBe(5);
    for (const i of [1, 3, 0, 4, 2]) wasm.free(blocks[i]!);
    expect(wasm.exports.allocated()).toBe(start);
    expect(wasm.alloc(90_000)).toBe(blocks[0]);
  });

  test('views follow memory that grows', async () => {
    const wasm = await openWasm(build);
    const at = wasm.alloc(16);
    wasm.u32(at, 4).set([1, 2, 3, 4]);
    wasm.alloc(64 << 20);
    expect([...wasm.u32(at, 4)]).toEqual([1, 2, 3, 4]);
    expect(wasm.bytes(at, 16)[4]).toBe(2);
  });

  test('out of memory is an error that names the size, and leaves nothing behind', async () => {
    const wasm = await openWasm(build);
    expect(() => wasm.alloc(0xffff0000)).toThrow(
      expect.objectContaining({ name: 'DeviceError', code: 'out-of-memory' }),
    );
    const backend = await createWasmBackend({ wasm });
    // Takes nearly all of the 4 GiB, so that the slabs below run out of memory soon: growing a memory of this size takes V8 10 ms a time.
    const most = wasm.alloc(2 ** 32 - 2 ** 26);
    const before = wasm.exports.allocated();
    expect(() => backend.weight({ name: 'huge', shape: [1_048_576, 1024], format: 'F32' })).toThrow(
      expect.objectContaining({ code: 'out-of-memory' }),
    );
    const pool = backend.kvPool({ layers: 1, kvHeads: 1, headDim: 128, format: 'f32' });
    expect(() => pool.reserve(2 ** 20)).toThrow(expect.objectContaining({ code: 'out-of-memory' }));
    expect(() => pool.reserve(2 ** 17 - 2 ** 11)).toThrow(expect.objectContaining({ code: 'out-of-memory' }));
    expect(pool.pages()).toBe(0);
    expect(wasm.exports.allocated()).toBe(before);
    expect(backend.memory()).toEqual({ weights: 0, kv: 0, activations: 0, allocations: 0 });
    // What is left still works.
    pool.reserve(4);
    expect(pool.pages()).toBe(4);
    backend.destroy();
    wasm.free(most);
  });

  test('a destroyed backend gives back all it had, and says that it is destroyed', async () => {
    const wasm = await openWasm(build);
    const before = wasm.exports.allocated();
    const backend = await createWasmBackend({ wasm });
    const tensor = backend.upload(new Float32Array(1000), [10, 100]);
    backend.kvPool({ layers: 2, kvHeads: 2, headDim: 64, format: 'f16' }).reserve(10);
    backend.sampler(1000);
    const open = backend.weight({ name: 'open', shape: [64, 64], format: 'F32' });
    await open.write(new Uint8Array(100));
    backend.destroy();
    expect(wasm.exports.allocated()).toBe(before);
    const destroyed = expect.objectContaining({ name: 'InputError', code: 'destroyed' });
    expect(() => backend.norm(tensor, {} as never)).toThrow(destroyed);
    await expect(backend.download(tensor)).rejects.toMatchObject({ code: 'destroyed' });
    await expect(open.write(new Uint8Array(1))).rejects.toMatchObject({ code: 'destroyed' });
  });
});

test('the profile counts operations and their time when it is on', async () => {
  const backend = await openWasmBackend('simd');
  const norm = async (): Promise<void> => {
    const writer = backend.weight({ name: 'n', shape: [4], format: 'F32' });
    await writer.write(new Uint8Array(Float32Array.of(1, 1, 1, 1).buffer));
    const weight = await writer.finish();
    backend.scope(
      () => void backend.norm(backend.upload(Float32Array.of(1, 2, 3, 4), [1, 4]), { kind: 'rms', weight, epsilon: 0 }),
    );
  };
  await norm();
  expect(backend.profile.take().size).toBe(0);
  backend.profile.enabled = true;
  await norm();
  await norm();
  expect(backend.profile.take().get('norm')).toMatchObject({ calls: 2 });
  expect(backend.profile.take().size).toBe(0);
  backend.destroy();
});
