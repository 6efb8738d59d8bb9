// Activations by number: 0 none, 1 silu, 2 gelu (exact), 3 gelu (tanh approximation), 4 sigmoid, 5 tanh.
// erf: Abramowitz & Stegun 7.1.26's form with Numerical Recipes' Chebyshev coefficients, relative error of erfc below
// 1.2e-7.

fn erfc_positive(z: f32) -> f32 {
  let t = 1.0 / (1.0 + 0.5 * z);
  var p = 0.17087277;
  p = -0.82215223 + t * p;
  p = 1.48851587 + t * p;
  p = -1.13520398 + t * p;
  p = 0.27886807 + t * p;
  p = -0.18628806 + t * p;
  p = 0.09678418 + t * p;
  p = 0.37409196 + t * p;
  p = 1.00002368 + t * p;
  p = -1.26551223 + t * p;
  return t * exp(p - z * z);
}

fn activate(kind: u32, x: f32) -> f32 {
  switch (kind) {
    case 1u: {
      return x / (1.0 + exp(min(-x, 80.0)));
    }
    case 2u: {
      let tail = 0.5 * erfc_positive(abs(x) * 0.70710678);
      return x * select(tail, 1.0 - tail, x >= 0.0);
    }
    case 3u: {
      // 0.5 x (1 + tanh u) = x / (1 + exp(-2u)): this avoids an overflow of tanh on drivers that compute it by
      // exponentials.
      let u = 0.7978845608 * (x + 0.044715 * x * x * x);
      return x / (1.0 + exp(min(-2.0 * u, 80.0)));
    }
    case 4u: {
      return 1.0 / (1.0 + exp(min(-x, 80.0)));
    }
    case 5u: {
      return 2.0 / (1.0 + exp(min(-2.0 * x, 80.0))) - 1.0;
    }
    default: {
      return x;
    }
  }
}

/// The activation times `scale`, by which the argument of tanh is divided (a soft cap).
fn activate_scaled(kind: u32, x: f32, scale: f32) -> f32 {
  return activate(kind, x / select(1.0, scale, kind == 5u)) * scale;
}

fn activate4(kind: u32, x: vec4<f32>) -> vec4<f32> {
  if (kind == 0u) {
    return x;
  }
  return vec4<f32>(activate(kind, x.x), activate(kind, x.y), activate(kind, x.z), activate(kind, x.w));
}
