// Joins the results of shares of the keys (attention.wgsl, MODE 1):
// out[t, h] = sum_s exp(m_s - m) values_s / sum_s exp(m_s - m) sum_s, m = max_s m_s.
//
// parts [shares, tokens, HEADS]     (maximum, sum, -, -), then DIM4 vec4
// out   [tokens, HEADS * OUT_DIM]   f32, rows of `stride` vec4: the first values of each head
//
// One workgroup of 64 per (token, head).

override HEAD_DIM: u32;
override HEADS: u32;
override OUT_DIM: u32;

struct Params {
  tokens: u32,
  stride: u32,
  shares: u32,
}

@group(0) @binding(0) var<storage, read> parts: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> out: array<vec4<f32>>;
@group(1) @binding(0) var<uniform> params: Params;

override DIM4 = HEAD_DIM / 4u;
override OUT4 = OUT_DIM / 4u;

fn part(share: u32, token: u32, head: u32) -> u32 {
  return ((share * params.tokens + token) * HEADS + head) * (DIM4 + 1u);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let head = workgroup.x;
  let token = workgroup.y;
  var maximum = parts[part(0u, token, head)].x;
  for (var s = 1u; s < params.shares; s++) {
    maximum = max(maximum, parts[part(s, token, head)].x);
  }
  for (var c = thread; c < OUT4; c += 64u) {
    var total = 0.0;
    var value = vec4<f32>();
    for (var s = 0u; s < params.shares; s++) {
      let at = part(s, token, head);
      let factor = exp(parts[at].x - maximum);
      total += factor * parts[at].y;
      value += factor * parts[at + 1u + c];
    }
    out[token * params.stride + head * OUT4 + c] = select(value / total, vec4<f32>(), total == 0.0);
  }
}
