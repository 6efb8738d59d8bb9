// Linear map of few rows (decode): out[t, c] = act(n(x[t]) . W[c] + bias[c]) + residual[t, c],
// n(x) = x, or x * norm * inverseSqrt(mean(x^2) + epsilon) where NORM (its sum of squares runs along with the product).
//
// x        [tokens, cols]   f32, rows of x_stride vec4
// norm     [cols]           f32, where NORM
// bias     [out columns]    f32, where has_bias
// residual [tokens, out]    f32, rows of out_stride, where has_residual
// w0..w2   [rows_s, cols]   packed rows (lib/rows.ts); slot s makes out columns column_s .. column_s + rows_s
// out      [tokens, out]    f32, rows of out_stride
//
// One workgroup of 64 makes 16 columns of one slot for TOKENS rows of x (grid y: blocks of TOKENS): LANES = 16 threads share
// a column's units, and every thread makes 4 columns, so that x is read once for four. One barrier: the partial sums meet
// in workgroup memory, and one thread adds up each output.

override SLOTS: u32 = 1u;
override TOKENS: u32 = 1u; // 1 .. 4
override NORM: u32 = 0u;
override RAGGED: u32 = 0u; // cols is not a multiple of 32

const LANES = 16u;
const GROUPS = 4u;
const COLUMNS = 16u; // of a workgroup: GROUPS * 4

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

// partial[(token * GROUPS + group) * LANES + lane]: four columns' sums. squares[token * LANES + lane].
var<workgroup> partial: array<vec4<f32>, 64u * TOKENS>;
var<workgroup> squares: array<f32, LANES * TOKENS>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  var slot = 0u;
  var first = workgroup.x;
  var rows = params.rows0;
  var column = params.column0;
  if (SLOTS > 2u && workgroup.x >= params.start2) {
    slot = 2u;
    first -= params.start2;
    rows = params.rows2;
    column = params.column2;
  } else if (SLOTS > 1u && workgroup.x >= params.start1) {
    slot = 1u;
    first -= params.start1;
    rows = params.rows1;
    column = params.column1;
  }
  first *= COLUMNS;
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
        let w = decode(slot, min(first + 4u * group + r, rows - 1u), unit, units);
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
    if (token >= params.tokens || first + c >= rows) {
      continue;
    }
    var sum = 0.0;
    var square_sum = 0.0;
    for (var l = 0u; l < LANES; l++) {
      sum += partial[(t * GROUPS + c / 4u) * LANES + l][c % 4u];
      if (NORM == 1u) {
        square_sum += squares[t * LANES + l];
      }
    }
    if (NORM == 1u) {
      sum *= inverseSqrt(square_sum / f32(params.cols) + params.epsilon);
    }
    let at = column + first + c;
    if (params.has_bias == 1u) {
      sum += bias[at];
    }
    sum = activate(params.activation, sum);
    if (params.has_residual == 1u) {
      sum += residual[token * params.out_stride + at];
    }
    out[token * params.out_stride + at] = sum;
  }
}
