/** Checks requests to a painter: fills in defaults, and bounds every number by the limits of the model. */
import { InputError } from '../errors.ts';
import { cannotPaint, type PaintConfig, type PaintModel } from '../models/paint-model.ts';
import { checkPixels, type Rgba } from '../vision/image.ts';
import { toPixels } from '../vision/square.ts';
import type { PaintCheckpoint } from './checkpoint.ts';
import type { PaintProgress } from './progress.ts';
import type { EditSettings, PaintSettings } from './settings.ts';

export interface PaintRequest {
  /** What to paint; with a `source`, what to change. */
  readonly prompt: string;
  /** The picture to edit: RGB [size * size * 3] in -1..1. */
  readonly source?: { readonly pixels: Float32Array; readonly size: number } | undefined;
  /** Pixels a side, one of the model's sizes. Default: that of the source, otherwise the model's default. */
  readonly size?: number | undefined;
  /** 0 to 2^32 - 1. A seed gives the same picture on the same kind of backend. */
  readonly seed: number;
  /** Rounds in which the picture is uncovered. */
  readonly iterations?: number | undefined;
  /** Denoising steps a round. */
  readonly diffusionSteps?: number | undefined;
  /** Strength of classifier-free guidance. 1 means none, and halves the work. */
  readonly guidance?: number | undefined;
  /** `linear`: grows from 1 to `guidance` as the picture is uncovered. */
  readonly guidanceSchedule?: 'constant' | 'linear' | undefined;
  /** Scales the noise of each step; default 1. */
  readonly temperature?: number | undefined;
  /** The number of pictures, with consecutive seeds; default 1. */
  readonly count?: number | undefined;
  /** Goes on from there. */
  readonly resume?: PaintCheckpoint | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: PaintProgress) => void) | undefined;
  /** Called after each round with what `resume` goes on from. */
  readonly onCheckpoint?: ((checkpoint: PaintCheckpoint) => void) | undefined;
  /**
   * Called with the picture so far, RGBA, after each round but the last. Unknown tokens are shown as the mean of all
   * pictures. Each call costs a decoding.
   */
  readonly onPreview?: ((rgba: Uint8ClampedArray, size: number) => void) | undefined;
}

export interface PaintPlan {
  readonly prompt: string;
  readonly size: number;
  /** Tokens a side. */
  readonly grid: number;
  readonly seed: number;
  readonly iterations: number;
  readonly diffusionSteps: number;
  readonly guidance: number;
  readonly guidanceSchedule: 'constant' | 'linear';
  readonly temperature: number;
  readonly count: number;
}

/** Numbers beyond these are mistakes: no useful picture is painted there. */
const MOST = { guidance: 100, temperature: 100, count: 1024, seed: 2 ** 32 - 1 } as const;

/** Throws `InputError` naming the value, the limit and the remedy. */
export function planOf(request: PaintRequest, config: PaintConfig): PaintPlan {
  const { prompt, source, guidanceSchedule = 'constant' } = request;
  if (typeof prompt !== 'string' || prompt.trim() === '')
    throw new InputError('empty', 'the prompt is empty; say in words what to paint or to change');
  const size = request.size ?? source?.size ?? config.defaultSize;
  if (!config.sizes.includes(size))
    throw new InputError(
      'argument',
      `size: ${size} pixels; this model paints ${config.sizes.join(', ')} pixels a side`,
      { size, known: config.sizes },
    );
  if (source !== undefined && source.size !== size)
    throw new InputError(
      'argument',
      `size: ${size} pixels, the source has ${source.size}; an edit is as large as its source: resize it first`,
      { size, source: source.size },
    );
  if (guidanceSchedule !== 'constant' && guidanceSchedule !== 'linear')
    throw new InputError('argument', `guidanceSchedule: ${String(guidanceSchedule)}; use 'constant' or 'linear'`);
  const grid = size / config.patch;
  return {
    prompt,
    size,
    grid,
    guidanceSchedule,
    seed: within('seed', request.seed, { least: 0, most: MOST.seed, whole: true }),
    iterations: within('iterations', request.iterations ?? Math.min(config.paint.iterations, grid * grid), {
      least: 1,
      most: grid * grid,
      whole: true,
    }),
    diffusionSteps: within('diffusionSteps', request.diffusionSteps ?? config.paint.diffusionSteps, {
      least: 1,
      most: config.diffusion.trainSteps,
      whole: true,
    }),
    guidance: within('guidance', request.guidance ?? config.paint.guidance, { least: 0, most: MOST.guidance }),
    temperature: within('temperature', request.temperature ?? 1, { least: 0, most: MOST.temperature }),
    count: within('count', request.count ?? 1, { least: 1, most: MOST.count, whole: true }),
  };
}

function within(
  name: string,
  value: number,
  { least, most, whole = false }: { readonly least: number; readonly most: number; readonly whole?: boolean },
): number {
  if (typeof value === 'number' && value >= least && value <= most && (!whole || Number.isInteger(value))) return value;
  throw new InputError(
    'argument',
    `${name}: ${String(value)} is not a ${whole ? 'whole ' : ''}number from ${least} to ${most}`,
    { name, least, most },
  );
}

/**
 * Throws `InputError` for invalid requests, before anything waits for them, and when the model lacks a part that
 * painting needs.
 */
export function paintRequest(
  settings: PaintSettings | EditSettings,
  model: PaintModel,
  missing: readonly string[],
): PaintRequest {
  const editing = 'instruction' in settings;
  if (editing && model.source === undefined) throw cannotPaint(editing, missing);
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
  const { sizes } = config;
  const { size = config.defaultSize } = settings;
  if (!sizes.includes(size))
    throw new InputError('argument', `size: ${String(size)} is not a size of this model; use ${sizes.join(', ')}`, {
      name: 'size',
      size,
      sizes,
    });
  const { steps, diffusionSteps, guidance, guidanceSchedule, temperature, count, resume } = settings;
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
    resume,
  };
  planOf(request, config);
  return editing ? { ...request, source: source(settings.image, size) } : request;
}

function source(image: Rgba | undefined, size: number): { readonly pixels: Float32Array; readonly size: number } {
  if (typeof image !== 'object' || image === null)
    throw new InputError('argument', 'image: is missing; give the picture to edit', { name: 'image' });
  checkPixels(image, 'image');
  return { pixels: toPixels(image, size, 'crop'), size };
}
