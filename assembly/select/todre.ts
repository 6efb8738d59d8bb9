/**
 * ToDRE's first stage (2505.18757): max-sum diversification. After the pivot, the next token kept is the one with the
 * least sum of cosines with those kept. Sums within TIE are equal, and the lowest index wins.
 *
 * The result is exact at the cost of int8 arithmetic. Let x_v be the unit rows, m their mean, r_v = x_v - m, and s = t
 * m + R the sum of the t kept rows:
 *
 *     x_v . s - m . s = t (r_v . m) + r_v . R
 *
 * The first term is known. The second, r_v . R, is summed in integers: r_v is rounded to 8 bits (q_v), and the r_c of
 * each kept token to 7 bits, after the rounding error of those before it (E) is added. The error E stays as small as
 * that of one rounding, however many tokens are kept. So
 *
 *     | error | <= | r_v - q_v | | R | + | q_v | | E |
 *
 * and only the tokens that this bound leaves undecided, a few in a thousand, are computed in f64. Integers are the same
 * on every build.
 *
 * work: | inverse, along, alpha, epsilon, rho, score, exact f64 [n] each | mean, sum, left f64 [wide] each
 *       | rest, means f32 [wide] each | four, 16 bytes | operand [wide] u8 or i16 | q i8 [n][wide] | sums i32 [n]
 *       | taken u8 [n] |, where wide is d rounded up to 16.
 */
import { addWide, dotWide, inverseNorms, rowOf, TIE, dot } from './vectors';

/** A flag of `todre`: chooses by the integers alone, without the exact comparison. */
const FAST: u32 = 1;

/** Bound of the error of r in f32: its norm is at most 2, and 1e-6 is about five times the rounding error. */
const ROUNDING: f64 = 1e-6;
/**
 * Factor that covers the rounding of squares summed in f32: they are positive, so the relative error is at most half of
 * d / 4 + 3 units in the last place; d is at most 65,536.
 */
const SUMMED: f64 = 1.001;
/** Bound of the rounding errors of the f64 sums from which the bounds are computed. */
const SLACK: f64 = 1e-10;

const BELOW: f32 = 127;
const BELOW_OPERAND: f64 = 63;
const OFFSET: i32 = 64;

@inline
function wideOf(d: usize): usize {
  return (d + 15) & ~15;
}

export function todreWorkBytes(n: usize, d: usize): usize {
  const wide = wideOf(d);
  return n * (wide + 61) + 34 * wide + 256;
}

/** Computes r = x inverse - m of a row, in f32, and returns its largest absolute value. */
function residual(out: usize, row: usize, inverse: f32, mean: usize, d: usize): f32 {
  let most: f32 = 0;
  let i: usize = 0;
  if (ASC_FEATURE_SIMD) {
    let largest = f32x4.splat(0);
    const scale = f32x4.splat(inverse);
    for (; i + 4 <= d; i += 4) {
      const at = i << 2;
      const r = f32x4.sub(f32x4.mul(v128.load(row + at), scale), v128.load(mean + at));
      v128.store(out + at, r);
      largest = f32x4.pmax(largest, f32x4.abs(r));
    }
    most = max<f32>(
      max<f32>(f32x4.extract_lane(largest, 0), f32x4.extract_lane(largest, 1)),
      max<f32>(f32x4.extract_lane(largest, 2), f32x4.extract_lane(largest, 3)),
    );
  }
  for (; i < d; i++) {
    const at = i << 2;
    const r = load<f32>(row + at) * inverse - load<f32>(mean + at);
    store<f32>(out + at, r);
    most = max<f32>(most, abs<f32>(r));
  }
  return most;
}

/**
 * Rounds r f32 [d] to multiples of `step` and writes the levels to w i8 [d]; `step` is the largest value divided by
 * BELOW. Writes the sum of the squared errors to `errors`, and the sum of the squared rounded values to the f64 behind
 * it. Returns the sum of the levels.
 */
function quantise(w: usize, r: usize, step: f32, d: usize, errors: usize): i32 {
  const over: f32 = step > 0 ? 1 / step : 0;
  let sum: i32 = 0;
  let error: f64 = 0;
  let power: f64 = 0;
  let i: usize = 0;
  if (ASC_FEATURE_SIMD) {
    const steps = f32x4.splat(step);
    const scale = f32x4.splat(over);
    const highest = f32x4.splat(BELOW);
    const lowest = f32x4.splat(-BELOW);
    let gaps = f32x4.splat(0);
    let whole = f32x4.splat(0);
    let levels = i32x4.splat(0);
    for (; i + 4 <= d; i += 4) {
      const x = v128.load(r + (i << 2));
      const level = f32x4.pmin(highest, f32x4.pmax(lowest, f32x4.nearest(f32x4.mul(x, scale))));
      const found = i32x4.trunc_sat_f32x4_s(level);
      const halves = i16x8.narrow_i32x4_s(found, found);
      v128.store32_lane(w + i, i8x16.narrow_i16x8_s(halves, halves), 0);
      levels = i32x4.add(levels, found);
      const back = f32x4.mul(level, steps);
      const gap = f32x4.sub(x, back);
      gaps = f32x4.add(gaps, f32x4.mul(gap, gap));
      whole = f32x4.add(whole, f32x4.mul(back, back));
    }
    sum = i32x4.extract_lane(levels, 0) + i32x4.extract_lane(levels, 1) + i32x4.extract_lane(levels, 2) +
      i32x4.extract_lane(levels, 3);
    error = <f64>f32x4.extract_lane(gaps, 0) + <f64>f32x4.extract_lane(gaps, 1) + <f64>f32x4.extract_lane(gaps, 2) +
      <f64>f32x4.extract_lane(gaps, 3);
    power = <f64>f32x4.extract_lane(whole, 0) + <f64>f32x4.extract_lane(whole, 1) + <f64>f32x4.extract_lane(whole, 2) +
      <f64>f32x4.extract_lane(whole, 3);
  }
  for (; i < d; i++) {
    const x = load<f32>(r + (i << 2));
    const level = min<f32>(BELOW, max<f32>(-BELOW, nearest<f32>(x * over)));
    store<i8>(w + i, <i8>level);
    sum += <i32>level;
    const back = level * step;
    error += <f64>((x - back) * (x - back));
    power += <f64>(back * back);
  }
  store<f64>(errors, error);
  store<f64>(errors, power, 8);
  return sum;
}

/** Returns the dot products of four rows of signed bytes, w [4][wide], with the operand, as i32x4. */
@inline
function dots4(w: usize, operand: usize, wide: usize): v128 {
  let a = i32x4.splat(0);
  let b = i32x4.splat(0);
  let c = i32x4.splat(0);
  let e = i32x4.splat(0);
  const w1 = w + wide;
  const w2 = w1 + wide;
  const w3 = w2 + wide;
  for (let i: usize = 0; i < wide; i += 16) {
    if (ASC_FEATURE_RELAXED_SIMD) {
      const u = v128.load(operand + i);
      a = i32x4.relaxed_dot_i8x16_i7x16_add_s(v128.load(w + i), u, a);
      b = i32x4.relaxed_dot_i8x16_i7x16_add_s(v128.load(w1 + i), u, b);
      c = i32x4.relaxed_dot_i8x16_i7x16_add_s(v128.load(w2 + i), u, c);
      e = i32x4.relaxed_dot_i8x16_i7x16_add_s(v128.load(w3 + i), u, e);
    } else {
      const u = v128.load(operand + (i << 1));
      const v = v128.load(operand + (i << 1), 16);
      a = i32x4.add(
        a, i32x4.add(i32x4.dot_i16x8_s(v128.load_ext<i8>(w + i), u), i32x4.dot_i16x8_s(v128.load_ext<i8>(w + i, 8), v)),
      );
      b = i32x4.add(
        b,
        i32x4.add(i32x4.dot_i16x8_s(v128.load_ext<i8>(w1 + i), u), i32x4.dot_i16x8_s(v128.load_ext<i8>(w1 + i, 8), v)),
      );
      c = i32x4.add(
        c,
        i32x4.add(i32x4.dot_i16x8_s(v128.load_ext<i8>(w2 + i), u), i32x4.dot_i16x8_s(v128.load_ext<i8>(w2 + i, 8), v)),
      );
      e = i32x4.add(
        e,
        i32x4.add(i32x4.dot_i16x8_s(v128.load_ext<i8>(w3 + i), u), i32x4.dot_i16x8_s(v128.load_ext<i8>(w3 + i, 8), v)),
      );
    }
  }
  const ab = i32x4.add(v128.shuffle<i32>(a, b, 0, 4, 1, 5), v128.shuffle<i32>(a, b, 2, 6, 3, 7));
  const ce = i32x4.add(v128.shuffle<i32>(c, e, 0, 4, 1, 5), v128.shuffle<i32>(c, e, 2, 6, 3, 7));
  return i32x4.add(v128.shuffle<i32>(ab, ce, 0, 1, 4, 5), v128.shuffle<i32>(ab, ce, 2, 3, 6, 7));
}

/** Returns the same for one row. Relaxed builds hold the operand as bytes with OFFSET added, the others as i16. */
function dots1(w: usize, operand: usize, d: usize): i32 {
  let sum: i32 = 0;
  for (let i: usize = 0; i < d; i++) {
    const u: i32 = ASC_FEATURE_RELAXED_SIMD ? <i32>load<u8>(operand + i) : <i32>load<i16>(operand + (i << 1));
    sum += <i32>load<i8>(w + i) * u;
  }
  return sum;
}

/**
 * Keeps up to k of n tokens. `rows` u32 [n] names their rows of x f32 [.., d]; out u32 [k] receives indices into
 * `rows`, in the order of choice. `pivot` is the index of the first token, or below 0 for the token whose cosine with
 * the mean of the unit rows is least. `threshold` stops before a token whose cosine distance to the nearest kept one is
 * less; 0 never stops. Returns how many were kept, or -1 - i when the row of token i is not finite.
 */
export function todre(
  out: usize, x: usize, rows: usize, n: usize, d: usize, k: usize, pivot: i32, threshold: f64, flags: u32, work: usize,
): i32 {
  const wide = wideOf(d);
  const inverse = (work + 15) & ~15;
  const along = inverse + (n << 3);
  const alpha = along + (n << 3);
  const epsilon = alpha + (n << 3);
  const rho = epsilon + (n << 3);
  const score = rho + (n << 3);
  const exact = score + (n << 3);
  const mean = (exact + (n << 3) + 15) & ~15;
  const sum = mean + (wide << 3);
  const left = sum + (wide << 3);
  const rest = left + (wide << 3);
  const means = rest + (wide << 2);
  const four = means + (wide << 2);
  const operand = four + 16;
  const q = operand + (wide << 1);
  const sums = q + n * wide;
  const taken = sums + (n << 2);

  const bad = inverseNorms(inverse, x, rows, n, d);
  if (bad < n) return -1 - <i32>bad;
  memory.fill(mean, 0, rest - mean);
  memory.fill(taken, 0, n);
  memory.fill(score, 0, n << 3);
  memory.fill(operand, 0, wide << 1);
  for (let v: usize = 0; v < n; v++) addWide(mean, rowOf(x, rows, v, d), load<f64>(inverse + (v << 3)) / <f64>n, d);
  let meanSquare: f64 = 0;
  for (let i: usize = 0; i < d; i++) {
    const m = load<f64>(mean + (i << 3));
    meanSquare += m * m;
    store<f32>(means + (i << 2), <f32>m);
  }

  let first: usize = 0;
  let least = Infinity;
  for (let v: usize = 0; v < n; v++) {
    const at = v << 3;
    const row = rowOf(x, rows, v, d);
    const cosine = dotWide(row, mean, d) * load<f64>(inverse + at);
    store<f64>(along + at, cosine - meanSquare);
    least = min<f64>(least, cosine);
    const step = residual(rest, row, <f32>load<f64>(inverse + at), means, d) / BELOW;
    const w = q + v * wide;
    memory.fill(w + (wide - 16), 0, 16);
    store<f64>(alpha + at, <f64>step);
    store<i32>(sums + (v << 2), quantise(w, rest, step, d, four));
    store<f64>(epsilon + at, sqrt<f64>(load<f64>(four)) * SUMMED + ROUNDING);
    store<f64>(rho + at, sqrt<f64>(load<f64>(four, 8)) * SUMMED + ROUNDING);
  }
  if (pivot >= 0) first = <usize>pivot;
  else while (load<f64>(along + (first << 3)) + meanSquare > least + TIE) first++;

  let next = first;
  let kept: usize = 0;
  while (true) {
    store<u32>(out + (kept << 2), <u32>next);
    store<u8>(taken + next, 1);
    kept++;
    if (kept >= k) return <i32>kept;
    const row = rowOf(x, rows, next, d);
    addWide(sum, row, load<f64>(inverse + (next << 3)), d);

    // The operand: r of the new token plus the rounding error so far, in 7 bits.
    let most: f64 = 0;
    let whole: f64 = 0;
    const scale = load<f64>(inverse + (next << 3));
    for (let i: usize = 0; i < d; i++) {
      const at = i << 3;
      const y = load<f64>(left + at) + <f64>load<f32>(row + (i << 2)) * scale - load<f64>(mean + at);
      store<f64>(left + at, y);
      most = max<f64>(most, abs<f64>(y));
      const R = load<f64>(sum + at) - <f64>kept * load<f64>(mean + at);
      whole += R * R;
    }
    const beta = most / BELOW_OPERAND;
    const over = beta > 0 ? 1 / beta : 0;
    let rests: f64 = 0;
    for (let i: usize = 0; i < d; i++) {
      const at = i << 3;
      const level = nearest<f64>(load<f64>(left + at) * over);
      if (ASC_FEATURE_RELAXED_SIMD) store<u8>(operand + i, <u8>(<i32>level + OFFSET));
      else store<i16>(operand + (i << 1), <i16>level);
      const y = load<f64>(left + at) - beta * level;
      store<f64>(left + at, y);
      rests += y * y;
    }
    const bound = sqrt<f64>(whole);
    const remains = sqrt<f64>(rests);

    // The scores, and an upper bound of the least of them.
    let sure = Infinity;
    const slack = SLACK * <f64>(kept + 1);
    for (let v: usize = 0; v < n; v += 4) {
      const count = min<usize>(4, n - v);
      if (ASC_FEATURE_SIMD && count == 4) v128.store(four, dots4(q + v * wide, operand, wide));
      else for (let j: usize = 0; j < count; j++) store<i32>(four + (j << 2), dots1(q + (v + j) * wide, operand, d));
      for (let j: usize = 0; j < count; j++) {
        const token = v + j;
        if (load<u8>(taken + token) != 0) continue;
        let level = load<i32>(four + (j << 2));
        if (ASC_FEATURE_RELAXED_SIMD) level -= OFFSET * load<i32>(sums + (token << 2));
        const at = token << 3;
        const found = load<f64>(score + at) + load<f64>(alpha + at) * beta * <f64>level + load<f64>(along + at);
        store<f64>(score + at, found);
        const error = flags & FAST ? 0 : load<f64>(epsilon + at) * bound + load<f64>(rho + at) * remains + slack;
        sure = min<f64>(sure, found + error);
      }
    }

    next = choose(score, taken, n, sure, flags, epsilon, rho, bound, remains, slack, x, rows, d, inverse, sum, exact);
    if (next >= n) return <i32>kept;
    if (threshold > 0 && novelty(out, kept, x, rows, next, d, inverse) < threshold) return <i32>kept;
  }
}

/** Returns the token to keep next, or n when none is left. */
function choose(
  score: usize, taken: usize, n: usize, sure: f64, flags: u32, epsilon: usize, rho: usize, bound: f64, remains: f64,
  slack: f64, x: usize, rows: usize, d: usize, inverse: usize, sum: usize, exact: usize,
): usize {
  let found = n;
  let questions: u32 = 0;
  for (let v: usize = 0; v < n; v++) {
    if (load<u8>(taken + v) != 0) continue;
    const at = v << 3;
    const error = flags & FAST ? 0 : load<f64>(epsilon + at) * bound + load<f64>(rho + at) * remains + slack;
    if (load<f64>(score + at) - error > sure + TIE) continue;
    if (questions == 0) found = v;
    questions++;
  }
  if (questions < 2 || flags & FAST) return found;
  let least = Infinity;
  for (let v = found; v < n; v++) {
    const at = v << 3;
    store<f64>(exact + at, Infinity);
    if (load<u8>(taken + v) != 0) continue;
    const error = load<f64>(epsilon + at) * bound + load<f64>(rho + at) * remains + slack;
    if (load<f64>(score + at) - error > sure + TIE) continue;
    const cosines = dotWide(rowOf(x, rows, v, d), sum, d) * load<f64>(inverse + at);
    store<f64>(exact + at, cosines);
    least = min<f64>(least, cosines);
  }
  while (load<f64>(exact + (found << 3)) > least + TIE) found++;
  return found;
}

/** Returns 1 minus the largest cosine of token v with a kept one. */
function novelty(out: usize, kept: usize, x: usize, rows: usize, v: usize, d: usize, inverse: usize): f64 {
  const row = rowOf(x, rows, v, d);
  const scale = load<f64>(inverse + (v << 3));
  let most: f64 = -1;
  for (let j: usize = 0; j < kept; j++) {
    const c = <usize>load<u32>(out + (j << 2));
    most = max<f64>(most, dot(row, rowOf(x, rows, c, d), d) * scale * load<f64>(inverse + (c << 3)));
  }
  return 1 - most;
}
