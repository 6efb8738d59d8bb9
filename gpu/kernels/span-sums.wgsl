// Sums over spans of columns: out[r, s] = sum of masses[r, data[2 s] .. data[2 s + 1]), where columns from `keys` on
// count as zero.
//
// masses [rows, keys]   f32, rows of `stride`
// out    [rows, spans]  f32, rows of `out_stride`
// data   [spans]        (start, end)
//
// One workgroup of 64 per (span, row).

struct Params {
  keys: u32,
  stride: u32,
  out_stride: u32,
}

@group(0) @binding(0) var<storage, read> masses: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;
@group(1) @binding(1) var<storage, read> data: array<u32>;

const WORKGROUP = 64u;
var<workgroup> reduction: array<f32, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let end = min(params.keys, data[2u * workgroup.x + 1u]);
  var sum = 0.0;
  for (var key = data[2u * workgroup.x] + thread; key < end; key += WORKGROUP) {
    sum += masses[workgroup.y * params.stride + key];
  }
  let total = reduce_sum(sum, thread);
  if (thread == 0u) {
    out[workgroup.y * params.out_stride + workgroup.x] = total;
  }
}
