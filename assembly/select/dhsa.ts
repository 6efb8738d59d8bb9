/**
 * Finds where the chunks of DHSA (2510.24606, section 3.1) begin: a score for every gap between two keys, and the peaks
 * that are kept.
 *
 * The keys are those of one layer before RoPE, KV heads side by side. Pages hold rotated keys, so these are first
 * rotated back by their positions. The training-free score is `1 - cos(mean of the w keys before the gap, mean of the w
 * keys after it)`, summed in f64 and rounded to f32.
 */

/**
 * Rotates `rows` keys [heads][dim] back, in place. cos and sin are f32 [rows][half], both divided by RoPE's magnitude.
 * Pairs are (i, i + half), or (2i, 2i + 1) when `interleaved`. Values of a head beyond the first 2 half are not
 * changed.
 */
export function unrotate(
  keys: usize, cos: usize, sin: usize, rows: usize, heads: usize, dim: usize, half: usize, interleaved: u32,
): void {
  const apart: usize = (interleaved != 0 ? 1 : half) << 2;
  const step: usize = interleaved != 0 ? 8 : 4;
  for (let row: usize = 0; row < rows; row++) {
    for (let head: usize = 0; head < heads; head++) {
      let at = keys + (((row * heads + head) * dim) << 2);
      for (let i: usize = 0; i < half; i++) {
        const c = load<f32>(cos + ((row * half + i) << 2));
        const s = load<f32>(sin + ((row * half + i) << 2));
        const x = load<f32>(at);
        const y = load<f32>(at + apart);
        store<f32>(at, x * c + y * s);
        store<f32>(at + apart, y * c - x * s);
        at += step;
      }
    }
  }
}

/**
 * Writes out f32 [count]: the score of the gap before row `w + i` of keys f32 [count + 2 w - 1][width], 0 where a mean
 * is zero.
 */
export function gapScores(out: usize, keys: usize, count: usize, width: usize, w: usize): void {
  const bytes = width << 2;
  for (let i: usize = 0; i < count; i++) {
    const left = keys + i * bytes;
    const right = left + w * bytes;
    let dot: f64 = 0;
    let a: f64 = 0;
    let b: f64 = 0;
    let at: usize = 0;
    if (ASC_FEATURE_SIMD) {
      let dots = f64x2.splat(0);
      let as = f64x2.splat(0);
      let bs = f64x2.splat(0);
      for (; at + 8 <= bytes; at += 8) {
        let l = f64x2.splat(0);
        let r = f64x2.splat(0);
        for (let j: usize = 0; j < w; j++) {
          l = f64x2.add(l, f64x2.promote_low_f32x4(v128.load64_zero(left + j * bytes + at)));
          r = f64x2.add(r, f64x2.promote_low_f32x4(v128.load64_zero(right + j * bytes + at)));
        }
        dots = f64x2.add(dots, f64x2.mul(l, r));
        as = f64x2.add(as, f64x2.mul(l, l));
        bs = f64x2.add(bs, f64x2.mul(r, r));
      }
      dot = f64x2.extract_lane(dots, 0) + f64x2.extract_lane(dots, 1);
      a = f64x2.extract_lane(as, 0) + f64x2.extract_lane(as, 1);
      b = f64x2.extract_lane(bs, 0) + f64x2.extract_lane(bs, 1);
    }
    for (; at < bytes; at += 4) {
      let l: f64 = 0;
      let r: f64 = 0;
      for (let j: usize = 0; j < w; j++) {
        l += <f64>load<f32>(left + j * bytes + at);
        r += <f64>load<f32>(right + j * bytes + at);
      }
      dot += l * r;
      a += l * l;
      b += r * r;
    }
    const norm = sqrt<f64>(a) * sqrt<f64>(b);
    store<f32>(out + (i << 2), norm == 0 ? 0 : <f32>(1 - dot / norm));
  }
}

const TAKEN: u8 = 1;

/**
 * Greedy non-maximum suppression over the gaps at positions `first + i` with scores f32 [count]. It repeatedly keeps
 * the highest score above `threshold` (the lower position among equals) that lies farther than `radius` from every
 * boundary kept, until `most` are kept. `last` is the nearest boundary before the gaps, and `forced` a boundary among
 * or after them; both are -1 for none. Both suppress their neighbours, and `forced` is kept if it is in range. Writes
 * the positions to out u32 [most] in ascending order and returns their number. `marks` is scratch of `count` bytes.
 */
export function keepPeaks(
  out: usize, scores: usize, marks: usize, count: usize, first: i32, threshold: f32, radius: i32, most: u32, last: i32,
  forced: i32,
): u32 {
  memory.fill(marks, 0, count);
  const n = <i32>count;
  let kept: u32 = 0;
  if (last >= 0) suppress(marks, n, last - first, radius);
  if (forced >= 0) {
    suppress(marks, n, forced - first, radius);
    if (forced >= first && forced < first + n && most > 0) {
      store<u32>(out, <u32>forced);
      kept = 1;
    }
  }
  while (kept < most) {
    let best = -1;
    let highest = threshold;
    for (let i = 0; i < n; i++) {
      if (load<u8>(marks + <usize>i) != 0) continue;
      const score = load<f32>(scores + (<usize>i << 2));
      if (score > highest) {
        highest = score;
        best = i;
      }
    }
    if (best < 0) break;
    suppress(marks, n, best, radius);
    store<u32>(out + (<usize>kept << 2), <u32>(first + best));
    kept++;
  }
  sort(out, kept);
  return kept;
}

function suppress(marks: usize, count: i32, at: i32, radius: i32): void {
  const end = min<i32>(count - 1, at + radius);
  for (let i = max<i32>(0, at - radius); i <= end; i++) store<u8>(marks + <usize>i, TAKEN);
}

/** Sorts by insertion: a prefill chunk keeps only some tens of boundaries. */
function sort(values: usize, count: u32): void {
  for (let i: u32 = 1; i < count; i++) {
    const value = load<u32>(values + (<usize>i << 2));
    let j = i;
    while (j > 0 && load<u32>(values + (<usize>(j - 1) << 2)) > value) {
      store<u32>(values + (<usize>j << 2), load<u32>(values + (<usize>(j - 1) << 2)));
      j--;
    }
    store<u32>(values + (<usize>j << 2), value);
  }
}
