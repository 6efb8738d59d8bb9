// Sampling, first dispatch: applies mask and penalties to every logit, and finds the maximum of each part of the
// vocabulary.
//
// logits [vocabulary]              f32
// seen   [vocabulary / 32 words]   u32, bit id % 32 of word id / 32: the id was seen
// mask   [vocabulary / 32 words]   u32, in the same order: the id is allowed; where `masked`
// values [vocabulary]              f32, logits after mask and penalties; EXCLUDED for ids that may not be drawn
// parts  [workgroups]              (ordered bits of the highest value, its lowest id, number of ids allowed,
//                                  1 if one of them is NaN or +infinity)
//
// One workgroup of 256 for 1,024 ids; a thread takes every 256th of them.

struct Params {
  vocabulary: u32,
  masked: u32,
  repetition: f32,
  presence: f32,
}

@group(0) @binding(0) var<storage, read> logits: array<u32>; // f32 by its bits
@group(0) @binding(1) var<storage, read> seen: array<u32>;
@group(0) @binding(2) var<storage, read> mask: array<u32>;
@group(0) @binding(3) var<storage, read_write> values: array<f32>;
@group(0) @binding(4) var<storage, read_write> parts: array<vec4<u32>>;
@group(1) @binding(0) var<uniform> params: Params;

const WORKGROUP = 256u;
var<workgroup> best: array<vec4<u32>, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  var mine = vec4<u32>(0u, 0xffffffffu, 0u, 0u);
  for (var i = 0u; i < 4u; i++) {
    let id = workgroup.x * 1024u + i * WORKGROUP + thread;
    if (id >= params.vocabulary) {
      break;
    }
    let bit = 1u << (id % 32u);
    let bits = logits[id];
    var value = bitcast<f32>(bits);
    var allowed = bits != 0xff800000u; // minus infinity counts as masked
    if (params.masked == 1u) {
      allowed = allowed && (mask[id / 32u] & bit) != 0u;
    }
    if (!allowed) {
      values[id] = EXCLUDED;
      continue;
    }
    // NaN and infinity are detected by their bits, since compilers may assume that they do not occur.
    if ((bits & 0x7fffffffu) >= 0x7f800000u) {
      mine.w = 1u;
    }
    if ((seen[id / 32u] & bit) != 0u) {
      value = select(value * params.repetition, value / params.repetition, value > 0.0) - params.presence;
    }
    value = select(value, 0.0, value == 0.0); // -0 and 0 are equal
    values[id] = value;
    mine.z += 1u;
    mine = better(mine, vec4<u32>(ordered(value), id, 0u, 0u));
  }
  best[thread] = mine;
  for (var half = WORKGROUP / 2u; half > 0u; half >>= 1u) {
    workgroupBarrier();
    if (thread < half) {
      best[thread] = better(best[thread], best[thread + half]);
    }
  }
  if (thread == 0u) {
    parts[workgroup.x] = best[0];
  }
}
