/**
 * `octavo/ai-sdk`: models of Octavo for the AI SDK (specification V4, `ai` 7; `octavo/ai-sdk/v3` is the same for `ai` 6). Each function takes a loaded model, or
 * what one is loaded from: the first call loads it.
 */
import type { EmbeddingModelV4, ImageModelV4, RerankingModelV4 } from '@ai-sdk/provider';
import type { ModelInput } from '../public.ts';
import type { ChatModel } from './conversation.ts';
import { embeddingModel, rerankingModel, type EmbeddingModel, type RerankingModel } from './embedding.ts';
import { imageModel, type ImageModel } from './image.ts';
import { languageModel, type OctavoLanguageModel } from './language.ts';
import type { OctavoProviderSettings } from './settings.ts';

export type { ChatModel, SessionDefaults } from './conversation.ts';
export type { EmbeddingModel, RerankingModel } from './embedding.ts';
export type { ImageModel } from './image.ts';
export type { OctavoLanguageModel } from './language.ts';
export type { OctavoProviderSettings } from './settings.ts';
export { OctavoChatTransport, type ModelDownloadProgress } from './transport.ts';

type Loading = Pick<OctavoProviderSettings, 'load'>;

/** The provider: a language model when it is called, other kinds by its members. */
export interface OctavoProvider {
  (model: ChatModel | ModelInput, settings?: OctavoProviderSettings): OctavoLanguageModel;
  embedding(model: EmbeddingModel | ModelInput, settings?: Loading): EmbeddingModelV4;
  reranking(model: RerankingModel | ModelInput, settings?: Loading): RerankingModelV4;
  image(model: ImageModel | ModelInput, settings?: Loading): ImageModelV4;
}

export const octavo: OctavoProvider = /* @__PURE__ */ Object.assign(
  (model: ChatModel | ModelInput, settings: OctavoProviderSettings = {}) => languageModel(model, settings),
  { embedding: embeddingModel, reranking: rerankingModel, image: imageModel },
);
