// Closed KV pages of KEY_BITS bits a key and VALUE_BITS bits a value (contract 3; drawn in assembly/kv/layout.ts): scales
// of the keys' channels, keys, scales of the values' groups of 32 channels, values. A scale word is f16 scale | f16
// minimum << 16; x = minimum + scale * u is exact except for one rounding, whether fused or not. pages.ts inserts the
// name and the bits of the format, and declares `pages_FORMAT`.

/// Words of a token's keys, and of its values.
fn key_row_FORMAT() -> u32 {
  return (HEAD_DIM * KEY_BITS + 31u) / 32u;
}

fn value_row_FORMAT() -> u32 {
  return (HEAD_DIM * VALUE_BITS + 31u) / 32u;
}

/// The word at which a page begins.
fn page_FORMAT(index: u32) -> u32 {
  return index * (HEAD_DIM + 32u * ((HEAD_DIM + 31u) / 32u) + 32u * (key_row_FORMAT() + value_row_FORMAT()));
}

fn key_FORMAT(index: u32, row: u32, d: u32) -> vec4<f32> {
  let page = page_FORMAT(index);
  let at = page + 4u * d;
  let words = vec4<u32>(pages_FORMAT[at], pages_FORMAT[at + 1u], pages_FORMAT[at + 2u], pages_FORMAT[at + 3u]);
  let bit = 4u * KEY_BITS * d;
  let codes = pages_FORMAT[page + HEAD_DIM + row * key_row_FORMAT() + bit / 32u] >> (bit % 32u);
  let u = (vec4<u32>(codes) >> vec4<u32>(0u, KEY_BITS, 2u * KEY_BITS, 3u * KEY_BITS)) & vec4<u32>((1u << KEY_BITS) - 1u);
  return scaled(words, vec4<f32>(u));
}

fn value_FORMAT(index: u32, row: u32, d: u32) -> vec4<f32> {
  let groups = (HEAD_DIM + 31u) / 32u;
  let scales = page_FORMAT(index) + HEAD_DIM + 32u * key_row_FORMAT();
  let word = pages_FORMAT[scales + row * groups + d / 8u];
  let bit = 4u * VALUE_BITS * d;
  let codes = pages_FORMAT[scales + 32u * groups + row * value_row_FORMAT() + bit / 32u] >> (bit % 32u);
  let u = (vec4<u32>(codes) >> vec4<u32>(0u, VALUE_BITS, 2u * VALUE_BITS, 3u * VALUE_BITS)) & vec4<u32>((1u << VALUE_BITS) - 1u);
  return scaled(vec4<u32>(word), vec4<f32>(u));
}
