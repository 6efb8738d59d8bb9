/** From what a caller asks to be painted to what the painter is given. */
import { InputError } from '../errors.ts';
import { cannotPaint } from '../see/pictures.ts';
import type { PictureModel } from '../models/unipic/index.ts';
import { planOf, type PaintRequest } from '../paint/request.ts';
import { checkPixels, type Rgba } from '../vision/image.ts';
import { toPixels } from '../vision/square.ts';
import { checkSide } from '../see/image-processor.ts';

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

/** Throws `InputError` for what cannot be painted, before anything waits for it, and where the model lacks what painting takes. */
export function paintRequest(
  settings: PaintSettings | EditSettings,
  model: PictureModel,
  missing: readonly string[],
): PaintRequest {
  const editing = 'instruction' in settings;
  if (!model.capabilities[editing ? 'edit' : 'paint']) throw cannotPaint(editing, missing);
  const { config } = model;
  const [name, text] = editing
    ? (['instruction', settings.instruction] as const)
    : (['prompt', settings.prompt] as const);
  if (typeof text !== 'string')
    throw new InputError('argument', `${name}: must be a string, not ${typeof text}`, { name });
  if (text.trim() === '')
    throw new InputError('empty', `${name}: it is empty; say in words what to ${editing ? 'change' : 'paint'}`, {
      name,
    });
  const size = checkSide('size', settings.size ?? config.defaultSize, config.sizes);
  const { steps, diffusionSteps, guidance, guidanceSchedule, temperature, count } = settings;
  const rounds = (size / config.patch) ** 2;
  if (steps !== undefined && !(Number.isInteger(steps) && steps >= 1 && steps <= rounds)) {
    throw new InputError(
      'argument',
      `steps: ${String(steps)} is not a whole number from 1 to ${rounds}, the tokens of a picture of ${size} pixels`,
      { name: 'steps', least: 1, most: rounds },
    );
  }
  const seed = settings.seed ?? crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
  const request = {
    prompt: text,
    size,
    seed,
    iterations: steps,
    diffusionSteps,
    guidance,
    guidanceSchedule,
    temperature,
    count,
  };
  planOf(request, config);
  return editing ? { ...request, source: source(settings.image, size) } : request;
}

function source(image: Rgba | undefined, size: number): { readonly pixels: Float32Array; readonly size: number } {
  if (typeof image !== 'object' || image === null)
    throw new InputError('argument', 'image: there is none; give the picture to edit', { name: 'image' });
  checkPixels(image, 'image');
  return { pixels: toPixels(image, size, 'crop'), size };
}
