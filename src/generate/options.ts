/** Options of sessions and prompts, and what an answer tells about itself. Plain data: they cross to the engine's worker. */
import type { ContextOptions } from '../select/options.ts';
import { InputError } from '../errors.ts';
import type { Message } from '../chat/messages.ts';
import type { ContrastOptions } from './contrast.ts';
import type { ImageOptions } from '../models/vision/vision-model.ts';
import type { SamplingOptions } from './sampling.ts';

export interface AnswerOptions {
  /** Most tokens of an answer. Default: `DEFAULT_ANSWER`, or fewer where the context window leaves fewer. */
  readonly maxTokens?: number | undefined;
  /** Strings that end the answer; they are not part of it. */
  readonly stop?: string | readonly string[] | undefined;
  /**
   * What becomes of an exchange whose answer is aborted: `remove` (default, as in the Prompt API) leaves the conversation as it was before; `keep` keeps
   * the question and the answer as far as it came, marked as partial. An exchange of which nothing was answered is removed.
   */
  readonly aborted?: 'remove' | 'keep' | undefined;
  /**
   * What becomes of an answer that repeats one passage again and again, as small models do: `stop` (the default) ends it with the finish reason
   * `loop`, `allow` lets it go on to `maxTokens`.
   */
  readonly loops?: 'stop' | 'allow' | undefined;
  /**
   * Variables for the model's chat template, such as `{ enable_thinking: false }`; what a template knows is its author's choice. Names that the session
   * sets itself (`messages`, `tools`, `add_generation_prompt`, `bos_token`, `eos_token`) keep its values.
   */
  readonly templateOptions?: Readonly<Record<string, unknown>> | undefined;
  /** Answers about pictures are contrasted with what a few outlier tokens alone make the model say (DAMRO); takes twice the time a token. */
  readonly contrast?: boolean | ContrastOptions | undefined;
}

export interface SessionSettings extends SamplingOptions, AnswerOptions {
  /** What the conversation begins with: a system message first, then examples. Never dropped. */
  readonly initialPrompts?: readonly Message[] | undefined;
  readonly context?: ContextOptions | undefined;
  /** How images are shown to the model; for models that see. */
  readonly visual?: ImageOptions | undefined;
}

/** Overrides the session's settings for one prompt. */
export interface PromptSettings extends SamplingOptions, AnswerOptions {}

export interface CompletionSettings extends SamplingOptions, AnswerOptions {
  /** Whether special tokens in the text are read as such (default true). */
  readonly special?: boolean | undefined;
}

/** Why an answer ended: `stop` (the model, or a stop string), `length` (maxTokens, or the context window is full) or `loop` (it repeated itself). */
export type FinishReason = 'stop' | 'length' | 'loop';

/** Most tokens of an answer where the caller names no maximum: some 1,500 words, which take a small model on a slow device minutes. */
export const DEFAULT_ANSWER = 2048;

export interface AnswerReport {
  readonly finishReason: FinishReason;
  /** The stop string that ended it. */
  readonly stop?: string;
  /** What was drawn, the id that ended it not included. */
  readonly ids: readonly number[];
  readonly tokens: {
    /** The whole context before the answer. */
    readonly prompt: number;
    /** Of those, how many were computed earlier and reused. */
    readonly cached: number;
    readonly generated: number;
  };
  /** Milliseconds. */
  readonly time: { readonly prefill: number; readonly decode: number };
}

/** Whether loops end an answer. Throws `InputError('argument')`. */
export function stopsLoops(loops: AnswerOptions['loops']): boolean {
  if (loops === undefined || loops === 'stop') return true;
  if (loops === 'allow') return false;
  throw new InputError('argument', `loops: '${String(loops)}' is neither 'stop' nor 'allow'`, { name: 'loops' });
}

/** Throws `InputError('argument')` unless `value` is a whole number from 1 to `most`. */
export function checkCount(name: string, value: number, most: number): number {
  if (!Number.isInteger(value) || value < 1 || value > most) {
    throw new InputError('argument', `${name}: ${String(value)} is not a whole number from 1 to ${most}`, {
      name,
      most,
    });
  }
  return value;
}
