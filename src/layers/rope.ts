/** Rotary position embedding (Su et al. 2021), and the methods by which models extend it to longer contexts. */
import type { RopeSections, RopeSpec } from '../backend/backend.ts';

export type RopeScaling =
  | { readonly kind: 'none' }
  /** Position interpolation (Chen et al. 2023): positions are divided by `factor`. */
  | { readonly kind: 'linear'; readonly factor: number }
  /** Llama 3.1: long wavelengths are divided by `factor`, short ones are kept, those in between are interpolated. */
  | {
      readonly kind: 'llama3';
      readonly factor: number;
      readonly lowFrequency: number;
      readonly highFrequency: number;
      readonly originalContext: number;
    }
  /**
   * YaRN (Peng et al. 2023): the same by dimension; `magnitude` multiplies cos and sin. With `truncate` the borders are
   * rounded to whole dimensions.
   */
  | {
      readonly kind: 'yarn';
      readonly factor: number;
      readonly originalContext: number;
      readonly betaFast: number;
      readonly betaSlow: number;
      readonly magnitude: number;
      readonly truncate: boolean;
    }
  /**
   * LongRoPE (Ding et al. 2024): each pair's wavelength has its own factor; undefined when the file's divisors are the
   * factors.
   */
  | { readonly kind: 'longrope'; readonly factors: readonly number[] | undefined; readonly magnitude: number }
  /** Gemma 4: only the first `pairs` pairs rotate, with the frequencies that they have in the whole head. */
  | { readonly kind: 'proportional'; readonly factor: number; readonly pairs: number };

export interface RopeConfig {
  /** The number of rotated dimensions of a head; even. */
  readonly dimension: number;
  readonly base: number;
  readonly style: RopeSpec['style'];
  readonly scaling: RopeScaling;
  /** For models whose positions have three axes (M-RoPE). */
  readonly sections?: RopeSections | undefined;
  /** Whether the divisors in the file apply to it (default true); they are for layers with full attention. */
  readonly divided?: boolean;
}

/** The spec of layers without RoPE: no pair is rotated. */
export const NO_ROTATION: RopeSpec = { inverseFrequency: new Float64Array(0), magnitude: 1, style: 'half' };

/** `divisors`: one for each pair, from the file (GGUF's rope_freqs.weight, llama.cpp's form of llama3 scaling). */
export function ropeSpec(config: RopeConfig, divisors?: ArrayLike<number>): RopeSpec {
  const { dimension, base, style, scaling, sections } = config;
  const scale = scaler(config);
  const inverseFrequency = Float64Array.from(
    { length: dimension / 2 },
    (_, pair) => scale(base ** ((-2 * pair) / dimension), pair) / (divisors?.[pair] ?? 1),
  );
  const magnitude = 'magnitude' in scaling ? scaling.magnitude : 1;
  return { inverseFrequency, magnitude, style, ...(sections && { sections }) };
}

/** YaRN's default magnitude (mscale) for a factor. */
export function yarnMagnitude(factor: number, coefficient = 1): number {
  return factor <= 1 ? 1 : 0.1 * coefficient * Math.log(factor) + 1;
}

function scaler({ dimension, base, scaling }: RopeConfig): (inverse: number, pair: number) => number {
  switch (scaling.kind) {
    case 'none':
      return (inverse) => inverse;
    case 'linear':
      return (inverse) => inverse / scaling.factor;
    case 'llama3': {
      const { factor, lowFrequency, highFrequency, originalContext } = scaling;
      return (inverse) => {
        const turns = (originalContext * inverse) / (2 * Math.PI);
        if (turns < lowFrequency) return inverse / factor;
        if (turns > highFrequency) return inverse;
        const kept = (turns - lowFrequency) / (highFrequency - lowFrequency);
        return ((1 - kept) * inverse) / factor + kept * inverse;
      };
    }
    case 'yarn': {
      const { factor, originalContext, betaFast, betaSlow, truncate } = scaling;
      // Returns the pair that makes `turns` turns over the original context.
      const pairOf = (turns: number): number =>
        (dimension * Math.log(originalContext / (turns * 2 * Math.PI))) / (2 * Math.log(base));
      const first = Math.max(0, truncate ? Math.floor(pairOf(betaFast)) : pairOf(betaFast));
      const last = Math.min(dimension - 1, truncate ? Math.ceil(pairOf(betaSlow)) : pairOf(betaSlow));
      const width = first === last ? 0.001 : last - first;
      return (inverse, pair) => {
        const interpolated = Math.min(1, Math.max(0, (pair - first) / width));
        return (interpolated * inverse) / factor + (1 - interpolated) * inverse;
      };
    }
    case 'proportional':
      return (inverse, pair) => (pair < scaling.pairs ? inverse / scaling.factor : 0);
    case 'longrope':
      return (inverse, pair) => inverse / (scaling.factors?.[pair] ?? 1);
    default:
      return scaling satisfies never;
  }
}
