/** The grid of elementwise kernels: see elements.wgsl. */

const WORKGROUP = 64;
/** WebGPU's guaranteed number of workgroups in one dimension. */
const MAXIMUM_X = 65535;

/** Workgroups for `count` vec4. */
export function elementGrid(count: number): readonly [x: number, y: number, z: number] {
  const groups = Math.ceil(count / WORKGROUP);
  const y = Math.ceil(groups / MAXIMUM_X);
  return [Math.ceil(groups / y), y, 1];
}
