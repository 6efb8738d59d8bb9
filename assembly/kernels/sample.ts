/**
 * Draws one id from the logits: mask, penalties, temperature, top-k, top-p, min-p, then the inverse CDF in id order.
 * Equal logits are kept or dropped together. Thresholds come from three passes of a histogram over the sortable bits of
 * f32 (11, 11 and 10 bits), never from a sort. Sums are f64, in id order.
 */
import { exp1, exp4 } from './math';

/**
 * | logits | vocabulary | seen | mask (0: all allowed) | work | temperature: f32 | topK | topP: f32 | minP: f32 |
 * | repetition: f32 | presence: f32 | seed | index | result |
 * `seen` and `mask` hold one bit an id. `work` is memory of `sampleWorkBytes`. `result` is the address of an i32 that
 * receives the id.
 */
@unmanaged
export class Sample {
  logits: usize;
  vocabulary: usize;
  seen: usize;
  mask: usize;
  work: usize;
  temperature: f32;
  topK: u32;
  topP: f32;
  minP: f32;
  repetition: f32;
  presence: f32;
  seed: u32;
  index: u32;
  result: usize;
}

/** The number of values in a group, of which `floorOf` uses the highest only. */
const GROUP: usize = 64;
const BINS: usize = 2048;
const HISTOGRAM_BYTES: usize = BINS * 16;
const NOTHING: f32 = -Infinity;

/**
 * | counts: u32 [2048] | 8 kB unused | masses: f64 [2048] | logits: f32 | weights: f32 | ids: u32 |,
 * of which the last three are [vocabulary].
 */
export function sampleWorkBytes(vocabulary: usize): usize {
  return HISTOGRAM_BYTES + vocabulary * 12;
}

/** Maps the bits of an f32 to a u32 with the same order. */
@inline
function sortable(bits: u32): u32 {
  return bits ^ (<u32>(<i32>bits >> 31) | 0x80000000);
}

@inline
function unsortable(key: u32): f32 {
  return reinterpret<f32>(key & 0x80000000 ? key ^ 0x80000000 : ~key);
}

function pcgHash(value: u32): u32 {
  const state = value * 747796405 + 2891336453;
  const word = ((state >> ((state >> 28) + 4)) ^ state) * 277803737;
  return (word >> 22) ^ word;
}

/** Returns the same number as `uniform` in src/backend/random.ts. */
export function uniform(seed: u32, index: u32): f64 {
  return <f64>(pcgHash(pcgHash(seed) + index) >> 8) / 16777216.0;
}

/**
 * Draws an id, writes it to `result` and marks it as seen. Writes -1 when a logit is NaN or +Infinity or when no id is
 * allowed.
 */
export function sample(args: usize): void {
  const a = changetype<Sample>(args);
  const id = draw(a);
  store<i32>(a.result, id);
  if (id >= 0) {
    const word = a.seen + ((<usize>id >> 5) << 2);
    store<u32>(word, load<u32>(word) | (1 << (<u32>id & 31)));
  }
}

function draw(a: Sample): i32 {
  const n = a.vocabulary;
  const plain = a.mask == 0 && a.repetition == 1 && a.presence == 0;
  if (plain && a.temperature == 0) return usable(a.logits, n) ? greedy(a.logits, n) : -1;
  const w = a.work + HISTOGRAM_BYTES;
  memory.copy(w, a.logits, n << 2);
  if (a.mask != 0) maskOut(w, a.mask, n);
  if (!usable(w, n)) return -1;
  if (!plain) penalise(a, w);
  if (a.temperature == 0) return greedy(w, n);
  const highest = highestOf(w, n);
  if (highest == NOTHING) return -1;

  const e = w + (n << 2);
  const ids = e + (n << 2);
  let least = NOTHING;
  let kept: usize;
  // The sum of all weights, before top-p and min-p drop any.
  let all: f64 = 0;
  if (a.topK > 0 && <usize>a.topK < n) {
    // The values that reach the k-th highest maximum of the groups include all that reach the k-th highest value, and
    // usually few more.
    kept = compact(w, ids, n, floorOf(a.work, w, e, n, a.topK));
    if (<usize>a.topK < kept) least = kth(a.work, w, kept, a.topK);
    weigh(e, w, kept, highest, a.temperature);
    if (least > NOTHING) {
      for (let i: usize = 0; i < kept; i++) if (load<f32>(w + (i << 2)) < least) store<f32>(e + (i << 2), 0);
    }
    all = sumOf(e, kept);
  } else {
    weigh(e, w, n, highest, a.temperature);
    all = sumOf(e, n);
    // Weights below (1 - p) / n of the sum cannot add up to the part that the nucleus leaves out, so every member of
    // the nucleus is above that.
    kept = select(w, e, ids, n, max<f32>(a.minP, a.topP < 1 ? <f32>((1 - <f64>a.topP) * all * 0.999 / <f64>n) : 0));
  }
  if (a.topP < 1) least = max<f32>(least, nucleus(a.work, w, e, kept, <f64>a.topP * all));

  let total: f64 = 0;
  for (let i: usize = 0; i < kept; i++) {
    const at = i << 2;
    const weight = load<f32>(e + at);
    if (load<f32>(w + at) >= least && weight >= a.minP) total += weight;
    else store<f32>(e + at, 0);
  }
  const target = uniform(a.seed, a.index) * total;
  let sum: f64 = 0;
  let last: i32 = -1;
  for (let i: usize = 0; i < kept; i++) {
    const weight = load<f32>(e + (i << 2));
    if (weight == 0) continue;
    last = load<i32>(ids + (i << 2));
    sum += weight;
    if (target < sum) break;
  }
  return last;
}

/** Sets the logits of ids whose bit is 0 to -Infinity. */
function maskOut(w: usize, mask: usize, n: usize): void {
  for (let base: usize = 0; base < n; base += 32) {
    const bits = load<u32>(mask + (base >> 3));
    if (bits == 0xffffffff) continue;
    const end = min<usize>(32, n - base);
    for (let i: usize = 0; i < end; i++) {
      if (((bits >> <u32>i) & 1) == 0) store<f32>(w + ((base + i) << 2), NOTHING);
    }
  }
}

/** Tells whether every value is below +Infinity and none is NaN. */
function usable(w: usize, n: usize): bool {
  let i: usize = 0;
  if (ASC_FEATURE_SIMD) {
    let below = i32x4.splat(-1);
    const infinity = f32x4.splat(Infinity);
    for (; i + 4 <= n; i += 4) below = v128.and(below, f32x4.lt(v128.load(w + (i << 2)), infinity));
    if (!i32x4.all_true(below)) return false;
  }
  for (; i < n; i++) if (!(load<f32>(w + (i << 2)) < <f32>Infinity)) return false;
  return true;
}

function penalise(a: Sample, w: usize): void {
  for (let base: usize = 0; base < a.vocabulary; base += 32) {
    let bits = load<u32>(a.seen + (base >> 3));
    while (bits != 0) {
      const at = w + ((base + ctz<u32>(bits)) << 2);
      bits &= bits - 1;
      const logit = load<f32>(at);
      if (logit == NOTHING) continue;
      store<f32>(at, (logit > 0 ? logit / a.repetition : logit * a.repetition) - a.presence);
    }
  }
}

function highestOf(w: usize, n: usize): f32 {
  let highest = NOTHING;
  let i: usize = 0;
  if (ASC_FEATURE_SIMD) {
    let m = f32x4.splat(NOTHING);
    for (; i + 4 <= n; i += 4) m = f32x4.max(m, v128.load(w + (i << 2)));
    highest = max<f32>(
      max<f32>(f32x4.extract_lane(m, 0), f32x4.extract_lane(m, 1)),
      max<f32>(f32x4.extract_lane(m, 2), f32x4.extract_lane(m, 3)),
    );
  }
  for (; i < n; i++) highest = max<f32>(highest, load<f32>(w + (i << 2)));
  return highest;
}

function firstEqual(w: usize, n: usize, value: f32): i32 {
  let i: usize = 0;
  if (ASC_FEATURE_SIMD) {
    const v = f32x4.splat(value);
    while (i + 4 <= n && !v128.any_true(f32x4.eq(v128.load(w + (i << 2)), v))) i += 4;
  }
  while (load<f32>(w + (i << 2)) != value) i++;
  return <i32>i;
}

/** Returns the lowest id of the highest value, or -1 when all are -Infinity. */
function greedy(w: usize, n: usize): i32 {
  const highest = highestOf(w, n);
  return highest == NOTHING ? -1 : firstEqual(w, n, highest);
}

/**
 * Returns a value that at least k values of w reach: the k-th highest of the maxima of the groups, which are written to
 * `tops`. Returns -Infinity when there are fewer groups than k.
 */
function floorOf(counts: usize, w: usize, tops: usize, n: usize, k: u32): f32 {
  const groups = n / GROUP;
  if (groups < <usize>k) return NOTHING;
  for (let g: usize = 0; g < groups; g++) store<f32>(tops + (g << 2), highestOf(w + ((g * GROUP) << 2), GROUP));
  return kth(counts, tops, groups, k);
}

/**
 * Moves the values that are above -Infinity and weigh at least `lightest` to the front of w and e, and their ids to
 * `ids`. Returns their number.
 */
function select(w: usize, e: usize, ids: usize, n: usize, lightest: f32): usize {
  let kept: usize = 0;
  let i: usize = 0;
  while (i < n) {
    if (ASC_FEATURE_SIMD) {
      const floor = f32x4.splat(lightest);
      while (i + 4 <= n && !v128.any_true(f32x4.ge(v128.load(e + (i << 2)), floor))) i += 4;
    }
    const end = min<usize>(n, i + 4);
    for (; i < end; i++) {
      const v = load<f32>(w + (i << 2));
      const weight = load<f32>(e + (i << 2));
      if (!(weight >= lightest) || v == NOTHING) continue;
      store<f32>(w + (kept << 2), v);
      store<f32>(e + (kept << 2), weight);
      store<u32>(ids + (kept << 2), <u32>i);
      kept++;
    }
  }
  return kept;
}

function sumOf(e: usize, n: usize): f64 {
  let i: usize = 0;
  let sum: f64 = 0;
  if (ASC_FEATURE_SIMD) {
    let a = f64x2.splat(0);
    let b = f64x2.splat(0);
    for (; i + 4 <= n; i += 4) {
      const v = v128.load(e + (i << 2));
      a = f64x2.add(a, f64x2.promote_low_f32x4(v));
      b = f64x2.add(b, f64x2.promote_low_f32x4(v128.shuffle<f32>(v, v, 2, 3, 2, 3)));
    }
    const both = f64x2.add(a, b);
    sum = f64x2.extract_lane(both, 0) + f64x2.extract_lane(both, 1);
  }
  for (; i < n; i++) sum += load<f32>(e + (i << 2));
  return sum;
}

/**
 * Moves the values above -Infinity that reach `least` to the front of w, and their ids to `ids`. Returns their number.
 */
function compact(w: usize, ids: usize, n: usize, least: f32): usize {
  let kept: usize = 0;
  let i: usize = 0;
  while (i < n) {
    if (ASC_FEATURE_SIMD && least > NOTHING) {
      const floor = f32x4.splat(least);
      while (i + 4 <= n && !v128.any_true(f32x4.ge(v128.load(w + (i << 2)), floor))) i += 4;
      if (i >= n) break;
    }
    const end = min<usize>(n, i + 4);
    for (; i < end; i++) {
      const v = load<f32>(w + (i << 2));
      if (v >= least && v > NOTHING) {
        store<f32>(w + (kept << 2), v);
        store<u32>(ids + (kept << 2), <u32>i);
        kept++;
      }
    }
  }
  return kept;
}

/** e = exp((w - highest) / temperature) */
function weigh(e: usize, w: usize, n: usize, highest: f32, temperature: f32): void {
  let i: usize = 0;
  if (ASC_FEATURE_SIMD) {
    const h = f32x4.splat(highest);
    const t = f32x4.splat(temperature);
    for (; i + 4 <= n; i += 4) v128.store(e + (i << 2), exp4(f32x4.div(f32x4.sub(v128.load(w + (i << 2)), h), t)));
  }
  for (; i < n; i++) store<f32>(e + (i << 2), exp1((load<f32>(w + (i << 2)) - highest) / temperature));
}

/** The bits of a key that pass `pass` counts by, and a test whether the bits above them are `prefix`. */
@inline
function shiftOf(pass: u32): u32 {
  return pass == 0 ? 21 : pass == 1 ? 10 : 0;
}
@inline
function binOf(key: u32, pass: u32): u32 {
  return (key >> shiftOf(pass)) & (pass == 2 ? 1023 : 2047);
}
@inline
function inPrefix(key: u32, prefix: u32, pass: u32): bool {
  return pass == 0 || (pass == 1 ? key >> 21 == prefix : key >> 10 == prefix);
}

/** Returns the k-th highest value of w, k in [1, n]. */
function kth(counts: usize, w: usize, n: usize, k: u32): f32 {
  let prefix: u32 = 0;
  for (let pass: u32 = 0; pass < 3; pass++) {
    memory.fill(counts, 0, BINS << 2);
    for (let i: usize = 0; i < n; i++) {
      const key = sortable(load<u32>(w + (i << 2)));
      if (!inPrefix(key, prefix, pass)) continue;
      const at = counts + (<usize>binOf(key, pass) << 2);
      store<u32>(at, load<u32>(at) + 1);
    }
    let bin: u32 = pass == 2 ? 1023 : 2047;
    while (true) {
      const here = load<u32>(counts + (<usize>bin << 2));
      if (k <= here || bin == 0) break;
      k -= here;
      bin--;
    }
    prefix = (prefix << (pass == 2 ? 10 : 11)) | bin;
  }
  return unsortable(prefix);
}

/** Returns the lowest value v of w such that the weights of all values above v sum to less than `wanted`. */
function nucleus(histogram: usize, w: usize, e: usize, n: usize, wanted: f64): f32 {
  const counts = histogram;
  const masses = histogram + (BINS << 3);
  let above: f64 = 0;
  let prefix: u32 = 0;
  for (let pass: u32 = 0; pass < 3; pass++) {
    memory.fill(counts, 0, BINS << 2);
    memory.fill(masses, 0, BINS << 3);
    for (let i: usize = 0; i < n; i++) {
      const key = sortable(load<u32>(w + (i << 2)));
      if (!inPrefix(key, prefix, pass)) continue;
      const bin = <usize>binOf(key, pass);
      store<u32>(counts + (bin << 2), load<u32>(counts + (bin << 2)) + 1);
      store<f64>(masses + (bin << 3), load<f64>(masses + (bin << 3)) + <f64>load<f32>(e + (i << 2)));
    }
    // Takes the first bin from above at which the mass reaches `wanted`, or the lowest non-empty bin when rounding
    // leaves none.
    let found: u32 = 0;
    let base: f64 = above;
    for (let bin: i32 = pass == 2 ? 1023 : 2047; bin >= 0; bin--) {
      if (load<u32>(counts + (<usize>bin << 2)) == 0) continue;
      found = bin;
      base = above;
      above += load<f64>(masses + (<usize>bin << 3));
      if (above >= wanted) break;
    }
    above = base;
    prefix = (prefix << (pass == 2 ? 10 : 11)) | found;
  }
  return unsortable(prefix);
}
