import { Arguments, MODEL_OPTIONS, PAINT_OPTIONS, UsageError } from './arguments.ts';
import type { Command } from './command.ts';
import { modelHelp, withModel } from './loading.ts';
import { checkTargets, PAINT_HELP, paintingProgress, writePictures } from './pictures.ts';

/** Paints a picture from words. */
export const paint: Command = {
  usage: 'paint "words" -o FILE.png [--size N] [--seed N] [--steps N] [--model M] [--json]',
  summary: 'a picture from words',
  details: `${PAINT_HELP}${modelHelp('nano')}`,
  async run(argv, context) {
    const args = new Arguments(argv, { ...MODEL_OPTIONS, ...PAINT_OPTIONS });
    args.atMost(1);
    const [prompt] = args.rest;
    if (prompt === undefined || prompt.trim() === '') throw new UsageError('the words are missing');
    args.required('out');
    checkTargets(args);
    const options = args.painting();
    await withModel(args, context, 'nano', async (model, progress) => {
      const begun = performance.now();
      const pictures = [
        await model.paint({ prompt: prompt.trim(), ...options, onProgress: paintingProgress(progress) }),
      ].flat();
      await writePictures(pictures, args, context, progress, performance.now() - begun);
    });
  },
};
