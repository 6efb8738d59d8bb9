// Norms of the rows among which ToDRE selects: inverse[v] = 1 / |x[rows[v]]|, 0 for a row of zeros. state[3] becomes 1
// when a row is not finite, or so short that its squares vanish in f32; then the host must choose.
//
// x       [.., cols]  f32, rows of `stride`
// rows    [tokens]    u32
// inverse [tokens]    f32
// state   see diversity-choose.wgsl
//
// One workgroup of 64 for each token.

struct Params {
  cols: u32,
  stride: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> rows: array<u32>;
@group(0) @binding(2) var<storage, read_write> inverse: array<f32>;
@group(0) @binding(3) var<storage, read_write> state: array<u32>;
@group(1) @binding(0) var<uniform> params: Params;

const WORKGROUP = 64u;
const SHORTEST = 1e-30;
var<workgroup> reduction: array<f32, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let base = rows[workgroup.x] * params.stride;
  var squares = 0.0;
  var others = 0.0;
  for (var c = thread; c < params.cols; c += WORKGROUP) {
    let value = x[base + c];
    squares += value * value;
    if ((bitcast<u32>(value) & 0x7fffffffu) != 0u) {
      others += 1.0;
    }
  }
  let total = reduce_sum(squares, thread);
  let filled = reduce_sum(others, thread);
  if (thread != 0u) {
    return;
  }
  let endless = (bitcast<u32>(total) & 0x7f800000u) == 0x7f800000u;
  if (endless || (filled > 0.0 && !(total > SHORTEST))) {
    state[3] = 1u;
  }
  inverse[workgroup.x] = select(0.0, inverseSqrt(total), filled > 0.0 && total > SHORTEST);
}
