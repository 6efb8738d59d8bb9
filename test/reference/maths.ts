/** Activations, norms, products, RoPE and attention on f64 arrays: the naive loops of the reference backend. */
import type { Activation, RopeSpec } from '../../src/backend/backend.ts';

// Looked up once: in jest's module context each look-up of a global is slow.
const { abs, cos, exp, max, PI, sign, sin, sqrt, SQRT2, tanh } = Math;

/** Series near 0, Lentz's continued fraction of erfc beyond; about 1e-15. */
export function erf(x: number): number {
  const a = abs(x);
  if (a < 2.5) {
    let term = x;
    let sum = x;
    for (let n = 1; n < 200 && abs(term) > 1e-18; n++) {
      term *= (-x * x) / n;
      sum += term / (2 * n + 1);
    }
    return (2 / sqrt(PI)) * sum;
  }
  let fraction = 0;
  for (let n = 60; n > 0; n--) fraction = n / 2 / (a + fraction);
  return sign(x) * (1 - exp(-a * a) / sqrt(PI) / (a + fraction));
}

export function activate(kind: Activation | undefined, x: number): number {
  switch (kind) {
    case undefined:
      return x;
    case 'sigmoid':
      return 1 / (1 + exp(-x));
    case 'silu':
      return x / (1 + exp(-x));
    case 'gelu':
      return 0.5 * x * (1 + erf(x / SQRT2));
    case 'geluTanh':
      return 0.5 * x * (1 + tanh(sqrt(2 / PI) * (x + 0.044715 * x ** 3)));
    case 'tanh':
      return tanh(x);
    default:
      return kind satisfies never;
  }
}

/** Each of `rows` rows of `cols`: RMS (Zhang & Sennrich 2019) or layer norm. */
export function normalise(
  x: Float64Array,
  rows: number,
  cols: number,
  spec: { kind: 'rms' | 'layer'; weight: Float64Array; bias?: Float64Array | undefined; epsilon: number },
): Float64Array {
  const out = new Float64Array(rows * cols);
  for (let r = 0; r < rows; r++) {
    let mean = 0;
    if (spec.kind === 'layer') for (let c = 0; c < cols; c++) mean += x[r * cols + c]! / cols;
    let square = 0;
    for (let c = 0; c < cols; c++) square += (x[r * cols + c]! - mean) ** 2 / cols;
    for (let c = 0; c < cols; c++) {
      out[r * cols + c] =
        ((x[r * cols + c]! - mean) / sqrt(square + spec.epsilon)) * spec.weight[c]! + (spec.bias?.[c] ?? 0);
    }
  }
  return out;
}

/** x [t, cols] times w [rows, cols] transposed: [t, rows]. */
export function product(x: Float64Array, w: Float64Array, t: number, rows: number, cols: number): Float64Array {
  const out = new Float64Array(t * rows);
  for (let i = 0; i < t; i++) {
    for (let r = 0; r < rows; r++) {
      let sum = 0;
      for (let c = 0; c < cols; c++) sum += x[i * cols + c]! * w[r * cols + c]!;
      out[i * rows + r] = sum;
    }
  }
  return out;
}

/** RoPE of one head vector in place (Su et al. 2021); values beyond the rotary part stay. `at`: the token's position, on all axes or by axis. */
export function rotate(head: Float64Array, at: number | ((axis: number) => number), rope: RopeSpec): void {
  const position = typeof at === 'number' ? (): number => at : at;
  const pairs = rope.inverseFrequency.length;
  for (let i = 0; i < pairs; i++) {
    const angle = position(sectionOf(i, rope)) * rope.inverseFrequency[i]!;
    const a = rope.style === 'half' ? i : 2 * i;
    const b = rope.style === 'half' ? i + pairs : 2 * i + 1;
    const c = cos(angle) * rope.magnitude;
    const s = sin(angle) * rope.magnitude;
    const x = head[a]!;
    const y = head[b]!;
    head[a] = x * c - y * s;
    head[b] = y * c + x * s;
  }
}

/** A head times the normalised Walsh-Hadamard matrix, whose entry (i, j) has the sign of the number of ones in i & j; of blocks of the largest power of two that divides the head. */
export function hadamard(head: Float64Array): Float64Array {
  let block = 1;
  while (head.length % (2 * block) === 0) block *= 2;
  const ones = (n: number): number => [...n.toString(2)].filter((digit) => digit === '1').length;
  return head.map((_, i) => {
    const first = i - (i % block);
    let sum = 0;
    for (let j = 0; j < block; j++) sum += (ones((i % block) & j) % 2 === 0 ? 1 : -1) * head[first + j]!;
    return sum / Math.sqrt(block);
  });
}

/** The axis of a pair: from the list of all pairs' axes, written out. */
function sectionOf(pair: number, { sections, inverseFrequency }: RopeSpec): number {
  if (!sections) return 0;
  const [time, height, width] = sections.pairs;
  const axes =
    sections.order === 'consecutive'
      ? [...Array<number>(time).fill(0), ...Array<number>(height).fill(1), ...Array<number>(width).fill(2)]
      : Array<number>(inverseFrequency.length).fill(0);
  // As transformers' apply_interleaved_mrope: slices [axis : 3 length : 3].
  if (sections.order === 'interleaved') {
    for (let i = 1; i < 3 * height; i += 3) axes[i] = 1;
    for (let i = 2; i < 3 * width; i += 3) axes[i] = 2;
  }
  return axes[pair]!;
}

/** softmax(scale q.k + bias) over the given keys. */
export function softmax(
  q: Float64Array,
  keys: readonly Float64Array[],
  scale: number,
  bias?: Float64Array,
): Float64Array {
  const width = q.length;
  const scores = new Float64Array(keys.length);
  for (let j = 0; j < keys.length; j++) {
    const key = keys[j]!;
    let sum = 0;
    for (let i = 0; i < width; i++) sum += q[i]! * key[i]!;
    scores[j] = scale * sum + (bias?.[j] ?? 0);
  }
  const highest = scores.reduce((a, b) => max(a, b), -Infinity);
  const weights = scores.map((score) => exp(score - highest));
  const total = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => weight / total);
}

/** softmax(scale q.k + bias) v over the given keys; zeros when there are none. */
export function attend(
  q: Float64Array,
  keys: readonly Float64Array[],
  values: readonly Float64Array[],
  scale: number,
  bias?: Float64Array,
): Float64Array {
  const width = q.length;
  const weights = softmax(q, keys, scale, bias);
  const out = new Float64Array(width);
  for (let j = 0; j < keys.length; j++) {
    const value = values[j]!;
    for (let i = 0; i < width; i++) out[i]! += weights[j]! * value[i]!;
  }
  return out;
}

/** The mean of the rows in each span [start, end); zeros for an empty one: [spans, cols]. */
export function means(rows: Float64Array, cols: number, spans: Uint32Array): Float64Array {
  const out = new Float64Array((spans.length / 2) * cols);
  for (let s = 0; s < spans.length / 2; s++) {
    const [start, end] = [spans[2 * s]!, spans[2 * s + 1]!];
    for (let r = start; r < end; r++)
      for (let c = 0; c < cols; c++) out[s * cols + c]! += rows[r * cols + c]! / (end - start);
  }
  return out;
}
