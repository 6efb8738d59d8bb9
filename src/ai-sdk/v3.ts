/** `octavo/ai-sdk/v3`: the provider for `ai` 6 (specification V3), which differs from V4 in how files are told. */
import type {
  EmbeddingModelV3,
  ImageModelV3,
  LanguageModelV3,
  LanguageModelV3DataContent,
  LanguageModelV3Message,
  LanguageModelV3ToolResultOutput,
  LanguageModelV4Message,
  LanguageModelV4ToolResultOutput,
  RerankingModelV3,
  SharedV4FileData,
} from '@ai-sdk/provider';
import type { ModelInput } from '../public.ts';
import type { ChatModel } from './conversation.ts';
import { embeddingModel, rerankingModel, type EmbeddingModel, type RerankingModel } from './embedding.ts';
import { imageModel, type ImageModel } from './image.ts';
import { languageModel, type OctavoLanguageModel } from './language.ts';
import type { OctavoProviderSettings, ProviderLoading } from './settings.ts';

export type { ChatModel, SessionDefaults } from './conversation.ts';
export type { OctavoProviderSettings, ProviderLoading } from './settings.ts';
export { OctavoChatTransport, type ModelDownloadProgress, type TransportSettings } from './transport.ts';

/** The AI SDK's language model, and what `@browser-ai/core` has beside it. */
export interface OctavoLanguageModelV3 extends LanguageModelV3, Pick<OctavoLanguageModel, 'availability'> {
  /** Loads the model, so that the first call need not; `onProgress` hears shares from 0 to 1. */
  createSessionWithProgress(onProgress?: (progress: number) => void): Promise<OctavoLanguageModelV3>;
}

/** The provider: a language model when it is called, other kinds by its members. */
export interface OctavoProviderV3 {
  (model: ChatModel | ModelInput, settings?: OctavoProviderSettings): OctavoLanguageModelV3;
  /** A model for `embed` and `embedMany`. */
  embedding(model: EmbeddingModel | ModelInput, settings?: ProviderLoading): EmbeddingModelV3;
  /** A model for `rerank`. */
  reranking(model: RerankingModel | ModelInput, settings?: ProviderLoading): RerankingModelV3;
  /** A model for `generateImage`: paints, or edits the picture of the prompt. */
  image(model: ImageModel | ModelInput, settings?: ProviderLoading): ImageModelV3;
}

/** Gives models of Octavo to the AI SDK, version 6. */
export const octavo: OctavoProviderV3 = /* @__PURE__ */ Object.assign(
  (model: ChatModel | ModelInput, settings: OctavoProviderSettings = {}): OctavoLanguageModelV3 => {
    const newer = languageModel(model, settings);
    const made: OctavoLanguageModelV3 = {
      ...newer,
      specificationVersion: 'v3',
      createSessionWithProgress: async (onProgress) => {
        await newer.createSessionWithProgress(onProgress);
        return made;
      },
      // The parts that models here answer with are the same in both versions.
      doGenerate: async ({ prompt, ...call }) =>
        (await newer.doGenerate({ ...call, prompt: prompt.map(newerMessage) })) as Awaited<
          ReturnType<LanguageModelV3['doGenerate']>
        >,
      doStream: async ({ prompt, ...call }) =>
        (await newer.doStream({ ...call, prompt: prompt.map(newerMessage) })) as Awaited<
          ReturnType<LanguageModelV3['doStream']>
        >,
    };
    return made;
  },
  {
    embedding: (model: EmbeddingModel | ModelInput, settings: ProviderLoading = {}) =>
      older(embeddingModel(model, settings)) as EmbeddingModelV3,
    reranking: (model: RerankingModel | ModelInput, settings: ProviderLoading = {}) =>
      older(rerankingModel(model, settings)) as RerankingModelV3,
    image: (model: ImageModel | ModelInput, settings: ProviderLoading = {}) =>
      older(imageModel(model, settings)) as ImageModelV3,
  },
);

/** The same model under the older version's name. Warnings of a kind that V4 has added are never given here. */
function older<Model extends object>(
  model: Model,
): Omit<Model, 'specificationVersion'> & { readonly specificationVersion: 'v3' } {
  return { ...model, specificationVersion: 'v3' };
}

function newerMessage(message: LanguageModelV3Message): LanguageModelV4Message {
  if (message.role === 'system') return message;
  const content = message.content.map((part) => {
    if (part.type === 'file') return { ...part, data: newerData(part.data) };
    if (part.type === 'tool-result') return { ...part, output: newerOutput(part.output) };
    return part;
  });
  return { ...message, content } as LanguageModelV4Message;
}

function newerData(data: LanguageModelV3DataContent): SharedV4FileData {
  return data instanceof URL ? { type: 'url', url: data } : { type: 'data', data };
}

function newerOutput(output: LanguageModelV3ToolResultOutput): LanguageModelV4ToolResultOutput {
  if (output.type !== 'content') return output;
  return {
    type: 'content',
    value: output.value.map((part) => {
      switch (part.type) {
        case 'file-data':
        case 'image-data':
          return { type: 'file', mediaType: part.mediaType, data: { type: 'data', data: part.data } };
        case 'file-url':
        case 'image-url':
          return { type: 'file', mediaType: 'image', data: { type: 'url', url: new URL(part.url) } };
        case 'text':
          return { type: 'text', text: part.text };
        default:
          return { type: 'custom' };
      }
    }),
  };
}
