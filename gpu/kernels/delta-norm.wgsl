// What follows the delta rule: out = RMS norm of each head's outcome * silu(z), in place.
//
// rest   [tokens, .. z ..]               f32, rows of rest_stride; z begins at column `first`
// weight [VALUE_DIM]                     f32
// out    [tokens, heads * VALUE_DIM]     f32, rows of out_stride
//
// One workgroup of 64 per (head, token).

override VALUE_DIM: u32;

struct Params {
  rest_stride: u32,
  first: u32,
  out_stride: u32,
  epsilon: f32,
}

@group(0) @binding(0) var<storage, read> rest: array<f32>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

const WORKGROUP = 64u;
var<workgroup> reduction: array<f32, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let column = workgroup.x * VALUE_DIM;
  let at = workgroup.y * params.out_stride + column;
  let z = workgroup.y * params.rest_stride + params.first + column;
  var squares = 0.0;
  for (var i = thread; i < VALUE_DIM; i += WORKGROUP) {
    squares += out[at + i] * out[at + i];
  }
  let scale = inverseSqrt(reduce_sum(squares, thread) / f32(VALUE_DIM) + params.epsilon);
  for (var i = thread; i < VALUE_DIM; i += WORKGROUP) {
    out[at + i] = out[at + i] * scale * weight[i] * activate(1u, rest[z + i]);
  }
}
