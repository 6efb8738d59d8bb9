/** Progress of a painting, and an estimate of the remaining time from the work that is left. */
import type { LanguageModelConfig } from '../models/config.ts';
import type { PaintConfig } from '../models/paint-model.ts';
import type { PaintPlan } from './request.ts';
import type { Uncovering } from './schedule.ts';

/** How far a painting has come. */
export interface PaintProgress {
  /** The picture being painted, counted from 0. */
  readonly picture: number;
  /** The number of pictures. */
  readonly count: number;
  /** Rounds of it that are done. */
  readonly iteration: number;
  /** Rounds of a picture. */
  readonly iterations: number;
  /** Tokens uncovered so far in all pictures together. */
  readonly tokens: number;
  /** Tokens of all pictures together. */
  readonly totalTokens: number;
  /** Time since the call. */
  readonly milliseconds: number;
  /** Undefined until the first round has been timed. */
  readonly secondsLeft?: number;
}

/**
 * Multiply-adds of the weights, per token unless stated otherwise. Attention is not counted, since it is small in
 * comparison at these lengths.
 */
export interface Costs {
  readonly language: number;
  readonly encoder: number;
  readonly decoder: number;
  /** Per row and denoising step. */
  readonly head: number;
  /** Decoding a picture, per pixel. */
  readonly pixel: number;
}

export function costs(
  { hidden, heads, kvHeads, headDim, mlp, layers }: LanguageModelConfig,
  { mar, diffusion, tokenizer, patch }: PaintConfig,
): Costs {
  const transformer = 4 * mar.width ** 2 + 2 * mar.width * mar.mlp;
  const convolutions = (tokenizer.kind === 'kl' ? tokenizer.multipliers : []).map(
    (multiplier, level) =>
      (18 * (tokenizer.kind === 'kl' ? (tokenizer.residualBlocks + 1) * (tokenizer.channels * multiplier) ** 2 : 0)) /
      4 ** level,
  );
  return {
    language: layers * (2 * hidden * headDim * (heads + kvHeads) + 3 * hidden * mlp),
    encoder: mar.encoderBlocks * transformer,
    decoder: mar.decoderBlocks * transformer,
    head: (5 * diffusion.blocks + 2) * diffusion.width ** 2,
    pixel: convolutions.reduce((sum, one) => sum + one, 2 ** 16 / patch ** 2),
  };
}

/** The work of one round over `rows` prompts. */
export function iterationWork(
  { known, wanted }: Uncovering,
  { language, encoder, decoder, head }: Costs,
  { grid, diffusionSteps }: PaintPlan,
  buffers: number,
  rows: number,
): number {
  const context = buffers + known.length;
  return (
    context * (encoder + rows * language) +
    rows * ((buffers + grid * grid) * decoder + wanted.length * diffusionSteps * head)
  );
}

/** Estimates the remaining time from the work done so far. */
export class Clock {
  readonly #begun = performance.now();
  readonly #total: number;
  #done = 0;

  /** `total` is the amount of all work. */
  constructor(total: number) {
    this.#total = total;
  }

  add(work: number): void {
    this.#done += work;
  }

  get milliseconds(): number {
    return performance.now() - this.#begun;
  }

  get secondsLeft(): number | undefined {
    return this.#done === 0
      ? undefined
      : (Math.max(0, this.#total - this.#done) * this.milliseconds) / this.#done / 1000;
  }
}
