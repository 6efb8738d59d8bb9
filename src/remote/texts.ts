/** Vectors and order of texts by a server: `/embeddings` as OpenAI has it, `/rerank` as Jina, vLLM and llama.cpp have it. */
import type { EmbedResult, EmbedSettings, RerankResult } from '../embed/options.ts';
import { InputError } from '../errors.ts';
import { malformed, sendForJson } from './http.ts';
import { given } from './body.ts';
import type { Server } from './settings.ts';

/** Texts of one request: servers have limits, of which this is below the usual. */
const MOST_TEXTS = 128;
const MOST_DIMENSIONS = 1 << 16;

type Members = Readonly<Record<string, unknown>>;

/** Each vector gets length 1, as on the device. What a text is for (`kind`) is not known to servers: give its `prefix` where the model wants one. */
export async function remoteEmbed(
  server: Server,
  model: string,
  texts: readonly string[],
  { prefix = '', dimensions }: EmbedSettings,
  signal: AbortSignal,
  onProgress: (done: number, total: number) => void,
): Promise<EmbedResult> {
  if (texts.length === 0) throw new InputError('empty', 'embed: there is no text; give at least one');
  const rows: Float32Array[] = [];
  let tokens = 0;
  for (let at = 0; at < texts.length; at += MOST_TEXTS) {
    const input = texts.slice(at, at + MOST_TEXTS).map((text) => prefix + text);
    const body = given({ model, input, encoding_format: 'float', dimensions });
    const { data, usage } = ((await sendForJson(server, 'embeddings', body, signal)) ?? {}) as Members;
    if (!Array.isArray(data) || data.length !== input.length)
      throw malformed(server, 'embeddings', `answered with other than the ${input.length} vectors that were asked for`);
    rows.push(...inOrder(server, data).map((one) => unit(vectorOf(server, one))));
    const { prompt_tokens } = (usage ?? {}) as Members;
    tokens += typeof prompt_tokens === 'number' ? prompt_tokens : 0;
    onProgress(rows.length, texts.length);
  }
  const width = rows[0]?.length ?? 0;
  if (rows.some(({ length }) => length !== width))
    throw malformed(server, 'embeddings', 'answered with vectors of different widths');
  const vectors = new Float32Array(rows.length * width);
  rows.forEach((row, i) => vectors.set(row, i * width));
  return { vectors, dimensions: width, tokens, truncated: [] };
}

/** The vectors in the order of their texts, which `index` tells, where a server says it. */
function inOrder(server: Server, data: readonly unknown[]): readonly unknown[] {
  const indices = data.map((one, i) => ((one ?? {}) as Members)['index'] ?? i);
  const ordered = data.map((_, i) => data[indices.indexOf(i)]);
  if (new Set(ordered).size < data.length)
    throw malformed(server, 'embeddings', 'answered with vectors that are not one for each text');
  return ordered;
}

function vectorOf(server: Server, one: unknown): Float32Array {
  const { embedding } = (one ?? {}) as Members;
  const fine =
    Array.isArray(embedding) &&
    embedding.length > 0 &&
    embedding.length <= MOST_DIMENSIONS &&
    embedding.every((value) => typeof value === 'number' && Number.isFinite(value));
  if (!fine) throw malformed(server, 'embeddings', 'answered with what is no vector of numbers');
  return Float32Array.from(embedding as readonly number[]);
}

function unit(vector: Float32Array): Float32Array {
  const length = Math.hypot(...vector);
  return length === 0 ? vector : vector.map((value) => value / length);
}

export async function remoteRerank(
  server: Server,
  model: string,
  query: string,
  passages: readonly string[],
  signal: AbortSignal,
): Promise<RerankResult> {
  const body = { model, query, documents: passages };
  const { results, usage } = ((await sendForJson(server, 'rerank', body, signal)) ?? {}) as Members;
  if (!Array.isArray(results)) throw malformed(server, 'rerank', 'answered without results');
  const ranking = results.map((one: unknown) => {
    const { index, relevance_score: score } = (one ?? {}) as Members;
    if (typeof index !== 'number' || passages[index] === undefined || typeof score !== 'number')
      throw malformed(server, 'rerank', 'answered with a result that is of no passage');
    return { index, score };
  });
  const { total_tokens } = (usage ?? {}) as Members;
  ranking.sort((a, b) => b.score - a.score || a.index - b.index);
  return { ranking, tokens: typeof total_tokens === 'number' ? total_tokens : 0, truncated: [] };
}
