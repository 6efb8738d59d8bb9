/** Shared by the groups of operations. */
import type { DeviceBuffer } from '../../../gpu/runtime/buffers.ts';
import type { Runner } from '../../../gpu/runtime/runner.ts';
import type { Tensors } from './tensors.ts';

export interface Context {
  readonly runner: Runner;
  readonly tensors: Tensors;
  /** Bound where a kernel's operand is absent. */
  readonly none: DeviceBuffer;
}
