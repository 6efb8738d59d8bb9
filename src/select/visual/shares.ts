/** How ShowUI's components share a budget. */
import { pickSome } from './chance.ts';

/**
 * Returns `k` of the tokens whose components `labels` names, by index: one of each component, the rest in proportion to
 * the remaining sizes (largest remainders, the earlier component among equals); within a component by the seed. With
 * more components than `k`: one each of some, by the seed.
 */
export function shareComponents(labels: readonly number[], k: number, seed: number): number[] {
  const members = new Map<number, number[]>();
  for (const [place, label] of labels.entries()) {
    const known = members.get(label);
    if (known === undefined) members.set(label, [place]);
    else known.push(place);
  }
  const components = [...members.values()];
  if (components.length >= k) {
    const some = pickSome(
      components.map((_, i) => i),
      k,
      seed,
    );
    return some.flatMap((i) => pickSome(components[i] ?? [], 1, seed)).sort((a, b) => a - b);
  }
  const rest = k - components.length;
  const others = labels.length - components.length;
  const shares = components.map((places, i) => {
    const exact = others === 0 ? 0 : (rest * (places.length - 1)) / others;
    return { i, whole: Math.floor(exact), remainder: exact - Math.floor(exact) };
  });
  let left = rest - shares.reduce((sum, { whole }) => sum + whole, 0);
  for (const share of [...shares].sort((a, b) => b.remainder - a.remainder || a.i - b.i)) {
    if (left-- <= 0) break;
    share.whole++;
  }
  return shares.flatMap(({ i, whole }) => pickSome(components[i] ?? [], 1 + whole, seed)).sort((a, b) => a - b);
}
