// Gated MLP's first half for few rows (decode): out[t, c] = act(n(x[t]) . gate[c]) * (n(x[t]) . up[c]),
// n(x) = x, or x * norm * inverseSqrt(mean(x^2) + epsilon) where NORM.
//
// x    [tokens, cols]  f32, rows of x_stride vec4
// norm [cols]          f32, where NORM
// w0   [rows, cols]    gate, packed rows (lib/rows.ts)
// w1   [rows, cols]    up
// w2                   unused: decoders know three slots
// out  [tokens, rows]  f32, rows of out_stride
//
// One workgroup of 64 makes 8 columns for TOKENS rows of x (grid y: blocks of TOKENS): 16 threads share a column's units,
// and every thread makes 2 columns of gate and the same 2 of up. One barrier, as in linear.wgsl.

override TOKENS: u32 = 1u; // 1 .. 4
override NORM: u32 = 0u;
override RAGGED: u32 = 0u; // cols is not a multiple of 32

const SLOTS = 2u;
const LANES = 16u;
const GROUPS = 4u;
const COLUMNS = 8u; // of a workgroup: GROUPS * 2

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
@group(0) @binding(4) var<storage, read> w2: array<vec4<u32>>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

// partial[(token * GROUPS + group) * LANES + lane]: (gate, gate, up, up) sums. squares[token * LANES + lane].
var<workgroup> partial: array<vec4<f32>, 64u * TOKENS>;
var<workgroup> squares: array<f32, LANES * TOKENS>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let first = workgroup.x * COLUMNS;
  let token0 = workgroup.y * TOKENS;
  let lane = thread % LANES;
  let group = thread / LANES;
  let units = (params.cols + 31u) / 32u;

  var sums = array<vec4<f32>, 4>();
  var square = vec4<f32>();
  for (var unit = lane; unit < units; unit += LANES) {
    for (var t = 0u; t < TOKENS; t++) {
      let token = min(token0 + t, params.tokens - 1u);
      var v: array<vec4<f32>, 8>;
      for (var i = 0u; i < 8u; i++) {
        v[i] = x_vec(token, unit * 8u + i);
        if (NORM == 1u) {
          square[t] += dot(v[i], v[i]);
          v[i] *= norm[unit * 8u + i];
        }
      }
      for (var r = 0u; r < 4u; r++) {
        let w = decode(r / 2u, min(first + 2u * group + r % 2u, params.rows - 1u), unit, units);
        var sum = 0.0;
        for (var i = 0u; i < 8u; i++) {
          sum += dot(w[i], v[i]);
        }
        sums[t][r] += sum;
      }
    }
  }
  for (var t = 0u; t < TOKENS; t++) {
    partial[(t * GROUPS + group) * LANES + lane] = sums[t];
    if (NORM == 1u && group == 0u) {
      squares[t * LANES + lane] = square[t];
    }
  }
  workgroupBarrier();

  for (var o = thread; o < COLUMNS * TOKENS; o += 64u) {
    let t = o / COLUMNS;
    let c = o % COLUMNS;
    let token = token0 + t;
    if (token >= params.tokens || first + c >= params.rows) {
      continue;
    }
    var gate = 0.0;
    var up = 0.0;
    var square_sum = 0.0;
    for (var l = 0u; l < LANES; l++) {
      let four = partial[(t * GROUPS + c / 2u) * LANES + l];
      gate += four[c % 2u];
      up += four[2u + c % 2u];
      if (NORM == 1u) {
        square_sum += squares[t * LANES + l];
      }
    }
    if (NORM == 1u) {
      let scale = inverseSqrt(square_sum / f32(params.cols) + params.epsilon);
      gate *= scale;
      up *= scale;
    }
    out[token * params.out_stride + first + c] = activate(params.activation, gate) * up;
  }
}
