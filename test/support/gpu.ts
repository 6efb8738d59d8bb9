/**
 * The GPU of the tests: Dawn in Node (npm `webgpu`) over SwiftShader, or over real hardware with OCTAVO_HARDWARE_GPU=1.
 * Where there is no adapter, tests skip and are counted, unless OCTAVO_REQUIRE_GPU=1 (set in CI) makes that fatal.
 */
import { create, globals } from 'webgpu';

Object.assign(globalThis, globals);

let gpu: GPU | undefined;

/** The one GPU of this process. */
export function testGpu(): GPU {
  // SwiftShader compiles the zeroing of workgroup memory for seconds a kernel. No kernel reads what it has not written, and a test that met
  // such a read would fail on the garbage; Chromium's stories run with the zeroing on.
  gpu ??= create(['enable-dawn-features=disable_workgroup_init']);
  return gpu;
}

/** Whether an adapter is to be had; throws instead of answering no when the environment requires one. */
export async function hasGpu(): Promise<boolean> {
  const adapter = await testGpu().requestAdapter();
  if (adapter === null && process.env['OCTAVO_REQUIRE_GPU'] === '1')
    throw new Error('OCTAVO_REQUIRE_GPU=1, but no GPU adapter was found');
  return adapter !== null;
}

/** A GPU whose device a test can take away. */
export function capturing(): { readonly gpu: GPU; device(): GPUDevice } {
  let made: GPUDevice | undefined;
  const gpu = {
    requestAdapter: async (options?: GPURequestAdapterOptions) => {
      const adapter = await testGpu().requestAdapter(options);
      if (adapter === null) return null;
      const request = adapter.requestDevice.bind(adapter);
      adapter.requestDevice = async (descriptor) => (made = await request(descriptor));
      return adapter;
    },
  } as GPU;
  return {
    gpu,
    device: () => {
      if (made === undefined) throw new Error('no device was asked for yet');
      return made;
    },
  };
}
