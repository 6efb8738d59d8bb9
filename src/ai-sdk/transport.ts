/** A transport for `useChat`: the answers are made in the page, where another transport would ask a server. */
import type { ChatTransport, streamText, UIMessage, UIMessageChunk } from 'ai';
import type { OctavoLanguageModel } from './language.ts';
import type { OctavoLanguageModelV3 } from './v3.ts';

/** Settings of `streamText` without those that the transport sets itself. */
export type TransportSettings = Omit<Parameters<typeof streamText>[0], 'model' | 'messages' | 'prompt' | 'abortSignal'>;

/** Told while the model is downloaded, as a transient part `data-modelDownloadProgress`. */
export interface ModelDownloadProgress {
  /** `complete` once, when the model is loaded. */
  readonly status: 'downloading' | 'complete';
  /** Percent. */
  readonly progress: number;
  /** The same as a sentence for the page. */
  readonly message: string;
}

/**
 * A transport for `useChat` that answers in the page, with `streamText` on a model of Octavo. While the model is
 * downloaded it writes transient parts `data-modelDownloadProgress`.
 */
export class OctavoChatTransport<Message extends UIMessage = UIMessage> implements ChatTransport<Message> {
  readonly #model: OctavoLanguageModel | OctavoLanguageModelV3;
  readonly #settings: TransportSettings;

  /** `settings` go to `streamText`: `system`, `tools`, `temperature` and so on. */
  constructor(model: OctavoLanguageModel | OctavoLanguageModelV3, settings: TransportSettings = {}) {
    this.#model = model;
    this.#settings = settings;
  }

  async sendMessages({
    messages,
    abortSignal,
  }: Parameters<ChatTransport<Message>['sendMessages']>[0]): Promise<ReadableStream<UIMessageChunk>> {
    const { convertToModelMessages, createUIMessageStream, streamText } = await import('ai');
    const model = this.#model;
    return createUIMessageStream({
      execute: async ({ writer }) => {
        if ((await model.availability()) !== 'available') {
          const tell = (data: ModelDownloadProgress): void =>
            writer.write({ type: 'data-modelDownloadProgress', id: 'model', data, transient: true });
          await model.createSessionWithProgress((share) => {
            const progress = Math.round(100 * share);
            tell({ status: 'downloading', progress, message: `Downloading the model: ${progress} %` });
          });
          tell({ status: 'complete', progress: 100, message: 'The model is loaded' });
        }
        const answer = streamText({
          ...this.#settings,
          model,
          messages: await convertToModelMessages(messages),
          ...(abortSignal !== undefined && { abortSignal }),
        });
        writer.merge(answer.toUIMessageStream());
      },
    });
  }

  /** Answers live in the page: after a reload there is none to go on with. */
  async reconnectToStream(): Promise<null> {
    return null;
  }
}
