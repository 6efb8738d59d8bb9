/** Painting and editing, as the page calls them. */
import { InputError } from '../errors.ts';
import type { PaintProgress } from '../paint/index.ts';
import type { BrushSettings, EditSettings, PaintSettings } from '../paint/settings.ts';
import type { Rgba } from '../vision/image.ts';
import type { ImageInput } from '../vision/read.ts';
import type { Caller } from '../worker/caller.ts';
import { PaintedPicture } from './picture.ts';
import { transferPixels } from './pictures.ts';

/** The engine that holds a model, and the model's number there. */
export interface OnModel {
  readonly caller: Caller;
  readonly model: number;
}

export interface PaintHooks {
  /** Ends the call within a step; it rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: PaintProgress) => void) | undefined;
  /**
   * Shows the picture as it is uncovered. While a call (or the promise that it returned) is not done, pictures that come are dropped for
   * newer ones. Every preview costs a decoding, so leave it out where nobody looks.
   */
  readonly onPreview?: ((preview: Rgba) => unknown) | undefined;
}

export interface PaintOptions extends PaintSettings, PaintHooks {}

export interface EditOptions extends BrushSettings, PaintHooks {
  /** What to change, in words. */
  readonly instruction: string;
  /** The picture to change; its middle square is taken. */
  readonly image: ImageInput;
}

/** The engine's part of a call: settings without functions and signals. */
type Plain<T> = Omit<T, keyof PaintHooks>;

function plain<T extends PaintHooks>({
  signal: _signal,
  onProgress: _progress,
  onPreview: _preview,
  ...settings
}: T): Plain<T> {
  return settings;
}

export function paint(on: OnModel, options: PaintOptions): Promise<readonly PaintedPicture[]> {
  return begin(on, plain(options), options);
}

/** `read` decodes the picture. */
export async function edit(
  on: OnModel,
  options: EditOptions,
  read: (image: ImageInput, signal?: AbortSignal) => Promise<Rgba>,
): Promise<readonly PaintedPicture[]> {
  const { image, ...rest } = plain(options);
  if (image === undefined || image === null)
    throw new InputError('argument', 'image: is missing; give the picture to edit', { name: 'image' });
  const { data, width, height } = await read(image, options.signal);
  const transfer: Transferable[] = [];
  transferPixels({ data, width, height }, transfer);
  // An edit is told from a painting by its instruction, even by one that is missing.
  return begin(on, { ...rest, instruction: rest.instruction, image: { data, width, height } }, options, transfer);
}

async function begin(
  { caller, model }: OnModel,
  settings: PaintSettings | EditSettings,
  { signal, onProgress, onPreview }: PaintHooks,
  transfer: readonly Transferable[] = [],
): Promise<readonly PaintedPicture[]> {
  const call = caller.stream(
    'paint',
    { model, settings, preview: onPreview !== undefined },
    {
      signal,
      transfer,
      credits: 1,
      onEvent: onProgress,
      onItem: async (preview) => {
        await onPreview?.(preview);
        call.take();
      },
    },
  );
  const painted = await call.result;
  return painted.map((picture) => new PaintedPicture(picture));
}

/** One picture, or a list where the caller asked for a number of them. */
export function several(
  painted: readonly PaintedPicture[],
  { count }: Pick<BrushSettings, 'count'>,
): PaintedPicture | readonly PaintedPicture[] {
  const [first] = painted;
  return count === undefined && first !== undefined ? first : painted;
}
