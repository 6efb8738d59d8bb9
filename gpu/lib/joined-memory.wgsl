// Without subgroups, a thread has no values of its neighbours: lib/joined.ts.
const WIDTH = 1u;

fn joined(value: vec4<f32>) -> vec4<f32> {
  return value;
}

fn joined_sum(value: f32) -> f32 {
  return value;
}

fn joined_max(value: f32) -> f32 {
  return value;
}
