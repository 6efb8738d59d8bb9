/** Writes an answer as it comes, and the line below it that says how fast it was. */
import type { AnswerPart } from '../../chat/tools.ts';
import type { AnswerReport } from '../../generate/options.ts';
import { FAINT, PLAIN, faint, styled } from '../style.ts';
import { visible, write, writeAnswer, type CliContext } from '../terminal.ts';

/**
 * The text goes to the output as it is. Thoughts are shown on a terminal only: faint, or between marks where faint
 * letters are not wanted.
 */
export class AnswerWriter {
  readonly #output: CliContext['output'];
  readonly #marks: readonly [string, string];
  #thinking = false;
  #begun = false;

  constructor(output: CliContext['output']) {
    this.#output = output;
    this.#marks = styled(output) ? [FAINT, PLAIN] : ['(thinking) ', '\n(answer)'];
  }

  async write(part: AnswerPart): Promise<void> {
    if (part.type === 'thinking') {
      if (this.#output.isTTY !== true) return;
      const begins = this.#thinking ? '' : this.#marks[0];
      const text = this.#thinking ? part.text : part.text.trimStart();
      this.#thinking = true;
      await write(this.#output, begins + visible(text));
    } else if (part.type === 'text') {
      await this.#endThoughts('\n\n');
      const text = this.#begun ? part.text : part.text.trimStart();
      this.#begun ||= text !== '';
      await writeAnswer(this.#output, text);
    }
  }

  /** Ends the line. */
  async end(): Promise<void> {
    await this.#endThoughts('');
    await write(this.#output, '\n');
  }

  async #endThoughts(gap: string): Promise<void> {
    if (!this.#thinking) return;
    this.#thinking = false;
    await write(this.#output, this.#marks[1] + gap);
  }
}

const ENDED: Readonly<Partial<Record<AnswerReport['finishReason'], string>>> = {
  length: 'cut off at the most tokens of an answer (--max-tokens), or because the context is full',
  loop: 'ended because it repeated itself',
};

/** "12 tokens at 30.1/s; 40 read at 200/s, 8 reused; context 60 of 2048" */
export async function writeSpeed(
  { tokens, rate, finishReason }: AnswerReport,
  { contextUsage, contextWindow }: { readonly contextUsage: number; readonly contextWindow: number },
  { errors }: CliContext,
): Promise<void> {
  if (errors.isTTY !== true) return;
  const { prompt, cached, generated } = tokens;
  const ended = ENDED[finishReason];
  const parts = [
    `${generated} ${generated === 1 ? 'token' : 'tokens'}${rate.decode > 0 ? ` at ${rate.decode.toFixed(1)}/s` : ''}`,
    `${prompt - cached} read${rate.prefill > 0 ? ` at ${rate.prefill.toFixed(0)}/s` : ''}, ${cached} reused`,
    `context ${contextUsage} of ${contextWindow}`,
    ...(ended === undefined ? [] : [ended]),
  ];
  await write(errors, `${faint(parts.join('; '), errors)}\n`);
}
