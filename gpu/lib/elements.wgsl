// Elementwise kernels: one thread for each vec4 of rows of params.width vec4 (the values beyond the columns of a row
// are undefined before and after). Threads are counted across a grid of two dimensions, since an image needs more
// workgroups than one dimension allows (elements.ts). Every thread asks for its index; those from params.count on have
// nothing to do.

const WORKGROUP = 64u;

fn element(workgroup: vec3<u32>, groups: vec3<u32>, thread: u32) -> u32 {
  return (workgroup.y * groups.x + workgroup.x) * WORKGROUP + thread;
}
