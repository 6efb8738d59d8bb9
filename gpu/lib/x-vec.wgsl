// x as rows of memory, for products that are not convolutions. The kernel declares `x`, the override RAGGED, and cols
// and x_stride in `params`.
alias XRow = u32;

/// The vec4 at which row `token` of x begins.
fn x_row(token: u32) -> XRow {
  return token * params.x_stride;
}

/// Returns vec4 i of a row; zero beyond params.cols (where RAGGED), since the memory there may hold any value.
fn x_vec(row: XRow, i: u32) -> vec4<f32> {
  if (RAGGED == 1u) {
    if (4u * i >= params.cols) {
      return vec4<f32>();
    }
    let inside = vec4<u32>(4u * i) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(params.cols);
    return select(vec4<f32>(), x[row + i], inside);
  }
  return x[row + i];
}
