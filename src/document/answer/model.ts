/** What answering needs of a model: `OctavoModel` has it. */
import type { Attribution, AttributionSettings } from '../../generate/attribution.ts';
import type { AnswerReport } from '../../generate/options.ts';

export interface AnsweringSession {
  promptStreaming(
    input: string,
    options: {
      readonly signal?: AbortSignal | undefined;
      readonly onPrefill?: ((done: number, total: number) => void) | undefined;
      readonly maxTokens?: number | undefined;
      readonly logprobs?: boolean | number | undefined;
    },
  ): AsyncIterable<string> & { readonly finished: Promise<AnswerReport> };
  attribute(
    settings: AttributionSettings,
    options?: { readonly signal?: AbortSignal | undefined },
  ): Promise<Attribution>;
  destroy(): void;
}

export interface AnsweringModel {
  readonly name: string;
  readonly contextWindow: number;
  tokenize(text: string, options?: { readonly special?: boolean }): Promise<Int32Array>;
  createSession(options: {
    readonly temperature: number;
    readonly signal?: AbortSignal | undefined;
    readonly initialPrompts?: readonly { readonly role: 'user' | 'assistant'; readonly content: string }[];
    readonly context?: { readonly keep?: boolean };
    readonly thinking?: boolean;
  }): Promise<AnsweringSession>;
}
