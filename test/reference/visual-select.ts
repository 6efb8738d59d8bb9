/** Choices of visual tokens by their definitions: plain loops in f64, nothing shared with assembly/select. Values within TIE are equal: the lowest index wins. */

export const TIE = 1e-9;

export type Rows = readonly Float64Array[];

function product(a: Float64Array, b: Float64Array): number {
  return a.reduce((sum, value, i) => sum + value * b[i]!, 0);
}

/** Unit rows; a row of zeros stays one. */
function units(x: Rows): Rows {
  return x.map((row) => {
    const length = Math.sqrt(product(row, row));
    return length > 0 ? row.map((value) => value / length) : row.slice();
  });
}

/** The lowest of `candidates` whose value is within TIE of the least. */
function lowest(candidates: readonly number[], value: (i: number) => number): number {
  const values = candidates.map(value);
  const least = Math.min(...values);
  return candidates[values.findIndex((v) => v <= least + TIE)]!;
}

const all = (x: Rows): number[] => x.map((_, i) => i);

export function farthestFromMean(x: Rows): number {
  const rows = units(x);
  const mean = rows[0]!.map((_, j) => rows.reduce((sum, row) => sum + row[j]!, 0) / rows.length);
  return lowest(all(x), (i) => product(rows[i]!, mean));
}

/** ToDRE, stage 1: indices in order of choice. */
export function maxSum(x: Rows, k: number, pivot = farthestFromMean(x), threshold = 0): number[] {
  const rows = units(x);
  const sums = new Float64Array(x.length);
  const kept = [pivot];
  while (kept.length < Math.min(k, x.length)) {
    const newest = rows[kept.at(-1)!]!;
    for (const i of all(x)) sums[i]! += product(rows[i]!, newest);
    const next = lowest(
      all(x).filter((i) => !kept.includes(i)),
      (i) => sums[i]!,
    );
    if (threshold > 0 && 1 - Math.max(...kept.map((c) => product(rows[c]!, rows[next]!))) < threshold) break;
    kept.push(next);
  }
  return kept;
}

/** k-center from a pivot. */
export function maxMin(x: Rows, k: number, pivot: number, threshold = 0): number[] {
  const rows = units(x);
  const kept = [pivot];
  while (kept.length < Math.min(k, x.length)) {
    const largest = (i: number): number => Math.max(...kept.map((c) => product(rows[i]!, rows[c]!)));
    const next = lowest(
      all(x).filter((i) => !kept.includes(i)),
      largest,
    );
    if (threshold > 0 && 1 - largest(next) < threshold) break;
    kept.push(next);
  }
  return kept;
}

/** DivPrune's first token: the one whose nearest other is farthest. */
export function loneliest(x: Rows): number {
  if (x.length === 1) return 0;
  const rows = units(x);
  return lowest(all(x), (i) =>
    Math.max(
      ...all(x)
        .filter((j) => j !== i)
        .map((j) => product(rows[i]!, rows[j]!)),
    ),
  );
}

export function relevanceTo(x: Rows, question: Rows, negated: boolean): number[] {
  const rows = units(x);
  const asked = units(question);
  const alike = rows.map((row) => asked.reduce((sum, one) => sum + product(row, one), 0) / asked.length);
  const least = Math.min(...alike);
  const span = Math.max(...alike) - least;
  if (span <= TIE) return alike.map(() => 1);
  return alike.map((value) => (negated ? 1 - (value - least) / span : (value - least) / span));
}

/** Solves a x = b by elimination with pivots. */
function solve(a: number[][], b: number[]): number[] {
  const n = b.length;
  const m = a.map((row, i) => [...row, b[i]!]);
  for (let column = 0; column < n; column++) {
    let best = column;
    for (let row = column + 1; row < n; row++) if (Math.abs(m[row]![column]!) > Math.abs(m[best]![column]!)) best = row;
    [m[column], m[best]] = [m[best]!, m[column]!];
    for (let row = column + 1; row < n; row++) {
      const factor = m[row]![column]! / m[column]![column]!;
      for (let j = column; j <= n; j++) m[row]![j]! -= factor * m[column]![j]!;
    }
  }
  const x = Array.from({ length: n }, () => 0);
  for (let row = n - 1; row >= 0; row--) {
    let rest = m[row]![n]!;
    for (let j = row + 1; j < n; j++) rest -= m[row]![j]! * x[j]!;
    x[row] = rest / m[row]![row]!;
  }
  return x;
}

/** CDPruner: greedy by what each token adds to the determinant, the Schur complement of those kept. Those that added nothing divide nothing. */
export function determinantal(x: Rows, k: number, relevant: readonly number[]): number[] {
  const rows = units(x);
  const kernel = (i: number, j: number): number => relevant[i]! * relevant[j]! * product(rows[i]!, rows[j]!);
  const kept: number[] = [];
  const base: number[] = [];
  while (kept.length < Math.min(k, x.length)) {
    const gain = (i: number): number => {
      const right = base.map((c) => kernel(c, i));
      const weights = solve(
        base.map((a) => base.map((b) => kernel(a, b))),
        right,
      );
      return kernel(i, i) - right.reduce((sum, value, c) => sum + value * weights[c]!, 0);
    };
    const next = lowest(
      all(x).filter((i) => !kept.includes(i)),
      (i) => -gain(i),
    );
    if (gain(next) > TIE) base.push(next);
    kept.push(next);
  }
  return kept;
}

/** Components of a grid of patches whose neighbours differ by at most `threshold`, named by their first patch: by flooding. */
export function flooded(x: Rows, rows: number, columns: number, threshold: number): number[] {
  const labels = x.map(() => -1);
  const alike = (a: number, b: number): boolean =>
    Math.sqrt(x[a]!.reduce((sum, value, i) => sum + (value - x[b]![i]!) ** 2, 0) / x[a]!.length) <= threshold;
  for (const first of all(x)) {
    if (labels[first] !== -1) continue;
    const open = [first];
    while (open.length > 0) {
      const at = open.pop()!;
      if (labels[at] !== -1) continue;
      labels[at] = first;
      const [row, column] = [Math.floor(at / columns), at % columns];
      const near = [
        column > 0 ? at - 1 : -1,
        column < columns - 1 ? at + 1 : -1,
        row > 0 ? at - columns : -1,
        row < rows - 1 ? at + columns : -1,
      ];
      for (const next of near) if (next >= 0 && labels[next] === -1 && alike(at, next)) open.push(next);
    }
  }
  return labels;
}
