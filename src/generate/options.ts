/** Options of sessions and prompts, and the report of an answer. Plain data: they cross to the engine's worker. */
import type { Grammar } from '../constrain/grammar.ts';
import type { ContextOptions, ContextPreset } from '../select/options.ts';
import { InputError } from '../errors.ts';
import type { Message } from '../chat/messages.ts';
import type { AnsweredCall, ToolChoice, ToolSettings } from '../chat/tools.ts';
import type { ContrastOptions } from './contrast.ts';
import type { DraftCounts } from './drafts.ts';
import type { ImageOptions } from '../models/vision/vision-model.ts';
import { SAMPLING_MODES, type SamplingOptions } from './sampling.ts';

/** How answers are written and reported. */
export interface AnswerOptions {
  /** Most tokens of an answer. Default: `DEFAULT_ANSWER`, or fewer where the context window leaves fewer. */
  readonly maxTokens?: number | undefined;
  /** Strings that end the answer. They are not part of it. */
  readonly stop?: string | readonly string[] | undefined;
  /**
   * What happens to an exchange whose answer is aborted: `remove` (default, as in the Prompt API) leaves the
   * conversation unchanged; `keep` keeps the question and the answer so far, marked as partial. An exchange without any
   * answer is removed.
   */
  readonly aborted?: 'remove' | 'keep' | undefined;
  /**
   * What happens to an answer that repeats one passage again and again, as small models do: `stop` (the default) ends
   * it with the finish reason `loop`, `allow` lets it continue to `maxTokens`.
   */
  readonly loops?: 'stop' | 'allow' | undefined;
  /**
   * Whether next tokens may be guessed from what the context says already, and several verified in one step (default
   * true). Answers that quote are written faster; whether guesses pay is measured while an answer is written. On the CPU
   * an answer is the same with and without; on a GPU other sizes of steps round differently.
   */
  readonly drafts?: boolean | undefined;
  /**
   * Variables for the model's chat template, such as `{ enable_thinking: false }`; which ones a template uses is its
   * author's choice. Names that the session sets itself (`messages`, `tools`, `add_generation_prompt`, `bos_token`,
   * `eos_token`) keep its values.
   */
  readonly templateOptions?: Readonly<Record<string, unknown>> | undefined;
  /**
   * Contrasts answers about images with the output that a few outlier tokens alone cause (DAMRO); it doubles the time
   * of a token.
   */
  readonly contrast?: boolean | ContrastOptions | undefined;
  /**
   * Reports the log-probability of each token of the answer and, with a number, so many of the likeliest tokens at its
   * place (at most 100), in the answer's report and by `onToken`. They are the model's own, before penalties,
   * temperature and constraints.
   */
  readonly logprobs?: boolean | number | undefined;
}

/** Options of answers in a chat. */
export interface ChatOptions {
  /**
   * Whether a model that thinks before it answers may: `false` asks its template for an answer without, or begins the answer with empty thoughts where
   * the template knows no such switch. Default: as the template has it. Models that do not think take no notice.
   */
  readonly thinking?: boolean | undefined;
  /** What the model may call; a prompt's own list replaces the session's. */
  readonly tools?: readonly ToolSettings[] | undefined;
  /** Whether the model may, must or must not call tools (default `auto`). */
  readonly toolChoice?: ToolChoice | undefined;
  /** How many times one prompt may run tools of the page's own before it ends with the calls that are left (default 8). */
  readonly maxToolRounds?: number | undefined;
}

export interface SessionSettings extends SamplingOptions, AnswerOptions, ChatOptions {
  /** The beginning of the conversation: a system message first, then examples. It is never dropped. */
  readonly initialPrompts?: readonly Message[] | undefined;
  /** How keys and values are kept and read; see the guide to long contexts. */
  readonly context?: ContextOptions | ContextPreset | undefined;
  /** How images are shown to the model, for models that see. */
  readonly visual?: ImageOptions | undefined;
}

/** Overrides the session's settings for one prompt. */
export interface PromptSettings extends SamplingOptions, AnswerOptions, ChatOptions {
  /** What the answer may consist of. */
  readonly grammar?: Grammar | undefined;
  /** Leaves the words about the grammar out of the prompt: whoever asks has told the model what to write. */
  readonly omitResponseConstraintInput?: boolean | undefined;
}

/** Without members that are undefined, which are left out like those that are not there. */
export function given<T extends object>(options: T): Partial<T> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Partial<T>;
}

/**
 * The settings of a prompt in place of those of its session. What is undefined is as in the session; a prompt that says how varied its answer is in
 * one way (`samplingMode`, or `temperature` and `topK`) replaces the other way.
 */
export function inPlaceOf(session: PromptSettings, prompt: PromptSettings): PromptSettings {
  const named = given(prompt);
  const { samplingMode: mode, temperature: _temperature, topK: _topK, ...rest } = session;
  if (named.samplingMode !== undefined) return { ...rest, ...named };
  if (mode !== undefined && (named.temperature !== undefined || named.topK !== undefined))
    return { ...rest, temperature: SAMPLING_MODES[mode], ...named };
  return { ...session, ...named };
}

export interface CompletionSettings extends SamplingOptions, AnswerOptions {
  /** Whether special tokens in the text are read as such (default true). */
  readonly special?: boolean | undefined;
  /** What the completion may consist of. */
  readonly grammar?: Grammar | undefined;
}

/**
 * Why an answer ended: `stop` (the model, or a stop string), `length` (maxTokens, or the context window is full), `loop` (it repeated itself) or
 * `tool-calls` (it calls tools, whose results are to be given with the next prompt).
 */
export type FinishReason = 'stop' | 'length' | 'loop' | 'tool-calls';

/** Rounds of tools of one prompt where the caller names no maximum: small models that call on and on are stopped. */
export const DEFAULT_ROUNDS = 8;
export const MOST_ROUNDS = 100;

/** The default maximum of an answer's tokens: about 1,500 words, which take a small model on a slow device minutes. */
export const DEFAULT_ANSWER = 2048;

/** A token, and its likelihood. */
export interface LikelyToken {
  /** Its id in the model's vocabulary. */
  readonly id: number;
  /** U+FFFD replaces bytes of an incomplete character; a control token is given by its name. */
  readonly text: string;
  /** What it adds to the text, in UTF-8: nothing for a control token. */
  readonly bytes: readonly number[];
  /** The natural logarithm of its probability; -Infinity for 0. */
  readonly logprob: number;
}

/** A token of an answer. */
export interface TokenLogProb extends LikelyToken {
  /** The likeliest tokens at its place, the likeliest first, as many as `logprobs` requests. */
  readonly top: readonly LikelyToken[];
}

/** How an answer ended, and what it cost. Where a prompt ran tools, of its last round; thoughts, generated tokens and times are those of all rounds. */
export interface AnswerReport {
  /** Why it ended. */
  readonly finishReason: FinishReason;
  /** What the model thought before it answered; it is no part of the answer's text, nor of the context of later answers. */
  readonly thinking?: string;
  /** Calls whose results are to be given with the next prompt, as messages with the role `tool`. */
  readonly toolCalls?: readonly AnsweredCall[];
  /** The stop string that ended it. */
  readonly stop?: string;
  /** The ids that were drawn, without the id that ended the answer. */
  readonly ids: readonly number[];
  /** Tokens of the exchange. */
  readonly tokens: {
    /** The whole context before the answer. */
    readonly prompt: number;
    /** How many of those were computed earlier and reused. */
    readonly cached: number;
    /** Tokens that were written. */
    readonly generated: number;
  };
  /** Milliseconds. */
  readonly time: Phases;
  /** Tokens a second. */
  readonly rate: Phases;
  /** Tokens that were guessed from the context and verified, and how many were right: steps that were saved. */
  readonly drafts?: DraftCounts;
  /** The likelihood of each of `ids`, if `logprobs` is set. */
  readonly logprobs?: readonly TokenLogProb[];
}

/** A value for reading the prompt, and one for writing the answer. */
export interface Phases {
  /** Of reading the prompt. */
  readonly prefill: number;
  /** Of writing the answer. */
  readonly decode: number;
}

/** The cost of a session's answers so far. */
export interface TokenUsage extends Pick<AnswerReport, 'tokens' | 'time' | 'rate'> {
  /** How many there were. */
  readonly answers: number;
}

export const UNUSED: TokenUsage = {
  answers: 0,
  tokens: { prompt: 0, cached: 0, generated: 0 },
  time: { prefill: 0, decode: 0 },
  rate: { prefill: 0, decode: 0 },
};

/**
 * Tokens a second, 0 if there are none: read (without the cached ones) and written. The first token of an answer is a
 * result of the prefill.
 */
export function ratesOf({ tokens, time, answers }: Omit<TokenUsage, 'rate'>): Phases {
  const rate = (count: number, ms: number): number => (ms > 0 && count > 0 ? (count * 1000) / ms : 0);
  return {
    prefill: rate(tokens.prompt - tokens.cached, time.prefill),
    decode: rate(tokens.generated - answers, time.decode),
  };
}

/** Returns the sum with one more answer. */
export function withAnswer({ answers, tokens, time }: TokenUsage, report: AnswerReport): TokenUsage {
  const sum = {
    answers: answers + 1,
    tokens: {
      prompt: tokens.prompt + report.tokens.prompt,
      cached: tokens.cached + report.tokens.cached,
      generated: tokens.generated + report.tokens.generated,
    },
    time: { prefill: time.prefill + report.time.prefill, decode: time.decode + report.time.decode },
  };
  return { ...sum, rate: ratesOf(sum) };
}

/** Tells whether loops end an answer. Throws `InputError('argument')`. */
export function stopsLoops(loops: AnswerOptions['loops']): boolean {
  if (loops === undefined || loops === 'stop') return true;
  if (loops === 'allow') return false;
  throw new InputError('argument', `loops: '${String(loops)}' is neither 'stop' nor 'allow'`, { name: 'loops' });
}

/**
 * The largest number of alternatives of a token: they are searched in the whole vocabulary, and sent to the page with
 * each token.
 */
export const MOST_ALTERNATIVES = 100;

/**
 * Returns how many alternatives of each token are requested; undefined for no log-probabilities. Throws
 * `InputError('argument')`.
 */
export function readLogprobs(asked: AnswerOptions['logprobs']): number | undefined {
  if (asked === undefined || asked === false) return undefined;
  if (asked === true) return 0;
  if (Number.isInteger(asked) && asked >= 0 && asked <= MOST_ALTERNATIVES) return asked;
  throw new InputError(
    'argument',
    `logprobs: ${String(asked)} is neither true nor a whole number from 0 to ${MOST_ALTERNATIVES}`,
    { name: 'logprobs', most: MOST_ALTERNATIVES },
  );
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
