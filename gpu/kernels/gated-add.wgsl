// out[t, c] = x[t, c] + y[t, c] * modulation[t, column + c], without x where ADDED is 0.
//
// x, y, out  [rows, cols]  f32, rows of `width` vec4
// modulation [rows, any]   f32, rows of modulation_stride; `column` is any number
//
// One thread for each vec4 of out (lib/elements.wgsl).

override ADDED: u32;

struct Params {
  count: u32, // vec4 of out
  width: u32,
  modulation_stride: u32,
  column: u32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> y: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> modulation: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let i = element(workgroup, groups, thread);
  if (i >= params.count) {
    return;
  }
  let at = (i / params.width) * params.modulation_stride + params.column + 4u * (i % params.width);
  var value = y[i] * vec4<f32>(modulation[at], modulation[at + 1u], modulation[at + 2u], modulation[at + 3u]);
  if (ADDED == 1u) {
    value += x[i];
  }
  out[i] = value;
}
