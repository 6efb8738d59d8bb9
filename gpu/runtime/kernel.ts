/**
 * A kernel is data: its WGSL, its bindings, and how inputs become constants, parameters and a grid. Only the runner
 * (`runner.ts`) calls WebGPU.
 *
 * Bindings: group 0 holds `bindings` in order. Group 1 holds the parameters (uniform, binding 0) and, where `data` is
 * true, numbers that the host computes for this dispatch (storage, binding 1).
 */
import type { DeviceBuffer } from './buffers.ts';
import type { Family, Form } from './forms.ts';
import type { HostData } from './arena.ts';

export type Access = 'read' | 'write';

/** The scalars of a kernel's `Params` struct, in its order. */
export type ParamType = 'u32' | 'f32';

/** The number of workgroups in one dimension that every device guarantees. */
export const MAXIMUM_GROUPS = 65535;

export interface Kernel<Inputs> {
  readonly name: string;
  readonly bindings: readonly Access[];
  readonly params: readonly ParamType[];
  readonly data?: boolean;
  /** Where the kernel has several forms; the functions below are given the one in use, or `PLAIN`. */
  readonly family?: Family;
  /** What `source` depends on beside the form: weight formats, page format. Part of the pipeline's key. */
  types(inputs: Inputs): string;
  /** The whole WGSL for these types, without the directives of the form. */
  source(inputs: Inputs, form: Form): string;
  /** Values of the `override` constants, which never include run-time lengths. */
  constants(inputs: Inputs, form: Form): Readonly<Record<string, number>>;
  /** Returns why the kernel cannot compute these inputs, undefined if it can. The runner checks the grid. */
  problem?(inputs: Inputs): string | undefined;
  /** Returns the workgroups, at most `MAXIMUM_GROUPS` in each dimension. */
  grid(inputs: Inputs, form: Form): readonly [x: number, y: number, z: number];
  buffers(inputs: Inputs): readonly DeviceBuffer[];
  values(inputs: Inputs, form: Form): readonly number[];
  hostData?(inputs: Inputs): HostData;
}
