/**
 * DHSA's learned boundary predictor (2510.24606, section 3.1): the probability that a chunk begins at a gap between two
 * keys, computed from the w keys on either side.
 *
 *   window of 2 w keys x [width]     y = LayerNorm(x + softmax(Q x . K x / sqrt(width)) V x), one head, no mask
 *   l, r                             means of the first and of the last w rows of y
 *   logit                            output . relu(hidden [l, r, |l - r|, l * r, cos(l, r)] + bias) + bias
 *
 * The query, key and value vectors of a key serve all windows that contain it, so they are computed once. All
 * arithmetic is f32; the score is the sigmoid of the logit.
 */
import { exp1, lanes, madd } from '../kernels/math';

/**
 * | scores | keys | count | width | w | hidden | query | key | value | norm weight | norm bias | hidden weight |
 * | hidden bias | output weight | output bias: f32 | scratch |
 *
 *   scores           f32 [count], out: of the gap before row w + i
 *   keys             f32 [count + 2 w - 1][width]
 *   query, key, value  f32 [width][width], out by in, no bias; norm f32 [width]
 *   hidden weight    f32 [hidden][4 width + 1]; bias and output weight f32 [hidden]
 */
@unmanaged
export class Boundary {
  scores: usize;
  keys: usize;
  count: usize;
  width: usize;
  w: usize;
  hidden: usize;
  query: usize;
  key: usize;
  value: usize;
  normWeight: usize;
  normBias: usize;
  hiddenWeight: usize;
  hiddenBias: usize;
  outputWeight: usize;
  outputBias: f32;
  scratch: usize;
}

const EPSILON: f32 = 1e-5;

/** | Q, K, V f32 [rows][width] each | row [width] | attention [2 w] | features [4 width + 1] | */
export function boundaryScratchBytes(count: usize, width: usize, w: usize): usize {
  return ((count + 2 * w - 1) * 3 * width + width + 2 * w + 4 * width + 1) << 2;
}

export function boundaryScores(args: usize): void {
  const a = changetype<Boundary>(args);
  const width = a.width;
  const w = a.w;
  const rows = a.count + 2 * w - 1;
  const bytes = width << 2;
  const q = a.scratch;
  const k = q + rows * bytes;
  const v = k + rows * bytes;
  const row = v + rows * bytes;
  const attention = row + bytes;
  const features = attention + (w << 3);
  for (let r: usize = 0; r < rows; r++) {
    const x = a.keys + r * bytes;
    product(q + r * bytes, a.query, x, width, width);
    product(k + r * bytes, a.key, x, width, width);
    product(v + r * bytes, a.value, x, width, width);
  }
  const scale: f32 = 1 / sqrt<f32>(<f32>width);
  for (let i: usize = 0; i < a.count; i++) {
    memory.fill(features, 0, 2 * bytes);
    for (let j: usize = 0; j < 2 * w; j++) {
      attend(row, attention, a, q + (i + j) * bytes, k + i * bytes, v + i * bytes, a.keys + (i + j) * bytes, scale);
      normalise(row, a.normWeight, a.normBias, width);
      addScaled(features + (j < w ? 0 : bytes), row, width, 1 / <f32>w);
    }
    compare(features, width);
    let logit = a.outputBias;
    for (let h: usize = 0; h < a.hidden; h++) {
      const value = dot(a.hiddenWeight + ((h * (4 * width + 1)) << 2), features, 4 * width + 1) +
        load<f32>(a.hiddenBias + (h << 2));
      if (value > 0 || value != value) logit += value * load<f32>(a.outputWeight + (h << 2));
    }
    store<f32>(a.scores + (i << 2), 1 / (1 + exp1(-logit)));
  }
}

/** row = x + softmax(scale q . k) v over the 2 w keys from k on. */
function attend(row: usize, attention: usize, a: Boundary, q: usize, k: usize, v: usize, x: usize, scale: f32): void {
  const bytes = a.width << 2;
  const n: usize = 2 * a.w;
  let highest: f32 = -Infinity;
  for (let j: usize = 0; j < n; j++) {
    const score = dot(q, k + j * bytes, a.width) * scale;
    store<f32>(attention + (j << 2), score);
    highest = max<f32>(highest, score);
  }
  let sum: f32 = 0;
  for (let j: usize = 0; j < n; j++) {
    const e = exp1(load<f32>(attention + (j << 2)) - highest);
    store<f32>(attention + (j << 2), e);
    sum += e;
  }
  memory.copy(row, x, bytes);
  for (let j: usize = 0; j < n; j++) addScaled(row, v + j * bytes, a.width, load<f32>(attention + (j << 2)) / sum);
}

/** Applies layer norm in place. */
function normalise(row: usize, weight: usize, bias: usize, width: usize): void {
  let mean: f32 = 0;
  for (let i: usize = 0; i < width; i++) mean += load<f32>(row + (i << 2));
  mean /= <f32>width;
  let variance: f32 = 0;
  for (let i: usize = 0; i < width; i++) {
    const d: f32 = load<f32>(row + (i << 2)) - mean;
    variance += d * d;
  }
  const factor: f32 = 1 / sqrt<f32>(variance / <f32>width + EPSILON);
  for (let i: usize = 0; i < width; i++) {
    const at = row + (i << 2);
    store<f32>(at, (load<f32>(at) - mean) * factor * load<f32>(weight + (i << 2)) + load<f32>(bias + (i << 2)));
  }
}

/** Writes [|l - r|, l * r, cos(l, r)] behind [l, r]. */
function compare(features: usize, width: usize): void {
  const bytes = width << 2;
  let a: f32 = 0;
  let b: f32 = 0;
  let both: f32 = 0;
  for (let i: usize = 0; i < width; i++) {
    const at = features + (i << 2);
    const l = load<f32>(at);
    const r = load<f32>(at + bytes);
    store<f32>(at + 2 * bytes, abs<f32>(l - r));
    store<f32>(at + 3 * bytes, l * r);
    a += l * l;
    b += r * r;
    both += l * r;
  }
  const norm: f32 = sqrt<f32>(a) * sqrt<f32>(b);
  store<f32>(features + 4 * bytes, norm == 0 ? 0 : both / norm);
}

/** out [rows] = weight [rows][cols] x */
function product(out: usize, weight: usize, x: usize, rows: usize, cols: usize): void {
  for (let r: usize = 0; r < rows; r++) store<f32>(out + (r << 2), dot(weight + ((r * cols) << 2), x, cols));
}

function dot(a: usize, b: usize, n: usize): f32 {
  let i: usize = 0;
  let sum: f32 = 0;
  if (ASC_FEATURE_SIMD) {
    let s = f32x4.splat(0);
    let t = f32x4.splat(0);
    for (; i + 8 <= n; i += 8) {
      s = madd(v128.load(a + (i << 2)), v128.load(b + (i << 2)), s);
      t = madd(v128.load(a + (i << 2), 16), v128.load(b + (i << 2), 16), t);
    }
    sum = lanes(f32x4.add(s, t));
  }
  for (; i < n; i++) sum += load<f32>(a + (i << 2)) * load<f32>(b + (i << 2));
  return sum;
}

/** y += x * factor */
function addScaled(y: usize, x: usize, n: usize, factor: f32): void {
  let i: usize = 0;
  if (ASC_FEATURE_SIMD) {
    const f = f32x4.splat(factor);
    for (; i + 4 <= n; i += 4) v128.store(y + (i << 2), madd(v128.load(x + (i << 2)), f, v128.load(y + (i << 2))));
  }
  for (; i < n; i++) store<f32>(y + (i << 2), load<f32>(y + (i << 2)) + load<f32>(x + (i << 2)) * factor);
}
