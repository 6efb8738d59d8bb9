/// Vec4 i of a row of `x`; zero beyond params.cols (where RAGGED), since memory there may hold anything.
fn x_vec(token: u32, i: u32) -> vec4<f32> {
  if (RAGGED == 1u) {
    if (4u * i >= params.cols) {
      return vec4<f32>();
    }
    let inside = vec4<u32>(4u * i) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(params.cols);
    return select(vec4<f32>(), x[token * params.x_stride + i], inside);
  }
  return x[token * params.x_stride + i];
}
