// One step of ancestral sampling with a learned variance (Nichol & Dhariwal 2021) and classifier-free guidance (Ho &
// Salimans 2022). DenoiseSpec in src/backend/backend.ts has the formulas.
//
// x, noise, out [rows, cols]                          f32, rows of `stride`
// predicted     [rows or 2 * rows (guided), 2 * cols] f32, rows of predicted_stride: prediction, then the interpolation
//                                                     of the variance; conditional rows first
//
// One thread for each value of out (lib/elements.wgsl; here `width` and `count` count values).

struct Params {
  count: u32, // values of out
  cols: u32,
  stride: u32,
  predicted_stride: u32,
  guided: u32, // row of the first unconditional row, 0: none
  velocity: u32, // v is predicted, not eps
  guidance: f32,
  alpha: f32,
  sigma: f32,
  x0_from_x: f32,
  x0_from_eps: f32,
  mean_from_x0: f32,
  mean_from_x: f32,
  low_log_variance: f32,
  high_log_variance: f32,
  noise_scale: f32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> predicted: array<f32>;
@group(0) @binding(2) var<storage, read> noise: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let i = element(workgroup, groups, thread);
  if (i >= params.count) {
    return;
  }
  let row = i / params.cols;
  let column = i % params.cols;
  let at = row * params.stride + column;
  let conditional = row * params.predicted_stride + column;
  var prediction = predicted[conditional];
  if (params.guided > 0u) {
    let unconditional = predicted[(params.guided + row) * params.predicted_stride + column];
    prediction = unconditional + params.guidance * (prediction - unconditional);
  }
  if (params.velocity == 1u) {
    prediction = params.sigma * x[at] + params.alpha * prediction;
  }
  let x0 = params.x0_from_x * x[at] - params.x0_from_eps * prediction;
  var value = params.mean_from_x0 * x0 + params.mean_from_x * x[at];
  if (params.noise_scale != 0.0) {
    let f = 0.5 * (predicted[conditional + params.cols] + 1.0);
    value += noise[at] * params.noise_scale * exp(0.5 * (f * params.high_log_variance + (1.0 - f) * params.low_log_variance));
  }
  out[at] = value;
}
