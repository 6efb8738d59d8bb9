import { Arguments, MODEL_OPTIONS, SAMPLING_OPTIONS, UsageError } from './arguments.ts';
import { modelHelp, SAMPLING_HELP, withModel } from './loading.ts';
import type { Command } from './command.ts';
import { readAll, write, writeAnswer } from './terminal.ts';

/** Answers a prompt with the model's chat template, or continues it as raw text. */
export const generate: Command = {
  usage: 'generate --model M --prompt T [--raw] [--max-tokens N] [--json]',
  summary: 'answers a prompt, or continues it (--raw)',
  details: `${modelHelp()}  --prompt T           the text ('-' reads it from standard input)
  --raw                continues the text, without the model's chat template (the default for a model that has none)
  --chat               requires the chat template
  --stop S             ends the answer before S
${SAMPLING_HELP}  --json               one line: text, ids, tokens, timings
`,
  async run(argv, context) {
    const args = new Arguments(argv, {
      ...MODEL_OPTIONS,
      ...SAMPLING_OPTIONS,
      prompt: 's',
      chat: 'b',
      raw: 'b',
      stop: 's',
      json: 'b',
    });
    args.atMost(0);
    const raw = args.flag('raw');
    const chat = args.flag('chat');
    if (chat && raw) throw new UsageError('--chat and --raw exclude each other');
    args.required('model');
    const given = args.required('prompt');
    const sampling = args.sampling();
    const prompt = given === '-' ? await readAll(context.input) : given;
    const json = args.flag('json');
    const stop = args.text('stop');
    await withModel(args, context, undefined, async (model, progress, loadTime) => {
      const options = {
        ...sampling,
        ...(stop === undefined ? {} : { stop }),
        onPrefill: (done: number, total: number) => progress.bar('reading', done, total, `${done} of ${total} tokens`),
      };
      if (chat && !model.capabilities.chat)
        throw new UsageError('--chat: this model has no chat template; use --raw, or leave both out');
      const kept = args.context();
      const session = !raw && model.capabilities.chat ? await model.createSession(kept) : undefined;
      if (session === undefined && kept.context !== undefined)
        throw new UsageError(
          `--context ${kept.context}: raw text has no session; leave it out, or give a number of tokens`,
        );
      const answer = session?.promptStreaming(prompt, options) ?? model.completeStreaming(prompt, options);
      let text = '';
      for await (const piece of answer) {
        progress.clear();
        text += piece;
        if (!json) await writeAnswer(context.output, piece);
      }
      const { ids, tokens, rate, finishReason } = await answer.finished;
      const timings = {
        load: Math.round(loadTime),
        prefill: Number(rate.prefill.toFixed(2)),
        decode: Number(rate.decode.toFixed(2)),
      };
      if (json)
        await write(
          context.output,
          `${JSON.stringify({ text, ids, finishReason, tokens, timings, device: model.device, context: session?.context })}\n`,
        );
      else await write(context.output, '\n');
      if (context.errors.isTTY === true) {
        await write(
          context.errors,
          `${tokens.prompt} tokens read at ${timings.prefill}/s, ${tokens.generated} written at ${timings.decode}/s, on ${model.device.description}\n`,
        );
        if (session?.context !== undefined) await write(context.errors, `context: ${session.context.reason}\n`);
      }
    });
  },
};
