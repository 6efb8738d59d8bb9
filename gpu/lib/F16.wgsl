// F16. Row: values (4 vec4 a unit), the even one in the low half of a word.
fn decode_F16(slot: u32, row: u32, unit: u32, units: u32) -> array<vec4<f32>, 8> {
  let at = (row * units + unit) * 4u;
  var out: array<vec4<f32>, 8>;
  for (var i = 0u; i < 4u; i++) {
    let v = weight_vec(slot, at + i);
    out[2u * i] = vec4<f32>(unpack2x16float(v.x), unpack2x16float(v.y));
    out[2u * i + 1u] = vec4<f32>(unpack2x16float(v.z), unpack2x16float(v.w));
  }
  return out;
}
