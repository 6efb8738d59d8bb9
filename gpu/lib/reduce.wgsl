// Returns to every thread the sum over a workgroup of WORKGROUP threads (a power of two), through `reduction`, after
// WIDTH neighbours have added up theirs (lib/joined.ts). Must be called in uniform control flow.
fn reduce_sum(value: f32, thread: u32) -> f32 {
  let sum = joined_sum(value);
  workgroupBarrier();
  if (thread % WIDTH == 0u) {
    reduction[thread / WIDTH] = sum;
  }
  for (var half = WORKGROUP / WIDTH / 2u; half > 0u; half >>= 1u) {
    workgroupBarrier();
    if (thread < half) {
      reduction[thread] += reduction[thread + half];
    }
  }
  workgroupBarrier();
  return reduction[0];
}
