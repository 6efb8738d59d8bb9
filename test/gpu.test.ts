import { describe, expect, test } from '@jest/globals';
import { hasGpu, testGpu } from './support/gpu.ts';

describe('the GPU of the tests', () => {
  test('gives a device with WGSL', async () => {
    if (!(await hasGpu())) return;
    const adapter = await testGpu().requestAdapter();
    console.log(adapter!.info.vendor, adapter!.info.architecture, adapter!.info.device, [...adapter!.features].join(' '));
    const device = await adapter!.requestDevice();
    device.destroy();
    expect(adapter).not.toBeNull();
  });
});
