import { Arguments, MODEL_OPTIONS, UsageError } from './arguments.ts';
import type { Command } from './command.ts';
import { modelHelp, withModel } from './loading.ts';
import { readLines, write } from './terminal.ts';

/** Prints the vectors of texts, one JSON object a line. */
export const embed: Command = {
  usage: 'embed --model M [--kind query|document] [--dimensions N] [TEXT...]',
  summary: 'vectors of texts, as lines of JSON',
  details: `  TEXT                 a text; without any, each line of standard input is one
${modelHelp()}  --kind K             what the texts are for: query, or document (default)
  --dimensions N       the first N values of each vector, normalised again
`,
  async run(argv, context) {
    const args = new Arguments(argv, { ...MODEL_OPTIONS, kind: 's', dimensions: 's' });
    args.required('model');
    const kind = args.choice('kind', ['query', 'document'] as const);
    const dimensions = args.number('dimensions');
    const texts = args.rest.length > 0 ? args.rest : await linesOf(context.input);
    if (texts.length === 0) throw new UsageError('there is no TEXT, and standard input is empty');
    await withModel(args, context, undefined, async (model, progress) => {
      const vectors = await model.embed(texts, {
        kind,
        dimensions,
        onProgress: (done, total) => progress.bar('embedding', done, total, `${done} of ${total} texts`),
      });
      progress.clear();
      const cut = new Set(vectors.truncated);
      for (const [index, vector] of vectors.entries()) {
        const truncated = cut.has(index) ? { truncated: true } : {};
        await write(context.output, `${JSON.stringify({ index, ...truncated, embedding: [...vector] })}\n`);
      }
    });
  },
};

/** Lines without those that are empty. */
async function linesOf(input: Parameters<typeof readLines>[0]): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of readLines(input)) if (line.trim() !== '') lines.push(line);
  return lines;
}
