// out = act(a + b), where b has a's shape or is one row that is added to every row.
//
// a, out [rows, cols]       f32, rows of `width` vec4
// b      [rows or 1, cols]  f32, rows of `width` vec4
//
// One thread for each vec4 of out (lib/elements.wgsl).

struct Params {
  count: u32, // vec4 of out
  width: u32,
  one_row: u32, // b has one row
  activation: u32, // lib/activation.wgsl
}

@group(0) @binding(0) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let i = element(workgroup, groups, thread);
  if (i >= params.count) {
    return;
  }
  out[i] = activate4(params.activation, a[i] + b[select(i, i % params.width, params.one_row == 1u)]);
}
