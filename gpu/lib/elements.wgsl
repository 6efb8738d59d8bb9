// Elementwise kernels: one thread a vec4 of rows of params.width vec4 (what lies beyond a row's columns is undefined and stays so), counted
// across a grid of two dimensions, since a picture has more of them than one dimension may have workgroups (elements.ts).
// Every thread asks for its place; those from params.count on have nothing to do.

const WORKGROUP = 64u;

fn element(workgroup: vec3<u32>, groups: vec3<u32>, thread: u32) -> u32 {
  return (workgroup.y * groups.x + workgroup.x) * WORKGROUP + thread;
}
