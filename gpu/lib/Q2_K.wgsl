// Q2_K: d * scale * q - dmin * min, 4-bit scale and minimum per 16 values.
// Row: two words of quants a unit (as Q6_K's upper bits); 16 bytes of scale (low nibble) and minimum per 256 values;
// a word of f16 d (low) and dmin per 256 values.
fn decode_Q2_K(slot: u32, row: u32, unit: u32, units: u32) -> array<vec4<f32>, 8> {
  let scale = units / 2u;
  let super_scale = scale + units / 8u;
  let base = row * (super_scale + (units / 8u + 3u) / 4u);
  let dm = weight_word(slot, base + super_scale, unit / 8u);
  let d = half(dm);
  let dmin = -half(dm >> 16u);
  let scales = weight_word(slot, base + scale, unit / 2u) >> (16u * (unit & 1u));
  let d0 = d * f32(scales & 15u);
  let m0 = dmin * f32((scales >> 4u) & 15u);
  let d1 = d * f32((scales >> 8u) & 15u);
  let m1 = dmin * f32((scales >> 12u) & 15u);
  let q0 = weight_word(slot, base, 2u * unit);
  let q1 = weight_word(slot, base, 2u * unit + 1u);
  var out: array<vec4<f32>, 8>;
  for (var i = 0u; i < 4u; i++) {
    out[i] = d0 * bytes_unsigned((q0 >> (2u * i)) & 0x03030303u) + m0;
    out[i + 4u] = d1 * bytes_unsigned((q1 >> (2u * i)) & 0x03030303u) + m1;
  }
  return out;
}
