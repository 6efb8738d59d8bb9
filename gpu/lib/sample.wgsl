// Functions of both sampling kernels: the order of values, and the combination of two parts of the vocabulary.

/// The value of an id that may not be drawn; no finite value is below it.
const EXCLUDED = -3.4028234e38;

/// Maps floats to unsigned integers with the same order.
fn ordered(value: f32) -> u32 {
  let bits = bitcast<u32>(value);
  return select(bits | 0x80000000u, ~bits, (bits & 0x80000000u) != 0u);
}

fn unordered(key: u32) -> f32 {
  return bitcast<f32>(select(~key, key & 0x7fffffffu, (key & 0x80000000u) != 0u));
}

/// Combines (key of the highest value, its lowest id, count, bad) of two sets.
fn better(a: vec4<u32>, b: vec4<u32>) -> vec4<u32> {
  let b_wins = b.x > a.x || (b.x == a.x && b.y < a.y);
  return vec4<u32>(select(a.xy, b.xy, b_wins), a.z + b.z, a.w | b.w);
}
