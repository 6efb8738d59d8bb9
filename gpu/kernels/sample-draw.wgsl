// Sampling, second dispatch: one id of the distribution that temperature, top-k, top-p and min-p leave.
// Equal values are kept or dropped together: top-k keeps what reaches the k-th highest, top-p what has less than top_p above it.
// Both are thresholds, found by a 16-way search over the ordered bits of the values (eight rounds of four bits). The draw is the
// inverse CDF in id order at `uniform`. Greedy (temperature 0) takes the highest, the lowest id among equals.
//
// values [vocabulary]             f32, from sample-prepare
// parts  [part_count]             from sample-prepare
// seen   [vocabulary / 32 words]  u32: the id drawn is marked
// ring   [..]                     i32: ring[index] gets the id, or -1 where nothing can be drawn
//
// One workgroup of 256.

struct Params {
  vocabulary: u32,
  part_count: u32,
  index: u32,
  top_k: u32, // 0: off
  temperature: f32, // 0: greedy
  top_p: f32, // 1: off
  min_p: f32,
  uniform: f32,
}

@group(0) @binding(0) var<storage, read> values: array<f32>;
@group(0) @binding(1) var<storage, read> parts: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> seen: array<u32>;
@group(0) @binding(3) var<storage, read_write> ring: array<i32>;
@group(1) @binding(0) var<uniform> params: Params;

const WORKGROUP = 256u;
const HALF = WORKGROUP / 2u;
const WAYS = 15u; // thresholds tried in a round

/// Where the draw falls: the first id of the segment, the mass before it, and the mass to be exceeded.
struct Place {
  start: u32,
  before: f32,
  goal: f32,
}

var<workgroup> best: array<vec4<u32>, WORKGROUP>;
var<workgroup> sums: array<f32, WAYS * HALF>;
var<workgroup> totals: array<f32, WAYS * 16u>;
var<workgroup> place: Place;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(local_invocation_index) thread: u32) {
  var mine = vec4<u32>(0u, 0xffffffffu, 0u, 0u);
  for (var i = thread; i < params.part_count; i += WORKGROUP) {
    mine = better(mine, parts[i]);
  }
  best[thread] = mine;
  for (var half = WORKGROUP / 2u; half > 0u; half >>= 1u) {
    workgroupBarrier();
    if (thread < half) {
      best[thread] = better(best[thread], best[thread + half]);
    }
  }
  let top = workgroupUniformLoad(&best[0]);
  var id = -1;
  if (top.z > 0u && top.w == 0u) {
    if (params.temperature == 0.0) {
      id = i32(top.y);
    } else {
      id = draw(thread, top);
    }
  }
  if (thread == 0u) {
    ring[params.index] = id;
    if (id >= 0) {
      seen[u32(id) / 32u] |= 1u << (u32(id) % 32u);
    }
  }
}

/// Thread 0's return value is the id; `top` as sample-prepare's parts, over the whole vocabulary.
fn draw(thread: u32, top: vec4<u32>) -> i32 {
  let highest = unordered(top.x);
  var least = ordered(EXCLUDED) + 1u;
  if (params.top_k > 0u && params.top_k < top.z) {
    least = search(thread, least, highest, false, f32(params.top_k));
  }
  if (params.top_p < 1.0) {
    var mass = 0.0;
    for (var i = thread; i < params.vocabulary; i += WORKGROUP) {
      if (ordered(values[i]) >= least) {
        mass += weight(values[i], highest);
      }
    }
    var masses = array<f32, WAYS>();
    masses[0] = mass;
    sum_ways(thread, masses);
    least = search(thread, least, highest, true, params.top_p * way(0u));
  }
  least = min(least, top.x);

  // The inverse CDF: a segment of ids, a part of that segment, an id of that part.
  let segment = (params.vocabulary + WORKGROUP - 1u) / WORKGROUP;
  let part = (segment + WORKGROUP - 1u) / WORKGROUP;
  let whole = locate(thread, Place(0u, 0.0, -1.0), params.vocabulary, segment, least, highest);
  let within = locate(thread, whole, min(whole.start + segment, params.vocabulary), part, least, highest);
  var before = within.before;
  var id = -1;
  for (var i = within.start; i < min(within.start + part, params.vocabulary); i++) {
    let mass = kept(i, least, highest);
    if (mass > 0.0) {
      id = i32(i);
      before += mass;
      if (within.goal < before) {
        break;
      }
    }
  }
  return id;
}

/// The probability of a value relative to the highest's.
fn weight(value: f32, highest: f32) -> f32 {
  return exp((value - highest) / params.temperature);
}

/// The weight of an id that is kept, else 0.
fn kept(i: u32, least: u32, highest: f32) -> f32 {
  let value = values[i];
  if (ordered(value) < least) {
    return 0.0;
  }
  let mass = weight(value, highest);
  return select(mass, 0.0, mass < params.min_p);
}

/// The highest key that ids of at least `goal` (their count, or their mass) reach, of those that reach `least`.
fn search(thread: u32, least: u32, highest: f32, by_mass: bool, goal: f32) -> u32 {
  var base = 0u;
  for (var round = 0u; round < 8u; round++) {
    let shift = 28u - 4u * round;
    var reached = array<f32, WAYS>(); // in words: SwiftShader does not zero a variable of a loop's body again
    for (var i = thread; i < params.vocabulary; i += WORKGROUP) {
      let value = values[i];
      let key = ordered(value);
      if (key >= least) {
        let amount = select(1.0, weight(value, highest), by_mass);
        for (var j = 0u; j < WAYS; j++) {
          reached[j] += select(0.0, amount, key >= base + ((j + 1u) << shift));
        }
      }
    }
    sum_ways(thread, reached);
    var step = 0u;
    for (var j = 0u; j < WAYS; j++) {
      if (way(j) >= goal) {
        step = j + 1u;
      }
    }
    base += step << shift;
  }
  return max(base, least);
}

/// Adds up every thread's values of each way into totals[way][..16], which `way` adds up for all threads.
fn sum_ways(thread: u32, mine: array<f32, WAYS>) {
  workgroupBarrier();
  if (thread >= HALF) {
    for (var j = 0u; j < WAYS; j++) {
      sums[j * HALF + thread - HALF] = mine[j];
    }
  }
  workgroupBarrier();
  if (thread < HALF) {
    for (var j = 0u; j < WAYS; j++) {
      sums[j * HALF + thread] += mine[j];
    }
  }
  workgroupBarrier();
  if (thread < WAYS * 16u) {
    var sum = 0.0;
    for (var i = 0u; i < HALF / 16u; i++) {
      sum += sums[(thread / 16u) * HALF + i * 16u + thread % 16u];
    }
    totals[thread] = sum;
  }
  workgroupBarrier();
}

fn way(j: u32) -> f32 {
  var sum = 0.0;
  for (var i = 0u; i < 16u; i++) {
    sum += totals[j * 16u + i];
  }
  return sum;
}

/// The segment of `size` ids from `start.start` in which the mass since id 0 comes to exceed `start.goal` (-1: the uniform number's share of
/// the mass, which is all of it at the first call).
fn locate(thread: u32, start: Place, end: u32, size: u32, least: u32, highest: f32) -> Place {
  var mass = 0.0;
  let first = start.start + thread * size;
  for (var i = first; i < min(first + size, end); i++) {
    mass += kept(i, least, highest);
  }
  workgroupBarrier();
  sums[thread] = mass;
  workgroupBarrier();
  if (thread == 0u) {
    var goal = start.goal;
    if (goal < 0.0) {
      goal = 0.0;
      for (var i = 0u; i < WORKGROUP; i++) {
        goal += sums[i];
      }
      goal *= params.uniform;
    }
    var before = start.before;
    var at = Place(start.start, before, goal);
    for (var i = 0u; i < WORKGROUP; i++) {
      if (sums[i] > 0.0) {
        at = Place(start.start + i * size, before, goal);
        before += sums[i];
        if (goal < before) {
          break;
        }
      }
    }
    place = at;
  }
  return workgroupUniformLoad(&place);
}
