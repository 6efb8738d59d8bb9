/** Passages in the order in which they answer a query, by a model that reads both together. */
import { InputError, ModelError } from '../errors.ts';
import type { EncoderModel } from '../models/encoder.ts';
import type { Packed } from '../models/encoder/packed.ts';
import { refuseEmpty } from './embed.ts';
import { run, type EmbedListener, type EmbedModel } from './model.ts';
import type { Ranked, RerankResult } from './options.ts';
import { batchesOf, framedPair, idsOf, pack, readAll, type Read } from './texts.ts';

/** Throws `InputError` for empty texts, and for a model that does not rank. */
export async function rerank(
  model: EmbedModel,
  query: string,
  passages: readonly string[],
  listener: EmbedListener = {},
): Promise<RerankResult> {
  const { embedder, tokenizer, affixes } = model;
  const { scores, encoder, window } = embedder;
  if (scores === undefined) throw cannotRank();
  refuseEmptyPassages(query, passages);
  const asked = idsOf(tokenizer, query);
  const read = (index: number): Read => framedPair(asked, idsOf(tokenizer, passages[index] ?? ''), affixes, window);
  const score = (packed: Packed): Promise<Float32Array> => run(model, packed, scores, listener.signal);
  return rankBy({ encoder, count: passages.length, read, score }, listener);
}

/** What ranks `count` passages: how each is read, and the logits of packed ones. */
interface Ranker {
  readonly encoder: Pick<EncoderModel, 'rows' | 'config'>;
  readonly count: number;
  readonly read: (index: number) => Read;
  /** [texts] */
  readonly score: (packed: Packed) => Promise<Float32Array>;
}

export async function rankBy(
  { encoder, count, read, score }: Ranker,
  { signal, onProgress }: EmbedListener,
): Promise<RerankResult> {
  const all = await readAll(count, read, signal);
  const ranking: Ranked[] = [];
  const lengths = all.map(({ ids }) => ids.length);
  for (const batch of batchesOf(lengths, encoder.rows)) {
    const packed = pack(
      batch.flatMap((index) => all[index] ?? []),
      encoder.config.vocabulary,
    );
    const logits = await score(packed);
    batch.forEach((index, i) => ranking.push({ index, score: sigmoid(logits[i], index) }));
    onProgress?.(ranking.length, count);
  }
  return {
    ranking: ranking.sort((a, b) => b.score - a.score || a.index - b.index),
    tokens: lengths.reduce((sum, length) => sum + length, 0),
    truncated: all.flatMap(({ truncated }, i) => (truncated ? [i] : [])),
  };
}

export function refuseEmptyPassages(query: string, passages: readonly string[]): void {
  if (query.trim() === '')
    throw new InputError('empty', 'the query is empty; give the question that passages should answer');
  passages.forEach(refuseEmpty('passage', passages.length));
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
