// One step of ToDRE's selection (2505.18757): adds to the score of every token its cosine with the token kept last (mode
// 0), or its product with the mean of the unit rows (1); or the score becomes that cosine if it is larger (2). Scores are integer multiples of 2^-20, so that sums are
// exact; the score of a kept token is TAKEN. Once state[1] (stopped) is set, the kernel does nothing.
//
// x       [.., cols]  f32, rows of `stride`
// rows    [tokens]    u32
// inverse [tokens]    f32
// mean    [cols]      f32
// state   see diversity-choose.wgsl
// scores  [tokens]    i32
//
// One workgroup of 64 for each token.

struct Params {
  cols: u32,
  stride: u32,
  mode: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> rows: array<u32>;
@group(0) @binding(2) var<storage, read> inverse: array<f32>;
@group(0) @binding(3) var<storage, read> mean: array<f32>;
@group(0) @binding(4) var<storage, read> state: array<u32>;
@group(0) @binding(5) var<storage, read_write> scores: array<i32>;
@group(1) @binding(0) var<uniform> params: Params;

const WORKGROUP = 64u;
const TAKEN = 0x7fffffff;
const UNITS = 1048576.0;
var<workgroup> reduction: array<f32, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let token = workgroup.x;
  let base = rows[token] * params.stride;
  var sum = 0.0;
  let scale = inverse[token];
  var last = 0xffffffffu;
  if (params.mode == 1u) {
    for (var c = thread; c < params.cols; c += WORKGROUP) {
      sum += x[base + c] * scale * mean[c];
    }
  } else {
    last = state[FIRST_PICK + max(state[0], 1u) - 1u];
    let other = rows[last] * params.stride;
    let factor = inverse[last];
    for (var c = thread; c < params.cols; c += WORKGROUP) {
      sum += (x[base + c] * scale) * (x[other + c] * factor);
    }
  }
  let cosine = reduce_sum(sum, thread);
  if (thread != 0u || state[1] == 1u || scores[token] == TAKEN) {
    return;
  }
  if (token == last) {
    scores[token] = TAKEN;
  } else if (params.mode == 2u) {
    scores[token] = max(scores[token], i32(round(cosine * UNITS)));
  } else {
    scores[token] += i32(round(cosine * UNITS));
  }
}
