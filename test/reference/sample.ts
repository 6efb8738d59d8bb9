/**
 * Sampling in f64. Equal logits are kept or dropped together, so that the kept set does not depend on a sort:
 * top-k keeps every id whose logit reaches the k-th highest; top-p keeps every id for which the ids of strictly higher logit
 * have less than `topP` of the probability (the highest always stay).
 */
import type { SampleSpec } from '../../src/backend/backend.ts';
import { uniform } from '../../src/backend/random.ts';

export interface Distribution {
  /** In id order. */
  readonly ids: readonly number[];
  /** Of `ids`, summing to 1. */
  readonly probabilities: readonly number[];
}

/** The distribution that is drawn from; `undefined` where `sample` writes -1. */
export function distribution(
  logits: ArrayLike<number>,
  spec: SampleSpec,
  seen: ReadonlySet<number>,
  mask?: Uint32Array,
): Distribution | undefined {
  const allowed: number[] = [];
  const value = new Float64Array(logits.length);
  for (let id = 0; id < logits.length; id++) {
    if (mask && ((mask[id >> 5]! >>> (id & 31)) & 1) === 0) continue;
    let logit = logits[id]!;
    if (Number.isNaN(logit) || logit === Infinity) return undefined;
    if (logit === -Infinity) continue;
    if (seen.has(id)) {
      logit = logit > 0 ? logit / spec.repetitionPenalty : logit * spec.repetitionPenalty;
      logit -= spec.presencePenalty;
    }
    allowed.push(id);
    value[id] = logit;
  }
  if (allowed.length === 0) return undefined;
  const of = (id: number): number => value[id]!;
  const highest = allowed.reduce((a, id) => Math.max(a, of(id)), -Infinity);
  if (spec.temperature === 0) return { ids: [allowed.find((id) => of(id) === highest)!], probabilities: [1] };

  const weights = value.map((logit) => Math.exp((logit - highest) / spec.temperature));
  const weight = (id: number): number => weights[id]!;
  let kept = allowed;
  if (spec.topK > 0 && spec.topK < kept.length) {
    const least = Float64Array.from(kept, of).sort().at(-spec.topK)!;
    kept = kept.filter((id) => of(id) >= least);
  }
  if (spec.topP < 1) {
    const total = kept.reduce((sum, id) => sum + weight(id), 0);
    const descending = kept.toSorted((a, b) => of(b) - of(a));
    let least = highest;
    let above = 0;
    for (let i = 0; i < descending.length;) {
      if (i > 0 && above >= spec.topP * total) break;
      least = of(descending[i]!);
      while (i < descending.length && of(descending[i]!) === least) above += weight(descending[i++]!);
    }
    kept = kept.filter((id) => of(id) >= least);
  }
  if (spec.minP > 0) kept = kept.filter((id) => weight(id) >= spec.minP);
  const total = kept.reduce((sum, id) => sum + weight(id), 0);
  return { ids: kept, probabilities: kept.map((id) => weight(id) / total) };
}

/** The first id whose cumulative probability exceeds uniform(seed, index). */
export function draw({ ids, probabilities }: Distribution, seed: number, index: number): number {
  const u = uniform(seed, index);
  let cumulative = 0;
  for (let i = 0; i < ids.length; i++) {
    cumulative += probabilities[i]!;
    if (u < cumulative) return ids[i]!;
  }
  return ids[ids.length - 1]!;
}
