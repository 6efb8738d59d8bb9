/** What models share that see an image as one square. */
import { InputError } from '../../errors.ts';
import type { Rgba } from '../../vision/image.ts';
import { resize, type ResizeFilter } from '../../vision/resize.ts';
import type { ImageOptions, ImageSettings, ImageSpan } from './vision-model.ts';

/** Throws `InputError('argument')` where another size, or an encoder, is asked for. */
export function oneSize(own: number, { size = own, route }: ImageOptions = {}): ImageSettings {
  refuseRoute(route);
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

/** The image as a square of `size`, of whatever shape it is. */
export function stretched(image: Rgba, size: number, filter: ResizeFilter): Rgba {
  return image.width === size && image.height === size ? image : resize(image, size, size, filter);
}

export function squareSpans(side: number): readonly ImageSpan[] {
  return [{ tokens: side * side, rows: side, columns: side, selectable: side * side }];
}
