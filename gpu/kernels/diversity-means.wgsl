// The mean of the unit rows: PARTS partial sums, then their sum, so that few rounding errors accumulate.
//
// x       [.., cols]     f32, rows of `stride`
// rows    [tokens]       u32
// inverse [tokens]       f32
// sums    [PARTS, cols]  f32; with `last`, row 0 becomes the mean
//
// One thread for each column and part; with `last` one for each column.

struct Params {
  tokens: u32,
  cols: u32,
  stride: u32,
  last: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> rows: array<u32>;
@group(0) @binding(2) var<storage, read> inverse: array<f32>;
@group(0) @binding(3) var<storage, read_write> sums: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

const WORKGROUP = 64u;
const PARTS = 64u;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let column = id.x;
  if (column >= params.cols) {
    return;
  }
  var sum = 0.0;
  if (params.last == 1u) {
    for (var part = 0u; part < PARTS; part++) {
      sum += sums[part * params.cols + column];
    }
    sums[column] = sum / f32(params.tokens);
    return;
  }
  for (var v = id.y; v < params.tokens; v += PARTS) {
    sum += x[rows[v] * params.stride + column] * inverse[v];
  }
  sums[id.y * params.cols + column] = sum;
}
