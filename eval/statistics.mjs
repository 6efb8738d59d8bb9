// Shares with their 95 % confidence intervals (Wilson 1927), and differences of two shares over the same items (Agresti & Min 2005).
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
