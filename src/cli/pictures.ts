/** What `paint` and `edit` share: their options, their progress and the files that they write. */
import { writeFile } from 'node:fs/promises';
import { parse } from 'node:path';
import { FileError } from '../errors.ts';
import type { PaintedPicture } from '../face/picture.ts';
import type { PaintProgress } from '../paint/index.ts';
import type { Arguments } from './arguments.ts';
import { write, type ProgressLine, type CliContext } from './terminal.ts';

export const PAINT_HELP = `  -o, --out FILE       where the PNG goes; with --count, FILE-1.png, FILE-2.png, ...
  --size N             pixels a side; what the model knows, by default its own
  --seed N             the same seed paints the same picture
  --steps N            rounds in which the picture is uncovered
  --diffusion-steps N  steps of the diffusion in each round
  --guidance G         how closely it follows the words; 1 is off
  --temperature T      of the noise
  --count N            several pictures
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

export async function writePictures(
  pictures: readonly PaintedPicture[],
  args: Arguments,
  { output }: CliContext,
  progress: ProgressLine,
  time: number,
): Promise<void> {
  progress.clear();
  const { dir, name, ext } = parse(args.required('out'));
  const milliseconds = Math.round(time);
  for (const [index, picture] of pictures.entries()) {
    const file = `${dir === '' ? '' : `${dir}/`}${name}${pictures.length === 1 ? '' : `-${index + 1}`}${ext === '' ? '.png' : ext}`;
    try {
      await writeFile(file, await picture.toPng());
    } catch (cause) {
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
