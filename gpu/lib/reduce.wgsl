// Returns to every thread the sum over a workgroup of WORKGROUP threads (a power of two), through `reduction`. Must be
// called in uniform control flow.
fn reduce_sum(value: f32, thread: u32) -> f32 {
  workgroupBarrier();
  reduction[thread] = value;
  for (var half = WORKGROUP / 2u; half > 0u; half >>= 1u) {
    workgroupBarrier();
    if (thread < half) {
      reduction[thread] += reduction[thread + half];
    }
  }
  workgroupBarrier();
  return reduction[0];
}
