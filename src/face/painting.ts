/** Painting and editing, as the page calls them. */
import type { BrushSettings, EditSettings, PaintSettings } from '../engine/painting.ts';
import { InputError } from '../errors.ts';
import type { PaintProgress, Picture } from '../paint/index.ts';
import type { Rgba } from '../vision/image.ts';
import type { ImageInput } from '../vision/read.ts';
import type { Caller } from '../worker/caller.ts';
import { PaintedPicture } from './picture.ts';

interface PaintHooks {
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

export function paint(caller: Caller, options: PaintOptions): Promise<readonly PaintedPicture[]> {
  return begin(caller, plain(options), options);
}

/** `read` decodes the picture. */
export async function edit(
  caller: Caller,
  options: EditOptions,
  read: (image: ImageInput, signal?: AbortSignal) => Promise<Rgba>,
): Promise<readonly PaintedPicture[]> {
  const { image, ...rest } = plain(options);
  if (image === undefined || image === null)
    throw new InputError('argument', 'image: there is none; give the picture to edit', { name: 'image' });
  const { data, width, height } = await read(image, options.signal);
  // An edit is told from a painting by its instruction, even by one that is missing.
  return begin(caller, { ...rest, instruction: rest.instruction, image: { data, width, height } }, options, [
    data.buffer as ArrayBuffer,
  ]);
}

async function begin(
  caller: Caller,
  settings: PaintSettings | EditSettings,
  { signal, onProgress, onPreview }: PaintHooks,
  transfer: readonly Transferable[] = [],
): Promise<readonly PaintedPicture[]> {
  const show = async (preview: unknown): Promise<void> => {
    try {
      await onPreview?.(preview as Rgba);
    } finally {
      call.take();
    }
  };
  const call = caller.stream(
    'paint',
    { settings, preview: onPreview !== undefined },
    {
      signal,
      transfer,
      credits: 1,
      onEvent: (progress) => onProgress?.(progress as PaintProgress),
      onItem: (preview) => void show(preview),
    },
  );
  const painted = (await call.result) as readonly Picture[];
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
