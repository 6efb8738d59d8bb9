// First pass of `moments`: count, mean and sum of squares about the mean of every column over parts of ROWS rows, one
// value after the other (Welford 1962), so that a mean far from zero loses no precision.
//
// x     [rows, cols]   f32, rows of `stride`
// parts [parts, cols]  vec4 (count, mean, squares, -); this dispatch writes from first_part on
//
// One workgroup of 256 computes 64 columns (grid x) of a part (grid y): four threads share the rows of a column.

struct Params {
  rows: u32,
  cols: u32,
  stride: u32,
  first_part: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> parts: array<vec4<f32>>;
@group(1) @binding(0) var<uniform> params: Params;

const ROWS = 256u;
const COLUMNS = 64u;
const LANES = 4u;

var<workgroup> shares: array<vec4<f32>, COLUMNS * LANES>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let column = workgroup.x * COLUMNS + thread % COLUMNS;
  let lane = thread / COLUMNS;
  var count = 0.0;
  var mean = 0.0;
  var squares = 0.0;
  if (column < params.cols) {
    let start = workgroup.y * ROWS;
    let end = min(params.rows, start + ROWS);
    for (var row = start + lane; row < end; row += LANES) {
      let value = x[row * params.stride + column];
      let gap = value - mean;
      count += 1.0;
      mean += gap / count;
      squares += gap * (value - mean);
    }
  }
  shares[thread] = vec4<f32>(count, mean, squares, 0.0);
  workgroupBarrier();
  if (lane == 0u && column < params.cols) {
    var all = shares[thread];
    for (var l = 1u; l < LANES; l++) {
      all = joined(all, shares[thread + l * COLUMNS]);
    }
    parts[(params.first_part + workgroup.y) * params.cols + column] = all;
  }
}
