/**
 * DAMRO (2410.04514): what a model says of a picture, contrasted with what it says when it sees a few outlier tokens of it only, so that what those
 * alone make it say is held back: logits (1 + a) l - a l', a = 2, 10 tokens. The paper takes the tokens that the vision tower's class token looks
 * at most; towers without one are asked for the tokens of the largest norm, which are the same kind (Darcet et al. 2023).
 *
 * It costs a second, short prefill a prompt (all of the text, the outliers of every picture) and a second pass of the layers a token.
 */
import type { SampleSpec } from '../backend/backend.ts';
import { InputError } from '../errors.ts';

export interface ContrastOptions {
  /** a; default 2. */
  readonly strength?: number | undefined;
  /** Outlier tokens of a picture; default 10. */
  readonly tokens?: number | undefined;
}

export interface Contrast {
  readonly strength: number;
  readonly tokens: number;
}

/** Throws `InputError('argument')` for values that are out of range. */
export function readContrast(asked: boolean | ContrastOptions | undefined): Contrast | undefined {
  if (asked === undefined || asked === false) return undefined;
  if (asked !== true && (typeof asked !== 'object' || asked === null))
    throw new InputError('argument', `contrast: ${String(asked)} is not valid; use true or {strength, tokens}`);
  const { strength = 2, tokens = 10 } = asked === true ? {} : asked;
  if (!(typeof strength === 'number' && strength > 0 && strength <= 100))
    throw new InputError('argument', `contrast.strength: ${String(strength)} is not above 0 and at most 100`, {
      strength,
    });
  if (!(Number.isInteger(tokens) && tokens >= 1))
    throw new InputError('argument', `contrast.tokens: ${String(tokens)} is not a whole number from 1`, { tokens });
  return { strength, tokens };
}

/** The same draw from logits that are (1 + a) times smaller. */
export function contrastedSpec(spec: SampleSpec, { strength }: Contrast): SampleSpec {
  const scale = 1 + strength;
  return { ...spec, temperature: spec.temperature / scale, presencePenalty: spec.presencePenalty / scale };
}
