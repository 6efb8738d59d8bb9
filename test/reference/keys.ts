/** Choices of keys, spans and pages in naive f64: the truth for assembly/select/{tokens,evict,streaming}.ts. */

const value = (x: number): number => (Number.isNaN(x) ? -Infinity : x);

/** Indices of the k highest; ties: the lower. NaN counts as the lowest, below -Infinity by index order only. */
export function best(scores: readonly number[], k: number): Set<number> {
  const order = scores
    .map((_, i) => i)
    .sort((a, b) => {
      const [x, y] = [value(scores[a]!), value(scores[b]!)];
      if (x !== y) return x < y ? 1 : -1;
      // NaN below -Infinity
      const [p, q] = [Number.isNaN(scores[a]!), Number.isNaN(scores[b]!)];
      if (p !== q) return p ? 1 : -1;
      return a - b;
    });
  return new Set(order.slice(0, k));
}

export function sumRows(x: Float32Array, cols: number, rows: readonly number[]): number[] {
  return Array.from({ length: cols }, (_, i) => rows.reduce((sum, row) => sum + x[row * cols + i]!, 0));
}

export function runsOf(indices: Iterable<number>): number[] {
  const runs: number[] = [];
  for (const i of [...indices].sort((a, b) => a - b)) {
    if (runs.at(-1) === i) runs[runs.length - 1] = i + 1;
    else runs.push(i, i + 1);
  }
  return runs;
}

/** Spans from the highest score down, each that still fits. */
export function fill(scores: readonly number[], lengths: ArrayLike<number>, budget: number): number[] {
  const marks = scores.map(() => 0);
  let left = budget;
  for (const i of best(scores, scores.length)) {
    if (left === 0 || lengths[i]! > left) continue;
    marks[i] = 1;
    left -= lengths[i]!;
  }
  return marks;
}

export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

export function pool(x: readonly number[], kind: 'max' | 'mean', width: number): number[] {
  const reach = (width - 1) / 2;
  return x.map((_, i) => {
    const near = x.slice(Math.max(0, i - reach), i + reach + 1);
    return kind === 'max' ? Math.max(...near) : near.reduce((a, b) => a + b) / near.length;
  });
}

export function pageSums(x: readonly number[]): number[] {
  return Array.from({ length: Math.ceil(x.length / 32) }, (_, page) =>
    x.slice(32 * page, 32 * page + 32).reduce((a, b) => a + b, 0),
  );
}

/** One page after the other to the highest error per page. */
export function shares(total: number, errors: readonly number[], least: number, most: number): number[] {
  const got = errors.map(() => Math.min(least, most));
  while (got.reduce((a, b) => a + b, 0) < total && got.some((n) => n < most)) {
    const worth = got.map((n, i) => (n >= most ? -1 : Math.max(1e-12, errors[i]!) / (n - least + 1)));
    const highest = Math.max(...worth);
    got[worth.indexOf(highest)]!++;
  }
  return got;
}
