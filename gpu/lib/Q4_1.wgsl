// Q4_1: d * q + m. Row: nibbles as Q4_0; a word of f16 d (low) and m.
fn decode_Q4_1(slot: u32, row: u32, unit: u32, units: u32) -> array<vec4<f32>, 8> {
  let base = row * (units + (units + 3u) / 4u);
  let scales = weight_word(slot, base + units, unit);
  let d = half(scales);
  let m = half(scales >> 16u);
  let q = weight_vec(slot, base + unit);
  var out: array<vec4<f32>, 8>;
  for (var i = 0u; i < 4u; i++) {
    out[i] = d * bytes_unsigned(q[i] & 0x0f0f0f0fu) + m;
    out[i + 4u] = d * bytes_unsigned((q[i] >> 4u) & 0x0f0f0f0fu) + m;
  }
  return out;
}
