/** What the sparse methods of prefill choose, in naive f64 loops over single keys: no chunks, no histograms, no incremental state. */

/** Positions by falling score, the lower one first among equals; NaN before everything. */
function ranked(scores: readonly number[], positions: readonly number[]): number[] {
  const value = (i: number): number => (Number.isNaN(scores[i]) ? Infinity : scores[i]!);
  return [...positions].sort((a, b) => {
    if (Number.isNaN(scores[a]) !== Number.isNaN(scores[b])) return Number.isNaN(scores[a]) ? -1 : 1;
    return value(b) - value(a) || a - b;
  });
}

export interface ChunkCase {
  /** [heads][dim] of one block: mean queries of the KV head's query heads. */
  readonly means: readonly Float32Array[];
  readonly queries: number;
  /** [chunks] mean keys of the KV head. */
  readonly vectors: readonly Float32Array[];
  /** First positions, and the end of the last. */
  readonly bounds: readonly number[];
  readonly sinks: number;
  readonly local: number;
  readonly end: number;
  readonly budget: number;
  readonly whole: boolean;
}

/** [chunks], rounded to f32 as the product's scores are. */
export function chunkScores({ means, queries, vectors, bounds }: ChunkCase): number[] {
  return vectors.map((vector, c) => {
    let score = 0;
    for (let i = 0; i < vector.length; i++) {
      let q = 0;
      for (const mean of means) q += mean[i]!;
      score += q * vector[i]!;
    }
    return Math.fround((score / means.length) * Math.sqrt(queries) * Math.sqrt(bounds[c + 1]! - bounds[c]!));
  });
}

/** [end] whether each key is seen. */
export function chosenKeys(one: ChunkCase): boolean[] {
  const { bounds, sinks, local, end, budget, whole } = one;
  const scores = chunkScores(one);
  const seen = Array.from({ length: end }, (_, key) => key < sinks || key >= local);
  if (budget >= end) return seen.fill(true);
  let left = budget - seen.filter(Boolean).length;
  const chunkOf = (key: number): number => bounds.findIndex((_, c) => key >= bounds[c]! && key < bounds[c + 1]!);
  const free = seen.flatMap((there, key) => (there ? [] : [key]));
  if (whole) {
    const chunks = [...new Set(free.map(chunkOf))];
    for (const chunk of ranked(scores, chunks)) {
      const keys = free.filter((key) => chunkOf(key) === chunk);
      if (keys.length > left) break;
      left -= keys.length;
      for (const key of keys) seen[key] = true;
    }
    return seen;
  }
  const perKey: number[] = [];
  for (const key of free) perKey[key] = scores[chunkOf(key)]!;
  for (const key of ranked(perKey, free).slice(0, Math.max(0, left))) seen[key] = true;
  return seen;
}

/** Scores of the gaps before rows `w + i` of keys [rows][width]. */
export function gapScores(keys: readonly Float32Array[], w: number): number[] {
  const width = keys[0]!.length;
  const mean = (from: number): number[] =>
    Array.from({ length: width }, (_, d) => keys.slice(from, from + w).reduce((sum, key) => sum + key[d]!, 0) / w);
  const norm = (v: readonly number[]): number => Math.sqrt(v.reduce((sum, x) => sum + x * x, 0));
  return Array.from({ length: keys.length - 2 * w + 1 }, (_, i) => {
    const l = mean(i);
    const r = mean(i + w);
    const both = norm(l) * norm(r);
    return both === 0 ? 0 : Math.fround(1 - l.reduce((sum, x, d) => sum + x * r[d]!, 0) / both);
  });
}

export interface PeakCase {
  readonly scores: readonly number[];
  readonly first: number;
  readonly threshold: number;
  readonly radius: number;
  readonly most: number;
  readonly last: number;
  readonly forced: number;
}

export function keptPeaks({ scores, first, threshold, radius, most, last, forced }: PeakCase): number[] {
  const near: number[] = [last, forced].filter((at) => at >= 0);
  const kept: number[] = [];
  if (forced >= first && forced < first + scores.length && most > 0) kept.push(forced);
  const order = scores
    .map((_, i) => i)
    .filter((i) => scores[i]! > threshold)
    .sort((a, b) => scores[b]! - scores[a]! || a - b);
  for (const i of order) {
    if (kept.length >= most) break;
    if ([...near, ...kept].some((at) => Math.abs(at - (first + i)) <= radius)) continue;
    kept.push(first + i);
  }
  return kept.sort((a, b) => a - b);
}

export interface PredictorCase {
  readonly keys: readonly Float32Array[];
  readonly w: number;
  readonly query: Float32Array;
  readonly key: Float32Array;
  readonly value: Float32Array;
  readonly normWeight: Float32Array;
  readonly normBias: Float32Array;
  readonly hiddenWeight: Float32Array;
  readonly hiddenBias: Float32Array;
  readonly outputWeight: Float32Array;
  readonly outputBias: number;
}

/** The predictor's sigmoids, each from its window alone. */
export function predicted(p: PredictorCase): number[] {
  const { keys, w } = p;
  const width = keys[0]!.length;
  const times = (m: Float32Array, x: ArrayLike<number>, rows: number): number[] =>
    Array.from({ length: rows }, (_, r) => Array.from(x).reduce((sum, v, c) => sum + m[r * x.length + c]! * v, 0));
  const dot = (a: readonly number[], b: readonly number[]): number => a.reduce((sum, v, i) => sum + v * b[i]!, 0);
  return Array.from({ length: keys.length - 2 * w + 1 }, (_, i) => {
    const window = keys.slice(i, i + 2 * w);
    const [q, k, v] = [p.query, p.key, p.value].map((m) => window.map((x) => times(m, x, width))) as [
      number[][],
      number[][],
      number[][],
    ];
    const rows = window.map((x, j) => {
      const scores = k.map((one) => dot(q[j]!, one) / Math.sqrt(width));
      const e = scores.map((s) => Math.exp(s - Math.max(...scores)));
      const sum = e.reduce((a, b) => a + b);
      const y = Array.from(x, (value, d) => value + v.reduce((total, one, t) => total + (e[t]! / sum) * one[d]!, 0));
      const mean = y.reduce((a, b) => a + b) / width;
      const variance = y.reduce((a, b) => a + (b - mean) ** 2, 0) / width;
      return y.map((value, d) => ((value - mean) / Math.sqrt(variance + 1e-5)) * p.normWeight[d]! + p.normBias[d]!);
    });
    const mean = (part: readonly number[][]): number[] =>
      Array.from({ length: width }, (_, d) => part.reduce((sum, row) => sum + row[d]!, 0) / w);
    const [l, r] = [mean(rows.slice(0, w)), mean(rows.slice(w))];
    const norm = Math.sqrt(dot(l, l)) * Math.sqrt(dot(r, r));
    const features = [
      ...l,
      ...r,
      ...l.map((x, d) => Math.abs(x - r[d]!)),
      ...l.map((x, d) => x * r[d]!),
      norm === 0 ? 0 : dot(l, r) / norm,
    ];
    const hidden = times(p.hiddenWeight, features, p.hiddenBias.length).map((x, h) =>
      Math.max(0, x + p.hiddenBias[h]!),
    );
    return 1 / (1 + Math.exp(-(hidden.reduce((sum, x, h) => sum + x * p.outputWeight[h]!, 0) + p.outputBias)));
  });
}

export function jensenShannon(p: ArrayLike<number>, q: ArrayLike<number>): number {
  const share = (x: ArrayLike<number>): number[] => {
    const sum = Array.from(x).reduce((a, b) => a + b, 0);
    return Array.from(x, (v) => v / sum);
  };
  const [a, b] = [share(p), share(q)];
  const divergence = (x: readonly number[], other: readonly number[]): number =>
    x.reduce((sum, v, i) => sum + (v > 0 ? v * Math.log(v / ((v + other[i]!) / 2)) : 0), 0);
  return Math.sqrt(Math.max(0, (divergence(a, b) + divergence(b, a)) / 2));
}

/** The fewest of the highest that sum to `share` of all, at most `most`: ascending. */
export function covering(mass: ArrayLike<number>, share: number, most: number): number[] {
  const values = Array.from(mass);
  const target = share * values.reduce((a, b) => a + b, 0);
  const chosen: number[] = [];
  let sum = 0;
  for (const i of ranked(
    values,
    values.map((_, at) => at),
  )) {
    if (sum >= target || chosen.length >= most) break;
    chosen.push(i);
    sum += values[i]!;
  }
  return chosen.sort((a, b) => a - b);
}

/** softmax(scale q . k) over mean keys, averaged over the queries; the last key counts `last` times. */
export function blockMass(
  queries: readonly Float32Array[],
  vectors: readonly Float32Array[],
  scale: number,
  last: number,
): number[] {
  const rows = queries.map((q) => {
    const scores = vectors.map((k) => scale * k.reduce((sum, v, i) => sum + v * q[i]!, 0));
    const e = scores.map((s, i) => Math.exp(s - Math.max(...scores)) * (i === scores.length - 1 ? last : 1));
    const sum = e.reduce((a, b) => a + b);
    return e.map((v) => v / sum);
  });
  return vectors.map((_, c) => rows.reduce((sum, row) => sum + row[c]! / queries.length, 0));
}

interface LineShape {
  readonly width: number;
  readonly start: number;
  readonly end: number;
  readonly sinks: number;
  readonly local: number;
}

/** The lines that hold more than the columns in whose room they are drawn, the most for a key first. */
export function bestLines(
  slash: readonly number[],
  columns: readonly number[],
  room: number,
  { width, start, end, local }: LineShape,
): { readonly bin: number; readonly cost: number }[] {
  const highest = [...columns].sort((a, b) => b - a);
  const held = (count: number): number => highest.slice(0, count).reduce((a, b) => a + b, 0);
  const all = slash.map((mass, bin) => {
    let cost = 0;
    for (let key = 0; key < local; key++) if (key > start - width * (bin + 1) && key <= end - 1 - width * bin) cost++;
    return { bin, mass, cost };
  });
  const drawn: { readonly bin: number; readonly cost: number }[] = [];
  let left = room;
  for (const { bin, mass, cost } of all
    .filter((line) => line.mass > 0 && line.cost > 0)
    .sort((a, b) => b.mass / b.cost - a.mass / a.cost)) {
    if (cost > left || mass <= held(left) - held(left - cost)) break;
    drawn.push({ bin, cost });
    left -= cost;
  }
  return drawn;
}

/** Whether a query of the block `[start, end)` sees each of `end` keys: sinks, the newest, vertical lines, and slash lines of `width` distances. */
export function lineKeys(
  vertical: readonly number[],
  slash: readonly number[],
  { width, start, end, sinks, local }: LineShape,
): boolean[] {
  return Array.from({ length: end }, (_, key) => {
    if (key < sinks || key >= local || vertical.includes(key)) return true;
    for (let query = start; query < end; query++) {
      if (query >= key && slash.includes(Math.floor((query - key) / width))) return true;
    }
    return false;
  });
}
