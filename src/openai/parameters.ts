/** Parameters that chats and completions have in common. */
import { seed32 } from '../generate/seed.ts';
import type { SamplingOptions } from '../generate/sampling.ts';
import type { Fields } from './fields.ts';
import { unsupported } from './problem.ts';

/** Choices of one request; they are made one after the other. */
const MOST_CHOICES = 16;
const MOST_COUNT = 2 ** 31 - 1;

/** `top_k`, `min_p`, `repetition_penalty` and `chat_template_kwargs` are what other servers of open models call them. */
export const SAMPLING_NAMES = [
  'temperature',
  'top_p',
  'presence_penalty',
  'frequency_penalty',
  'logit_bias',
  'seed',
  'stop',
  'n',
  'top_k',
  'min_p',
  'repetition_penalty',
  'stream',
  'stream_options',
  'max_tokens',
  'model',
] as const;

/** What changes no answer of a model on the device. */
export const WITHOUT_EFFECT = [
  'user',
  'metadata',
  'store',
  'service_tier',
  'safety_identifier',
  'prompt_cache_key',
  'prompt_cache_options',
  'prompt_cache_retention',
  'prediction',
  'verbosity',
] as const;

export interface Sampling {
  readonly options: SamplingOptions & { readonly stop?: string | readonly string[] };
  /** How many answers are wanted. */
  readonly count: number;
  readonly stream: boolean;
  /** Whether a stream ends with the tokens that it cost. */
  readonly withUsage: boolean;
}

export function readSampling(fields: Fields): Sampling {
  if ((fields.number('frequency_penalty', -2, 2) ?? 0) !== 0)
    throw unsupported('frequency_penalty', 'use presence_penalty or repetition_penalty');
  if (Object.keys(fields.value('logit_bias') ?? {}).length > 0)
    throw unsupported('logit_bias', 'leave it out; response_format restricts what an answer may be');
  const seed = fields.number('seed', Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER, true);
  const options = {
    temperature: fields.number('temperature', 0, 2),
    topP: fields.number('top_p', 0, 1),
    topK: fields.number('top_k', 0, MOST_COUNT, true),
    minP: fields.number('min_p', 0, 1),
    presencePenalty: fields.number('presence_penalty', -2, 2),
    repetitionPenalty: fields.number('repetition_penalty', 1e-3, 1e3),
    // Any whole number is a seed.
    seed: seed === undefined ? undefined : seed32(seed),
    stop: readStop(fields),
  };
  const stream = fields.flag('stream') ?? false;
  const streamOptions = fields.object('stream_options');
  streamOptions?.only(['include_usage', 'include_obfuscation']);
  if (streamOptions !== undefined && !stream) throw fields.wrong('stream_options', "nothing, unless 'stream' is true");
  return {
    options: given(options),
    count: fields.number('n', 1, MOST_CHOICES, true) ?? 1,
    stream,
    withUsage: streamOptions?.flag('include_usage') ?? false,
  };
}

/** Without what is undefined. */
export function given<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}

function readStop(fields: Fields): string | readonly string[] | undefined {
  const value = fields.value('stop');
  if (value === undefined || typeof value === 'string') return value === '' ? undefined : value;
  if (Array.isArray(value) && value.every((one) => typeof one === 'string')) return value;
  throw fields.wrong('stop', 'a string or an array of strings');
}

/** The seed of the choice with this number: choices differ, and are the same the next time. */
export function seedOf(seed: number | undefined, index: number): { readonly seed?: number } {
  return seed === undefined ? {} : { seed: seed32(seed + index) };
}

export function readCount(fields: Fields, name: string): number | undefined {
  return fields.number(name, 1, MOST_COUNT, true);
}
