// Q8_0: d * q. Row: int8 quants (2 vec4 a unit); f16 d.
fn decode_Q8_0(slot: u32, row: u32, unit: u32, units: u32) -> array<vec4<f32>, 8> {
  let base = row * (2u * units + (units + 7u) / 8u);
  let d = weight_half(slot, base + 2u * units, unit);
  let a = weight_vec(slot, base + 2u * unit);
  let b = weight_vec(slot, base + 2u * unit + 1u);
  var out: array<vec4<f32>, 8>;
  for (var i = 0u; i < 4u; i++) {
    out[i] = d * bytes_signed(a[i]);
    out[i + 4u] = d * bytes_signed(b[i]);
  }
  return out;
}
