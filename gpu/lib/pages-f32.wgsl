// KV pages of f32 (contract 3): page p holds 32 key rows, then 32 value rows, of HEAD_DIM values each.
// The kernel declares `pool`; vec4 index = (page * 64 + row) * HEAD_DIM / 4 + d / 4, values' rows starting at 32.

fn page_vec(i: u32) -> vec4<f32> {
  return pool[i];
}
