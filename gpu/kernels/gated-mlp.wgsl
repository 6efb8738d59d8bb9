// The first half of a gated MLP for few rows (decode): out[t, c] = act(n(x[t]) . gate[c]) * (n(x[t]) . up[c]),
// n(x) = x, or x * norm * inverseSqrt(mean(x^2) + epsilon) where NORM.
//
// x    [tokens, cols]  f32, rows of x_stride vec4
// norm [cols]          f32, where NORM
// w0   [rows, cols]    gate, packed rows (lib/rows.ts)
// w1   [rows, cols]    up
// out  [tokens, rows]  f32, rows of out_stride
//
// One workgroup of 64 computes COLUMNS columns for TOKENS rows of x (grid y: blocks of TOKENS), as few-rows.wgsl describes:
// of the four columns of a thread, two belong to gate and the same two to up.

override RAGGED: u32 = 0u; // cols is not a multiple of 32

override COLUMNS = 2u * GROUPS; // of a workgroup

struct Params {
  tokens: u32,
  cols: u32,
  x_stride: u32,
  out_stride: u32,
  rows: u32,
  epsilon: f32,
  activation: u32, // lib/activation.wgsl
}

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> norm: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> w0: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> w1: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

fn weight_row(place: Slot, group: u32, r: u32) -> vec2<u32> {
  return vec2<u32>(r / 2u, min(place.first + 2u * group + r % 2u, place.rows - 1u));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let first = workgroup.x * COLUMNS;
  let token0 = workgroup.y * TOKENS;
  partial_sums(Slot(0u, first, params.rows, 0u), token0, thread);
  for (var o = thread; o < COLUMNS * TOKENS; o += 64u) {
    let t = o / COLUMNS;
    let c = o % COLUMNS;
    let token = token0 + t;
    if (token >= params.tokens || first + c >= params.rows) {
      continue;
    }
    let scale = norm_scale(t);
    let gate = column_sum(t, c / 2u, c % 2u) * scale;
    let up = column_sum(t, c / 2u, 2u + c % 2u) * scale;
    out[token * params.out_stride + first + c] = activate(params.activation, gate) * up;
  }
}
