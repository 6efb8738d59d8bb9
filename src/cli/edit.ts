import { Arguments, MODEL_OPTIONS, PAINT_OPTIONS, UsageError } from './arguments.ts';
import type { Command } from './command.ts';
import { modelHelp, withModel } from './loading.ts';
import { checkTargets, PAINT_HELP, paintingProgress, writePictures } from './pictures.ts';

/** Changes a picture by an instruction. */
export const edit: Command = {
  usage: 'edit IMAGE "instruction" -o FILE.png [--size N] [--seed N] [--steps N] [--model M] [--json]',
  summary: 'a picture changed by an instruction',
  details: `  IMAGE                a path or a URL; its middle square is taken
${PAINT_HELP}${modelHelp('nano')}`,
  async run(argv, context) {
    const args = new Arguments(argv, { ...MODEL_OPTIONS, ...PAINT_OPTIONS });
    args.atMost(2);
    const [image, instruction] = args.rest;
    if (image === undefined || instruction === undefined || instruction.trim() === '')
      throw new UsageError('IMAGE or the instruction is missing');
    args.required('out');
    checkTargets(args);
    const options = args.painting();
    await withModel(args, context, 'nano', async (model, progress) => {
      const begun = performance.now();
      const pictures = [
        await model.edit({
          image,
          instruction: instruction.trim(),
          ...options,
          onProgress: paintingProgress(progress),
        }),
      ].flat();
      await writePictures(pictures, args, context, progress, performance.now() - begun);
    });
  },
};
