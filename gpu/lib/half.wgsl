// Converts f16 bits exactly: unpack2x16float may flush subnormal values, pack2x16float may round either way.

/// The f16 in the low halves of four words.
fn half4(words: vec4<u32>) -> vec4<f32> {
  let exponent = words & vec4<u32>(0x7c00u);
  let rebias = select(vec4<u32>(0x38000000u), vec4<u32>(0x70000000u), exponent == vec4<u32>(0x7c00u));
  let normal = bitcast<vec4<f32>>(((words & vec4<u32>(0x7fffu)) << vec4<u32>(13u)) + rebias);
  let small = vec4<f32>(words & vec4<u32>(0x3ffu)) * 5.9604644775390625e-8;
  let magnitude = select(normal, small, exponent == vec4<u32>(0u));
  return bitcast<vec4<f32>>(bitcast<vec4<u32>>(magnitude) | ((words & vec4<u32>(0x8000u)) << vec4<u32>(16u)));
}
