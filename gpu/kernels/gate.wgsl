// out[t, c] = act(both[t, c]) * both[t, rows + c]: gate and up of a gated MLP, which matmul computed side by side.
//
// both [tokens, 2 * rows]  f32, rows of both_stride
// out  [tokens, rows]      f32, rows of out_stride
//
// One thread for each element; grid x covers the columns, grid y the tokens.

struct Params {
  rows: u32,
  both_stride: u32,
  out_stride: u32,
  activation: u32, // lib/activation.wgsl
}

@group(0) @binding(0) var<storage, read> both: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= params.rows) {
    return;
  }
  let at = id.y * params.both_stride + id.x;
  out[id.y * params.out_stride + id.x] = activate(params.activation, both[at]) * both[at + params.rows];
}
