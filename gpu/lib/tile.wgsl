// A tile of a product with many rows: out[t, c] = act(x[t] . W[c] + bias[c]) * scale + residual[t, c], for 32 rows of x
// by 64 columns of one slot.
//
// The kernel declares bias, residual and out, and in `params` tokens, cols, out_stride, has_bias, has_residual,
// activation and scale. x comes from x-vec.wgsl (rows of memory) or x-pixels.wgsl (the pixels that a convolution
// reads), the weight from lib/weights.ts; Decoded (lib/joined.ts) is vec4<f32> or vec4<f16>.
//
// One workgroup of 64 processes 32 values of cols at a time. Both tiles are copied to workgroup memory (weights are
// decoded once for each tile) as vec4 along cols, and each thread keeps 4 x 8 sums in registers. Its rows are ty + 8 r
// and its columns tx + 8 c, so that neighbouring threads read neighbouring rows of the tiles, whose odd stride avoids
// bank conflicts.

const TILE_ROWS = 32u;
const TILE_COLUMNS = 64u;
const TILE_STRIDE = 9u; // of a tile's row: 8 vec4 and one unused

var<workgroup> x_tile: array<vec4<f32>, TILE_ROWS * TILE_STRIDE>;
var<workgroup> w_tile: array<Decoded, TILE_COLUMNS * TILE_STRIDE>;

/// Computes rows of out from token0 on, and columns of the slot from slot.first on.
fn tile(slot: Slot, token0: u32, thread: u32) {
  let units = (params.cols + 31u) / 32u;
  let tx = thread % 8u;
  let ty = thread / 8u;
  // Every thread decodes the 32 values of one column, and copies half of one row of x.
  let decoded = min(slot.first + thread, slot.rows - 1u);
  let carried = thread / 2u;
  let row = x_row(min(token0 + carried, params.tokens - 1u));
  var low = array<vec4<f32>, 4>(); // columns c = 0..3 of row r
  var high = array<vec4<f32>, 4>(); // columns c = 4..7
  for (var unit = 0u; unit < units; unit++) {
    let w = decode(slot.index, decoded, unit, units);
    for (var i = 0u; i < 8u; i++) {
      w_tile[thread * TILE_STRIDE + i] = Decoded(w[i]);
    }
    for (var i = 4u * (thread % 2u); i < 4u * (thread % 2u) + 4u; i++) {
      x_tile[carried * TILE_STRIDE + i] = x_vec(row, unit * 8u + i);
    }
    workgroupBarrier();
    for (var i = 0u; i < 8u; i++) {
      var b: array<vec4<f32>, 8>;
      for (var c = 0u; c < 8u; c++) {
        b[c] = vec4<f32>(w_tile[(tx + 8u * c) * TILE_STRIDE + i]);
      }
      for (var r = 0u; r < 4u; r++) {
        let a = x_tile[(ty + 8u * r) * TILE_STRIDE + i];
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
      let local = slot.first + tx + 8u * c;
      if (local >= slot.rows) {
        break;
      }
      let at = slot.column + local;
      var sum = select(high[r][c % 4u], low[r][c % 4u], c < 4u);
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
}
