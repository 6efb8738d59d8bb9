// KV pages of f32 (contract 3): 32 key rows, then 32 value rows, of HEAD_DIM values each. pages.ts
// declares `pages_f32`.

fn key_f32(index: u32, row: u32, d: u32) -> vec4<f32> {
  return pages_f32[(index * 64u + row) * (HEAD_DIM / 4u) + d];
}

fn value_f32(index: u32, row: u32, d: u32) -> vec4<f32> {
  return key_f32(index, row + 32u, d);
}
