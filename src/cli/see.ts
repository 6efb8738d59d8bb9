import { Arguments, MODEL_OPTIONS, SAMPLING_OPTIONS, UsageError } from './arguments.ts';
import type { Command } from './command.ts';
import { modelHelp, SAMPLING_HELP, withModel } from './loading.ts';
import { printAnswer } from './answer.ts';

/** Answers one question about one picture. */
export const see: Command = {
  usage: 'see IMAGE "question" [--model M] [--json]',
  summary: 'a question about a picture',
  details: `  IMAGE                a path or a URL: PNG, JPEG, WebP, GIF, AVIF
${modelHelp('nano')}${SAMPLING_HELP}  --json               one line: answer, tokens, time
`,
  async run(argv, context) {
    const args = new Arguments(argv, { ...MODEL_OPTIONS, ...SAMPLING_OPTIONS, json: 'b' });
    args.atMost(2);
    const [image, question] = args.rest;
    if (image === undefined || question === undefined || question.trim() === '')
      throw new UsageError('IMAGE or the question is missing');
    const sampling = { ...args.sampling(), ...args.context() };
    await withModel(args, context, 'nano', async (model, progress) => {
      const session = await model.createSession({ temperature: 0, ...sampling });
      const content = [
        { type: 'image', value: image },
        { type: 'text', value: question.trim() },
      ] as const;
      const answer = session.promptStreaming([{ role: 'user', content }], {
        onPrefill: (done, total) => progress.bar('looking', done, total, `${done} of ${total} tokens`),
      });
      await printAnswer(answer, context, progress, args.flag('json'));
    });
  },
};
