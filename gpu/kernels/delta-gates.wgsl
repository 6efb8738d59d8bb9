// What a token decides for a value head of a gated delta net (Yang et al. 2025), before the state is looked at.
//
// qkv       [tokens, q | k | ..]        f32, rows of qkv_stride vec4: KEY_HEADS heads of KEY_DIM values each, q then k
// rest      [tokens, .. z | b | a]      f32, rows of rest_stride; b begins at column `first`
// decay     [VALUE_HEADS]               f32, below 0
// time_bias [VALUE_HEADS]               f32
// gates     [tokens, VALUE_HEADS, 2]    vec4: (exp(decay softplus(a + time_bias)), sigmoid(b), 1 / |k|, 1 / (|q| sqrt(KEY_DIM))), (q k, 0, 0, 0)
//
// One workgroup of 32 per (value head, token). KEY_DIM is a multiple of 4.

override KEY_HEADS: u32;
override VALUE_HEADS: u32;
override KEY_DIM: u32;
override TILED: u32; // value head n reads key head n % KEY_HEADS

struct Params {
  qkv_stride: u32,
  rest_stride: u32,
  first: u32,
}

@group(0) @binding(0) var<storage, read> qkv: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> rest: array<f32>;
@group(0) @binding(2) var<storage, read> decay: array<f32>;
@group(0) @binding(3) var<storage, read> time_bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> gates: array<vec4<f32>>;
@group(1) @binding(0) var<uniform> params: Params;

const WORKGROUP = 32u;
var<workgroup> sums: array<vec3<f32>, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let head = workgroup.x;
  let token = workgroup.y;
  let key_head = select(head / (VALUE_HEADS / KEY_HEADS), head % KEY_HEADS, TILED == 1u);
  let query = token * params.qkv_stride + key_head * (KEY_DIM / 4u);
  let key = query + KEY_HEADS * (KEY_DIM / 4u);
  var sum = vec3<f32>();
  for (var i = thread; i < KEY_DIM / 4u; i += WORKGROUP) {
    let q = qkv[query + i];
    let k = qkv[key + i];
    sum += vec3<f32>(dot(q, q), dot(k, k), dot(q, k));
  }
  sums[thread] = sum;
  for (var half = WORKGROUP / 2u; half > 0u; half >>= 1u) {
    workgroupBarrier();
    if (thread < half) {
      sums[thread] += sums[thread + half];
    }
  }
  workgroupBarrier();
  if (thread > 0u) {
    return;
  }
  let at = token * params.rest_stride + params.first + head;
  let step = rest[at + VALUE_HEADS] + time_bias[head];
  let e = exp(min(step, 20.0));
  // log(1 + e), exact for small e, too: the rounding of 1 + e cancels out.
  let one = 1.0 + e;
  var softplus = step;
  if (step <= 20.0) {
    softplus = select(log(one) * (e / (one - 1.0)), e, one == 1.0);
  }
  let lengths = inverseSqrt(sums[0].xy + 1e-6);
  let out = 2u * (token * VALUE_HEADS + head);
  gates[out] = vec4<f32>(exp(decay[head] * softplus), 1.0 / (1.0 + exp(min(-rest[at], 80.0))), lengths.y, lengths.x * inverseSqrt(f32(KEY_DIM)));
  gates[out + 1u] = vec4<f32>(sums[0].z, 0.0, 0.0, 0.0);
}
