// Means of rows over spans: out[s] = mean of row[data[2 s] .. data[2 s + 1]); zeros for an empty span. The rows are
// those of a matrix, or the cached keys or values of a sequence. cached.ts defines row_vec, which reads them, and its
// buffers from binding 1 on.
//
// out  [spans, 4 * width]  f32, rows of `width` vec4
// data [spans]             (start, end) of this dispatch, which writes rows of out from `first` on
//
// One workgroup of 128 per (span, 16 vec4 of a row): eight lanes share the rows of the span, and each sums in f32.

struct Params {
  first: u32,
  width: u32,
  table_start: u32, // layer * KV_HEADS * blocks
  blocks: u32,
}

@group(0) @binding(0) var<storage, read_write> out: array<vec4<f32>>;
@group(1) @binding(0) var<uniform> params: Params;
@group(1) @binding(1) var<storage, read> data: array<u32>;

const COLUMNS = 16u;
const LANES = 8u;
var<workgroup> sums: array<vec4<f32>, 128>;

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let column = workgroup.y * COLUMNS + thread % COLUMNS;
  let start = data[2u * workgroup.x];
  let end = data[2u * workgroup.x + 1u];
  var sum = vec4<f32>();
  if (column < params.width) {
    for (var row = start + thread / COLUMNS; row < end; row += LANES) {
      sum += row_vec(row, column);
    }
  }
  sums[thread] = sum;
  workgroupBarrier();
  if (thread < COLUMNS && column < params.width) {
    for (var lane = 1u; lane < LANES; lane++) {
      sum += sums[lane * COLUMNS + thread];
    }
    out[(params.first + workgroup.x) * params.width + column] = sum / f32(max(1u, end - start));
  }
}
