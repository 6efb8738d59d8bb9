/** The AI SDK's embedding and re-ranking models. */
import type { EmbeddingModelV4, RerankingModelV4 } from '@ai-sdk/provider';
import type { ModelInput, OctavoModel } from '../public.ts';
import { ModelSource } from './source.ts';
import type { OctavoProviderSettings } from './settings.ts';

/** What the provider needs of a model that embeds: an `OctavoModel`, or anything shaped like one. */
export type EmbeddingModel = Pick<OctavoModel, 'embed' | 'name'>;
/** What the provider needs of a model that ranks: an `OctavoModel`, or anything shaped like one. */
export type RerankingModel = Pick<OctavoModel, 'rerank' | 'name'>;

/** `providerOptions.octavo.kind` says whether the texts are questions or documents (the default of models that tell them apart). */
export function embeddingModel(
  given: EmbeddingModel | ModelInput,
  { load }: Pick<OctavoProviderSettings, 'load'> = {},
): EmbeddingModelV4 {
  const source = new ModelSource<EmbeddingModel>(given, 'embed', load);
  return {
    specificationVersion: 'v4',
    provider: 'octavo',
    modelId: source.id,
    maxEmbeddingsPerCall: undefined,
    supportsParallelCalls: false,
    doEmbed: async ({ values, dimensions, abortSignal, providerOptions }) => {
      const model = await source.open();
      const vectors = await model.embed(values, {
        ...providerOptions?.['octavo'],
        ...(dimensions === undefined ? {} : { dimensions }),
        ...(abortSignal === undefined ? {} : { signal: abortSignal }),
      });
      return {
        embeddings: vectors.map((vector) => [...vector]),
        usage: { tokens: vectors.tokens },
        warnings: [],
      };
    },
  };
}

export function rerankingModel(
  given: RerankingModel | ModelInput,
  { load }: Pick<OctavoProviderSettings, 'load'> = {},
): RerankingModelV4 {
  const source = new ModelSource<RerankingModel>(given, 'rerank', load);
  return {
    specificationVersion: 'v4',
    provider: 'octavo',
    modelId: source.id,
    doRerank: async ({ documents, query, topN, abortSignal }) => {
      const model = await source.open();
      const passages =
        documents.type === 'text' ? documents.values : documents.values.map((value) => JSON.stringify(value));
      const ranking = await model.rerank(query, passages, abortSignal === undefined ? {} : { signal: abortSignal });
      return {
        ranking: ranking.slice(0, topN).map(({ index, score }) => ({ index, relevanceScore: score })),
        warnings: [],
        response: { modelId: model.name },
      };
    },
  };
}
