import { readFile } from 'node:fs/promises';
import { FileError } from '../errors.ts';
import { Arguments, MODEL_OPTIONS, UsageError } from './arguments.ts';
import type { Command } from './command.ts';
import { modelHelp, withModel } from './loading.ts';
import { readLines, visible, write, type CliContext } from './terminal.ts';

/** Orders passages by how well they answer a query. */
export const rerank: Command = {
  usage: 'rerank --model M "query" [FILE] [--top N] [--json]',
  summary: 'passages in the order in which they answer a query',
  details: `  FILE                 a text of one passage a line; without it, lines of standard input
${modelHelp()}  --top N              only the N best
  --json               one line a passage: index (the number of its line, from 0), score, text
`,
  async run(argv, context) {
    const args = new Arguments(argv, { ...MODEL_OPTIONS, top: 's', json: 'b' });
    args.atMost(2);
    args.required('model');
    const [query, file] = args.rest;
    if (query === undefined || query.trim() === '') throw new UsageError('the query is missing');
    const top = args.number('top') ?? Infinity;
    if (top < 1 || (Number.isFinite(top) && !Number.isInteger(top)))
      throw new UsageError(`--top: ${top} is not a whole number from 1`);
    const lines = file === undefined ? await linesOf(context) : (await textOf(file)).split(/\r?\n/);
    const passages = lines.map((text, index) => ({ text, index })).filter(({ text }) => text.trim() !== '');
    if (passages.length === 0) throw new UsageError(`there are no passages in ${file ?? 'standard input'}`);
    await withModel(args, context, undefined, async (model, progress) => {
      const texts = passages.map(({ text }) => text);
      const ranking = await model.rerank(query, texts, {
        onProgress: (done, total) => progress.bar('ranking', done, total, `${done} of ${total} passages`),
      });
      progress.clear();
      const cut = new Set(ranking.truncated);
      for (const { index: place, score } of ranking.slice(0, top)) {
        const { text = '', index = place } = passages[place] ?? {};
        const truncated = cut.has(place) ? { truncated: true } : {};
        const line = args.flag('json')
          ? JSON.stringify({ index, score, ...truncated, text })
          : `${score.toFixed(4)}   ${context.output.isTTY === true ? visible(text) : text}`;
        await write(context.output, `${line}\n`);
      }
    });
  },
};

async function linesOf({ input }: CliContext): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of readLines(input)) lines.push(line);
  return lines;
}

async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new FileError('missing', { file, field: 'passages' }, 'it cannot be read; check the path', { cause });
  }
}
