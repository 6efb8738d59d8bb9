/** From what a caller asks to be painted to what the painter is given. */
import { InputError } from '../errors.ts';
import { cannotPaint } from '../see/pictures.ts';
import type { PictureModel } from '../models/unipic/index.ts';
import { planOf, type PaintRequest } from '../paint/request.ts';
import type { EditSettings, PaintSettings } from '../paint/settings.ts';
import { checkPixels, type Rgba } from '../vision/image.ts';
import { toPixels } from '../vision/square.ts';
import { checkSide } from '../see/image-processor.ts';

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
