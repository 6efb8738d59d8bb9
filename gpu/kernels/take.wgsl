// Takes rows by indices from the host: out[first + t] = x[data[t]], zeros where the index is -1.
//
// x, out [rows, cols]  f32, rows of `width` vec4
// data   [..]          i32 as u32: indices below x's rows, or -1
//
// One thread for each vec4 of out (lib/elements.wgsl).

struct Params {
  count: u32, // vec4 of this dispatch
  width: u32,
  first: u32, // row of out for the first index
}

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> out: array<vec4<f32>>;
@group(1) @binding(0) var<uniform> params: Params;
@group(1) @binding(1) var<storage, read> data: array<u32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let i = element(workgroup, groups, thread);
  if (i >= params.count) {
    return;
  }
  let index = data[i / params.width];
  var value = vec4<f32>();
  if (index != 0xffffffffu) {
    value = x[index * params.width + i % params.width];
  }
  out[params.first * params.width + i] = value;
}
