// Group norm with known statistics: out = act((x - mean[g]) * scale[g] * weight[c] + bias[c]), g = c / group_cols.
//
// x, out       [rows, cols]  f32, rows of `width` vec4
// moments      [groups]      vec4 (mean, 1 / sqrt(variance + epsilon), -, -): a tensor [groups, 2]
// weight, bias [cols]        f32
//
// One thread for each vec4 of out (lib/elements.wgsl).

struct Params {
  count: u32, // vec4 of out
  width: u32,
  group_cols: u32, // channels of a group
  activation: u32, // lib/activation.wgsl
}

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> moments: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> weight: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> out: array<vec4<f32>>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let i = element(workgroup, groups, thread);
  if (i >= params.count) {
    return;
  }
  let column = i % params.width;
  var mean: vec4<f32>;
  var scale: vec4<f32>;
  for (var j = 0u; j < 4u; j++) {
    let moment = moments[(4u * column + j) / params.group_cols];
    mean[j] = moment.x;
    scale[j] = moment.y;
  }
  out[i] = activate4(params.activation, (x[i] - mean) * scale * weight[column] + bias[column]);
}
