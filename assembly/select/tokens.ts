/**
 * Chooses keys by score, for TokenSelect (2411.02886), SentenceKV (2504.00970), ReKV (2503.00540) and evictions. Scores
 * are f64: sums of f32 masses and products in a fixed order, so that every build chooses the same keys. The higher
 * score wins, then the lower index. NaN counts as the lowest.
 */

const BINS: u64 = 2048;
/** Columns that `addRows` sums at a time. */
const COLUMNS: usize = 1024;

/** Returns the bytes of `bestOf`'s histogram. */
export function bestScratchBytes(): usize {
  return <usize>BINS << 2;
}

/** Maps an f64 to a u64 with the same order. */
@inline
function sortable(score: f64): u64 {
  if (score != score) return 0;
  const bits = reinterpret<u64>(score);
  return bits ^ (<u64>(<i64>bits >> 63) | 0x8000000000000000);
}

/**
 * out[i] += the sum of column i over the rows of x, row by row; out: f64 [cols]; rows of `cols` f32 values lie `stride`
 * values apart.
 */
export function addRows(out: usize, x: usize, rows: usize, cols: usize, stride: usize): void {
  // So many columns at a time that their sums stay in the first-level cache.
  for (let start: usize = 0; start < cols; start += COLUMNS) {
    const end = min<usize>(start + COLUMNS, cols);
    for (let row: usize = 0; row < rows; row++) {
      const from = x + ((row * stride) << 2);
      let i = start;
      if (ASC_FEATURE_SIMD) {
        for (; i + 4 <= end; i += 4) {
          const v = v128.load(from + (i << 2));
          const to = out + (i << 3);
          v128.store(to, f64x2.add(v128.load(to), f64x2.promote_low_f32x4(v)));
          v128.store(to, f64x2.add(v128.load(to, 16), f64x2.promote_low_f32x4(v128.shuffle<f32>(v, v, 2, 3, 2, 3))), 16);
        }
      }
      for (; i < end; i++) {
        const to = out + (i << 3);
        store<f64>(to, load<f64>(to) + <f64>load<f32>(from + (i << 2)));
      }
    }
  }
}

/** out[r] = q . row r for r < count, as f64 sums of f32 products. Rows of `cols` values lie `stride` values apart. */
export function dotRows(out: usize, rows: usize, q: usize, count: usize, cols: usize, stride: usize): void {
  for (let r: usize = 0; r < count; r++) {
    const row = rows + ((r * stride) << 2);
    let i: usize = 0;
    let sum: f64 = 0;
    if (ASC_FEATURE_SIMD) {
      let a = f64x2.splat(0);
      let b = f64x2.splat(0);
      for (; i + 4 <= cols; i += 4) {
        const u = v128.load(row + (i << 2));
        const v = v128.load(q + (i << 2));
        a = f64x2.add(a, f64x2.mul(f64x2.promote_low_f32x4(u), f64x2.promote_low_f32x4(v)));
        const upper = v128.shuffle<f32>(u, u, 2, 3, 2, 3);
        b = f64x2.add(
          b, f64x2.mul(f64x2.promote_low_f32x4(upper), f64x2.promote_low_f32x4(v128.shuffle<f32>(v, v, 2, 3, 2, 3))),
        );
      }
      const both = f64x2.add(a, b);
      sum = f64x2.extract_lane(both, 0) + f64x2.extract_lane(both, 1);
    }
    for (; i < cols; i++) sum += <f64>load<f32>(row + (i << 2)) * <f64>load<f32>(q + (i << 2));
    store<f64>(out + (r << 3), sum);
  }
}

/**
 * Sets marks[i] to 1 for the k highest of scores [count], otherwise to 0, and returns how many are marked. The k-th
 * highest is found by histograms over 11 bits at a time, from the highest bits down, until a bin is taken whole. marks:
 * u8 [count]; histogram: `bestScratchBytes`.
 */
export function bestOf(marks: usize, scores: usize, count: usize, k: usize, histogram: usize): usize {
  if (k >= count || k == 0) {
    memory.fill(marks, k == 0 ? 0 : 1, count);
    return min<usize>(k, count);
  }
  let left = <u32>k;
  let prefix: u64 = 0;
  let shift: u64 = 64;
  while (shift > 0) {
    const above: u64 = shift;
    shift = shift > 11 ? shift - 11 : 0;
    const mask: u64 = ((<u64>1) << (above - shift)) - 1;
    memory.fill(histogram, 0, bestScratchBytes());
    for (let i: usize = 0; i < count; i++) {
      const key = sortable(load<f64>(scores + (i << 3)));
      if (above < 64 && key >> above != prefix) continue;
      const at = histogram + (<usize>((key >> shift) & mask) << 2);
      store<u32>(at, load<u32>(at) + 1);
    }
    let bin: usize = <usize>mask;
    let here = load<u32>(histogram + (bin << 2));
    while (here < left) {
      left -= here;
      bin--;
      here = load<u32>(histogram + (bin << 2));
    }
    prefix = (prefix << (above - shift)) | <u64>bin;
    if (here == left) break;
  }
  for (let i: usize = 0; i < count; i++) {
    const key = sortable(load<f64>(scores + (i << 3))) >> shift;
    let taken = key > prefix;
    if (key == prefix && left > 0) {
      taken = true;
      left--;
    }
    store<u8>(marks + i, taken ? 1 : 0);
  }
  return k;
}

/**
 * Writes the runs of marked indices, as `[base + start, base + end)`, and returns their number. runs: u32 [count + 1],
 * at most.
 */
export function markedRuns(runs: usize, marks: usize, count: usize, base: u32): usize {
  let found: usize = 0;
  let i: usize = 0;
  while (i < count) {
    if (load<u8>(marks + i) == 0) {
      i++;
      continue;
    }
    const at = runs + (found << 3);
    store<u32>(at, base + <u32>i);
    while (i < count && load<u8>(marks + i) != 0) i++;
    store<u32>(at, base + <u32>i, 4);
    found++;
  }
  return found;
}

@inline
function before(scores: usize, a: u32, b: u32): bool {
  const x = sortable(load<f64>(scores + (<usize>a << 3)));
  const y = sortable(load<f64>(scores + (<usize>b << 3)));
  return x > y || (x == y && a < b);
}

function sink(heap: usize, scores: usize, count: usize, from: usize): void {
  const moved = load<u32>(heap + (from << 2));
  let at: usize = from;
  while (true) {
    let child: usize = 2 * at + 1;
    if (child >= count) break;
    if (child + 1 < count && before(scores, load<u32>(heap + (child << 2), 4), load<u32>(heap + (child << 2)))) child++;
    const best = load<u32>(heap + (child << 2));
    if (!before(scores, best, moved)) break;
    store<u32>(heap + (at << 2), best);
    at = child;
  }
  store<u32>(heap + (at << 2), moved);
}

/**
 * Takes spans of `lengths` tokens from the highest score down, as long as they fit into `budget` tokens. Sets marks[i]
 * to 1 for what is taken and returns the number of tokens taken. lengths, heap: u32 [count].
 */
export function fillBest(marks: usize, scores: usize, lengths: usize, count: usize, budget: u32, heap: usize): u32 {
  memory.fill(marks, 0, count);
  for (let i: usize = 0; i < count; i++) store<u32>(heap + (i << 2), <u32>i);
  for (let i: usize = count >> 1; i > 0; i--) sink(heap, scores, count, i - 1);
  let left = budget;
  for (let rest: usize = count; rest > 0 && left > 0; rest--) {
    const best = load<u32>(heap);
    const length = load<u32>(lengths + (<usize>best << 2));
    if (length <= left) {
      store<u8>(marks + <usize>best, 1);
      left -= length;
    }
    store<u32>(heap, load<u32>(heap + ((rest - 1) << 2)));
    sink(heap, scores, rest - 1, 0);
  }
  return budget - left;
}
