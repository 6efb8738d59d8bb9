/**
 * The diffusion schedule and the order of uncovering: numbers that depend only on settings, computed in f64 before
 * anything runs.
 */
import type { DenoiseSpec } from '../backend/backend.ts';
import { InputError } from '../errors.ts';
import type { DiffusionConfig } from '../models/unipic/config.ts';

/** One step of denoising. */
export interface DiffusionStep {
  /** The training step that conditions the head. */
  readonly time: number;
  readonly spec: Omit<DenoiseSpec, 'guidance'>;
}

/** The betas of the cosine schedule (Nichol & Dhariwal 2021), limited to `maxBeta`. */
export function cosineBetas(count: number, maxBeta: number): Float64Array {
  const kept = (t: number): number => Math.cos((((t + 0.008) / 1.008) * Math.PI) / 2) ** 2;
  return Float64Array.from({ length: count }, (_, i) => Math.min(1 - kept((i + 1) / count) / kept(i / count), maxBeta));
}

/** Returns `count` of `total` steps, ascending: rounded multiples of a stride, halves to even as in Python. */
export function spacedSteps(total: number, count: number): readonly number[] {
  const stride = count <= 1 ? 1 : (total - 1) / (count - 1);
  const steps: number[] = [];
  let at = 0;
  for (let i = 0; i < count; i++) {
    steps.push(roundHalfEven(at));
    at += stride;
  }
  return steps;
}

function roundHalfEven(value: number): number {
  const low = Math.floor(value);
  const rest = value - low;
  if (rest !== 0.5) return Math.round(value);
  return low % 2 === 0 ? low : low + 1;
}

/**
 * Ancestral sampling with a learned variance over spaced steps with recomputed betas; the noisiest step is first.
 * `temperature` scales the noise.
 */
export function diffusionSchedule(
  { trainSteps, maxBeta, prediction }: DiffusionConfig,
  count: number,
  temperature: number,
): readonly DiffusionStep[] {
  const times = spacedSteps(trainSteps, count);
  const wanted = new Set(times);
  const kept: number[] = [];
  let product = 1;
  cosineBetas(trainSteps, maxBeta).forEach((beta, step) => {
    product *= 1 - beta;
    if (wanted.has(step)) kept.push(product);
  });
  const steps = times.map((time, i): DiffusionStep & { readonly variance: number; readonly beta: number } => {
    const now = kept[i] ?? 1;
    const before = i === 0 ? 1 : (kept[i - 1] ?? 1);
    const beta = 1 - now / before;
    const variance = (beta * (1 - before)) / (1 - now);
    return {
      time,
      beta,
      variance,
      spec: {
        prediction,
        alpha: Math.sqrt(now),
        sigma: Math.sqrt(1 - now),
        x0FromX: Math.sqrt(1 / now),
        x0FromEps: Math.sqrt(1 / now - 1),
        meanFromX0: (beta * Math.sqrt(before)) / (1 - now),
        meanFromX: ((1 - before) * Math.sqrt(1 - beta)) / (1 - now),
        lowLogVariance: Math.log(variance),
        highLogVariance: Math.log(beta),
        noiseScale: i === 0 ? 0 : temperature,
      },
    };
  });
  // The posterior of the last step has no variance, so that of its neighbour is used, although no noise is added there.
  const stand = steps[1]?.variance ?? steps[0]?.beta ?? 1;
  return steps
    .map(({ time, spec }, i) => ({ time, spec: i === 0 ? { ...spec, lowLogVariance: Math.log(stand) } : spec }))
    .reverse();
}

/**
 * Returns how many of `masked` tokens are still masked after `iteration` (from 0) of `iterations`: MAR's cosine, at
 * least one and one fewer than before.
 */
export function maskLength(total: number, masked: number, iteration: number, iterations: number): number {
  const wanted = Math.floor(total * Math.cos(((Math.PI / 2) * (iteration + 1)) / iterations));
  return Math.max(1, Math.min(masked - 1, wanted));
}

/** The positions that one round uncovers: the end of the order, while its beginning stays masked. */
export interface Uncovering {
  /** Positions that are known before it, ascending. */
  readonly known: Int32Array;
  /** Positions that it predicts, ascending. */
  readonly wanted: Int32Array;
  /**
   * The number of tokens that remain masked by the formula, on which linear guidance depends (the last round predicts
   * all tokens in any case).
   */
  readonly length: number;
}

/** Throws `InputError('argument')` for an order that is not a permutation. */
export function uncoverings(order: Int32Array, iterations: number): readonly Uncovering[] {
  const total = order.length;
  if (new Set(order).size !== total || order.some((position) => position < 0 || position >= total))
    throw new InputError('argument', `an order of ${total} positions should hold each once`);
  let masked = total;
  return Array.from({ length: iterations }, (_, iteration) => {
    const length = maskLength(total, masked, iteration, iterations);
    const left = iteration === iterations - 1 ? 0 : length;
    const step = {
      known: order.slice(masked).sort(),
      wanted: order.slice(left, Math.max(left, masked)).sort(),
      length,
    };
    masked = Math.min(masked, left);
    return step;
  });
}
