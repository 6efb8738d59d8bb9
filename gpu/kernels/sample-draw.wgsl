// Sampling, second dispatch: draws one id from the distribution that temperature, top-k, top-p and min-p leave.
// Equal values are kept or dropped together: top-k keeps values that reach the k-th highest, top-p values with a mass
// of less than top_p above them. Both are thresholds, found by a 16-way search over the ordered bits of the values
// (eight rounds of four bits). The draw is the inverse CDF in id order at `uniform`. Greedy (temperature 0) takes the
// highest value, and the lowest id among equals.
//
// A vocabulary is large and few ids are kept, so the search and the draw run over candidates: the ids above a floor
// that is below both thresholds, gathered from the parts that reach it. The floor is the k-th highest of the maxima of
// the parts, or a value that ids with a mass of top_p reach, found by one pass over the vocabulary. When there are more
// than CANDIDATES candidates, search and draw run over all ids.
//
// values [vocabulary]             f32, from sample-prepare
// parts  [part_count]             from sample-prepare
// seen   [vocabulary / 32 words]  u32: receives a mark for the drawn id
// ring   [..]                     i32: ring[index] receives the id, or -1 when no id can be drawn
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
const PART = 1024u; // ids of a part
const CANDIDATES = 512u; // a power of two
const NOBODY = 0xffffffffu;
const WAYS = 15u; // thresholds tried in a round

/// The position of the draw: the first item of the segment, the mass before it, and the mass to be exceeded.
struct Place {
  start: u32,
  before: f32,
  goal: f32,
}

var<workgroup> best: array<vec4<u32>, WORKGROUP>;
var<workgroup> sums: array<f32, WAYS * HALF>;
var<workgroup> totals: array<f32, WAYS * 16u>;
var<workgroup> place: Place;
var<workgroup> candidates: array<u32, CANDIDATES>; // ids, ascending
var<workgroup> gathered: atomic<u32>;
var<workgroup> item_count: u32;

/// Whether the items are candidates (otherwise all ids), and their number; the same in all threads.
var<private> compact: bool;
var<private> items: u32;

fn item(i: u32) -> u32 {
  if (compact) {
    return candidates[i];
  }
  return i;
}

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

/// The value that thread 0 returns is the id. `top` is as a part of sample-prepare, over the whole vocabulary.
fn draw(thread: u32, top: vec4<u32>) -> i32 {
  let highest = unordered(top.x);
  let everyone = ordered(EXCLUDED) + 1u;
  let limited = params.top_k > 0u && params.top_k < top.z;
  compact = false;
  items = params.vocabulary;
  var mass = 0.0; // of all ids that top-k keeps; known early where it keeps all
  if (limited) {
    if (params.top_k <= params.part_count) {
      gather(thread, kth_part(thread));
    }
  } else if (params.top_p < 1.0) {
    let floor = nucleus_floor(thread, highest);
    mass = way(WAYS - 1u);
    gather(thread, floor);
  } else if (params.min_p > 0.0) {
    // A little lower than the exact threshold, which `kept` applies.
    gather(thread, max(everyone, ordered(highest + params.temperature * (log(params.min_p) - 0.01))));
  }

  var least = everyone;
  if (limited) {
    least = search(thread, least, highest, false, f32(params.top_k));
  }
  if (params.top_p < 1.0) {
    if (limited) {
      var masses = array<f32, WAYS>();
      for (var i = thread; i < items; i += WORKGROUP) {
        let value = values[item(i)];
        if (ordered(value) >= least) {
          masses[0] += weight(value, highest);
        }
      }
      sum_ways(thread, masses);
      mass = way(0u);
    }
    least = search(thread, least, highest, true, params.top_p * mass);
  }
  least = min(least, top.x);

  // The inverse CDF: finds a segment of items, then a part of that segment, then an item of that part.
  let segment = (items + WORKGROUP - 1u) / WORKGROUP;
  let part = (segment + WORKGROUP - 1u) / WORKGROUP;
  let whole = locate(thread, Place(0u, 0.0, -1.0), items, segment, least, highest);
  let within = locate(thread, whole, min(whole.start + segment, items), part, least, highest);
  var before = within.before;
  var id = -1;
  for (var i = within.start; i < min(within.start + part, items); i++) {
    let share = kept(item(i), least, highest);
    if (share > 0.0) {
      id = i32(item(i));
      before += share;
      if (within.goal < before) {
        break;
      }
    }
  }
  return id;
}

/// The top_k-th highest of the maxima of the parts: at least top_k ids reach it.
fn kth_part(thread: u32) -> u32 {
  var base = 0u;
  for (var round = 0u; round < 8u; round++) {
    let shift = 28u - 4u * round;
    var reached = array<f32, WAYS>();
    for (var i = thread; i < params.part_count; i += WORKGROUP) {
      let key = parts[i].x;
      for (var j = 0u; j < WAYS; j++) {
        reached[j] += select(0.0, 1.0, key >= base + ((j + 1u) << shift));
      }
    }
    sum_ways(thread, reached);
    base += chosen_way(f32(params.top_k)) << shift;
  }
  return max(base, ordered(EXCLUDED) + 1u);
}

/// A key that ids with at least top_p of the mass reach, found by one pass over the vocabulary. Afterwards
/// `way(WAYS - 1)` is the total mass.
fn nucleus_floor(thread: u32, highest: f32) -> u32 {
  var reached = array<f32, WAYS>();
  for (var i = thread; i < params.vocabulary; i += WORKGROUP) {
    let value = values[i];
    if (value > EXCLUDED) {
      let depth = (highest - value) / params.temperature;
      let amount = weight(value, highest);
      for (var j = 0u; j < WAYS; j++) {
        reached[j] += select(0.0, amount, j == WAYS - 1u || depth <= f32(j + 1u));
      }
    }
  }
  sum_ways(thread, reached);
  let goal = params.top_p * way(WAYS - 1u);
  for (var j = 0u; j < WAYS - 1u; j++) {
    if (way(j) >= goal) {
      // A little lower, so that rounding does not exclude an id that was counted.
      return max(ordered(highest - params.temperature * (f32(j + 1u) + 0.01)), ordered(EXCLUDED) + 1u);
    }
  }
  return ordered(EXCLUDED) + 1u;
}

/// Makes the ids that reach `floor` the items, in ascending order, if there are few enough of them.
fn gather(thread: u32, floor: u32) {
  if (thread == 0u) {
    atomicStore(&gathered, 0u);
  }
  for (var i = thread; i < CANDIDATES; i += WORKGROUP) {
    candidates[i] = NOBODY;
  }
  workgroupBarrier();
  for (var p = 0u; p < params.part_count; p++) {
    if (parts[p].x < floor) {
      continue;
    }
    for (var i = thread; i < PART; i += WORKGROUP) {
      let id = p * PART + i;
      if (id < params.vocabulary && ordered(values[id]) >= floor) {
        let at = atomicAdd(&gathered, 1u);
        if (at < CANDIDATES) {
          candidates[at] = id;
        }
      }
    }
  }
  workgroupBarrier();
  if (thread == 0u) {
    item_count = atomicLoad(&gathered);
  }
  let count = workgroupUniformLoad(&item_count);
  if (count > CANDIDATES) {
    return;
  }
  // Bitonic sort (Batcher 1968), so that the order in which threads wrote does not matter.
  for (var size = 2u; size <= CANDIDATES; size <<= 1u) {
    for (var stride = size / 2u; stride > 0u; stride >>= 1u) {
      for (var i = thread; i < CANDIDATES / 2u; i += WORKGROUP) {
        let low = 2u * stride * (i / stride) + i % stride;
        let a = candidates[low];
        let b = candidates[low + stride];
        if ((a > b) == ((low & size) == 0u)) {
          candidates[low] = b;
          candidates[low + stride] = a;
        }
      }
      workgroupBarrier();
    }
  }
  compact = true;
  items = count;
}

/// The probability of a value relative to that of the highest.
fn weight(value: f32, highest: f32) -> f32 {
  return exp((value - highest) / params.temperature);
}

/// The weight of an id that is kept, otherwise 0.
fn kept(id: u32, least: u32, highest: f32) -> f32 {
  let value = values[id];
  if (ordered(value) < least) {
    return 0.0;
  }
  let mass = weight(value, highest);
  return select(mass, 0.0, mass < params.min_p);
}

/// The highest key that items with a count or mass of at least `goal` reach; only items that reach `least` count.
fn search(thread: u32, least: u32, highest: f32, by_mass: bool, goal: f32) -> u32 {
  var base = 0u;
  for (var round = 0u; round < 8u; round++) {
    let shift = 28u - 4u * round;
    var reached = array<f32, WAYS>(); // initialised explicitly: SwiftShader zeroes a variable in a loop body only once
    for (var i = thread; i < items; i += WORKGROUP) {
      let value = values[item(i)];
      let key = ordered(value);
      if (key >= least) {
        let amount = select(1.0, weight(value, highest), by_mass);
        for (var j = 0u; j < WAYS; j++) {
          reached[j] += select(0.0, amount, key >= base + ((j + 1u) << shift));
        }
      }
    }
    sum_ways(thread, reached);
    base += chosen_way(goal) << shift;
  }
  return max(base, least);
}

/// The number of thresholds, in ascending order, that keep at least `goal`.
fn chosen_way(goal: f32) -> u32 {
  var step = 0u;
  for (var j = 0u; j < WAYS; j++) {
    if (way(j) >= goal) {
      step = j + 1u;
    }
  }
  return step;
}

/// Adds the values of all threads for each way into totals[way][..16], which `way` then sums up.
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

/// The segment of `size` items from `start.start` on in which the cumulative mass exceeds `start.goal` (-1: `uniform`
/// times the total mass, which the first call determines).
fn locate(thread: u32, start: Place, end: u32, size: u32, least: u32, highest: f32) -> Place {
  var mass = 0.0;
  let first = start.start + thread * size;
  for (var i = first; i < min(first + size, end); i++) {
    mass += kept(item(i), least, highest);
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
