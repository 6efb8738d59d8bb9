// Q5_0: d * (q - 16). Row: nibbles as Q4_0; a word of fifth bits (bit i + 8b: value 4i + b); f16 d.
fn decode_Q5_0(slot: u32, row: u32, unit: u32, units: u32) -> array<vec4<f32>, 8> {
  let high = units;
  let scale = high + (units + 3u) / 4u;
  let base = row * (scale + (units + 7u) / 8u);
  let d = weight_half(slot, base + scale, unit);
  let m = -16.0 * d;
  let h = weight_word(slot, base + high, unit);
  let q = weight_vec(slot, base + unit);
  var out: array<vec4<f32>, 8>;
  for (var i = 0u; i < 4u; i++) {
    out[i] = d * bytes_unsigned((q[i] & 0x0f0f0f0fu) | (((h >> i) & 0x01010101u) << 4u)) + m;
    out[i + 4u] = d * bytes_unsigned(((q[i] >> 4u) & 0x0f0f0f0fu) | (((h >> (i + 4u)) & 0x01010101u) << 4u)) + m;
  }
  return out;
}
