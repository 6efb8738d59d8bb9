import { readFile } from 'node:fs/promises';
import { FileError } from '../errors.ts';
import { Arguments, MODEL_OPTIONS, SAMPLING_OPTIONS, UsageError } from './arguments.ts';
import { MODEL_HELP, SAMPLING_HELP, withModel } from './loading.ts';
import type { Command } from './command.ts';
import { write } from './terminal.ts';

/** One question about one document. */
export const ask: Command = {
  usage: 'ask DOCUMENT "question" [--model M] [--json]',
  summary: 'a question about a document',
  details: `  DOCUMENT             a text file
${MODEL_HELP}${SAMPLING_HELP}  --json               one line: answer, tokens, time
`,
  async run(argv, surroundings) {
    const args = new Arguments(argv, { ...MODEL_OPTIONS, ...SAMPLING_OPTIONS, json: 'b' });
    args.atMost(2);
    const [path, question] = args.rest;
    if (path === undefined || question === undefined || question.trim() === '') throw new UsageError('DOCUMENT or the question is missing');
    const sampling = args.sampling();
    const document = await readDocument(path);
    await withModel(args, surroundings, 'nano', async (model, progress) => {
      const session = await model.createSession({ temperature: 0, ...sampling });
      const answer = session.promptStreaming(`${document.trim()}\n\n${question.trim()}`, {
        onPrefill: (done, total) => progress.bar('reading', done, total, `${done} of ${total} tokens`),
      });
      let text = '';
      for await (const next of answer) {
        progress.clear();
        // Some models begin with the space that stood before the word in the document.
        const piece = text === '' ? next.trimStart() : next;
        text += piece;
        if (!args.flag('json')) await write(surroundings.output, piece);
      }
      const { tokens, time } = await answer.finished;
      await write(surroundings.output, args.flag('json') ? `${JSON.stringify({ answer: text, tokens, time })}\n` : '\n');
    });
  },
};

async function readDocument(path: string): Promise<string> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    throw new FileError('missing', { file: path, field: 'document' }, 'it cannot be read; check the path', { cause });
  }
  try {
    if (!bytes.includes(0)) return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    // Not UTF-8: told below.
  }
  throw new FileError('unsupported', { file: path, field: 'document' }, 'only text (UTF-8) is read by this version; convert it first');
}
