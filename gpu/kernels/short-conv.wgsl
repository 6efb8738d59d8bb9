// A causal depthwise convolution over tokens: out[t, c] = act(sum over k of weight[k, c] * u[t + k - taps + 1, c]), and the state behind the last token.
//
// x      [tokens, any]           f32, rows of `stride` vec4: u, or (gated) b, c and u side by side, where b * u is convolved and the result multiplied by c
// weight [taps, channels]        f32
// state  [taps - 1, channels]    f32: u of the tokens before the call, zeros where has_state is 0
// out    [tokens, channels]      f32
// after  [taps - 1, channels]    f32: u of the last tokens
//
// One thread for each vec4 of out, then of after (lib/elements.wgsl). Channels are a multiple of 4; `width` is a quarter of them.

struct Params {
  count: u32, // vec4 of out and after
  width: u32,
  stride: u32,
  tokens: u32,
  taps: u32,
  has_state: u32,
  gated: u32,
  activation: u32, // lib/activation.wgsl
}

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> weight: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> state: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> after: array<vec4<f32>>;
@group(1) @binding(0) var<uniform> params: Params;

/// What is convolved, `place` rows behind the first of the state.
fn convolved(place: u32, i: u32) -> vec4<f32> {
  let before = params.taps - 1u;
  if (place < before) {
    if (params.has_state == 0u) {
      return vec4<f32>();
    }
    return state[place * params.width + i];
  }
  let at = (place - before) * params.stride + i;
  if (params.gated == 1u) {
    return x[at] * x[at + 2u * params.width];
  }
  return x[at];
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let e = element(workgroup, groups, thread);
  if (e >= params.count) {
    return;
  }
  let row = e / params.width;
  let i = e % params.width;
  if (row >= params.tokens) {
    after[e - params.tokens * params.width] = convolved(row, i);
    return;
  }
  var sum = vec4<f32>();
  for (var k = 0u; k < params.taps; k++) {
    sum += weight[k * params.width + i] * convolved(row + k, i);
  }
  sum = activate4(params.activation, sum);
  if (params.gated == 1u) {
    sum *= x[row * params.stride + params.width + i];
  }
  out[e] = sum;
}
