// Chooses the token to keep next: the one with the least score, unless another score is so close that rounding could
// have changed their order; then the host decides.
//
// scores [tokens]  i32, in units of 2^-20; TAKEN for those that are kept
// state  u32:  0 number of kept tokens, 1 stopped: the host must choose among the candidates, 2 number of candidates,
//              3 not 0: f32 cannot hold some rows, 4.. the first CANDIDATES candidates,
//              FIRST_PICK.. the kept tokens, in the order of choice
//
// `near` + `each` * count is the largest distance, in units, at which two scores may be in the wrong order.
// One workgroup of 256.

struct Params {
  tokens: u32,
  wanted: u32,
  near: f32,
  each: f32,
}

@group(0) @binding(0) var<storage, read> scores: array<i32>;
@group(0) @binding(1) var<storage, read_write> state: array<u32>;
@group(1) @binding(0) var<uniform> params: Params;

const WORKGROUP = 256u;
const TAKEN = 0x7fffffff;
var<workgroup> leasts: array<i32, WORKGROUP>;
var<workgroup> found: atomic<u32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(local_invocation_index) thread: u32) {
  if (thread == 0u) {
    atomicStore(&found, 0u);
  }
  var least = TAKEN;
  for (var v = thread; v < params.tokens; v += WORKGROUP) {
    least = min(least, scores[v]);
  }
  leasts[thread] = least;
  for (var half = WORKGROUP / 2u; half > 0u; half >>= 1u) {
    workgroupBarrier();
    if (thread < half) {
      leasts[thread] = min(leasts[thread], leasts[thread + half]);
    }
  }
  workgroupBarrier();
  least = leasts[0];
  let count = state[0];
  let idle = state[1] == 1u || count >= params.wanted || least == TAKEN;
  let most = least + i32(ceil(params.near + params.each * f32(count))) + 1;
  workgroupBarrier();
  if (!idle) {
    for (var v = thread; v < params.tokens; v += WORKGROUP) {
      if (scores[v] != TAKEN && scores[v] <= most) {
        let place = atomicAdd(&found, 1u);
        if (place < CANDIDATES) {
          state[4u + place] = v;
        }
      }
    }
  }
  storageBarrier();
  workgroupBarrier();
  if (thread != 0u || idle) {
    return;
  }
  let candidates = atomicLoad(&found);
  state[2] = candidates;
  if (candidates == 1u) {
    state[FIRST_PICK + count] = state[4];
    state[0] = count + 1u;
  } else {
    state[1] = 1u;
  }
}
