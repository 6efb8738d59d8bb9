/** Passages in the order in which they answer a query, by a model that reads both together. */
import { InputError, ModelError } from '../errors.ts';
import { refuseEmpty } from './embed.ts';
import { run, type EmbedListener, type EmbedModel } from './model.ts';
import type { Ranked, RerankResult } from './options.ts';
import { batchesOf, framedPair, idsOf, pack, readAll } from './texts.ts';

/** Throws `InputError` for empty texts, and for a model that does not rank. */
export async function rerank(
  model: EmbedModel,
  query: string,
  passages: readonly string[],
  { signal, onProgress }: EmbedListener = {},
): Promise<RerankResult> {
  const { embedder, tokenizer, affixes } = model;
  const { scores, encoder, window } = embedder;
  if (scores === undefined) throw cannotRank();
  [query].forEach(refuseEmpty('the query,', 1));
  passages.forEach(refuseEmpty('passage', passages.length));
  const asked = idsOf(tokenizer, query);
  const read = await readAll(
    passages.length,
    (i) => framedPair(asked, idsOf(tokenizer, passages[i] ?? ''), affixes, window),
    signal,
  );
  const ranking: Ranked[] = [];
  for (const batch of batchesOf(
    read.map(({ ids }) => ids.length),
    encoder.rows,
  )) {
    const packed = pack(
      batch.flatMap((index) => read[index] ?? []),
      encoder.config.vocabulary,
    );
    const logits = await run(model, packed, scores, signal);
    batch.forEach((index, i) => ranking.push({ index, score: sigmoid(logits[i], index) }));
    onProgress?.(ranking.length, passages.length);
  }
  return {
    ranking: ranking.sort((a, b) => b.score - a.score || a.index - b.index),
    tokens: read.reduce((sum, { ids }) => sum + ids.length, 0),
    truncated: read.flatMap(({ truncated }, i) => (truncated ? [i] : [])),
  };
}

export function cannotRank(): InputError {
  return new InputError(
    'argument',
    'this model does not rank; load a cross-encoder (for instance ms-marco-MiniLM) or a re-ranker, or compare vectors of model.embed',
  );
}

function sigmoid(logit: number | undefined, index: number): number {
  if (logit !== undefined && Number.isFinite(logit)) return 1 / (1 + Math.exp(-logit));
  throw new ModelError(
    'non-finite',
    `the score of passage ${index} is ${logit}; the weights are damaged, or too large for this device`,
    { index },
  );
}
