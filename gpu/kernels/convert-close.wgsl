// Quantises pages to KEY_BITS bits a key and VALUE_BITS bits a value (contract 3, drawn in assembly/kv/layout.ts; axes
// as in KIVI, Liu et al. 2024): page data[2 i] is decoded and encoded into page data[2 i + 1].
// scale = f16((max - min) / (2^bits - 1)),
// minimum = f16(min), u = floor((x - minimum) / scale + 0.5) with the rounded f16 values, all as if every step were
// rounded to f32; u is 0 where scale is 0 or NaN. A NaN in a group makes its scale and minimum NaN.
//
// WGSL's division, pack2x16float, min and max may each differ among devices, so the bytes are computed without them:
// extremes by the order of bits, the scale by integer division, u by comparing x - minimum with exact products. The
// remaining operations, one subtraction and products that are exact in f32, round alike on every device.
//
// target  words of the closed pages
// source  pages, lib/pages.ts, at binding 1
// data    [pages]  (from, to): the number of a page, and an index in target
//
// One workgroup of 128 for each page, counted over a grid of two dimensions: first each thread computes the scales of
// the keys of four channels or of one group of a token's values, then each computes words of codes.

override HEAD_DIM: u32;
override KEY_BITS: u32; // 8, 4, 2
override VALUE_BITS: u32;

struct Params {
  count: u32, // pages
}

@group(0) @binding(0) var<storage, read_write> target_pages: array<u32>;
@group(1) @binding(0) var<uniform> params: Params;
@group(1) @binding(1) var<storage, read> data: array<u32>;

const WORKGROUP = 128u;

override DIM4 = HEAD_DIM / 4u;
override GROUPS = (HEAD_DIM + 31u) / 32u;
// Words of a row of codes.
override KEY_ROW = (HEAD_DIM * KEY_BITS + 31u) / 32u;
override VALUE_ROW = (HEAD_DIM * VALUE_BITS + 31u) / 32u;

var<workgroup> key_scales: array<u32, HEAD_DIM>;
var<workgroup> value_scales: array<u32, 32u * GROUPS>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let pair = workgroup.y * groups.x + workgroup.x;
  if (pair >= params.count) {
    return;
  }
  let page = data[2u * pair];
  let first = data[2u * pair + 1u] * (HEAD_DIM + 32u * (GROUPS + KEY_ROW + VALUE_ROW));
  let value_start = first + HEAD_DIM + 32u * KEY_ROW;

  for (var i = thread; i < DIM4 + 32u * GROUPS; i += WORKGROUP) {
    if (i < DIM4) {
      var least = vec4<u32>(0xffffffffu);
      var most = vec4<u32>(0u);
      for (var token = 0u; token < 32u; token++) {
        let v = ordered(key_vec(page, token, i));
        least = min(least, v);
        most = max(most, v);
      }
      for (var j = 0u; j < 4u; j++) {
        let word = scale_word(least[j], most[j], KEY_BITS);
        key_scales[4u * i + j] = word;
        target_pages[first + 4u * i + j] = word;
      }
    } else {
      let token = (i - DIM4) / GROUPS;
      let start = (i - DIM4) % GROUPS * 8u;
      var least = vec4<u32>(0xffffffffu);
      var most = vec4<u32>(0u);
      for (var d = start; d < min(DIM4, start + 8u); d++) {
        let v = ordered(value_vec(page, token, d));
        least = min(least, v);
        most = max(most, v);
      }
      let word = scale_word(min(min(least.x, least.y), min(least.z, least.w)), max(max(most.x, most.y), max(most.z, most.w)), VALUE_BITS);
      value_scales[i - DIM4] = word;
      target_pages[value_start + i - DIM4] = word;
    }
  }
  workgroupBarrier();

  for (var i = thread; i < 32u * (KEY_ROW + VALUE_ROW); i += WORKGROUP) {
    let is_value = i >= 32u * KEY_ROW;
    let at = select(i, i - 32u * KEY_ROW, is_value);
    let row = select(KEY_ROW, VALUE_ROW, is_value);
    let bits = select(KEY_BITS, VALUE_BITS, is_value);
    let token = at / row;
    let d0 = at % row * (8u / bits);
    var word = 0u;
    for (var d = d0; d < min(DIM4, d0 + 8u / bits); d++) {
      var v: vec4<f32>;
      var scales: vec4<u32>;
      if (is_value) {
        v = value_vec(page, token, d);
        scales = vec4<u32>(value_scales[token * GROUPS + d / 8u]);
      } else {
        v = key_vec(page, token, d);
        scales = vec4<u32>(key_scales[4u * d], key_scales[4u * d + 1u], key_scales[4u * d + 2u], key_scales[4u * d + 3u]);
      }
      let scale = half4(scales);
      let t = v - half4(scales >> vec4<u32>(16u));
      for (var j = 0u; j < 4u; j++) {
        word |= code(t[j], scale[j], scales[j], (1u << bits) - 1u) << (((d - d0) * 4u + j) * bits);
      }
    }
    target_pages[select(first + HEAD_DIM, value_start + 32u * GROUPS, is_value) + at] = word;
  }
}

/// Maps the bits of a f32 to numbers with the same order: -0 before 0, NaNs at the ends.
fn ordered(v: vec4<f32>) -> vec4<u32> {
  let bits = bitcast<vec4<u32>>(v);
  return select(bits | vec4<u32>(0x80000000u), ~bits, (bits & vec4<u32>(0x80000000u)) != vec4<u32>(0u));
}

fn unordered(order: u32) -> u32 {
  return select(~order, order & 0x7fffffffu, (order & 0x80000000u) != 0u);
}

fn scale_word(least: u32, most: u32, bits: u32) -> u32 {
  // Beyond the infinities are NaNs.
  if (least < 0x007fffffu || most > 0xff800000u) {
    return 0x7e007e00u;
  }
  let low = unordered(least);
  let high = unordered(most);
  var scale = 0u;
  if (low != high && ((low | high) & 0x7fffffffu) != 0u) {
    scale = finite_half(quotient(bitcast<u32>(bitcast<f32>(high) - bitcast<f32>(low)), (1u << bits) - 1u));
  }
  return scale | (finite_half(low) << 16u);
}

/// half_bits, limited to 65504.
fn finite_half(bits: u32) -> u32 {
  let half = half_bits(bits);
  return select(half, half - 1u, (half & 0x7fffu) == 0x7c00u);
}

/// Given the bits of a >= 0, the bits of a / steps rounded to f32, ties to even; 0 far below the smallest f16.
fn quotient(a: u32, steps: u32) -> u32 {
  let exponent = a >> 23u;
  if (exponent < 64u || exponent == 255u) {
    return select(0u, 0x7f800000u, exponent == 255u);
  }
  let dividend = ((a & 0x7fffffu) | 0x800000u) << 8u;
  let whole = dividend / steps;
  let rest = dividend % steps;
  // `whole` has 24 to 31 bits, of which 24 are kept.
  let drop = firstLeadingBit(whole) - 23u;
  var kept = whole >> drop;
  var up = 2u * rest > steps; // steps is odd: never a tie
  if (drop > 0u) {
    let cut = whole & ((1u << drop) - 1u);
    let tie = 1u << (drop - 1u);
    up = cut > tie || (cut == tie && (rest > 0u || (kept & 1u) == 1u));
  }
  kept += select(0u, 1u, up);
  return ((exponent - 8u + drop) << 23u) + kept - 0x800000u;
}

/// u of t = x - minimum.
fn code(t: f32, scale: f32, word: u32, steps: u32) -> u32 {
  if ((word & 0x7fffu) == 0u || (word & 0x7c00u) == 0x7c00u) {
    return 0u;
  }
  let guess = u32(clamp(floor(t / scale + 0.5), 0.0, f32(steps)));
  if (guess < steps && reaches(t, scale, guess + 1u)) {
    return guess + 1u;
  }
  if (guess > 0u && !reaches(t, scale, guess)) {
    return guess - 1u;
  }
  return guess;
}

/// Whether floor(t / scale + 0.5), each step rounded to f32, is at least k >= 1. The rounded quotient reaches k - 0.5
/// if the true one reaches that minus half a unit in the last place; for k = 1, rounding the sum also accepts the
/// number before 0.5. k - 0.5 times an f16 is exact.
fn reaches(t: f32, scale: f32, k: u32) -> bool {
  let gap = t - scale * (f32(k) - 0.5);
  if (k == 1u) {
    return gap > -scale * 4.470348358154296875e-8; // 1.5 * 2^-25
  }
  return gap >= -scale * (f32(1u << firstLeadingBit(k - 1u)) * 5.9604644775390625e-8); // 2^-24
}
