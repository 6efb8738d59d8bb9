// Rows of a table by ids that are on the device: out[t] = scale * table[ring[start + t]].
//
// ring   [..]            i32
// w0..w2 [rows_s, cols]  packed rows (lib/rows.ts); slot s holds the table's rows first_s .. first_s + rows_s
// out    [count, cols]   f32, rows of out_stride
//
// One thread decodes a unit of 32 values. Where CLEAR, an id outside the vocabulary (-1 after a failed sample) gives
// NaN, which the next `sample` reports. Ids whose rows belong to other dispatches are skipped.

override SLOTS: u32 = 1u;
override CLEAR: u32 = 1u;

struct Params {
  start: u32,
  cols: u32,
  out_stride: u32,
  vocabulary: u32,
  first0: u32,
  first1: u32,
  first2: u32,
  rows0: u32,
  rows1: u32,
  rows2: u32,
  nan: u32, // its bits
  scale: f32,
}

@group(0) @binding(0) var<storage, read> ring: array<i32>;
@group(0) @binding(1) var<storage, read> w0: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> w1: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> w2: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) thread: vec3<u32>) {
  let units = (params.cols + 31u) / 32u;
  let token = thread.y;
  let unit = thread.x;
  if (unit >= units) {
    return;
  }
  let id = bitcast<u32>(ring[params.start + token]);
  var values: array<vec4<f32>, 8>;
  if (id - params.first0 < params.rows0) {
    values = decode(0u, id - params.first0, unit, units);
  } else if (SLOTS > 1u && id - params.first1 < params.rows1) {
    values = decode(1u, id - params.first1, unit, units);
  } else if (SLOTS > 2u && id - params.first2 < params.rows2) {
    values = decode(2u, id - params.first2, unit, units);
  } else if (CLEAR == 0u || id < params.vocabulary) {
    return;
  } else {
    for (var i = 0u; i < 8u; i++) {
      values[i] = bitcast<vec4<f32>>(vec4<u32>(params.nan));
    }
  }
  let base = token * params.out_stride;
  for (var i = 0u; i < 32u; i++) {
    let c = unit * 32u + i;
    if (c < params.cols) {
      out[base + c] = values[i / 4u][i % 4u] * params.scale;
    }
  }
}
