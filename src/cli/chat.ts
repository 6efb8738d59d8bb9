import { createInterface } from 'node:readline/promises';
import type { OctavoSession } from '../face/session.ts';
import { Arguments, MODEL_OPTIONS, SAMPLING_OPTIONS } from './arguments.ts';
import { MODEL_HELP, SAMPLING_HELP, withModel } from './loading.ts';
import type { Command } from './command.ts';
import { visible, write, writeAnswer } from './terminal.ts';

/** A conversation in the terminal. */
export const chat: Command = {
  usage: 'chat [--model M] [--system T]',
  summary: 'a conversation in the terminal',
  details: `${MODEL_HELP}  --system T           what the conversation begins with
${SAMPLING_HELP}
In the conversation: /reset starts a new conversation, /exit ends it, Ctrl+C stops an answer.
`,
  async run(argv, context) {
    const args = new Arguments(argv, { ...MODEL_OPTIONS, ...SAMPLING_OPTIONS, system: 's' });
    args.atMost(0);
    const { input, output, errors } = context;
    const terminal = errors.isTTY === true;
    const sampling = args.sampling();
    await withModel(args, context, 'nano', async (model, progress) => {
      if (terminal)
        await write(errors, `${visible(model.name)} on ${model.device.description}: ${model.device.reason}\n`);
      const system = args.text('system');
      const begin = (): Promise<OctavoSession> =>
        model.createSession({
          ...sampling,
          ...(system === undefined ? {} : { initialPrompts: [{ role: 'system', content: system }] }),
        });
      let session = await begin();
      const lines = createInterface({ input, ...(terminal ? { output: errors, prompt: '> ' } : {}) });
      let running: AbortController | undefined;
      lines.on('SIGINT', () => (running === undefined ? lines.close() : running.abort(new Error('stopped'))));
      lines.prompt();
      for await (const line of lines) {
        const text = line.trim();
        if (text === '/exit') break;
        if (text === '/reset') {
          session.destroy();
          session = await begin();
        } else if (text !== '') {
          running = new AbortController();
          const { signal } = running;
          try {
            for await (const piece of session.promptStreaming(text, {
              signal,
              onPrefill: (done, total) => progress.bar('reading', done, total, `${done} of ${total} tokens`),
            })) {
              progress.clear();
              await writeAnswer(output, piece);
            }
          } catch (error) {
            // An answer that was stopped, or a question that is too long, does not end the conversation.
            progress.clear();
            if (!signal.aborted)
              await write(errors, visible(`octavo: ${error instanceof Error ? error.message : String(error)}`));
          } finally {
            running = undefined;
          }
          await write(output, '\n');
        }
        lines.prompt();
      }
      lines.close();
      session.destroy();
    });
  },
};
