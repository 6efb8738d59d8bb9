/**
 * One order out of two: each retriever's scores are counted in standard deviations from their mean over all passages, and added. Ranks alone (RRF) would let a weak
 * retriever spoil a strong one.
 */
import type { Language } from '../content.ts';
import type { Embedder } from '../options.ts';

/** What meaning counts beside words, by embedders that were trained on English alone: all-MiniLM-L6-v2 on XQuAD. */
const ENGLISH: Readonly<Record<Language, number>> = { en: 1, de: 0.5, other: 0.5 };
/** By those that were trained on many languages: multilingual-e5-small on XQuAD's articles with even numbers, English and German. */
const MANY = 3;
/** Vocabularies of English models have 30,000 to 50,000 tokens, those of many languages 120,000 (mBERT) to 500,000 (LaBSE). */
const MANY_TOKENS = 100_000;

/** What meaning counts beside words in documents of a language. Models that were not trained to embed count little, whatever their vocabulary. */
export function vectorWeight(language: Language, embedding: Embedder['embedding']): number {
  const many = embedding?.trained === true && embedding.vocabulary >= MANY_TOKENS;
  return many ? MANY : ENGLISH[language];
}

/** Scores by passage, of all `ids`; a passage that a retriever does not know counts as its lowest. A weight of Infinity leaves words out. */
export function fuse(
  ids: readonly number[],
  words: ReadonlyMap<number, number>,
  meaning: ReadonlyMap<number, number> | undefined,
  weight: number,
): Map<number, number> {
  if (meaning === undefined || meaning.size === 0) return new Map([...words]);
  if (weight === Infinity) return new Map([...meaning]);
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
