// Linear map of few rows (decode): out[t, c] = act(n(x[t]) . W[c] + bias[c]) * scale + residual[t, c],
// n(x) = x, or x * norm * inverseSqrt(mean(x^2) + epsilon) where NORM (the sum of squares is computed with the
// product).
//
// x        [tokens, cols]   f32, rows of x_stride vec4
// norm     [cols]           f32, where NORM
// bias     [out columns]    f32, where has_bias
// residual [tokens, out]    f32, rows of out_stride, where has_residual
// w0..w2   [rows_s, cols]   packed rows (lib/rows.ts); slot s gives out columns column_s .. column_s + rows_s
// out      [tokens, out]    f32, rows of out_stride
//
// One workgroup of 64 computes COLUMNS columns of one slot for TOKENS rows of x (grid y: blocks of TOKENS), as few-rows.wgsl
// describes; one thread sums up each output.

override SLOTS: u32 = 1u;
override RAGGED: u32 = 0u; // cols is not a multiple of 32

override COLUMNS = 4u * GROUPS; // of a workgroup

struct Params {
  tokens: u32,
  cols: u32,
  x_stride: u32,
  out_stride: u32,
  epsilon: f32,
  start1: u32, // first workgroup of slot 1, of slot 2
  start2: u32,
  rows0: u32,
  rows1: u32,
  rows2: u32,
  column0: u32,
  column1: u32,
  column2: u32,
  has_bias: u32,
  has_residual: u32,
  activation: u32, // lib/activation.wgsl
  scale: f32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> norm: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read> residual: array<f32>;
@group(0) @binding(4) var<storage, read> w0: array<vec4<u32>>;
@group(0) @binding(5) var<storage, read> w1: array<vec4<u32>>;
@group(0) @binding(6) var<storage, read> w2: array<vec4<u32>>;
@group(0) @binding(7) var<storage, read_write> out: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

fn weight_row(place: Slot, group: u32, r: u32) -> vec2<u32> {
  return vec2<u32>(place.index, min(place.first + 4u * group + r, place.rows - 1u));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let place = slot_of(workgroup.x, COLUMNS);
  let token0 = workgroup.y * TOKENS;
  partial_sums(place, token0, thread);
  for (var o = thread; o < COLUMNS * TOKENS; o += 64u) {
    let t = o / COLUMNS;
    let c = o % COLUMNS;
    let token = token0 + t;
    if (token >= params.tokens || place.first + c >= place.rows) {
      continue;
    }
    var sum = column_sum(t, c / 4u, c % 4u) * norm_scale(t);
    let at = place.column + place.first + c;
    if (params.has_bias == 1u) {
      sum += bias[at];
    }
    sum = activate_scaled(params.activation, sum, params.scale);
    if (params.has_residual == 1u) {
      sum += residual[token * params.out_stride + at];
    }
    out[token * params.out_stride + at] = sum;
  }
}
