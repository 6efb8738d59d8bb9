// Second pass of `moments`: the mean and 1 / sqrt(variance + epsilon) of every group of channels, from the
// parts of all bands.
//
// parts [parts, cols]  vec4 (count, mean, squares about the mean, -)
// out   [groups]       vec4 (mean, 1 / sqrt(variance + epsilon), -, -): a tensor [groups, 2]
//
// One workgroup of 128 for each group.

struct Params {
  parts: u32,
  cols: u32,
  group_cols: u32, // channels of a group
  epsilon: f32,
}

@group(0) @binding(0) var<storage, read> parts: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> out: array<vec4<f32>>;
@group(1) @binding(0) var<uniform> params: Params;

const WORKGROUP = 128u;
var<workgroup> shares: array<vec4<f32>, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let group = workgroup.x;
  var all = vec4<f32>();
  for (var i = thread; i < params.parts * params.group_cols; i += WORKGROUP) {
    all = joined(all, parts[(i / params.group_cols) * params.cols + group * params.group_cols + i % params.group_cols]);
  }
  shares[thread] = all;
  for (var half = WORKGROUP / 2u; half > 0u; half >>= 1u) {
    workgroupBarrier();
    if (thread < half) {
      shares[thread] = joined(shares[thread], shares[thread + half]);
    }
  }
  if (thread == 0u) {
    let total = shares[0];
    out[group] = vec4<f32>(total.y, inverseSqrt(total.z / total.x + params.epsilon), 0.0, 0.0);
  }
}
