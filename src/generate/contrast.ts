/**
 * DAMRO (2410.04514): contrasts the model's logits with those that it computes when it sees only a few outlier tokens
 * of an image, so that what these tokens alone cause is suppressed: logits (1 + a) l - a l', a = 2, 10 tokens, drawn
 * from the ids whose probability by l is at least a tenth of the likeliest's (the paper's plausibility cut-off). The
 * paper uses the tokens with the highest attention of the vision tower's class token; for towers without one, the
 * tokens with the largest norm are used, which are of the same kind (Darcet et al. 2023).
 *
 * It costs a second, short prefill for each prompt (all of the text, and the outliers of every image) and a second pass
 * of the layers for each token.
 */
import type { SampleSpec } from '../backend/backend.ts';
import { InputError } from '../errors.ts';

/** DAMRO (arXiv 2410.04514): logits become (1 + a) times those of the whole image, minus a times those of its outlier tokens. */
export interface ContrastOptions {
  /** a; default 2. */
  readonly strength?: number | undefined;
  /** Outlier tokens of an image; default 10. */
  readonly tokens?: number | undefined;
  /** The least probability of an id that may be drawn, as a share of the likeliest's; above 0, at most 1. Default .1 */
  readonly cutoff?: number | undefined;
}

export interface Contrast {
  readonly strength: number;
  readonly tokens: number;
  readonly cutoff: number;
}

/** Throws `InputError('argument')` for values that are out of range. */
export function readContrast(asked: boolean | ContrastOptions | undefined): Contrast | undefined {
  if (asked === undefined || asked === false) return undefined;
  if (asked !== true && (typeof asked !== 'object' || asked === null))
    throw new InputError('argument', `contrast: ${String(asked)} is not valid; use true or {strength, tokens, cutoff}`);
  const { strength = 2, tokens = 10, cutoff = 0.1 } = asked === true ? {} : asked;
  if (!(typeof strength === 'number' && strength > 0 && strength <= 100))
    throw new InputError('argument', `contrast.strength: ${String(strength)} is not above 0 and at most 100`, {
      strength,
    });
  if (!(Number.isInteger(tokens) && tokens >= 1))
    throw new InputError('argument', `contrast.tokens: ${String(tokens)} is not a whole number from 1`, { tokens });
  if (!(typeof cutoff === 'number' && cutoff > 0 && cutoff <= 1))
    throw new InputError('argument', `contrast.cutoff: ${String(cutoff)} is not above 0 and at most 1`, { cutoff });
  return { strength, tokens, cutoff };
}

/** Returns settings that draw the same from logits that are (1 + a) times smaller. */
export function contrastedSpec(spec: SampleSpec, { strength }: Contrast): SampleSpec {
  const scale = 1 + strength;
  return { ...spec, temperature: spec.temperature / scale, presencePenalty: spec.presencePenalty / scale };
}
