// Tokens at positions that the host gives, [axes, tokens]. Which axis rotates a pair (M-RoPE, Wang et al. 2024) depends
// on SECTIONS:
//   0  axis 0 rotates all pairs
//   1  axis 0 rotates the first TIME_PAIRS pairs, axis 1 the next HEIGHT_PAIRS, axis 2 the last WIDTH_PAIRS (Qwen2-VL)
//   2  axis 1 rotates pair i where i % 3 = 1 and i < 3 HEIGHT_PAIRS, axis 2 where i % 3 = 2 and i < 3 WIDTH_PAIRS, axis 0
//      all others (Qwen3-VL)

override SECTIONS: u32 = 0u;
override TIME_PAIRS: u32 = 0u;
override HEIGHT_PAIRS: u32 = 0u;
override WIDTH_PAIRS: u32 = 0u;

@group(1) @binding(1) var<storage, read> data: array<u32>;

fn axis_of(pair: u32) -> u32 {
  if (SECTIONS == 1u) {
    return select(select(2u, 1u, pair < TIME_PAIRS + HEIGHT_PAIRS), 0u, pair < TIME_PAIRS);
  }
  if (SECTIONS == 2u) {
    let axis = pair % 3u;
    let count = select(select(0u, WIDTH_PAIRS, axis == 2u), HEIGHT_PAIRS, axis == 1u);
    return select(0u, axis, pair < 3u * count);
  }
  return 0u;
}

fn rope_position(token: u32, pair: u32) -> u32 {
  return data[axis_of(pair) * params.tokens + token];
}
