/** The random numbers of a picture: counters on the host, so that a seed gives the same numbers on every device. */
import { pcgHash, uniform } from '../backend/random.ts';

export interface Sources {
  /** A permutation of `tokens` positions. The last position is uncovered first. */
  order(tokens: number): Int32Array;
  /**
   * Normal noise [positions.length * channels] for one denoising step (counted from 0, the noisiest), or for the
   * initial state.
   */
  noise(step: number | 'initial', positions: Int32Array, shape: NoiseShape): Float32Array;
}

export interface NoiseShape {
  /** Of the whole picture. */
  readonly tokens: number;
  readonly channels: number;
}

/** Separates the random numbers of the order from those of the noise. */
const ORDER = 0x9e3779b9;

/**
 * Every number depends only on the seed, the step, the position and the channel, not on how a picture is divided into
 * rounds.
 */
export function seededSources(seed: number): Sources {
  return {
    order: (tokens) => {
      // The Fisher-Yates shuffle.
      const order = Int32Array.from({ length: tokens }, (_, i) => i);
      const key = pcgHash((seed ^ ORDER) >>> 0);
      for (let i = tokens - 1; i > 0; i--) {
        const j = Math.floor(uniform(key, i) * (i + 1));
        const [a = 0, b = 0] = [order[i], order[j]];
        order[i] = b;
        order[j] = a;
      }
      return order;
    },
    noise: (step, positions, { tokens, channels }) => {
      const out = new Float32Array(positions.length * channels);
      const first = (step === 'initial' ? 0 : step + 1) * tokens;
      positions.forEach((position, row) => {
        const at = (first + position) * channels;
        for (let channel = 0; channel < channels; channel++) out[row * channels + channel] = normal(seed, at + channel);
      });
      return out;
    },
  };
}

/** The Box-Muller transform of two uniform numbers. */
function normal(seed: number, index: number): number {
  const radius = Math.sqrt(-2 * Math.log(1 - uniform(seed, 2 * index)));
  return radius * Math.cos(2 * Math.PI * uniform(seed, 2 * index + 1));
}
