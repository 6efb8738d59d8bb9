/** What a page asks to be painted. Plain data: it crosses to the engine's worker. */
import type { Rgba } from '../vision/image.ts';

/** How a picture is painted. What is left out is as the model's file recommends. */
export interface BrushSettings {
  /** Pixels a side, one of the sizes that the model knows. */
  readonly size?: number | undefined;
  /** The same seed paints the same picture on the same device; random when absent. */
  readonly seed?: number | undefined;
  /** Rounds in which the picture is uncovered. */
  readonly steps?: number | undefined;
  /** Denoising steps a round. */
  readonly diffusionSteps?: number | undefined;
  /** How far the picture follows the words: 1 takes them as they are, more exaggerates them. */
  readonly guidance?: number | undefined;
  /** `linear`: grows to `guidance` as the picture is uncovered. */
  readonly guidanceSchedule?: 'constant' | 'linear' | undefined;
  /** Of the noise: below 1 calmer, above 1 wilder. */
  readonly temperature?: number | undefined;
  /** Pictures to paint, with seeds that follow each other. */
  readonly count?: number | undefined;
}

export interface PaintSettings extends BrushSettings {
  readonly prompt: string;
}

export interface EditSettings extends BrushSettings {
  readonly instruction: string;
  readonly image: Rgba;
}
