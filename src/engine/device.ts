/** Chooses the device of a model, and gives the reason. */
import type { Backend } from '../backend/backend.ts';
import { createWasmBackend } from '../backend/wasm.ts';
import type * as WebGpuModule from '../backend/webgpu.ts';
import { DeviceError, InputError } from '../errors.ts';
import type { Platform } from '../platform/platform.ts';
import { instantiate, type Wasm } from '../wasm.ts';
import type { DeviceInfo, DeviceRequest } from '../worker/api.ts';
import { chooseWasm } from './wasm-build.ts';

export interface Device {
  readonly backend: Backend;
  readonly info: DeviceInfo;
  /** The instance of the CPU engine, which the tokenizer may share. */
  readonly wasm?: Wasm;
}

/** The shaders are a fifth of the engine's code, so they are downloaded only where there is a GPU. */
const webGpu = async (): Promise<Pick<typeof WebGpuModule, 'createWebGpuBackend' | 'describeAdapter'>> =>
  import('../backend/webgpu.ts');

/** The adapter that is checked must be the one that is used. */
const POWER = 'high-performance';

export async function openDevice(platform: Platform, request: DeviceRequest, signal?: AbortSignal): Promise<Device> {
  const { device = 'auto' } = request;
  signal?.throwIfAborted();
  switch (device) {
    case 'wasm':
      return openWasm(platform, request, "device: 'wasm' was asked for");
    case 'webgpu':
      return openWebGpu(platform);
    case 'auto':
      return openBest(platform, request, signal);
    default:
      throw new InputError(
        'argument',
        `device: '${String(device satisfies never)}' is unknown; use 'auto', 'wasm' or 'webgpu'`,
      );
  }
}

async function openWasm(platform: Platform, request: DeviceRequest, why: string): Promise<Device> {
  const { build, threads, reason } = chooseWasm(platform, request);
  try {
    const wasm = await instantiate(build, await platform.wasm(build));
    const backend = await createWasmBackend({
      wasm,
      threads,
      ...(platform.spawnPool === undefined ? {} : { spawn: platform.spawnPool }),
    });
    return {
      backend,
      wasm,
      info: { kind: backend.kind, description: backend.description, reason: `${why}; ${reason}` },
    };
  } catch (error) {
    // A build that was requested by name is not replaced by another.
    if (!(error instanceof DeviceError) || request.build !== undefined) throw error;
    if (error.code === 'self-check' && build.startsWith('relaxed')) {
      return openWasm(
        { ...platform, distrusted: ['relaxed', 'relaxed-threads'] },
        request,
        `${why}; relaxed SIMD computes wrongly here`,
      );
    }
    if (error.code === 'unavailable' && threads > 1)
      return openWasm(platform, { ...request, threads: 1 }, `${why}; threads could not be started (${error.message})`);
    throw error;
  }
}

async function openWebGpu(platform: Platform): Promise<Device> {
  const gpu = await platform.gpu();
  const missing =
    gpu === undefined
      ? noWebGpu(platform)
      : (await gpu.requestAdapter({ powerPreference: POWER })) === null
        ? 'WebGPU offers no adapter'
        : undefined;
  if (gpu === undefined || missing !== undefined)
    throw new DeviceError('unavailable', `device: 'webgpu': ${missing ?? ''}; use device: 'auto' or 'wasm'`);
  const { createWebGpuBackend } = await webGpu();
  const backend = await createWebGpuBackend({ gpu, powerPreference: POWER });
  // Software is asked for by tests only, and timing it says nothing.
  if (!backend.software) await tune(backend, platform);
  return {
    backend,
    info: { kind: backend.kind, description: backend.description, reason: "device: 'webgpu' was asked for" },
  };
}

/** Uses WebGPU when there is hardware for it that computes the same results as WASM. */
async function openBest(platform: Platform, request: DeviceRequest, signal?: AbortSignal): Promise<Device> {
  const gpu = await platform.gpu();
  if (gpu === undefined) return openWasm(platform, request, noWebGpu(platform));
  let adapter: GPUAdapter | null;
  try {
    adapter = await gpu.requestAdapter({ powerPreference: POWER });
  } catch (error) {
    return openWasm(platform, request, `WebGPU failed to give an adapter (${message(error)})`);
  }
  if (adapter === null) return openWasm(platform, request, 'WebGPU offers no adapter');
  const { createWebGpuBackend, describeAdapter } = await webGpu();
  const { name, software } = describeAdapter(adapter);
  if (software)
    return openWasm(platform, request, `WebGPU offers only a software adapter (${name}), which is slower than WASM`);
  signal?.throwIfAborted();
  try {
    const backend = await createWebGpuBackend({ gpu, powerPreference: POWER });
    await tune(backend, platform);
    return {
      backend,
      info: {
        kind: backend.kind,
        description: backend.description,
        reason: 'WebGPU computes here as WASM does (self-check passed)',
      },
    };
  } catch (error) {
    return openWasm(platform, request, `WebGPU was rejected: ${message(error)}`);
  }
}

/** Chooses the forms of the backend's kernels and checks it against the CPU engine; destroys it where that fails. */
async function tune(backend: WebGpuModule.WebGpuBackend, platform: Platform): Promise<void> {
  let judge: Backend | undefined;
  try {
    judge = (await openWasm(platform, { threads: 1 }, '')).backend;
    const { checkAndTune } = await import('./kernel-forms.ts');
    await checkAndTune(backend, judge, platform.records?.());
  } catch (error) {
    backend.destroy();
    throw error;
  } finally {
    judge?.destroy();
  }
}

function noWebGpu(platform: Platform): string {
  return platform.name === 'node'
    ? 'there is no WebGPU in Node without the package `webgpu`'
    : 'this browser has no WebGPU here';
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Returns the instance in which the tokenizer runs: one thread, whatever the device. */
export async function openTextWasm(platform: Platform): Promise<Wasm> {
  const { build } = chooseWasm(platform, { threads: 1 });
  return instantiate(build, await platform.wasm(build));
}
