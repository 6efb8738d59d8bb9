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
import type { OctavoProviderSettings, ProviderLoading } from './settings.ts';

export type { ChatModel, SessionDefaults } from './conversation.ts';
export type { EmbeddingModel, RerankingModel } from './embedding.ts';
export type { ImageModel } from './image.ts';
export type { OctavoLanguageModel } from './language.ts';
export type { OctavoProviderSettings, ProviderLoading } from './settings.ts';
export { OctavoChatTransport, type ModelDownloadProgress, type TransportSettings } from './transport.ts';

/** The provider: a language model when it is called, other kinds by its members. */
export interface OctavoProvider {
  (model: ChatModel | ModelInput, settings?: OctavoProviderSettings): OctavoLanguageModel;
  /** A model for `embed` and `embedMany`. */
  embedding(model: EmbeddingModel | ModelInput, settings?: ProviderLoading): EmbeddingModelV4;
  /** A model for `rerank`. */
  reranking(model: RerankingModel | ModelInput, settings?: ProviderLoading): RerankingModelV4;
  /** A model for `generateImage`: paints, or edits the picture of the prompt. */
  image(model: ImageModel | ModelInput, settings?: ProviderLoading): ImageModelV4;
}

/** Gives models of Octavo to the AI SDK, version 7. */
export const octavo: OctavoProvider = /* @__PURE__ */ Object.assign(
  (model: ChatModel | ModelInput, settings: OctavoProviderSettings = {}) => languageModel(model, settings),
  { embedding: embeddingModel, reranking: rerankingModel, image: imageModel },
);
