// KV pages of f16 (contract 3), without the shader-f16 feature: two words hold four values.
// The kernel declares `pool`; vec4 index = (page * 64 + row) * HEAD_DIM / 4 + d / 4, values' rows starting at 32.

fn page_vec(i: u32) -> vec4<f32> {
  let v = pool[i];
  return vec4<f32>(unpack2x16float(v.x), unpack2x16float(v.y));
}
