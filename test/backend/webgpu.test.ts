/** The contract on WebGPU: the suite that all backends pass. */
import { describe, test } from '@jest/globals';
import { createWebGpuBackend } from '../../src/backend/webgpu.ts';
import { conformance } from '../support/conformance.ts';
import { hasGpu, testGpu } from '../support/gpu.ts';

if (await hasGpu()) conformance('webgpu', () => createWebGpuBackend({ gpu: testGpu() }));
else describe('conformance: webgpu', () => test.skip('no adapter here', () => undefined));
