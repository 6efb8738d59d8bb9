import { createInterface } from 'node:readline/promises';
import type { OctavoSession } from '../face/session.ts';
import { Arguments, MODEL_OPTIONS, SAMPLING_OPTIONS } from './arguments.ts';
import { MODEL_HELP, SAMPLING_HELP, withModel } from './loading.ts';
import type { Command } from './command.ts';
import { nearest } from '../face/problem.ts';
import { Echo, visible, write, writeAnswer } from './terminal.ts';

const HELP = `/help   this list
/clear  begins a new conversation (also /reset)
/exit   ends the program (also Ctrl+D)
Ctrl+C  stops an answer
//text  sends a message that begins with a slash
`;

/** A conversation in the terminal. */
export const chat: Command = {
  usage: 'chat [--model M] [--system T]',
  summary: 'a conversation in the terminal',
  details: `${MODEL_HELP}  --system T           what the conversation begins with
${SAMPLING_HELP}
In the conversation:

${HELP}`,
  async run(argv, context) {
    const args = new Arguments(argv, { ...MODEL_OPTIONS, ...SAMPLING_OPTIONS, system: 's' });
    args.atMost(0);
    const { input, output, errors } = context;
    const terminal = errors.isTTY === true;
    const sampling = args.sampling();
    await withModel(args, context, 'nano', async (model, progress) => {
      if (terminal)
        await write(errors, `${visible(model.name)} on ${model.device.description}. /help lists the commands.\n`);
      const system = args.text('system');
      const begin = (): Promise<OctavoSession> =>
        model.createSession({
          ...sampling,
          ...(system === undefined ? {} : { initialPrompts: [{ role: 'system', content: system }] }),
        });
      let session = await begin();
      const echo = new Echo(errors);
      const lines = createInterface({ input, ...(terminal ? { output: echo, terminal, prompt: '> ' } : {}) });
      let running: AbortController | undefined;
      lines.on('SIGINT', () => (running === undefined ? lines.close() : running.abort(new Error('stopped'))));

      const answer = async (text: string): Promise<void> => {
        running = new AbortController();
        const { signal } = running;
        echo.muted = true;
        try {
          for await (const piece of session.promptStreaming(text, {
            signal,
            onPrefill: (done, total) => progress.bar('reading', done, total, `${done} of ${total} tokens`),
          })) {
            progress.clear();
            await writeAnswer(output, piece);
          }
        } catch (error) {
          // A stopped answer, or a question that is too long, does not end the conversation.
          progress.clear();
          if (!signal.aborted)
            await write(errors, visible(`octavo: ${error instanceof Error ? error.message : String(error)}`));
        } finally {
          running = undefined;
          echo.muted = false;
        }
        await write(output, '\n');
      };

      lines.prompt();
      for await (const line of lines) {
        const text = line.trim();
        if (text === '/exit' || text === '/quit') break;
        if (text === '/help') await write(errors, HELP);
        else if (text === '/clear' || text === '/reset') {
          session.destroy();
          session = await begin();
        } else if (text.startsWith('/') && !text.startsWith('//')) {
          const [word = ''] = text.split(/\s/);
          const near = nearest(word, COMMANDS);
          const meant = near === undefined ? '' : `did you mean ${near}? `;
          await write(errors, visible(`${word} is not a command; ${meant}/help lists them, //… sends such a text\n`));
        } else if (text !== '') await answer(text.startsWith('//') ? text.slice(1) : text);
        // Keeps what was typed in the meantime.
        lines.prompt(true);
      }
      lines.close();
      session.destroy();
    });
  },
};

const COMMANDS = ['/help', '/clear', '/reset', '/exit', '/quit'];
