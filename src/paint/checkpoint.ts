/**
 * The progress of an unfinished painting as plain data, from which a painter of the same model goes on: after a lost
 * device, a pause, or a reload of the page.
 */
import { InputError } from '../errors.ts';
import type { Picture } from './picture.ts';
import type { PaintPlan } from './request.ts';

/** Where a painting was interrupted, as plain data that can be stored: `resume` goes on from it. */
export interface PaintCheckpoint {
  /** Identifies the request: its words, its settings with all defaults, and the pixels of the picture to edit. */
  readonly request: string;
  /** The finished pictures. */
  readonly pictures: readonly Picture[];
  /** [N * C] tokens of the unfinished picture. */
  readonly tokens: Float32Array<ArrayBuffer>;
  /** Finished rounds of the unfinished picture. */
  readonly iteration: number;
}

/** Throws `InputError('argument')` for a checkpoint of another request, or for data that is none. `key` identifies the request. */
export function checkCheckpoint(
  { request, pictures, tokens, iteration }: PaintCheckpoint,
  key: string,
  { plan, channels }: { readonly plan: PaintPlan; readonly channels: number },
): void {
  const { size, grid, count, iterations } = plan;
  if (request !== key)
    throw wrong(
      'it belongs to another request: give the words, the picture, the seed and the settings that it was made with',
    );
  if (!Array.isArray(pictures) || pictures.length >= count)
    throw wrong(`it should hold fewer than ${count} finished pictures`);
  for (const picture of pictures) {
    const { data, width, height } = Object(picture) as Picture;
    if (!is(data, 'Uint8ClampedArray') || width !== size || height !== size || data.length !== 4 * size ** 2)
      throw wrong(`its pictures should have ${size} x ${size} pixels`);
  }
  const values = grid ** 2 * channels;
  if (!is(tokens, 'Float32Array') || tokens.length !== values || !tokens.every(Number.isFinite))
    throw wrong(`it should hold ${values} numbers`);
  if (!Number.isInteger(iteration) || iteration < 0 || iteration > iterations)
    throw wrong(`${String(iteration)} is not a number of rounds from 0 to ${iterations}`);
}

/** `instanceof` does not know the arrays of other realms. */
function is(value: unknown, name: 'Float32Array' | 'Uint8ClampedArray'): boolean {
  return Object.prototype.toString.call(value) === `[object ${name}]`;
}

function wrong(sentence: string): InputError {
  return new InputError('argument', `resume: ${sentence}; paint without it to begin anew`, { name: 'resume' });
}
