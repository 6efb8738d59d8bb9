/** Every backend that this machine runs, for the tests that models must pass on all of them. */
import type { Backend } from '../../src/backend/backend.ts';
import { createWebGpuBackend } from '../../src/backend/webgpu.ts';
import { createReferenceBackend } from '../reference/backend.ts';
import { hasGpu, testGpu } from './gpu.ts';
import { openWasmBackend, TEST_BUILDS } from './wasm.ts';

export interface TestBackend {
  readonly name: string;
  readonly create: () => Promise<Backend>;
}

export async function testBackends(): Promise<readonly TestBackend[]> {
  return [
    { name: 'reference', create: async () => createReferenceBackend() },
    ...TEST_BUILDS.map((build) => ({ name: `wasm ${build}`, create: () => openWasmBackend(build) })),
    ...((await hasGpu()) ? [{ name: 'webgpu', create: () => createWebGpuBackend({ gpu: testGpu() }) }] : []),
  ];
}
