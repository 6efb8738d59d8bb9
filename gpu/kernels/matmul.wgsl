// Linear map of many rows (prefill): out[t, c] = act(x[t] . W[c] + bias[c]) + residual[t, c].
//
// Bindings as in linear.wgsl, without a norm: x [tokens, cols], bias [out], residual [tokens, out], w0..w2 packed rows, out [tokens, out].
//
// One workgroup of 64 makes a tile of 32 rows of x by 64 columns of one slot, 32 values of cols at a time: both tiles go through workgroup
// memory (weights decoded once a tile) as vec4 along cols, written whole, and each thread keeps 4 x 8 sums in registers. Its rows are
// ty + 8 r and its columns tx + 8 c, so that neighbours read neighbouring rows of the tiles, whose odd stride spreads the banks.

override SLOTS: u32 = 1u;
override RAGGED: u32 = 0u; // cols is not a multiple of 32

const ROWS = 32u;
const COLUMNS = 64u;

struct Params {
  tokens: u32,
  cols: u32,
  x_stride: u32,
  out_stride: u32,
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
@group(0) @binding(1) var<storage, read> bias: array<f32>;
@group(0) @binding(2) var<storage, read> residual: array<f32>;
@group(0) @binding(3) var<storage, read> w0: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read> w1: array<vec4<u32>>;
@group(0) @binding(5) var<storage, read> w2: array<vec4<u32>>;
@group(0) @binding(6) var<storage, read_write> out: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

const STRIDE = 9u; // of a tile's row: 8 vec4 and one unused

var<workgroup> x_tile: array<vec4<f32>, ROWS * STRIDE>;
var<workgroup> w_tile: array<vec4<f32>, COLUMNS * STRIDE>;

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
  let token0 = workgroup.y * ROWS;
  let units = (params.cols + 31u) / 32u;
  let tx = thread % 8u;
  let ty = thread / 8u;
  var low = array<vec4<f32>, 4>(); // columns c = 0..3 of row r
  var high = array<vec4<f32>, 4>(); // columns c = 4..7
  for (var unit = 0u; unit < units; unit++) {
    // Every thread decodes the 32 values of one column, and carries half of one row of x.
    let w = decode(slot, min(first + thread, rows - 1u), unit, units);
    for (var i = 0u; i < 8u; i++) {
      w_tile[thread * STRIDE + i] = w[i];
    }
    let row = thread / 2u;
    let token = min(token0 + row, params.tokens - 1u);
    for (var i = 4u * (thread % 2u); i < 4u * (thread % 2u) + 4u; i++) {
      x_tile[row * STRIDE + i] = x_vec(token, unit * 8u + i);
    }
    workgroupBarrier();
    for (var i = 0u; i < 8u; i++) {
      var b: array<vec4<f32>, 8>;
      for (var c = 0u; c < 8u; c++) {
        b[c] = w_tile[(tx + 8u * c) * STRIDE + i];
      }
      for (var r = 0u; r < 4u; r++) {
        let a = x_tile[(ty + 8u * r) * STRIDE + i];
        low[r] += vec4<f32>(dot(a, b[0]), dot(a, b[1]), dot(a, b[2]), dot(a, b[3]));
        high[r] += vec4<f32>(dot(a, b[4]), dot(a, b[5]), dot(a, b[6]), dot(a, b[7]));
      }
    }
    workgroupBarrier();
  }
  for (var r = 0u; r < 4u; r++) {
    let token = token0 + ty + 8u * r;
    if (token >= params.tokens) {
      break;
    }
    for (var c = 0u; c < 8u; c++) {
      let local = first + tx + 8u * c;
      if (local >= rows) {
        break;
      }
      let at = column + local;
      var sum = select(high[r][c % 4u], low[r][c % 4u], c < 4u);
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
}
