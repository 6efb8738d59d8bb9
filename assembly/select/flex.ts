/**
 * The arithmetic of FlexPrefill (2502.20766). The distance of two distributions over key blocks decides between two
 * patterns, query-aware blocks or vertical and slash lines. Of the pattern the smallest set is taken that holds a given
 * share of the attention.
 */
import { dot64, orderOf } from './chunks';
import { expOf, logOf } from './exact';

/** Entries of a histogram. */
const BUCKETS: usize = 2048;

/**
 * Returns the square root of the Jensen-Shannon divergence (natural logarithm) of p and q, f32 [n] each, normalised to
 * sums of 1; 0 where either sums to 0.
 */
export function jensenShannon(p: usize, q: usize, n: usize): f64 {
  const a = total(p, n);
  const b = total(q, n);
  if (a == 0 || b == 0) return 0;
  let sum: f64 = 0;
  for (let i: usize = 0; i < n; i++) {
    const x = <f64>load<f32>(p + (i << 2)) / a;
    const y = <f64>load<f32>(q + (i << 2)) / b;
    const m = (x + y) / 2;
    if (x > 0) sum += x * logOf(x / m);
    if (y > 0) sum += y * logOf(y / m);
  }
  return sqrt<f64>(max<f64>(0, sum / 2));
}

function total(x: usize, n: usize): f64 {
  let sum: f64 = 0;
  for (let i: usize = 0; i < n; i++) sum += <f64>load<f32>(x + (i << 2));
  return sum;
}

/**
 * Writes out f32 [n]: softmax(scale q . k) over n mean keys `vectors` f32 [n][stride], averaged over the `group`
 * queries q f32 [group][dim]. The last mean key may stand for fewer keys than the others, and has the weight `last`.
 * scratch: f64 [n + dim].
 */
export function blockMass(
  out: usize, q: usize, vectors: usize, stride: usize, n: usize, dim: usize, group: usize, scale: f64, last: f64,
  scratch: usize,
): void {
  const scores = scratch;
  const query = scratch + (n << 3);
  memory.fill(out, 0, n << 2);
  for (let g: usize = 0; g < group; g++) {
    for (let i: usize = 0; i < dim; i++) store<f64>(query + (i << 3), <f64>load<f32>(q + ((g * dim + i) << 2)) * scale);
    let highest: f64 = -Infinity;
    for (let c: usize = 0; c < n; c++) {
      const score = dot64(query, vectors + ((c * stride) << 2), dim);
      store<f64>(scores + (c << 3), score);
      highest = max<f64>(highest, score);
    }
    let sum: f64 = 0;
    for (let c: usize = 0; c < n; c++) {
      const e = expOf(load<f64>(scores + (c << 3)) - highest) * (c == n - 1 ? last : 1);
      store<f64>(scores + (c << 3), e);
      sum += e;
    }
    for (let c: usize = 0; c < n; c++) {
      const at = out + (c << 2);
      store<f32>(at, load<f32>(at) + <f32>(load<f64>(scores + (c << 3)) / sum / <f64>group));
    }
  }
}

/**
 * Writes marks u8 [n]: 1 for the smallest set of the highest masses f32 [n] (lower positions first among equals) that
 * sums to `share` of all, or for the `most` highest where that is fewer; 0 for the others. Returns the number of marks.
 * All are marked where the sum is NaN, none where it is 0. histogram: scratch of f64 [2048].
 */
export function cover(marks: usize, mass: usize, n: usize, share: f64, most: usize, histogram: usize): u32 {
  const all = total(mass, n);
  if (all != all) {
    memory.fill(marks, 1, n);
    return <u32>n;
  }
  memory.fill(marks, 0, n);
  if (!(all > 0)) return 0;
  const found = mark(marks, mass, n, share * all, 0, histogram);
  if (<usize>found <= most) return found;
  memory.fill(marks, 0, n);
  return most == 0 ? 0 : mark(marks, mass, n, <f64>most, 1, histogram);
}

/** Marks the highest until their weights (masses, or 1 each when `counts`) sum to `target`. Returns their number. */
function mark(marks: usize, mass: usize, n: usize, target: f64, counts: u32, histogram: usize): u32 {
  let known: u32 = 0;
  let rest = target;
  let shift: u32 = 32;
  while (shift > 0) {
    const bits: u32 = shift == 10 ? 10 : 11;
    const over = shift;
    shift -= bits;
    memory.fill(histogram, 0, BUCKETS << 3);
    for (let i: usize = 0; i < n; i++) {
      const value = load<f32>(mass + (i << 2));
      const key = orderOf(value);
      if (over < 32 && key >>> over != known >>> over) continue;
      const at = histogram + (<usize>((key >>> shift) & ((<u32>1 << bits) - 1)) << 3);
      store<f64>(at, load<f64>(at) + (counts != 0 ? 1 : <f64>value));
    }
    let bucket: u32 = (<u32>1 << bits) - 1;
    while (bucket > 0) {
      const weight = load<f64>(histogram + (<usize>bucket << 3));
      if (weight >= rest && weight > 0) break;
      rest -= weight;
      bucket--;
    }
    known |= bucket << shift;
  }
  let found: u32 = 0;
  for (let i: usize = 0; i < n; i++) {
    const value = load<f32>(mass + (i << 2));
    const key = orderOf(value);
    if (key < known || (key == known && rest <= 0)) continue;
    if (key == known) rest -= counts != 0 ? 1 : <f64>value;
    store<u8>(marks + i, 1);
    found++;
  }
  return found;
}

/**
 * Writes the runs of a block of queries at positions `[start, end)`: the keys before `sinks` and from `local` on, the
 * keys that `vertical` u8 [local] marks, and the slash lines that `slash` u8 [bins] marks, where bin j holds the keys
 * that lie `[width j, width (j + 1))` before a query. Either may be 0 for none. seen: scratch of `local` bytes; out: at
 * most local / 2 + 2 pairs. Returns the number of runs.
 */
export function lineRuns(
  out: usize, seen: usize, vertical: usize, slash: usize, bins: usize, width: usize, start: usize, end: usize,
  sinks: usize, local: usize,
): u32 {
  if (vertical != 0) memory.copy(seen, vertical, local);
  else memory.fill(seen, 0, local);
  memory.fill(seen, 1, min<usize>(sinks, local));
  for (let j: usize = 0; slash != 0 && j < bins; j++) {
    if (load<u8>(slash + j) == 0) continue;
    // The last query of the block sees the last key of its line, the first query the first key.
    if (end <= width * j) break;
    const to = min<usize>(local, end - width * j);
    const from = start + 1 > width * (j + 1) ? start + 1 - width * (j + 1) : 0;
    if (to > from) memory.fill(seen + from, 1, to - from);
  }
  let n: usize = 0;
  let key: usize = 0;
  while (key < local) {
    while (key < local && load<u8>(seen + key) == 0) key++;
    if (key == local) break;
    const from = key;
    while (key < local && load<u8>(seen + key) != 0) key++;
    if (key == local) {
      store<u32>(out + (n << 3), <u32>from);
      store<u32>(out + (n << 3), <u32>end, 4);
      return <u32>(n + 1);
    }
    store<u32>(out + (n << 3), <u32>from);
    store<u32>(out + (n << 3), <u32>key, 4);
    n++;
  }
  store<u32>(out + (n << 3), <u32>local);
  store<u32>(out + (n << 3), <u32>end, 4);
  return <u32>(n + 1);
}
