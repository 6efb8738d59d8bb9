/** Converts the sampling options of a caller to the settings of the device's sampler. */
import type { SampleSpec } from '../backend/backend.ts';
import { InputError } from '../errors.ts';
import type { ModelMetadata } from '../load/model-file.ts';

/** The Prompt API's names for the variety of answers. */
export type SamplingMode = 'most-predictable' | 'predictable' | 'balanced' | 'creative' | 'most-creative';

/** How the next token is drawn. Order of application: mask, penalties, temperature, top-k, top-p, min-p. */
export interface SamplingOptions {
  /** 0 (the default, unless the model file recommends another value) always takes the likeliest token. */
  readonly temperature?: number | undefined;
  /** Only the k likeliest tokens; 0 disables it. */
  readonly topK?: number | undefined;
  /** Only the likeliest tokens whose probabilities add up to p; 1 disables it, 0 keeps only the likeliest. */
  readonly topP?: number | undefined;
  /** Only tokens at least this fraction as likely as the likeliest; 0 disables it. */
  readonly minP?: number | undefined;
  /**
   * Divides positive and multiplies negative logits of tokens seen in the context or the answer; 1 disables it. Default
   * in a chat: the recommendation of the file, otherwise 1.05 over the answer's own tokens, and none when the likeliest
   * token is requested (`temperature: 0`).
   */
  readonly repetitionPenalty?: number | undefined;
  /** Subtracted from the logits of tokens seen in the context or the answer; 0 disables it. */
  readonly presencePenalty?: number | undefined;
  /**
   * The same seed, prompt and model give the same answer. A whole number from 0, of which 32 bits are used. Random when
   * absent.
   */
  readonly seed?: number | undefined;
  /** A named temperature; not together with `temperature` or `topK`. */
  readonly samplingMode?: SamplingMode | undefined;
}

/** Temperatures by name. */
export const SAMPLING_MODES: Readonly<Record<SamplingMode, number>> = {
  'most-predictable': 0,
  predictable: 0.3,
  balanced: 0.7,
  creative: 1,
  'most-creative': 1.3,
};

interface Limits {
  readonly least: number;
  readonly most: number;
  readonly whole?: boolean;
}

/**
 * Beyond these values the distribution is flat, or the ranking reversed, for any model, so they are probably mistakes
 * of the caller.
 */
export const SAMPLING_LIMITS = {
  temperature: { least: 0, most: 100 },
  topK: { least: 0, most: 2 ** 31 - 1, whole: true },
  topP: { least: 0, most: 1 },
  minP: { least: 0, most: 1 },
  repetitionPenalty: { least: 1e-3, most: 1e3 },
  presencePenalty: { least: -1e3, most: 1e3 },
  seed: { least: 0, most: Number.MAX_SAFE_INTEGER, whole: true },
} as const satisfies Record<keyof SampleSpec, Limits>;

/** The defaults where neither the caller nor the model's file names a value: greedy decoding. */
const GREEDY = { temperature: 0, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, presencePenalty: 0 } as const;

/**
 * The penalty of a chat's answer when neither the caller nor the file names one. It keeps small models from repeating
 * themselves. Only the answer's own tokens count, so quoting the prompt is not penalised.
 */
const MILD_PENALTY = 1.05;

export type SamplingDefaults = Partial<Omit<SampleSpec, 'seed'>>;

/** Checks every value and fills in defaults. Throws `InputError('argument')`. */
export function sampleSpec(options: SamplingOptions, defaults: SamplingDefaults = {}): SampleSpec {
  const base = { ...GREEDY, ...defaults, seed: 0 };
  const { samplingMode } = options;
  if (samplingMode !== undefined) {
    if (options.temperature !== undefined || options.topK !== undefined) {
      throw new InputError(
        'argument',
        'samplingMode: cannot be combined with temperature or topK; give one or the other',
        { samplingMode },
      );
    }
    const temperature = SAMPLING_MODES[samplingMode];
    if (temperature === undefined) {
      throw new InputError(
        'argument',
        `samplingMode: '${samplingMode}' is unknown; use one of ${Object.keys(SAMPLING_MODES).join(', ')}`,
      );
    }
    base.temperature = temperature;
  }
  const value = (name: keyof SampleSpec): number => {
    const given = options[name] ?? (name === 'seed' ? randomSeed() : base[name]);
    const { least, most, whole = false }: Limits = SAMPLING_LIMITS[name];
    if (typeof given !== 'number' || !(given >= least && given <= most) || (whole && !Number.isInteger(given))) {
      throw new InputError(
        'argument',
        `${name}: ${String(given)} is not a ${whole ? 'whole ' : ''}number from ${least} to ${most}`,
        { name },
      );
    }
    return given;
  };
  const topP = value('topP');
  return {
    temperature: value('temperature'),
    // No probability mass means that only the likeliest token remains.
    topK: topP === 0 ? 1 : value('topK'),
    topP: topP === 0 ? 1 : topP,
    minP: value('minP'),
    repetitionPenalty: value('repetitionPenalty'),
    presencePenalty: value('presencePenalty'),
    // Devices use 32 bits of a seed; callers often pass the clock's milliseconds.
    seed: value('seed') % 2 ** 32,
  };
}

/**
 * How an answer is drawn, and whether penalties apply to the whole context or to the answer only. A caller who requests
 * the likeliest tokens (`temperature: 0`, `topK: 1`, `topP: 0`, 'most-predictable') gets exactly those, and so does
 * `complete`, which is used to measure models: no penalty is added there.
 */
export function answerSampling(
  options: SamplingOptions,
  defaults: SamplingDefaults,
  chat: boolean,
): { readonly spec: SampleSpec; readonly overContext: boolean } {
  const spec = sampleSpec(options, defaults);
  const exact =
    options.temperature === 0 ||
    options.topK === 1 ||
    options.topP === 0 ||
    options.samplingMode === 'most-predictable';
  const named = options.repetitionPenalty ?? defaults.repetitionPenalty;
  if (!chat || exact || named !== undefined || spec.presencePenalty !== 0) return { spec, overContext: true };
  return { spec: { ...spec, repetitionPenalty: MILD_PENALTY }, overContext: false };
}

function randomSeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
}

/**
 * The recommendation of the model's publisher: generation_config.json, or GGUF's `general.sampling.*`. Invalid values
 * are ignored.
 */
export function recommendedSampling(metadata: ModelMetadata): SamplingDefaults {
  const found: { -readonly [K in keyof SamplingDefaults]: SamplingDefaults[K] } = {};
  const take = (name: keyof SamplingDefaults, value: unknown): void => {
    const { least, most, whole = false }: Limits = SAMPLING_LIMITS[name];
    if (typeof value !== 'number' || !(value >= least && value <= most)) return;
    if (whole && !Number.isInteger(value)) return;
    found[name] = value;
  };
  if (metadata.kind === 'gguf') {
    take('temperature', metadata.values.get('general.sampling.temp'));
    take('topK', metadata.values.get('general.sampling.top_k'));
    take('topP', metadata.values.get('general.sampling.top_p'));
    take('minP', metadata.values.get('general.sampling.min_p'));
    take('repetitionPenalty', metadata.values.get('general.sampling.penalty_repeat'));
  } else if (metadata.generationConfig !== undefined) {
    const config = metadata.generationConfig;
    // If it recommends the likeliest token, the other fields describe sampling that is disabled; penalties apply in any
    // case, as in transformers.
    if (config['do_sample'] === true) {
      take('temperature', config['temperature'] ?? 1);
      take('topK', config['top_k']);
      take('topP', config['top_p']);
      take('minP', config['min_p']);
    }
    take('repetitionPenalty', config['repetition_penalty']);
  }
  return found;
}
