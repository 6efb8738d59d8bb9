// Weights on the device: rows of 32-value units, each row a sequence of planes that start at 16-byte boundaries
// (see rows.ts for the layout of every format). The kernel declares a buffer for every slot in use, w0, w1, w2;
// weights.ts defines weight_vec(slot, i), and a decoder returns the 32 values of one unit in order:   decode(slot, row,
// unit, units) -> array<vec4<f32>, 8>, where `units` is the number of units of a row.

/// The weight on which a workgroup of a product works.
struct Slot {
  index: u32,
  first: u32, // row of the weight at which the workgroup begins
  rows: u32, // of the weight
  column: u32, // of out, for the weight's row 0
}

/// Word i, counted from the vec4 `base`.
fn weight_word(slot: u32, base: u32, i: u32) -> u32 {
  let v = weight_vec(slot, base + (i >> 2u));
  return v[i & 3u];
}

/// The f16 in the low 16 bits. unpack2x16float is not used: it may flush subnormals, and the scales of K-quants often
/// are subnormal.
fn half(bits: u32) -> f32 {
  let exponent = (bits >> 10u) & 31u;
  let mantissa = bits & 1023u;
  let normal = bitcast<f32>(((exponent + 112u) << 23u) | (mantissa << 13u));
  let magnitude = select(normal, f32(mantissa) * 5.9604644775390625e-8, exponent == 0u);
  return select(magnitude, -magnitude, (bits & 0x8000u) != 0u);
}

/// The f16 with index i of a plane that starts at the vec4 `base`.
fn weight_half(slot: u32, base: u32, i: u32) -> f32 {
  return half(weight_word(slot, base, i >> 1u) >> (16u * (i & 1u)));
}

fn bytes_unsigned(word: u32) -> vec4<f32> {
  return vec4<f32>((vec4<u32>(word) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(255u));
}

fn bytes_signed(word: u32) -> vec4<f32> {
  return vec4<f32>((vec4<i32>(bitcast<i32>(word)) << vec4<u32>(24u, 16u, 8u, 0u)) >> vec4<u32>(24u));
}
