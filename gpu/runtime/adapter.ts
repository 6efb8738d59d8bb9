/** An adapter's name, and whether it is a software implementation of WebGPU. */

/** Names of drivers that compute on the CPU: SwiftShader (Chrome), llvmpipe and lavapipe (Mesa), WARP (Microsoft Basic Render). */
const SOFTWARE = /swiftshader|llvmpipe|lavapipe|softpipe|basic render|\bwarp\b/i;

export interface AdapterDescription {
  readonly name: string;
  /** True when the adapter computes on the CPU: correct, but slower than WASM. */
  readonly software: boolean;
  readonly features: readonly string[];
  /** Threads of its smallest subgroup, where it has subgroups and tells. */
  readonly subgroup?: number | undefined;
}

export function describeAdapter(adapter: GPUAdapter): AdapterDescription {
  const { info } = adapter;
  const words = [info.vendor, info.architecture, info.device, info.description].filter((word) => word !== '');
  const name = [...new Set(words)].join(' ') || 'unnamed adapter';
  return {
    name,
    software: info.isFallbackAdapter || SOFTWARE.test(name),
    features: [...adapter.features].sort(),
    subgroup: adapter.features.has('subgroups') ? info.subgroupMinSize : undefined,
  };
}
