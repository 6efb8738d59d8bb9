/** Functions shared by models that see an image as one square or as several. */
import { InputError } from '../../errors.ts';
import type { Rgba } from '../../vision/image.ts';
import { resize, type ResizeFilter } from '../../vision/resize.ts';
import type { ImageOptions, ImageSettings, ImageSpan } from './vision-model.ts';

/** Throws `InputError('argument')` if another size or an encoder is requested. */
export function oneSize(own: number, { size = own, route, unique }: ImageOptions = {}): ImageSettings {
  refuseRoute(route);
  refuseUnique(unique);
  if (size !== own)
    throw new InputError('argument', `visual.size: ${size} is no size of this model; use ${own}, or leave it out`, {
      name: 'visual.size',
      size,
      sizes: [own],
    });
  return { size };
}

export function refuseRoute(route: string | undefined): void {
  if (route === undefined) return;
  throw new InputError('argument', `visual.route: '${route}'; this model has one encoder: leave it out`, { route });
}

/** Returns the image as a square of `size`, whatever its shape. */
export function stretched(image: Rgba, size: number, filter: ResizeFilter): Rgba {
  return image.width === size && image.height === size ? image : resize(image, size, size, filter);
}

/** Refuses the option for towers that can only encode whole squares. */
export function refuseUnique(unique: boolean | undefined): void {
  if (unique !== true) return;
  throw new InputError(
    'argument',
    'visual.unique: the encoder of this model sees all of a picture; leave it out, or thin its tokens by context.visual',
    { name: 'visual.unique' },
  );
}

export function squareSpans(side: number): readonly ImageSpan[] {
  return [{ tokens: side * side, rows: side, columns: side, selectable: side * side }];
}

/**
 * Returns the size for models that cut images into tiles: that of one tile, or of a square of the largest number of
 * tiles. Throws `InputError('argument')`.
 */
export function tileSize(tile: number, most: number, { size, route }: ImageOptions = {}): number {
  refuseRoute(route);
  const sizes = Array.from({ length: Math.ceil(Math.sqrt(most)) }, (_, i) => (i + 1) * tile);
  const side = size ?? sizes.at(-1) ?? tile;
  if (!sizes.includes(side))
    throw new InputError('argument', `visual.size: ${side} is no size of this model; use ${sizes.join(', ')}`, {
      name: 'visual.size',
      size: side,
      sizes,
    });
  return side;
}
