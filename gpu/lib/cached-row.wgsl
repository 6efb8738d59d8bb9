/// Channels 4 c .. 4 c + 3 of the cached row of a position, KV heads side by side; zeros where there is no page.
fn row_vec(position: u32, c: u32) -> vec4<f32> {
  let page = table[params.table_start + c / (HEAD_DIM / 4u) * params.blocks + position / 32u];
  if (page == 0xffffffffu) {
    return vec4<f32>();
  }
  if (VALUES == 1u) {
    return value_vec(page, position % 32u, c % (HEAD_DIM / 4u));
  }
  return key_vec(page, position % 32u, c % (HEAD_DIM / 4u));
}
