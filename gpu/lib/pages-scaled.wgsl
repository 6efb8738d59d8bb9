/// minimum + scale * u for four words of f16 scale | f16 minimum. Subnormal halves, which unpack2x16float may flush,
/// take the slower path.
fn scaled(words: vec4<u32>, codes: vec4<f32>) -> vec4<f32> {
  if (any((words & vec4<u32>(0x7c00u)) == vec4<u32>(0u)) || any((words & vec4<u32>(0x7c000000u)) == vec4<u32>(0u))) {
    return half4(words >> vec4<u32>(16u)) + half4(words) * codes;
  }
  let a = unpack2x16float(words.x);
  let b = unpack2x16float(words.y);
  let c = unpack2x16float(words.z);
  let d = unpack2x16float(words.w);
  return vec4<f32>(a.y, b.y, c.y, d.y) + vec4<f32>(a.x, b.x, c.x, d.x) * codes;
}
