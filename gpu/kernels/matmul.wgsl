// Linear map of many rows (prefill): out[t, c] = act(x[t] . W[c] + bias[c]) * scale + residual[t, c].
//
// Bindings as in linear.wgsl, without a norm: x [tokens, cols], bias [out], residual [tokens, out], w0..w2 packed rows,
// out [tokens, out].
//
// One workgroup of 64 computes a tile (lib/tile.wgsl) of 32 rows (grid y) by 64 columns of one slot (grid x).

override SLOTS: u32 = 1u;
override RAGGED: u32 = 0u; // cols is not a multiple of 32

struct Params {
  tokens: u32,
  cols: u32,
  x_stride: u32,
  out_stride: u32,
  start1: u32, // first workgroup of slot 1, of slot 2
  start2: u32,
  rows0: u32,
  rows1: u32,
  rows2: u32,
  column0: u32,
  column1: u32,
  column2: u32,
  has_bias: u32,
  has_residual: u32,
  activation: u32, // lib/activation.wgsl
  scale: f32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> bias: array<f32>;
@group(0) @binding(2) var<storage, read> residual: array<f32>;
@group(0) @binding(3) var<storage, read> w0: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read> w1: array<vec4<u32>>;
@group(0) @binding(5) var<storage, read> w2: array<vec4<u32>>;
@group(0) @binding(6) var<storage, read_write> out: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  tile(slot_of(workgroup.x, TILE_COLUMNS), workgroup.y * TILE_ROWS, thread);
}
