/**
 * One order out of two: each retriever's scores are counted in standard deviations from their mean over all passages, and added. Ranks alone (RRF) would let a weak
 * retriever spoil a strong one.
 */
import type { Language } from '../content.ts';

/** What meaning counts beside words: the embedders that are common here were trained on English. */
export const VECTOR_WEIGHT: Readonly<Record<Language, number>> = { en: 1, de: 0.5, other: 0.5 };

/** Scores by passage, of all `ids`; a passage that a retriever does not know counts as its lowest. */
export function fuse(
  ids: readonly number[],
  words: ReadonlyMap<number, number>,
  meaning: ReadonlyMap<number, number> | undefined,
  weight: number,
): Map<number, number> {
  if (meaning === undefined || meaning.size === 0) return new Map([...words]);
  const a = standardised(ids, words, 0);
  const b = standardised(ids, meaning, Math.min(...meaning.values()));
  return new Map(ids.map((id, i) => [id, (a[i] ?? 0) + weight * (b[i] ?? 0)]));
}

function standardised(ids: readonly number[], scores: ReadonlyMap<number, number>, missing: number): number[] {
  const values = ids.map((id) => scores.get(id) ?? missing);
  const mean = values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / Math.max(1, values.length);
  const deviation = Math.sqrt(variance);
  return values.map((value) => (deviation > 0 ? (value - mean) / deviation : 0));
}
