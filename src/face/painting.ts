/** The public calls for painting and editing. */
import { InputError } from '../errors.ts';
import type { PaintCheckpoint, PaintProgress } from '../paint/index.ts';
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

/** Options of calls that paint. */
export interface PaintHooks {
  /** Ends the call within a step; the call rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Called after each round. */
  readonly onProgress?: ((progress: PaintProgress) => void) | undefined;
  /**
   * Called with the unfinished picture after each round. While a call, or the promise that it returned, is not done,
   * newer pictures replace older ones. Every preview costs a decoding, so set it only where it is shown.
   */
  readonly onPreview?: ((preview: Rgba) => unknown) | undefined;
  /**
   * Called after each round with plain data from which the same request goes on as `resume`: keep it (IndexedDB takes
   * it as it is) to pause a painting, or to finish it after a reload.
   */
  readonly onCheckpoint?: ((checkpoint: PaintCheckpoint) => unknown) | undefined;
}

/** Options of `model.paint`. */
export interface PaintOptions extends PaintSettings, PaintHooks {}

/** Options of `model.edit`. */
export interface EditOptions extends BrushSettings, PaintHooks {
  /** What to change, in words. */
  readonly instruction: string;
  /** The picture to change; its middle square is taken. */
  readonly image: ImageInput;
}

/** The settings of a call that go to the engine, without functions and signals. */
type Plain<T> = Omit<T, keyof PaintHooks>;

function plain<T extends PaintHooks>({
  signal: _signal,
  onProgress: _progress,
  onPreview: _preview,
  onCheckpoint: _checkpoint,
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
  // The instruction, even a missing one, distinguishes an edit from a painting.
  return begin(on, { ...rest, instruction: rest.instruction, image: { data, width, height } }, options, transfer);
}

async function begin(
  { caller, model }: OnModel,
  settings: PaintSettings | EditSettings,
  { signal, onProgress, onPreview, onCheckpoint }: PaintHooks,
  transfer: readonly Transferable[] = [],
): Promise<readonly PaintedPicture[]> {
  const call = caller.stream(
    'paint',
    { model, settings, preview: onPreview !== undefined, checkpoints: onCheckpoint !== undefined },
    {
      signal,
      transfer,
      credits: 1,
      onEvent: (event) => (event.kind === 'progress' ? onProgress?.(event.progress) : onCheckpoint?.(event.checkpoint)),
      onItem: async (preview) => {
        await onPreview?.(preview);
        call.take();
      },
    },
  );
  const painted = await call.result;
  return painted.map((picture) => new PaintedPicture(picture));
}

/** Returns one picture, or a list when the caller gave a number. */
export function several(
  painted: readonly PaintedPicture[],
  { count }: Pick<BrushSettings, 'count'>,
): PaintedPicture | readonly PaintedPicture[] {
  const [first] = painted;
  return count === undefined && first !== undefined ? first : painted;
}
