// Sums and maxima over WIDTH neighbouring threads, given to each of them: lib/joined.ts declares WIDTH, a power of two
// that is at most the size of the device's smallest subgroup. Neighbours are consecutive local invocation indices, which
// every known driver places in one subgroup; WGSL does not promise it, so results are compared with the CPU's before
// the form is used. Must be called in uniform control flow.

fn joined(value: vec4<f32>) -> vec4<f32> {
  var sum = value;
  for (var step = 1u; step < WIDTH; step <<= 1u) {
    sum += subgroupShuffleXor(sum, step);
  }
  return sum;
}

fn joined_sum(value: f32) -> f32 {
  var sum = value;
  for (var step = 1u; step < WIDTH; step <<= 1u) {
    sum += subgroupShuffleXor(sum, step);
  }
  return sum;
}

fn joined_max(value: f32) -> f32 {
  var most = value;
  for (var step = 1u; step < WIDTH; step <<= 1u) {
    most = max(most, subgroupShuffleXor(most, step));
  }
  return most;
}
