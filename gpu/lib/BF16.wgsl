// BF16, the upper half of an f32. Row: values (4 vec4 a unit), the even one in the low half of a word.
fn decode_BF16(slot: u32, row: u32, unit: u32, units: u32) -> array<vec4<f32>, 8> {
  let at = (row * units + unit) * 4u;
  var out: array<vec4<f32>, 8>;
  for (var i = 0u; i < 4u; i++) {
    let v = weight_vec(slot, at + i);
    let even = bitcast<vec4<f32>>(v << vec4<u32>(16u));
    let odd = bitcast<vec4<f32>>(v & vec4<u32>(0xffff0000u));
    out[2u * i] = vec4<f32>(even.x, odd.x, even.y, odd.y);
    out[2u * i + 1u] = vec4<f32>(even.z, odd.z, even.w, odd.w);
  }
  return out;
}
