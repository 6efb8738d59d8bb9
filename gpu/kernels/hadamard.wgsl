// Multiplies each head of x by a Hadamard matrix (lib/hadamard.wgsl).
//
// x, out [tokens, heads * HEAD_DIM]  f32, rows of x_stride and out_stride
//
// One workgroup of 64 per (head, token).

override HEAD_DIM: u32;

struct Params {
  x_stride: u32,
  out_stride: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

const WORKGROUP = 64u;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let column = workgroup.x * HEAD_DIM;
  for (var d = thread; d < HEAD_DIM; d += WORKGROUP) {
    head_row[d] = x[workgroup.y * params.x_stride + column + d];
  }
  hadamard(HEAD_DIM, thread);
  for (var d = thread; d < HEAD_DIM; d += WORKGROUP) {
    out[workgroup.y * params.out_stride + column + d] = head_row[d];
  }
}
