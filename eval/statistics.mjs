// Shares with their 95 % confidence intervals (Wilson 1927), differences of two shares over the same items (Agresti & Min 2005), and of two means (Student 1908).
const Z = 1.959964;
const round = (x) => Math.round(x * 1e4) / 1e4;

export function share(right, n) {
  if (n === 0) return { n: 0, right: 0, share: 0, low: 0, high: 1 };
  const p = right / n;
  const middle = p + (Z * Z) / (2 * n);
  const half = Z * Math.sqrt((p * (1 - p) + (Z * Z) / (4 * n)) / n);
  return {
    n,
    right,
    share: round(p),
    low: round((middle - half) / (1 + (Z * Z) / n)),
    high: round((middle + half) / (1 + (Z * Z) / n)),
  };
}

/**
 * `outcomes` against `base`, strings of 1 (right) and 0, item by item: the difference of the shares, and its interval, for which half an item is added to each
 * of the four cells (right with both, with one, with the other, with none). Only items that the two answer differently widen it.
 */
export function difference(outcomes, base) {
  if (outcomes.length !== base.length)
    throw new Error(`${outcomes.length} outcomes are not paired with ${base.length}`);
  const n = base.length;
  let won = 0;
  let lost = 0;
  for (let i = 0; i < n; i += 1) {
    if (outcomes[i] === base[i]) continue;
    if (outcomes[i] === '1') won += 1;
    else lost += 1;
  }
  const middle = (won - lost) / (n + 2);
  const half = (Z * Math.sqrt(won + lost + 1 - ((won - lost) * (won - lost)) / (n + 2))) / (n + 2);
  return {
    n,
    won,
    lost,
    difference: n === 0 ? 0 : round((won - lost) / n),
    low: round(middle - half),
    high: round(middle + half),
  };
}

/** 97.5 % quantiles of Student's t by degrees of freedom, 1 to 30; above that 1.96 is taken, which is 4 % too small at 31. */
const T = [
  12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131, 2.12, 2.11,
  2.101, 2.093, 2.086, 2.08, 2.074, 2.069, 2.064, 2.06, 2.056, 2.052, 2.048, 2.045, 2.042,
];

/** Numbers against those of `base`, item by item: the mean difference and its 95 % interval; without bounds for fewer than two items. */
export function meanDifference(values, base) {
  if (values.length !== base.length) throw new Error(`${values.length} values are not paired with ${base.length}`);
  const n = base.length;
  const differences = values.map((value, i) => value - base[i]);
  const mean = n === 0 ? 0 : differences.reduce((sum, value) => sum + value, 0) / n;
  if (n < 2) return { n, difference: mean, low: -Infinity, high: Infinity };
  const variance = differences.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1);
  const half = (T[n - 2] ?? Z) * Math.sqrt(variance / n);
  return { n, difference: mean, low: mean - half, high: mean + half };
}
