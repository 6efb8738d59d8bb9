/**
 * How far back a head attends, without the training that DuoAttention's gates need (2410.10819). The mean query and
 * mean key of a head, before RoPE, over 256 random tokens are placed at 512 consecutive positions, and the attention of
 * the last one over all of them is computed. Since the content is the same everywhere, only the distance matters. The
 * score is the area under the attention accumulated from the oldest key to the newest: near 0 for a head that attends
 * only to the newest keys, a half for one that attends everywhere alike, near 1 for one that attends far back. A KV
 * head has the mean of its query heads.
 */
import type { RopeSpec } from '../../backend/backend.ts';
import { randomIds, readTokens, type ReadableModel } from './reading.ts';

/** The most tokens that are read. */
const LONGEST = 256;
/** The number of positions of the means. */
const POSITIONS = 512;
const SEED = 0x64756f21;

/** [layers * kvHeads] scores in [0, 1]; the higher the score, the more a head needs all keys. */
export async function farSighted(model: ReadableModel, signal?: AbortSignal): Promise<number[]> {
  const { backend, config, attention } = model;
  const { cacheLayers: layers, heads, kvHeads, headDim, vocabulary, contextWindow } = config;
  const count = Math.min(LONGEST, contextWindow);
  const group = heads / kvHeads;
  const scores = Array.from({ length: layers * kvHeads }, () => 0);
  await readTokens(
    model,
    randomIds(count, vocabulary, SEED),
    async (layer, q, kv) => {
      const rope = model.rope(layer);
      const cached = backend.keep(backend.scope(() => backend.cached(kv, layer, 'keys', 0, count)));
      let queries: Float64Array;
      let keys: Float64Array;
      try {
        queries = meanBeforeRope(await backend.download(q), { heads, headDim, rope });
        keys = meanBeforeRope(await backend.download(cached), { heads: kvHeads, headDim, rope });
      } finally {
        backend.free(cached);
      }
      for (let head = 0; head < heads; head++) {
        const kvHead = Math.floor(head / group);
        const query = queries.subarray(head * headDim, (head + 1) * headDim);
        const key = keys.subarray(kvHead * headDim, (kvHead + 1) * headDim);
        const at = layer * kvHeads + kvHead;
        scores[at] = (scores[at] ?? 0) + reach(query, key, rope, attention.scale) / group;
      }
    },
    signal,
  );
  return scores;
}

/** Area under the accumulated attention, oldest key first, of a query at the last of `POSITIONS` positions over one key at each. */
export function reach(query: Float64Array, key: Float64Array, rope: RopeSpec, scale: number): number {
  const { inverseFrequency, magnitude, style } = rope;
  const pairs = inverseFrequency.length;
  const scores = new Float64Array(POSITIONS);
  let constant = 0;
  for (let i = 2 * pairs; i < query.length; i++) constant += (query[i] ?? 0) * (key[i] ?? 0);
  for (let position = 0; position < POSITIONS; position++) {
    const distance = POSITIONS - 1 - position;
    let sum = constant;
    for (let pair = 0; pair < pairs; pair++) {
      const a = style === 'half' ? pair : 2 * pair;
      const b = style === 'half' ? pair + pairs : 2 * pair + 1;
      const [qa = 0, qb = 0, ka = 0, kb = 0] = [query[a], query[b], key[a], key[b]];
      const angle = distance * (inverseFrequency[pair] ?? 0);
      // R(p + d) q . R(p) k = Re((qa + i qb) e^(i d w) conj(ka + i kb))
      sum += magnitude ** 2 * ((qa * ka + qb * kb) * Math.cos(angle) + (qa * kb - qb * ka) * Math.sin(angle));
    }
    scores[position] = scale * sum;
  }
  const highest = scores.reduce((a, b) => Math.max(a, b), -Infinity);
  const weights = scores.map((score) => Math.exp(score - highest));
  const total = weights.reduce((a, b) => a + b, 0);
  let accumulated = 0;
  let area = 0;
  for (const weight of weights) {
    accumulated += weight / total;
    area += accumulated / POSITIONS;
  }
  return area;
}

/** Mean over rows [positions from 0, heads * headDim], each rotated back. */
function meanBeforeRope(
  rows: Float32Array,
  { heads, headDim, rope }: { readonly heads: number; readonly headDim: number; readonly rope: RopeSpec },
): Float64Array {
  const { inverseFrequency, magnitude, style } = rope;
  const width = heads * headDim;
  const count = rows.length / width;
  const pairs = inverseFrequency.length;
  const mean = new Float64Array(width);
  for (let row = 0; row < count; row++) {
    for (let i = 0; i < width; i++)
      if (i % headDim >= 2 * pairs) mean[i] = (mean[i] ?? 0) + (rows[row * width + i] ?? 0) / count;
    for (let pair = 0; pair < pairs; pair++) {
      const angle = row * (inverseFrequency[pair] ?? 0);
      const cos = Math.cos(angle) / magnitude / count;
      const sin = Math.sin(angle) / magnitude / count;
      for (let head = 0; head < heads; head++) {
        const a = head * headDim + (style === 'half' ? pair : 2 * pair);
        const b = head * headDim + (style === 'half' ? pair + pairs : 2 * pair + 1);
        const x = rows[row * width + a] ?? 0;
        const y = rows[row * width + b] ?? 0;
        mean[a] = (mean[a] ?? 0) + x * cos + y * sin;
        mean[b] = (mean[b] ?? 0) + y * cos - x * sin;
      }
    }
  }
  return mean;
}
