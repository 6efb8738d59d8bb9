/** Shared by `paint` and `edit`: their options, their progress and the files that they write. */
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join, parse } from 'node:path';
import { FileError, InputError } from '../errors.ts';
import type { PaintedPicture } from '../face/picture.ts';
import type { PaintProgress } from '../paint/index.ts';
import type { Arguments } from './arguments.ts';
import { write, type ProgressLine, type CliContext } from './terminal.ts';

/** The model refuses more in any case. */
const MOST_PICTURES = 1000;

export const PAINT_HELP = `  -o, --out FILE       where the PNG goes; with --count, FILE-1.png, FILE-2.png, ...
  --size N             pixels a side; what the model knows, by default its own
  --seed N             the same seed paints the same picture
  --steps N            rounds in which the picture is uncovered
  --diffusion-steps N  steps of the diffusion in each round
  --guidance G         how closely it follows the words; 1 is off
  --temperature T      of the noise
  --count N            several pictures
  --force              overwrites files that exist
  --json               one line a picture: file, seed, time
`;

export function paintingProgress(progress: ProgressLine): (event: PaintProgress) => void {
  return ({ tokens, totalTokens, secondsLeft }) =>
    progress.bar(
      'painting',
      tokens,
      totalTokens,
      secondsLeft === undefined ? '' : `${secondsLeft.toFixed(secondsLeft < 10 ? 1 : 0)} s left`,
    );
}

/** Returns the names of the files for the pictures. */
function targets(args: Arguments, count: number): string[] {
  const { dir, name, ext } = parse(args.required('out'));
  const file = (suffix: string): string => join(dir, `${name}${suffix}${ext === '' ? '.png' : ext}`);
  return count === 1 ? [file('')] : Array.from({ length: count }, (_, i) => file(`-${i + 1}`));
}

/** Called before anything is loaded. Throws when a file would be overwritten. */
export function checkTargets(args: Arguments): void {
  if (args.flag('force')) return;
  const count = args.number('count') ?? 1;
  const taken = targets(args, Number.isInteger(count) && count >= 1 && count <= MOST_PICTURES ? count : 1).find(
    existsSync,
  );
  if (taken !== undefined) throw exists(taken);
}

function exists(file: string): InputError {
  return new InputError('argument', `${file} exists; choose another --out, or overwrite it with --force`, { file });
}

export async function writePictures(
  pictures: readonly PaintedPicture[],
  args: Arguments,
  { output }: CliContext,
  progress: ProgressLine,
  time: number,
): Promise<void> {
  progress.clear();
  const files = targets(args, pictures.length);
  const milliseconds = Math.round(time);
  for (const [index, picture] of pictures.entries()) {
    const file = files[index] ?? '';
    try {
      await writeFile(file, await picture.toPng(), { flag: args.flag('force') ? 'w' : 'wx' });
    } catch (cause) {
      if (existsSync(file) && !args.flag('force')) throw exists(file);
      throw new FileError('unsupported', { file, field: 'picture' }, 'it cannot be written; check the folder', {
        cause,
      });
    }
    const facts = { file, width: picture.width, height: picture.height, seed: picture.seed, time: milliseconds };
    await write(
      output,
      args.flag('json')
        ? `${JSON.stringify(facts)}\n`
        : `${file}   ${picture.width} x ${picture.height}, seed ${picture.seed}, ${milliseconds} ms\n`,
    );
  }
}
