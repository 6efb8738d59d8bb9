// Multiplies the first `count` values of `head_row` by the normalised Hadamard matrix of HADAMARD rows, block by block (Ashkboos
// et al. 2024, 2404.00456), in workgroups of WORKGROUP. HADAMARD is a power of two that divides `count`; the matrix is its
// own inverse. Every thread calls it, after its own writes to `head_row`; all can read the result afterwards.

override HADAMARD: u32 = 1u;

var<workgroup> head_row: array<f32, HEAD_DIM>;

fn hadamard(count: u32, thread: u32) {
  for (var half = 1u; half < HADAMARD; half *= 2u) {
    workgroupBarrier();
    for (var pair = thread; pair < count / 2u; pair += WORKGROUP) {
      let at = 2u * half * (pair / half) + pair % half;
      let a = head_row[at];
      let b = head_row[at + half];
      head_row[at] = a + b;
      head_row[at + half] = a - b;
    }
  }
  workgroupBarrier();
  for (var d = thread; d < count; d += WORKGROUP) {
    head_row[d] *= inverseSqrt(f32(HADAMARD));
  }
  workgroupBarrier();
}
