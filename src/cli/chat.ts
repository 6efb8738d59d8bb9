import { join } from 'node:path';
import { octavoFolder } from '../platform/cache-folder.ts';
import { Arguments, MODEL_OPTIONS, SAMPLING_OPTIONS } from './arguments.ts';
import { AnswerWriter, writeSpeed } from './chat/answer-writer.ts';
import { CHAT_HELP, completions, runCommand, type Chat } from './chat/commands.ts';
import { Conversation, type Said } from './chat/conversation.ts';
import { pipeEditor, TerminalEditor } from './chat/editor.ts';
import { History } from './chat/history.ts';
import { modelHelp, SAMPLING_HELP, withModel } from './loading.ts';
import type { Command } from './command.ts';
import { visible, write, type CliContext, type ProgressLine } from './terminal.ts';

/** A conversation, in the terminal or with lines of standard input as its messages. */
export const chat: Command = {
  usage: 'chat [--model M] [--system T] [--no-thinking] [--no-history]',
  summary: 'a conversation in the terminal',
  details: `${modelHelp('nano')}  --system T           what the conversation begins with
  --no-thinking        models that think before they answer do not
  --no-history         keep nothing of what is typed for later conversations
${SAMPLING_HELP}
In the conversation:

${CHAT_HELP}`,
  async run(argv, context) {
    const args = new Arguments(argv, {
      ...MODEL_OPTIONS,
      ...SAMPLING_OPTIONS,
      system: 's',
      'no-thinking': 'b',
      'no-history': 'b',
    });
    args.atMost(0);
    const sampling = { ...args.sampling(), ...args.context() };
    await withModel(args, context, 'nano', async (model, progress) => {
      const conversation = await Conversation.begin(model, sampling, args.text('system'));
      if (args.flag('no-thinking')) conversation.thinking = false;
      try {
        await converse(conversation, context, progress, !args.flag('no-history'));
      } finally {
        conversation.destroy();
      }
    });
  },
};

async function converse(
  conversation: Conversation,
  context: CliContext,
  progress: ProgressLine,
  remember: boolean,
): Promise<void> {
  const { input, output, errors, place } = context;
  const terminal = input.isTTY === true && errors.isTTY === true;
  const history = await History.open(terminal && remember ? join(octavoFolder(), 'chat-history.jsonl') : undefined);
  const editor = terminal ? new TerminalEditor(context, history, completions) : pipeEditor(context);
  const tell = (text: string): Promise<void> => write(errors, visible(text));
  const { model } = conversation;
  if (terminal) await tell(`${model.name} on ${model.device.description}. /help lists the commands.\n`);
  conversation.onOverflow = () => {
    progress.clear();
    void tell('(the oldest messages left the context)\n');
  };

  const ask = (content: Said['content']): Promise<void> =>
    editor.during(async (signal) => {
      const writer = new AnswerWriter(output);
      try {
        const report = await conversation.ask(content, {
          signal,
          onPrefill: (done, total) => progress.bar('reading', done, total, `${done} of ${total} tokens`),
          onPart: async (part) => {
            progress.clear();
            await writer.write(part);
          },
        });
        progress.clear();
        await writer.end();
        if (report !== undefined) await writeSpeed(report, conversation.session, context);
        else await tell('(stopped)\n');
      } catch (error) {
        progress.clear();
        await writer.end();
        throw error;
      }
    });

  const chat: Chat = { conversation, place, pictures: [], saved: new Set(), tell, ask };
  try {
    for (;;) {
      const typed = await editor.next();
      if (typed === undefined) break;
      const text = typed.text.trim();
      if (text === '') continue;
      try {
        if (typed.line && text.startsWith('/') && !text.startsWith('//')) {
          if (await runCommand(chat, text)) break;
          continue;
        }
        const words = typed.line && text.startsWith('//') ? text.slice(1) : text;
        const shown = chat.pictures.map((value) => ({ type: 'image', value }) as const);
        await ask(shown.length === 0 ? words : [...shown, { type: 'text', value: words }]);
        chat.pictures = [];
      } catch (error) {
        // A command that fails, or a question that is too long, does not end the conversation.
        await tell(`octavo: ${error instanceof Error ? error.message : String(error)}\n`);
      }
    }
  } finally {
    editor.close();
  }
}
