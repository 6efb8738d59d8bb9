// The scales of Q4_K and Q5_K: header = (f16 d and dmin, bytes 0-3, 4-7, 8-11 of the scales). Returns
// (d * scale, -dmin * min) of unit j.
fn scales_K(header: vec4<u32>, j: u32) -> vec2<f32> {
  let shift = 8u * (j & 3u);
  let a = header.y >> shift;
  let b = header.z >> shift;
  let c = header.w >> shift;
  let first = j < 4u;
  let scale = select((c & 15u) | (((a >> 6u) & 3u) << 4u), a & 63u, first);
  let minimum = select(((c >> 4u) & 15u) | (((b >> 6u) & 3u) << 4u), b & 63u, first);
  return vec2<f32>(half(header.x) * f32(scale), -half(header.x >> 16u) * f32(minimum));
}
