/** Embedding and re-ranking, as the page calls them. */
import type { EmbedResult, EmbedSettings, Ranked, RerankResult, TextsReport } from '../embed/options.ts';
import type { TextProgress } from '../worker/api.ts';
import type { Field, ShapeOf } from './check.ts';
import { misfit, misfitArgument } from './check.ts';
import { ABORTABLE } from './options.ts';
import type { OnModel } from './painting.ts';

/** Options of calls that read many texts. */
export interface TextHooks {
  /** Ends the call; it rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Texts that are done, and of how many. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** Options of `embed`. */
export interface EmbedOptions extends EmbedSettings, TextHooks {}
/** Options of `rerank`. */
export interface RerankOptions extends TextHooks {}

/** A vector of length 1 for each text, in their order, and what reading the texts took. */
export type Embeddings = readonly Float32Array[] &
  TextsReport & {
    /** The width of the vectors. */
    readonly dimensions: number;
  };

/** The passages' places and scores, the best first, and what reading them took. */
export type Ranking = readonly Ranked[] & TextsReport;

const HOOKS: ShapeOf<Required<TextHooks>> = { ...ABORTABLE, onProgress: { is: 'function' } };
const EMBED: ShapeOf<Required<EmbedOptions>> = {
  ...HOOKS,
  kind: { oneOf: ['query', 'document'] },
  prefix: { is: 'string' },
  dimensions: { number: [1, 2 ** 31 - 1], whole: true },
  prepend: { is: 'boolean' },
};
const TEXTS: Field = { list: { is: 'string' } };

export async function embed(
  { caller, model }: OnModel,
  texts: readonly string[],
  options: EmbedOptions,
): Promise<Embeddings> {
  const problem = misfitArgument('embed', 'texts', texts, TEXTS) ?? misfit('embed', options, EMBED);
  if (problem !== undefined) return problem;
  const { signal, onProgress, ...settings } = options;
  const found = await caller.call('embed', { model, texts, settings }, { signal, onEvent: hearing(onProgress) });
  return withVectors(found);
}

export async function rerank(
  { caller, model }: OnModel,
  query: string,
  passages: readonly string[],
  options: RerankOptions,
): Promise<Ranking> {
  const problem =
    misfitArgument('rerank', 'query', query, { is: 'string' }) ??
    misfitArgument('rerank', 'passages', passages, TEXTS) ??
    misfit('rerank', options, HOOKS);
  if (problem !== undefined) return problem;
  const { signal, onProgress } = options;
  const { ranking, tokens, truncated }: RerankResult = await caller.call(
    'rerank',
    { model, query, passages },
    { signal, onEvent: hearing(onProgress) },
  );
  return Object.assign([...ranking], { tokens, truncated });
}

function withVectors({ vectors, dimensions, tokens, truncated }: EmbedResult): Embeddings {
  const rows = Array.from({ length: vectors.length / dimensions }, (_, i) =>
    vectors.subarray(i * dimensions, (i + 1) * dimensions),
  );
  return Object.assign(rows, { dimensions, tokens, truncated });
}

function hearing(onProgress: TextHooks['onProgress']): ((progress: TextProgress) => unknown) | undefined {
  return onProgress && (({ done, total }) => onProgress(done, total));
}
