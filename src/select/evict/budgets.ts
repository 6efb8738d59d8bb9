/**
 * CompressKV's two choices (2508.02401): the query heads of a layer that decide, and the number of pages that each
 * layer keeps.
 */

/** Indices of the `count` highest scores, ascending. Ties: the lower index. */
export function strongest(scores: ArrayLike<number>, count: number): number[] {
  const order = Array.from({ length: scores.length }, (_, i) => i).sort(
    (a, b) => (scores[b] ?? 0) - (scores[a] ?? 0) || a - b,
  );
  return order.slice(0, count).sort((a, b) => a - b);
}

/** The least error that counts, so that layers without any error share the rest evenly. */
const FLOOR = 1e-12;

/**
 * Distributes `total` pages among layers in proportion to their errors: first `least` for each, then one page at a time
 * to the layer whose error divided by the pages that it would have above `least` is highest (D'Hondt), none above
 * `most`. Ties: the lower layer.
 */
export function shareOut(
  total: number,
  errors: readonly number[],
  { least, most }: { readonly least: number; readonly most: number },
): number[] {
  const pages = errors.map(() => Math.min(least, most));
  for (let left = total - pages.reduce((a, b) => a + b, 0); left > 0; left--) {
    let best = -1;
    let highest = -1;
    for (const [layer, error] of errors.entries()) {
      const has = pages[layer] ?? 0;
      const quotient = Math.max(FLOOR, error) / (has - least + 1);
      if (has >= most || !(quotient > highest)) continue;
      best = layer;
      highest = quotient;
    }
    if (best < 0) break;
    pages[best] = (pages[best] ?? 0) + 1;
  }
  return pages;
}
