// Q4_0: d * (q - 8). Row: nibbles (1 vec4 a unit; word i: values 4i.. low, 16 + 4i.. high); f16 d.
fn decode_Q4_0(slot: u32, row: u32, unit: u32, units: u32) -> array<vec4<f32>, 8> {
  let base = row * (units + (units + 7u) / 8u);
  let d = weight_half(slot, base + units, unit);
  let m = -8.0 * d;
  let q = weight_vec(slot, base + unit);
  var out: array<vec4<f32>, 8>;
  for (var i = 0u; i < 4u; i++) {
    out[i] = d * bytes_unsigned(q[i] & 0x0f0f0f0fu) + m;
    out[i + 4u] = d * bytes_unsigned((q[i] >> 4u) & 0x0f0f0f0fu) + m;
  }
  return out;
}
