/** Writes an answer to the terminal: as text while it is generated, or as one line of JSON at its end. */
import type { TextStream } from '../face/stream.ts';
import type { AnswerReport } from '../generate/options.ts';
import { write, writeAnswer, type ProgressLine, type CliContext } from './terminal.ts';

export async function printAnswer(
  answer: TextStream<AnswerReport>,
  { output }: CliContext,
  progress: ProgressLine,
  json: boolean,
): Promise<void> {
  let text = '';
  for await (const next of answer) {
    progress.clear();
    // Some models begin with the space that preceded the word in the document.
    const piece = text === '' ? next.trimStart() : next;
    text += piece;
    if (!json) await writeAnswer(output, piece);
  }
  const { tokens, time } = await answer.finished;
  await write(output, json ? `${JSON.stringify({ answer: text, tokens, time })}\n` : '\n');
}
