// Convolution of an image as a product: out[p, c] = act(sum over taps and channels of x * w + bias[c]) + residual[p,
// c]. The row of x for an output pixel is gathered while it is read (lib/x-pixels.wgsl), so no unfolded image is ever
// stored.
//
// x        [height * width, CHANNELS]         f32, rows of x_stride vec4 (height and width before the upsampling)
// bias     [out columns]                      f32, where has_bias
// residual [out pixels, out]                  f32, rows of out_stride, where has_residual
// w0       [rows, KERNEL * KERNEL * CHANNELS] packed rows (lib/rows.ts) for out columns column .. column + rows
// out      [out pixels, out]                  f32, rows of out_stride
//
// One workgroup of 64 makes a tile (lib/tile.wgsl) of 32 out pixels (grid y) by 64 columns (grid x).

override CHANNELS: u32;
override KERNEL: u32;
override STEP: u32; // the stride
override UPSAMPLE: u32; // 1: every pixel counts as 2 x 2

struct Params {
  tokens: u32, // out pixels
  cols: u32,
  x_stride: u32,
  out_stride: u32,
  rows: u32,
  column: u32,
  height: u32, // of x after the upsampling
  width: u32,
  out_width: u32,
  top: u32,
  left: u32,
  has_bias: u32,
  has_residual: u32,
  activation: u32, // lib/activation.wgsl
  scale: f32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> bias: array<f32>;
@group(0) @binding(2) var<storage, read> residual: array<f32>;
@group(0) @binding(3) var<storage, read> w0: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  tile(Slot(0u, workgroup.x * TILE_COLUMNS, params.rows, params.column), workgroup.y * TILE_ROWS, thread);
}
