/** The WebGPU runtime: what it dispatches, makes, keeps and frees; how it fails. Numbers are test/backend/webgpu.test.ts's affair. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Kernel } from '../../gpu/runtime/kernel.ts';
import { openDevice } from '../../gpu/runtime/device.ts';
import { Runner } from '../../gpu/runtime/runner.ts';
import { errorOf } from '../../src/backend/webgpu/errors.ts';
import { createWebGpuBackend, describeAdapter, type WebGpuBackend } from '../../src/backend/webgpu.ts';
import { decoder } from './decoder.ts';
import { capturing, hasGpu, testGpu } from '../support/gpu.ts';

const present = await hasGpu();
const ifGpu = present ? test : test.skip;

describe('the adapter', () => {
  ifGpu('is described, and software is told', async () => {
    const adapter = await testGpu().requestAdapter();
    const description = describeAdapter(adapter!);
    expect(description.name).not.toBe('');
    if (process.env['OCTAVO_HARDWARE_GPU'] !== '1') expect(description.software).toBe(true);
  });
  test('that is missing is an error with a remedy', async () => {
    const none = { requestAdapter: async () => null } as unknown as GPU;
    await expect(createWebGpuBackend({ gpu: none })).rejects.toMatchObject({
      name: 'DeviceError',
      code: 'unavailable',
    });
  });
});

describe('a decode step', () => {
  let backend: WebGpuBackend;
  beforeAll(async () => {
    if (present) backend = await createWebGpuBackend({ gpu: testGpu() });
  });
  afterAll(() => backend?.destroy());

  test.each(
    (present
      ? [
          ['Q4_0', 'Q4_0'],
          ['Q4_K', 'Q6_K'],
          ['F16', 'F16'],
        ]
      : []) as ['Q4_0' | 'Q4_K' | 'F16', 'Q4_0' | 'Q6_K' | 'F16'][],
  )(
    'of %s with %s values: at most 6 dispatches a layer, one submit, and nothing is made or waited for',
    async (format, value) => {
      const model = await decoder(backend, { layers: 3, format, value });
      model.prefill(5);
      const ids: Promise<Int32Array>[] = [];
      const counted = async (steps: number) => {
        const before = backend.counters();
        for (let i = 0; i < steps; i += 1) ids.push(model.step());
        const after = backend.counters();
        await Promise.all(ids);
        return { before, after };
      };
      await counted(2);
      // Across a page border, so that the page table changes on the way.
      const { before, after } = await counted(40);
      const dispatches = (after.dispatches - before.dispatches) / 40;
      expect(dispatches).toBe(6 * 3 + 1 + 1 + 2); // layers, embed, head, sample
      // Each weight once; the table is given to the embedding, which reads one row of it, and to the head. Keys have no bias: theirs is zeros.
      const read = (after.weightBytes - before.weightBytes) / 40 - model.tableBytes;
      expect(read).toBe(backend.memory().weights + 3 * model.zeroBytes);
      expect(after.submits - before.submits).toBe(40);
      expect(after.bindGroups).toBe(before.bindGroups);
      expect(after.pipelines).toBe(before.pipelines);
      expect(after.waits).toBe(before.waits);
      for (const id of ids) expect((await id)[0]).toBeGreaterThanOrEqual(0);
      model.free();
    },
    180_000,
  );

  ifGpu('is timed by kernel where the device has timestamps', async () => {
    const model = await decoder(backend, { layers: 1, format: 'Q4_0', value: 'Q4_0' });
    model.prefill(3);
    const times = await backend.profile(async () => {
      await model.step();
    });
    if (times.length > 0) {
      expect(new Set(times.map((time) => time.kernel))).toEqual(
        new Set(['embed', 'linear', 'rope-append', 'attention', 'gated-mlp', 'sample-prepare', 'sample-draw']),
      );
      expect(times.find((time) => time.kernel === 'linear')?.calls).toBe(4);
    }
    model.free();
  });
});

describe('memory', () => {
  ifGpu(
    'does not grow over 100 models loaded and unloaded',
    async () => {
      const backend = await createWebGpuBackend({ gpu: testGpu() });
      const cycle = async (): Promise<void> => {
        const model = await decoder(backend, { layers: 1, format: 'Q8_0', value: 'Q8_0' });
        model.prefill(3);
        await model.step();
        model.free();
      };
      await cycle();
      const { buffers, bytes } = backend.counters();
      expect(backend.memory()).toEqual({ weights: 0, kv: 0, activations: 0, allocations: 0 });
      for (let i = 0; i < 100; i += 1) await cycle();
      expect(backend.counters()).toMatchObject({ buffers, bytes });
      backend.destroy();
      expect(backend.counters()).toMatchObject({ buffers: 0, bytes: 0 });
    },
    180_000,
  );

  ifGpu(
    "that the device cannot have is an error with numbers; WebGPU's default limits suffice for every kernel of a decoder",
    async () => {
      const backend = await createWebGpuBackend({ gpu: testGpu(), defaultLimits: true });
      const model = await decoder(backend, { layers: 1, format: 'Q8_0', value: 'Q4_0' });
      model.prefill(12);
      expect((await model.step())[0]).toBeGreaterThanOrEqual(0);
      model.free();
      const pool = backend.kvPool({ layers: 1, kvHeads: 1, headDim: 64, format: 'f32' });
      expect(() => pool.reserve(1 << 20)).toThrow(expect.objectContaining({ code: 'out-of-memory' }));
      pool.free();
      backend.destroy();
    },
  );
});

/** Lets the next buffer of `gpu` fail as on a GPU whose memory is full. */
function exhaust(gpu: GPUDevice): void {
  const create = gpu.createBuffer.bind(gpu);
  const pop = gpu.popErrorScope.bind(gpu);
  // Larger than any limit, so that it is invalid as one without memory is.
  gpu.createBuffer = (descriptor) => {
    gpu.createBuffer = create;
    return create({ ...descriptor, size: 2 ** 50 });
  };
  gpu.popErrorScope = async () => {
    gpu.popErrorScope = pop;
    await pop();
    return new GPUOutOfMemoryError('full');
  };
}

describe('a GPU without memory', () => {
  const full = { name: 'DeviceError', code: 'out-of-memory' };

  ifGpu('fails one call; the next finds none of its buffers in the pool', async () => {
    const { gpu, device } = capturing();
    const backend = await createWebGpuBackend({ gpu });
    const call = async (): Promise<Float32Array> => {
      const tensor = backend.upload(new Float32Array(5000).fill(7), [1, 5000]);
      try {
        return await backend.download(tensor);
      } finally {
        backend.free(tensor);
      }
    };
    exhaust(device());
    await expect(call()).rejects.toMatchObject(full);
    for (let i = 0; i < 3; i += 1) expect((await call()).every((value) => value === 7)).toBe(true);
    backend.destroy();
    expect(backend.counters()).toMatchObject({ buffers: 0, bytes: 0 });
  });

  ifGpu('for pages, which have lost their content, gives the device up', async () => {
    const { gpu, device } = capturing();
    const backend = await createWebGpuBackend({ gpu });
    const pool = backend.kvPool({ layers: 1, kvHeads: 1, headDim: 32, format: 'f32' });
    pool.reserve(1);
    exhaust(device());
    pool.reserve(8);
    await expect(backend.idle()).rejects.toMatchObject(full);
    expect(await backend.lost).toMatchObject({ code: 'lost', message: expect.stringMatching(/no memory.*recover/) });
    await expect(backend.idle()).rejects.toMatchObject({ code: 'lost' });
    pool.free();
    backend.destroy();
  });
});

describe('a lost device', () => {
  ifGpu('says so at once, at every later call, and frees without an error; a new one works beside it', async () => {
    const { gpu, device } = capturing();
    const backend = await createWebGpuBackend({ gpu });
    const model = await decoder(backend, { layers: 1, format: 'Q4_0', value: 'Q4_0' });
    model.prefill(3);
    const reading = model.step();
    const tensor = backend.upload(new Float32Array(8), [2, 4]);
    const waiting = backend.download(tensor).catch((error: unknown) => error);
    device().destroy();
    expect(await backend.lost).toMatchObject({ name: 'DeviceError', code: 'lost' });
    await reading.catch((error: unknown) => expect(error).toMatchObject({ code: 'lost' }));
    const waited = await waiting;
    if (!(waited instanceof Float32Array)) expect(waited).toMatchObject({ code: 'lost' });
    const lost = expect.objectContaining({ name: 'DeviceError', code: 'lost' });
    expect(() => backend.upload(new Float32Array(4), [1, 4])).toThrow(lost);
    expect(() => model.step()).toThrow(lost);
    expect(() => backend.flush()).toThrow(lost);
    expect(() => backend.weight({ name: 'w', shape: [1, 32], format: 'Q8_0' })).toThrow(lost);
    expect(() => backend.kvPool({ layers: 1, kvHeads: 1, headDim: 32, format: 'f32' })).toThrow(lost);
    await expect(backend.idle()).rejects.toMatchObject({ code: 'lost' });
    await expect(backend.download(tensor)).rejects.toMatchObject({ code: 'lost' });
    const second = await createWebGpuBackend({ gpu: testGpu() });
    const again = await decoder(second, { layers: 1, format: 'Q4_0', value: 'Q4_0' });
    again.prefill(3);
    expect((await again.step())[0]).toBeGreaterThanOrEqual(0);
    backend.free(tensor);
    model.free();
    backend.destroy();
    again.free();
    second.destroy();
  });

  ifGpu('that the caller destroyed is not "lost"', async () => {
    const backend = await createWebGpuBackend({ gpu: testGpu() });
    backend.destroy();
    backend.destroy();
    expect(() => backend.upload(new Float32Array(4), [1, 4])).toThrow(expect.objectContaining({ code: 'destroyed' }));
    const told = await Promise.race([
      backend.lost.then(() => 'lost'),
      new Promise((resolve) => setTimeout(resolve, 50, 'silent')),
    ]);
    expect(told).toBe('silent');
  });
});

describe('a kernel', () => {
  ifGpu('whose grid or inputs are beyond it is refused by name, before anything is recorded', async () => {
    const device = await openDevice({ gpu: testGpu(), error: errorOf });
    const runner = new Runner(device);
    const kernel = (grid: number, problem?: string): Kernel<undefined> => ({
      name: 'large',
      bindings: [],
      params: [],
      types: () => '',
      source: () => '',
      constants: () => ({}),
      problem: () => problem,
      grid: () => [1, grid, 1],
      buffers: () => [],
      values: () => [],
    });
    const refused = (message: RegExp): unknown =>
      expect.objectContaining({ name: 'InputError', code: 'argument', message: expect.stringMatching(message) });
    expect(() => runner.run(kernel(65536), undefined)).toThrow(refused(/^large: .*1 x 65536 x 1.*at most 65535/));
    expect(() => runner.run(kernel(1, 'odd'), undefined)).toThrow(refused(/^large: odd; /));
    expect(runner.counters()).toMatchObject({ dispatches: 0, pipelines: 0 });
    runner.end();
    expect(() => runner.submit()).not.toThrow();
    expect(() => runner.run(kernel(1), undefined)).toThrow(expect.objectContaining({ code: 'destroyed' }));
  });

  ifGpu('that does not compile is reported with line, column and source, and not kept', async () => {
    const device = await openDevice({ gpu: testGpu(), error: errorOf });
    const runner = new Runner(device);
    const kernel = (body: string): Kernel<undefined> => ({
      name: 'broken',
      bindings: ['write'],
      params: ['u32'],
      types: () => '',
      constants: () => ({}),
      grid: () => [1, 1, 1],
      buffers: () => [buffer],
      values: () => [7],
      source: () => `struct Params { n: u32 }
@group(0) @binding(0) var<storage, read_write> out: array<u32>;
@group(1) @binding(0) var<uniform> params: Params;
@compute @workgroup_size(1)
fn main() {
  out[0] = ${body};
}`,
    });
    const buffer = runner.buffers.create(4, 'runtime');
    runner.run(kernel('params.n + missing'), undefined);
    await expect(runner.idle()).rejects.toMatchObject({
      name: 'DeviceError',
      code: 'shader',
      facts: { line: 6, column: expect.any(Number) },
    });
    // The same key compiles now: the failure was not cached.
    runner.run(kernel('params.n + 1u'), undefined);
    expect(new Uint32Array(await runner.read(buffer, 0, 4, true))).toEqual(Uint32Array.of(8));
    runner.end();
  });
});
