/**
 * Greedy max-min diversification: the next token kept is the one whose largest cosine with those kept is least
 * (k-center; Gonzalez 1985). From a given pivot this is the option of ToDRE's first version; from the token whose
 * nearest neighbour is farthest it is DivPrune (2503.02175). Cosines are f64; values within TIE are equal, and the
 * lowest index wins.
 *
 * The largest cosine of a token only grows, so an old value is a lower bound. It is updated only while it could still
 * be the least.
 *
 * work: | inverse, most f64 [n] each | seen u32 [n] | taken u8 [n] |
 */
import { dot, inverseNorms, rowOf, TIE } from './vectors';

export function divpruneWorkBytes(n: usize): usize {
  return 21 * n + 64;
}

@inline
function cosine(x: usize, rows: usize, a: usize, b: usize, d: usize, inverse: usize): f64 {
  return dot(rowOf(x, rows, a, d), rowOf(x, rows, b, d), d) * load<f64>(inverse + (a << 3)) *
    load<f64>(inverse + (b << 3));
}

/**
 * Returns the token whose largest cosine with any other is least. Neighbours are compared first, since they are the
 * most similar. `most` f64 [n] holds lower bounds afterwards.
 */
function loneliest(x: usize, rows: usize, n: usize, d: usize, inverse: usize, most: usize): usize {
  let least = Infinity;
  for (let v: usize = 0; v < n; v++) {
    let largest: f64 = -Infinity;
    for (let gap: usize = 1; gap < n && largest <= least + TIE; gap++) {
      if (v >= gap) largest = max<f64>(largest, cosine(x, rows, v, v - gap, d, inverse));
      if (v + gap < n) largest = max<f64>(largest, cosine(x, rows, v, v + gap, d, inverse));
    }
    store<f64>(most + (v << 3), largest);
    least = min<f64>(least, largest);
  }
  let found: usize = 0;
  while (load<f64>(most + (found << 3)) > least + TIE) found++;
  return found;
}

/** As `todre`, by the largest cosine. With `pivot` below 0 the first token is DivPrune's. */
export function divprune(
  out: usize, x: usize, rows: usize, n: usize, d: usize, k: usize, pivot: i32, threshold: f64, work: usize,
): i32 {
  const inverse = (work + 15) & ~15;
  const most = inverse + (n << 3);
  const seen = most + (n << 3);
  const taken = seen + (n << 2);
  const bad = inverseNorms(inverse, x, rows, n, d);
  if (bad < n) return -1 - <i32>bad;
  let next = pivot >= 0 ? <usize>pivot : loneliest(x, rows, n, d, inverse, most);
  memory.fill(seen, 0, n << 2);
  memory.fill(taken, 0, n);
  for (let v: usize = 0; v < n; v++) store<f64>(most + (v << 3), -Infinity);

  let kept: usize = 0;
  while (true) {
    store<u32>(out + (kept << 2), <u32>next);
    store<u8>(taken + next, 1);
    kept++;
    if (kept >= k) return <i32>kept;
    let least = Infinity;
    for (let v: usize = 0; v < n; v++) {
      if (load<u8>(taken + v) != 0) continue;
      let largest = load<f64>(most + (v << 3));
      if (largest > least + TIE) continue;
      let done = load<u32>(seen + (v << 2));
      while (done < <u32>kept && largest <= least + TIE) {
        largest = max<f64>(largest, cosine(x, rows, v, <usize>load<u32>(out + (<usize>done << 2)), d, inverse));
        done++;
      }
      store<f64>(most + (v << 3), largest);
      store<u32>(seen + (v << 2), done);
      if (done == <u32>kept) least = min<f64>(least, largest);
    }
    // Values that are not updated exceed the least by more than a tie.
    next = 0;
    while (load<u8>(taken + next) != 0 || load<f64>(most + (next << 3)) > least + TIE) next++;
    if (threshold > 0 && 1 - load<f64>(most + (next << 3)) < threshold) return <i32>kept;
  }
}
