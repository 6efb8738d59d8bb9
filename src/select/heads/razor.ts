/**
 * RazorAttention's retrieval heads (Tang et al. 2024, 2407.15891), found on random tokens that are repeated four times,
 * with 32 queries evenly spaced in the last copy. A query head's echo score is its attention mass on the three earlier
 * copies of the query's own token; its induction score is that on the tokens after those. A KV head has the highest
 * score of its query heads.
 */
import { denseCausal } from '../../kv/ranges.ts';
import { randomIds, readTokens, type ReadableModel } from './reading.ts';

const COPIES = 4;
/** Tokens of a copy, at most; the paper has 2500. */
const LONGEST = 128;
const QUERIES = 32;
const SEED = 0x72617a6f;
/**
 * The share of the kept heads that are kept for their echo score, the others for their induction score: 1 % and 14 % of
 * all heads in the paper.
 */
const ECHO_SHARE = 1 / 15;

/** KV heads (`layer * kvHeads + head`) that keep everything: `keep` of all, a fifteenth of them for their echo scores, the others for their induction scores. */
export async function retrieving(model: ReadableModel, keep: number, signal?: AbortSignal): Promise<number[]> {
  const { cacheLayers: layers, kvHeads } = model.config;
  const { echo, induction } = await razorScores(model, signal);
  const total = layers * kvHeads;
  const count = Math.max(1, Math.round(keep * total));
  const echoing = Math.min(count, Math.max(1, Math.round(count * ECHO_SHARE)));
  const order = (scores: Float64Array): number[] =>
    Array.from(scores, (_, i) => i).sort((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0) || a - b);
  const kept = new Set(order(echo).slice(0, echoing));
  for (const head of order(induction)) {
    if (kept.size >= count) break;
    kept.add(head);
  }
  return [...kept];
}

/** [layers * kvHeads] each. */
export async function razorScores(
  model: ReadableModel,
  signal?: AbortSignal,
): Promise<{ readonly echo: Float64Array; readonly induction: Float64Array }> {
  const { backend, config, attention } = model;
  const { cacheLayers: layers, heads, kvHeads, vocabulary, contextWindow } = config;
  const length = Math.max(2, Math.min(LONGEST, Math.floor(contextWindow / COPIES)));
  const copy = randomIds(length, vocabulary, SEED);
  const ids = Int32Array.from({ length: COPIES * length }, (_, i) => copy[i % length] ?? 0);
  const queries = Math.min(QUERIES, length);
  const last = (COPIES - 1) * length;
  const group = heads / kvHeads;
  const echo = new Float64Array(layers * kvHeads);
  const induction = new Float64Array(layers * kvHeads);
  await readTokens(
    model,
    ids,
    async (layer, q, kv) => {
      const masses = backend.keep(
        backend.scope(() =>
          backend.stack(
            Array.from({ length: queries }, (_, i) => {
              const position = last + Math.floor((i * length) / queries);
              const earlier = Array.from({ length: COPIES - 1 }, (_, c) => position - (c + 1) * length);
              const spans = Uint32Array.from(
                [...earlier, ...earlier.map((key) => key + 1)].flatMap((key) => [key, key + 1]),
              );
              return backend.probe(backend.rows(q, position, 1), kv, layer, position, denseCausal(1, position + 1), {
                ...attention,
                spans,
              });
            }),
          ),
        ),
      );
      let values: Float32Array;
      try {
        values = await backend.download(masses);
      } finally {
        backend.free(masses);
      }
      const width = 2 * (COPIES - 1);
      for (let head = 0; head < heads; head++) {
        const sums = [0, 0];
        for (let query = 0; query < queries; query++) {
          for (let span = 0; span < width; span++) {
            const half = span < COPIES - 1 ? 0 : 1;
            sums[half] = (sums[half] ?? 0) + (values[(query * heads + head) * width + span] ?? 0) / queries;
          }
        }
        const at = layer * kvHeads + Math.floor(head / group);
        echo[at] = Math.max(echo[at] ?? 0, sums[0] ?? 0);
        induction[at] = Math.max(induction[at] ?? 0, sums[1] ?? 0);
      }
    },
    signal,
  );
  return { echo, induction };
}
