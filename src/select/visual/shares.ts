/** How ShowUI's components share a budget. */
import { pickSome } from './chance.ts';

/** The places of each component that `labels` names, in the order of their first ones. */
function membersOf(labels: readonly number[]): readonly (readonly number[])[] {
  const members = new Map<number, number[]>();
  for (const [place, label] of labels.entries()) {
    const known = members.get(label);
    if (known === undefined) members.set(label, [place]);
    else known.push(place);
  }
  return [...members.values()];
}

/**
 * Returns the tokens that are kept of the components `labels` names, by index: of each component of several tokens the
 * share, rounded so that a half is kept, and at least one; components of one token are kept. Within a component by the
 * seed.
 */
export function shareEach(labels: readonly number[], share: number, seed: number): number[] {
  return membersOf(labels)
    .flatMap((places) => pickSome(places, Math.max(1, Math.round(places.length * share)), seed))
    .sort((a, b) => a - b);
}

/**
 * Returns `k` of the tokens whose components `labels` names, by index: one of each component, the rest in proportion to
 * the remaining sizes (largest remainders, the earlier component among equals); within a component by the seed. With
 * more components than `k`: those of one token first, then one each of the others, both by the seed.
 */
export function shareComponents(labels: readonly number[], k: number, seed: number): number[] {
  const components = membersOf(labels);
  if (components.length >= k) {
    const single = components.flatMap(([place = 0, ...others]) => (others.length === 0 ? [place] : []));
    if (single.length >= k) return pickSome(single, k, seed);
    const several = components.filter(({ length }) => length > 1);
    const some = pickSome([...several.keys()], k - single.length, seed);
    return [...single, ...some.flatMap((i) => pickSome(several[i] ?? [], 1, seed))].sort((a, b) => a - b);
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
