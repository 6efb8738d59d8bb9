// Ranges in `data` (runs.ts): offsets of the lists; from word params.runs_start on (start, slots) of every run, where
// slots is the number of keys of its list up to the end of the run; from params.bias_start on, if that is not 0, the
// bias of every run. The slot of a key is its index among the keys of its list, so that a tile of slots is full of keys
// however short the runs are. Runs are sorted and disjoint.

fn run_start(run: u32) -> u32 {
  return data[params.runs_start + 2u * run];
}

fn run_slots(run: u32) -> u32 {
  return data[params.runs_start + 2u * run + 1u];
}

/// The number of slots before `run` in the list that begins at run `first`.
fn slots_before(first: u32, run: u32) -> u32 {
  if (run == first) {
    return 0u;
  }
  return run_slots(run - 1u);
}

/// The run of [first, end) that contains the slot.
fn run_of_slot(first: u32, end: u32, slot: u32) -> u32 {
  var low = first;
  var high = end;
  while (low < high) {
    let middle = (low + high) / 2u;
    if (run_slots(middle) <= slot) {
      low = middle + 1u;
    } else {
      high = middle;
    }
  }
  return low;
}

/// The first run of [first, end) that begins at or after the position; end if none does.
fn run_from(first: u32, end: u32, position: u32) -> u32 {
  var low = first;
  var high = end;
  while (low < high) {
    let middle = (low + high) / 2u;
    if (run_start(middle) < position) {
      low = middle + 1u;
    } else {
      high = middle;
    }
  }
  return low;
}

/// The number of keys of the list [first, end) at positions below `position`.
fn slots_below(first: u32, end: u32, position: u32) -> u32 {
  let after = run_from(first, end, position);
  if (after == first) {
    return 0u;
  }
  let run = after - 1u;
  let before = slots_before(first, run);
  return before + min(run_slots(run) - before, position - run_start(run));
}

fn run_bias(run: u32) -> f32 {
  if (params.bias_start == 0u) {
    return 0.0;
  }
  return bitcast<f32>(data[params.bias_start + run]);
}
