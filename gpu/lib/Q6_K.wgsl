// Q6_K: d * scale * (q - 32), an int8 scale per 16 values.
// Row: nibbles as Q4_0; two words of upper bits a unit (bits 2i of byte b: value 4i + b, the second word from
// value 16);
// 16 scales (1 vec4) per 256 values; f16 d per 256 values.
fn decode_Q6_K(slot: u32, row: u32, unit: u32, units: u32) -> array<vec4<f32>, 8> {
  let high = units;
  let scale = high + units / 2u;
  let super_scale = scale + units / 8u;
  let base = row * (super_scale + (units / 8u + 7u) / 8u);
  let d = weight_half(slot, base + super_scale, unit / 8u);
  let scales = bytes_signed(weight_word(slot, base + scale, unit / 2u) >> (16u * (unit & 1u)));
  let d0 = d * scales.x;
  let d1 = d * scales.y;
  let h0 = weight_word(slot, base + high, 2u * unit);
  let h1 = weight_word(slot, base + high, 2u * unit + 1u);
  let q = weight_vec(slot, base + unit);
  var out: array<vec4<f32>, 8>;
  for (var i = 0u; i < 4u; i++) {
    out[i] = d0 * (bytes_unsigned((q[i] & 0x0f0f0f0fu) | (((h0 >> (2u * i)) & 0x03030303u) << 4u)) - 32.0);
    out[i + 4u] = d1 * (bytes_unsigned(((q[i] >> 4u) & 0x0f0f0f0fu) | (((h1 >> (2u * i)) & 0x03030303u) << 4u)) - 32.0);
  }
  return out;
}
