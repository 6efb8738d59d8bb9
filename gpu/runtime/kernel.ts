/**
 * A kernel is data: its WGSL, what it binds, and how inputs become constants, parameters and a grid. The runner
 * (`runner.ts`) is the one place that knows WebGPU.
 *
 * Bindings: group 0 holds `bindings` in order; group 1 holds the parameters (uniform, binding 0) and, where `data`
 * is true, numbers that the host makes for this dispatch (storage, binding 1).
 */
import type { DeviceBuffer } from './buffers.ts';
import type { HostData } from './arena.ts';

export type Access = 'read' | 'write';

/** Scalars of a kernel's `Params` struct, in its order. */
export type ParamType = 'u32' | 'f32';

/** Number of workgroups in one dimension that every device guarantees. */
export const MAXIMUM_GROUPS = 65535;

export interface Kernel<Inputs> {
  readonly name: string;
  readonly bindings: readonly Access[];
  readonly params: readonly ParamType[];
  readonly data?: boolean;
  /** What `source` depends on: weight formats, page format. Part of the pipeline's key. */
  types(inputs: Inputs): string;
  /** The whole WGSL for these types. */
  source(inputs: Inputs): string;
  /** Values of the `override` constants; never run-time lengths. */
  constants(inputs: Inputs): Readonly<Record<string, number>>;
  /** Why the kernel cannot compute these inputs; undefined where it can. The runner checks the grid. */
  problem?(inputs: Inputs): string | undefined;
  /** Workgroups; at most `MAXIMUM_GROUPS` in each dimension. */
  grid(inputs: Inputs): readonly [x: number, y: number, z: number];
  buffers(inputs: Inputs): readonly DeviceBuffer[];
  values(inputs: Inputs): readonly number[];
  hostData?(inputs: Inputs): HostData;
}
