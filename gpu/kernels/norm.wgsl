// Normalises rows. RMS: x * weight / sqrt(mean(x^2) + epsilon). Layer: (x - mean) / sqrt(var + epsilon) * weight +
// bias. Where MODULATED, the result is multiplied by 1 + scale and shifted, both by row (adaptive layer norm; Peebles &
// Xie 2022). Where RESIDUAL, the rows of a residual stream are added. All is multiplied by `factor`.
//
// x, out     [rows, parts * cols]  f32, rows of `stride`, of which each part is normalised on its own
// weight     [cols]        f32, where WEIGHT
// bias       [cols]        f32, where BIAS
// modulation [rows, any]   f32, rows of modulation_stride: cols columns of shift and of scale, where MODULATED; the
//                          residual, where RESIDUAL
//
// One workgroup of 128 for each part of a row: sums in workgroup memory; the variance about the mean takes a second pass.

override LAYER: u32 = 0u;
override WEIGHT: u32 = 1u;
override BIAS: u32 = 0u;
override MODULATED: u32 = 0u;
override RESIDUAL: u32 = 0u;

struct Params {
  cols: u32,
  stride: u32,
  epsilon: f32,
  modulation_stride: u32,
  shift: u32, // first column
  scale: u32,
  factor: f32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read> modulation: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

const WORKGROUP = 128u;
var<workgroup> reduction: array<f32, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let part = workgroup.y * params.cols;
  let base = workgroup.x * params.stride + part;
  let count = f32(params.cols);
  var mean = 0.0;
  if (LAYER == 1u) {
    var sum = 0.0;
    for (var i = thread; i < params.cols; i += WORKGROUP) {
      sum += x[base + i];
    }
    mean = reduce_sum(sum, thread) / count;
  }
  var squares = 0.0;
  for (var i = thread; i < params.cols; i += WORKGROUP) {
    let v = x[base + i] - mean;
    squares += v * v;
  }
  let scale = inverseSqrt(reduce_sum(squares, thread) / count + params.epsilon);
  for (var i = thread; i < params.cols; i += WORKGROUP) {
    var v = (x[base + i] - mean) * scale;
    if (WEIGHT == 1u) {
      v *= weight[i];
    }
    if (BIAS == 1u) {
      v += bias[i];
    }
    if (MODULATED == 1u) {
      let row = workgroup.x * params.modulation_stride + i;
      v = v * (1.0 + modulation[row + params.scale]) + modulation[row + params.shift];
    }
    if (RESIDUAL == 1u) {
      v += modulation[workgroup.x * params.modulation_stride + part + i];
    }
    out[base + i] = v * params.factor;
  }
}
