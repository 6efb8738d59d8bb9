// Shares with their 95 % confidence intervals (Wilson 1927).
export function share(right, n) {
  if (n === 0) return { n: 0, right: 0, share: 0, low: 0, high: 1 };
  const z = 1.959964;
  const p = right / n;
  const middle = p + (z * z) / (2 * n);
  const half = z * Math.sqrt((p * (1 - p) + (z * z) / (4 * n)) / n);
  const round = (x) => Math.round(x * 1e4) / 1e4;
  return { n, right, share: round(p), low: round((middle - half) / (1 + (z * z) / n)), high: round((middle + half) / (1 + (z * z) / n)) };
}
