/** Sets of code points, or of UTF-16 units. */

/** Ascending intervals `[from, to)` by turns, that neither overlap nor touch. */
export type CharSet = readonly number[];

export const POINTS = 0x110000;
export const UNITS = 0x10000;
/** What UTF-8 can write. */
export const SCALARS: CharSet = [0, 0xd800, 0xe000, POINTS];

/** Of intervals in any order. */
export function charSet(intervals: readonly (readonly [from: number, to: number])[]): CharSet {
  const out: number[] = [];
  for (const [from, to] of [...intervals].sort(([a], [b]) => a - b)) {
    if (from >= to) continue;
    const last = out.at(-1) ?? -1;
    if (from > last) out.push(from, to);
    else out[out.length - 1] = Math.max(last, to);
  }
  return out;
}

export function pairs(set: CharSet): [from: number, to: number][] {
  const out: [number, number][] = [];
  for (let i = 0; i + 1 < set.length; i += 2) out.push([set[i] ?? 0, set[i + 1] ?? 0]);
  return out;
}

export function single(code: number): CharSet {
  return [code, code + 1];
}

export function union(...sets: readonly CharSet[]): CharSet {
  return charSet(sets.flatMap(pairs));
}

export function complement(set: CharSet, end: number): CharSet {
  const out: number[] = [];
  let at = 0;
  for (const [from, to] of pairs(set)) {
    if (from > at) out.push(at, Math.min(from, end));
    at = to;
  }
  if (at < end) out.push(at, end);
  return out;
}

export function intersection(a: CharSet, b: CharSet): CharSet {
  const out: number[] = [];
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    const from = Math.max(a[i] ?? 0, b[j] ?? 0);
    const to = Math.min(a[i + 1] ?? 0, b[j + 1] ?? 0);
    if (from < to) out.push(from, to);
    if ((a[i + 1] ?? 0) < (b[j + 1] ?? 0)) i += 2;
    else j += 2;
  }
  return out;
}
