/// The bits of the f16 nearest to the f32 whose bits are given: ties to even; NaN stays NaN.
fn half_bits(bits: u32) -> u32 {
  let sign = (bits >> 16u) & 0x8000u;
  let size = bits & 0x7fffffffu;
  if (size > 0x7f800000u) {
    return 0x7e00u;
  }
  if (size >= 0x477ff000u) { // 65520, the midpoint of 65504 and 65536
    return sign | 0x7c00u;
  }
  if (size <= 0x33000000u) { // half of the smallest subnormal, a tie
    return sign;
  }
  // The smaller a subnormal, the more bits of its significand are dropped.
  let subnormal = size < 0x38800000u;
  let significand = select(size - 0x38000000u, (size & 0x7fffffu) | 0x800000u, subnormal);
  let drop = select(13u, 126u - (size >> 23u), subnormal);
  let kept = significand >> drop;
  let rest = significand & ((1u << drop) - 1u);
  let tie = 1u << (drop - 1u);
  return sign | (kept + select(0u, 1u, rest > tie || (rest == tie && (kept & 1u) == 1u)));
}
