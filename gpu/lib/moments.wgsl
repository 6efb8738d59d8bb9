/// Combines two sets, each given by (count, mean, sum of squares about the mean, -), as in Chan, Golub & LeVeque
/// (1979): no large numbers are subtracted.
fn joined(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
  if (b.x == 0.0) {
    return a;
  }
  let n = a.x + b.x;
  let gap = b.y - a.y;
  let share = b.x / n;
  return vec4<f32>(n, a.y + gap * share, a.z + b.z + gap * gap * a.x * share, 0.0);
}
