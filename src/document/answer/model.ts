/** What answering needs of a model: `OctavoModel` has it. */
import type { Attribution, AttributionSettings } from '../../generate/attribution.ts';
import type { AnswerReport } from '../../generate/options.ts';
import type { ContextPreset } from '../../select/options.ts';
import type { KeepLimits } from '../../store/index.ts';

/** The members of a session that answering needs; `OctavoSession` has them. */
export interface AnsweringSession {
  /** The answer as it comes, as in `OctavoSession.promptStreaming`. */
  promptStreaming(
    input: string,
    options: {
      readonly signal?: AbortSignal | undefined;
      readonly onPrefill?: ((done: number, total: number) => void) | undefined;
      readonly maxTokens?: number | undefined;
      readonly stop?: string;
    },
  ): AsyncIterable<string> & {
    /** How the answer ended. */
    readonly finished: Promise<AnswerReport>;
  };
  /** Reads a prompt that may be asked, as in `OctavoSession.prefill`. */
  prefill(
    input: string,
    options: {
      readonly signal?: AbortSignal | undefined;
      readonly onPrefill?: ((done: number, total: number) => void) | undefined;
    },
  ): Promise<void>;
  /** What the last answer was drawn from, as in `OctavoSession.attribute`. */
  attribute(
    settings: AttributionSettings,
    options?: { readonly signal?: AbortSignal | undefined },
  ): Promise<Attribution>;
  /** Frees the session. */
  destroy(): void;
}

/** The members of a model that answering needs; `OctavoModel` has them. */
export interface AnsweringModel {
  /** Names the model in messages. */
  readonly name: string;
  /** The number of its weights, where it is known. */
  readonly parameters?: number;
  /** Where it runs: `server` for a model that is not on this device. */
  readonly device?: { readonly kind: string };
  /** The most tokens of a context. */
  readonly contextWindow: number;
  /** The ids of a text, to count them. */
  tokenize(text: string, options?: { readonly special?: boolean }): Promise<Int32Array>;
  /** A conversation for one answer. */
  createSession(options: {
    readonly temperature: number;
    readonly signal?: AbortSignal | undefined;
    readonly initialPrompts?: readonly { readonly role: 'user' | 'assistant'; readonly content: string }[];
    readonly context?: {
      readonly keep?: boolean | KeepLimits;
      readonly kvBits?: 8 | undefined;
      readonly preset?: ContextPreset | undefined;
      readonly prefill?: 'dense' | undefined;
    };
    readonly thinking?: boolean;
  }): Promise<AnsweringSession>;
}
