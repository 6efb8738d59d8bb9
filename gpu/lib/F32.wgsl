// F32. Row: values (8 vec4 a unit).
fn decode_F32(slot: u32, row: u32, unit: u32, units: u32) -> array<vec4<f32>, 8> {
  let at = (row * units + unit) * 8u;
  var out: array<vec4<f32>, 8>;
  for (var i = 0u; i < 8u; i++) {
    out[i] = bitcast<vec4<f32>>(weight_vec(slot, at + i));
  }
  return out;
}
