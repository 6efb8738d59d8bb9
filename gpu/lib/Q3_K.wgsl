// Q3_K: d * scale * (q - 4), a signed scale per 16 values (6 bits in the file, int8 here).
// Row: two words of lower bits a unit (as Q6_K's upper bits); a word of third bits a unit (as Q5_0's fifth bits);
// 16 scales (1 vec4) per 256 values; f16 d per 256 values.
fn decode_Q3_K(slot: u32, row: u32, unit: u32, units: u32) -> array<vec4<f32>, 8> {
  let high = units / 2u;
  let scale = high + units / 4u;
  let super_scale = scale + units / 8u;
  let base = row * (super_scale + (units / 8u + 7u) / 8u);
  let d = weight_half(slot, base + super_scale, unit / 8u);
  let scales = bytes_signed(weight_word(slot, base + scale, unit / 2u) >> (16u * (unit & 1u)));
  let d0 = d * scales.x;
  let d1 = d * scales.y;
  let q0 = weight_word(slot, base, 2u * unit);
  let q1 = weight_word(slot, base, 2u * unit + 1u);
  let h = weight_word(slot, base + high, unit);
  var out: array<vec4<f32>, 8>;
  for (var i = 0u; i < 4u; i++) {
    out[i] = d0 * (bytes_unsigned(((q0 >> (2u * i)) & 0x03030303u) | (((h >> i) & 0x01010101u) << 2u)) - 4.0);
    out[i + 4u] = d1 * (bytes_unsigned(((q1 >> (2u * i)) & 0x03030303u) | (((h >> (i + 4u)) & 0x01010101u) << 2u)) - 4.0);
  }
  return out;
}
