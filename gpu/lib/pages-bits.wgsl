// Closed KV pages of BITS bits a value (contract 3; drawn in assembly/kv/layout.ts): scales of the keys' channels,
// keys, scales of the values' groups of 32 channels, values. A scale word is f16 scale | f16 minimum << 16; x = minimum
// + scale * u is exact except for one rounding, whether fused or not. pages.ts inserts the name and the bits of the
// format, and declares `pages_FORMAT`.

fn row_FORMAT() -> u32 {
  return (HEAD_DIM * BITS + 31u) / 32u;
}

/// The word at which a page begins.
fn page_FORMAT(index: u32) -> u32 {
  return index * (HEAD_DIM + 32u * ((HEAD_DIM + 31u) / 32u) + 64u * row_FORMAT());
}

/// u of channels 4 d .. 4 d + 3 of the row that begins at the word `row`.
fn codes_FORMAT(row: u32, d: u32) -> vec4<f32> {
  let bit = 4u * BITS * d;
  let word = pages_FORMAT[row + bit / 32u] >> (bit % 32u);
  return vec4<f32>((vec4<u32>(word) >> vec4<u32>(0u, BITS, 2u * BITS, 3u * BITS)) & vec4<u32>((1u << BITS) - 1u));
}

fn key_FORMAT(index: u32, row: u32, d: u32) -> vec4<f32> {
  let page = page_FORMAT(index);
  let at = page + 4u * d;
  let words = vec4<u32>(pages_FORMAT[at], pages_FORMAT[at + 1u], pages_FORMAT[at + 2u], pages_FORMAT[at + 3u]);
  return scaled(words, codes_FORMAT(page + HEAD_DIM + row * row_FORMAT(), d));
}

fn value_FORMAT(index: u32, row: u32, d: u32) -> vec4<f32> {
  let groups = (HEAD_DIM + 31u) / 32u;
  let scales = page_FORMAT(index) + HEAD_DIM + 32u * row_FORMAT();
  let word = pages_FORMAT[scales + row * groups + d / 8u];
  return scaled(vec4<u32>(word), codes_FORMAT(scales + 32u * groups + row * row_FORMAT(), d));
}
