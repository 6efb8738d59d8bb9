// Q4_K: d * scale * q - dmin * min. Row: nibbles as Q4_0; a vec4 per 256 values: f16 d and dmin, 12 bytes of 6-bit
// scales and minima.
fn decode_Q4_K(slot: u32, row: u32, unit: u32, units: u32) -> array<vec4<f32>, 8> {
  let base = row * (units + units / 8u);
  let dm = scales_K(weight_vec(slot, base + units + unit / 8u), unit % 8u);
  let d = dm.x;
  let m = dm.y;
  let q = weight_vec(slot, base + unit);
  var out: array<vec4<f32>, 8>;
  for (var i = 0u; i < 4u; i++) {
    out[i] = d * bytes_unsigned(q[i] & 0x0f0f0f0fu) + m;
    out[i + 4u] = d * bytes_unsigned((q[i] >> 4u) & 0x0f0f0f0fu) + m;
  }
  return out;
}
