/** The settings of a painting, as plain data that cross to the engine's worker. */
import type { Rgba } from '../vision/image.ts';
import type { PaintCheckpoint } from './checkpoint.ts';

/** How a picture is painted. For what is left out, the recommendation of the model's file applies. */
export interface BrushSettings {
  /** Pixels a side, one of the sizes that the model knows. */
  readonly size?: number | undefined;
  /** The same seed paints the same picture on the same device; random when absent. */
  readonly seed?: number | undefined;
  /** Rounds in which the picture is uncovered. */
  readonly steps?: number | undefined;
  /** Denoising steps a round. */
  readonly diffusionSteps?: number | undefined;
  /** How closely the picture follows the words: 1 applies no guidance, higher values exaggerate. */
  readonly guidance?: number | undefined;
  /** `linear`: grows to `guidance` as the picture is uncovered. */
  readonly guidanceSchedule?: 'constant' | 'linear' | undefined;
  /** Scale of the noise: below 1 calmer, above 1 wilder. */
  readonly temperature?: number | undefined;
  /** The number of pictures, with consecutive seeds. */
  readonly count?: number | undefined;
  /** What `onCheckpoint` was last called with for the same request, seed included: the painting goes on from there. */
  readonly resume?: PaintCheckpoint | undefined;
}

export interface PaintSettings extends BrushSettings {
  /** What to paint, in words. */
  readonly prompt: string;
}

export interface EditSettings extends BrushSettings {
  readonly instruction: string;
  readonly image: Rgba;
}
