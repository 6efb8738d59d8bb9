/** The grid of elementwise kernels: see elements.wgsl. */
import { MAXIMUM_GROUPS } from '../runtime/kernel.ts';

const WORKGROUP = 64;

/** Returns the workgroups for `count` vec4. */
export function elementGrid(count: number): readonly [x: number, y: number, z: number] {
  const groups = Math.ceil(count / WORKGROUP);
  const y = Math.ceil(groups / MAXIMUM_GROUPS);
  return [Math.ceil(groups / y), y, 1];
}
