// Tokens at positions that the host gives, one each.

@group(1) @binding(1) var<storage, read> data: array<u32>;

fn rope_position(token: u32) -> u32 {
  return data[token];
}
