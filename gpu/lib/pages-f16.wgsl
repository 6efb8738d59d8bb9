// KV pages of f16 (contract 3), without the shader-f16 feature: 32 key rows, then 32 value rows; two words hold four
// values. pages.ts declares `pages_f16`, and defines page_halves according to whether subnormal values must be exact.

fn key_f16(index: u32, row: u32, d: u32) -> vec4<f32> {
  return page_halves(pages_f16[(index * 64u + row) * (HEAD_DIM / 4u) + d]);
}

fn value_f16(index: u32, row: u32, d: u32) -> vec4<f32> {
  return key_f16(index, row + 32u, d);
}
