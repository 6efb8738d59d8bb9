/** Computes the size to which an image is resized, by the rules of several processors, with Python's rounding. */
import { InputError } from '../../errors.ts';

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** Python's `round`: a half is rounded to the even neighbour. */
function roundEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}

/**
 * Returns the sides nearest to an image's that are multiples of `factor`, with an area from `least` to `most`
 * (Qwen2-VL's "smart resize"). `floor`: the smallest length to which a side is rounded (LFM2-VL).
 */
export function smartSize(
  { width, height }: Size,
  {
    factor,
    least,
    most,
    floor = 0,
  }: { readonly factor: number; readonly least: number; readonly most: number; readonly floor?: number },
): Size {
  const nearest = (side: number): number => Math.max(floor, roundEven(side / factor) * factor);
  const near = { width: nearest(width), height: nearest(height) };
  if (near.width * near.height > most) {
    const beta = Math.sqrt((height * width) / most);
    const below = (side: number): number => Math.max(factor, Math.floor(side / beta / factor) * factor);
    return { width: below(width), height: below(height) };
  }
  if (near.width * near.height < least) {
    const beta = Math.sqrt(least / (height * width));
    const above = (side: number): number => Math.ceil((side * beta) / factor) * factor;
    return { width: above(width), height: above(height) };
  }
  return near;
}

/** Throws `InputError('argument')` for an image whose longer side is more than `most` times the shorter. */
export function checkRatio({ width, height }: Size, most: number): void {
  const ratio = Math.max(width, height) / Math.min(width, height);
  if (ratio <= most) return;
  throw new InputError(
    'argument',
    `the image is ${width} x ${height} pixels; this model sees images whose longer side is at most ${most} times the shorter: cut it into parts`,
    { width, height, limit: most },
  );
}

/**
 * Returns the grid of tiles whose shape is nearest to the image's. If two are equally near, the larger one is chosen if
 * the image fills more than half of it.
 */
export function nearestGrid(
  { width, height }: Size,
  { tile, least, most }: { readonly tile: number; readonly least: number; readonly most: number },
): { readonly columns: number; readonly rows: number } {
  const grids: { readonly columns: number; readonly rows: number }[] = [];
  for (let columns = 1; columns <= most; columns++)
    for (let rows = 1; columns * rows <= most; rows++) if (columns * rows >= least) grids.push({ columns, rows });
  // The sort is stable: within the same number of tiles the narrower grids come first.
  grids.sort((a, b) => a.columns * a.rows - b.columns * b.rows);
  let best = { columns: 1, rows: 1 };
  let nearest = Infinity;
  for (const grid of grids) {
    const distance = Math.abs(width / height - grid.columns / grid.rows);
    if (distance < nearest || (distance === nearest && width * height > 0.5 * tile * tile * grid.columns * grid.rows))
      best = grid;
    nearest = Math.min(nearest, distance);
  }
  return best;
}
