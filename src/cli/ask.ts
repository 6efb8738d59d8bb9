import { readFile } from 'node:fs/promises';
import { FileError } from '../errors.ts';
import { Arguments, MODEL_OPTIONS, SAMPLING_OPTIONS, UsageError } from './arguments.ts';
import { printAnswer } from './answer.ts';
import { MODEL_HELP, SAMPLING_HELP, withModel } from './loading.ts';
import type { Command } from './command.ts';

/** One question about one document. */
export const ask: Command = {
  usage: 'ask DOCUMENT "question" [--model M] [--keep] [--json]',
  summary: 'a question about a document',
  details: `  DOCUMENT             a text file
${MODEL_HELP}${SAMPLING_HELP}  --keep               keep what was read of the document (OCTAVO_CACHE, or the system's cache
                       folder); the next question reads it from there instead of computing it
  --json               one line: answer, tokens, time
`,
  async run(argv, context) {
    const args = new Arguments(argv, { ...MODEL_OPTIONS, ...SAMPLING_OPTIONS, json: 'b', keep: 'b' });
    args.atMost(2);
    const [path, question] = args.rest;
    if (path === undefined || question === undefined || question.trim() === '')
      throw new UsageError('DOCUMENT or the question is missing');
    const sampling = args.sampling();
    const document = await readDocument(path);
    await withModel(args, context, 'nano', async (model, progress) => {
      const session = await model.createSession({
        temperature: 0,
        ...sampling,
        ...(args.flag('keep') ? { context: { keep: true } } : {}),
      });
      const answer = session.promptStreaming(`${document.trim()}\n\n${question.trim()}`, {
        onPrefill: (done, total) => progress.bar('reading', done, total, `${done} of ${total} tokens`),
      });
      await printAnswer(answer, context, progress, args.flag('json'));
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
    // The bytes are not UTF-8; the error below says so.
  }
  throw new FileError(
    'unsupported',
    { file: path, field: 'document' },
    'only text (UTF-8) is read by this version; convert it first',
  );
}
