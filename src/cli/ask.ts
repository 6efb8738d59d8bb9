import { readdir, stat } from 'node:fs/promises';
import { basename, join, relative } from 'node:path';
import { ask as askDocuments, type AskMode, type DocumentAnswer } from '../document/answer/ask.ts';
import type { Citation } from '../document/answer/cite.ts';
import { pageAt, type DocumentContent } from '../document/content.ts';
import { Searcher } from '../document/index/searcher.ts';
import { readDocument, type ReadDocument } from '../document/read.ts';
import { FileError, InputError } from '../errors.ts';
import { nodeEnvironment } from '../platform/node-documents.ts';
import { Arguments, MODEL_OPTIONS, UsageError } from './arguments.ts';
import { modelHelp, withModel } from './loading.ts';
import type { Command } from './command.ts';
import { ProgressLine, visible, write, writeAnswer, type CliContext } from './terminal.ts';

/** Files of a folder, with those of its folders, that are read at most. */
const MOST_FILES = 2000;
/** Folders of programs, whose files are no documents of the user: hidden ones, and those of packages. */
const NOT_DOCUMENTS = /(?:^|[\\/])(?:\.[^\\/]*|node_modules)[\\/]/;
const MODES = ['auto', 'passages', 'whole', 'windows'] as const;
/** From this probability on, it is said that the documents may not say it. */
const DOUBTFUL = 0.5;
/** From this one on, that they probably do not. */
const LIKELY = 0.8;
/** What a reader of an answer of the model that needs no download has to know. */
const SMALL_MODEL =
  'nano-text answered, which is for trying things out: it copies words of plain English, and of other texts a sentence is quoted. `octavo models` lists models for --model that read documents.';
/** Characters of a sentence that are shown. */
const QUOTE = 160;

/** One question about documents, with the places that the answer was drawn from. */
export const ask: Command = {
  usage: 'ask FILE... "question" [--model M] [--mode MODE] [--keep] [--json]',
  summary: 'a question about documents',
  details: `  FILE                 PDF, text, Markdown, HTML, .docx or CSV; or a folder of such files
${modelHelp('nano-text')}  --mode MODE          passages (those that the question finds), whole (all of the text), windows (all of it, part
                       by part) or auto (default: whole where it is short)
  --max-tokens N       most tokens of the answer
  --password P         of encrypted PDFs
  --keep               keep what was read of a whole document (OCTAVO_CACHE, or the system's cache
                       folder); the next question reads it from there instead of computing it
  --json               one line: answer, said, citations, mode, read, absent, tokens, time
`,
  async run(argv, context) {
    const args = new Arguments(argv, {
      ...MODEL_OPTIONS,
      mode: 's',
      'max-tokens': 's',
      password: 's',
      json: 'b',
      keep: 'b',
    });
    const paths = args.rest.slice(0, -1);
    const question = args.rest.at(-1);
    if (paths.length === 0 || question === undefined || question.trim() === '')
      throw new UsageError('FILE or the question is missing');
    const mode = args.choice<AskMode | 'auto'>('mode', MODES);
    const maxTokens = args.number('max-tokens');
    const files = named((await Promise.all(paths.map(filesOf))).flat());
    // Before the model: what is wrong with a file, such as a password, is said at once.
    const reading = new ProgressLine(context.errors);
    const documents = await read(files, args.text('password'), context, reading).finally(() => reading.clear());
    const keep = args.flag('keep');
    let notKept: string | undefined;
    await withModel(args, context, 'nano-text', async (model, progress) => {
      if (keep) void model.notKept.then(({ message }) => (notKept = message));
      const searcher = new Searcher();
      for (const { hash, content } of documents) searcher.add(hash, content);
      const json = args.flag('json');
      const answer = await askDocuments(
        model,
        {
          documents: documents.map(({ hash, content }) => ({ document: hash, content })),
          passages: searcher.size,
          find: (text, limit, signal) => searcher.find(text, limit, signal),
          evidence: (text, found) => searcher.evidence(text, found),
        },
        question.trim(),
        {
          mode,
          keep,
          ...args.context(),
          ...(maxTokens !== undefined && { maxTokens }),
          // What is said comes by itself, and is no share of anything.
          onProgress: ({ phase, done, total }) =>
            phase !== 'answering' && progress.bar(phase, done, total, `${done} of ${total}`),
        },
        async (piece) => {
          progress.clear();
          if (!json) await writeAnswer(context.output, piece);
        },
      );
      progress.clear();
      const names = new Map(documents.map(({ hash, shown }) => [hash, shown]));
      const cited = answer.citations.map((one) => ({ ...one, file: names.get(one.document) ?? '' }));
      await write(context.output, json ? `${JSON.stringify(asJson(answer, cited))}\n` : report(answer, cited, names));
      if (args.text('model') === undefined && !json) await write(context.errors, `${SMALL_MODEL}\n`);
      if (keep && answer.mode !== 'whole')
        notKept = `${answer.read.description} were read, and only a whole text is kept; take --mode whole`;
    });
    // Known when the model is freed, which waits for what is written.
    if (notKept !== undefined) await write(context.errors, `${visible(`--keep: nothing was kept: ${notKept}`)}\n`);
  },
};

/** A file with the name that people are told. */
interface Source {
  readonly path: string;
  readonly shown: string;
}

interface Named extends Citation {
  readonly file: string;
}

/** Of files with the same name, the paths are told. */
function named(files: readonly Source[]): Source[] {
  const count = new Map<string, number>();
  for (const { shown } of files) count.set(shown, (count.get(shown) ?? 0) + 1);
  return files.map((one) => (count.get(one.shown) === 1 ? one : { ...one, shown: one.path }));
}

/** A file, or those of a folder that have the ending of a document, which are named by their places in it. */
async function filesOf(path: string): Promise<Source[]> {
  const found = await stat(path).catch((cause: unknown) => {
    throw new FileError('missing', { file: path, field: 'document' }, 'it cannot be read; check the path', { cause });
  });
  if (!found.isDirectory()) return [{ path, shown: basename(path) }];
  const entries = await readdir(path, { withFileTypes: true, recursive: true });
  const files = entries
    .filter((entry) => entry.isFile() && /\.(?:pdf|txt|md|markdown|html?|docx|csv|tsv)$/i.test(entry.name))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .filter((file) => !NOT_DOCUMENTS.test(relative(path, file)))
    .sort();
  if (files.length === 0)
    throw new FileError(
      'missing',
      { file: path, field: 'folder' },
      'it has no PDF, text, Markdown, HTML, .docx or CSV',
    );
  if (files.length > MOST_FILES)
    throw new FileError(
      'limit',
      { file: path, field: 'folder' },
      `it has ${files.length} documents and ${MOST_FILES} are read; name a folder within it`,
    );
  return files.map((file) => ({ path: file, shown: relative(path, file) }));
}

/** All files as text. One that cannot be read is an error, unless others can. */
async function read(
  files: readonly Source[],
  password: string | undefined,
  { errors }: CliContext,
  progress: ProgressLine,
): Promise<(ReadDocument & Pick<Source, 'shown'>)[]> {
  const documents: (ReadDocument & Pick<Source, 'shown'>)[] = [];
  for (const [i, { path, shown }] of files.entries()) {
    const place = files.length === 1 ? '' : `file ${i + 1} of ${files.length}, `;
    try {
      const document = await readDocument(
        path,
        {
          ...(password !== undefined && { password }),
          onProgress: ({ done, total }) => progress.bar('opening', done, total, `${place}page ${done} of ${total}`),
        },
        nodeEnvironment,
      );
      if (documents.every(({ hash }) => hash !== document.hash)) documents.push({ ...document, shown });
      for (const note of document.content.notes) await warn(errors, progress, `${shown}: ${note}`);
    } catch (error) {
      if (files.length === 1 || !(error instanceof FileError)) throw error;
      await warn(errors, progress, `left out: ${error.message}`);
    }
  }
  if (documents.length === 0) throw new InputError('empty', 'none of the files could be read');
  return documents;
}

async function warn(errors: CliContext['errors'], progress: ProgressLine, sentence: string): Promise<void> {
  progress.clear();
  await write(errors, `${visible(sentence)}\n`);
}

/** What is told below an answer: where it stands, what was read, and whether it is doubtful. */
function report(
  { read, absent, unverified }: DocumentAnswer,
  citations: readonly Named[],
  names: ReadonlyMap<string, string>,
): string {
  const quote = (text: string): string => {
    const line = text.replace(/\s+/g, ' ');
    return line.length > QUOTE ? `${line.slice(0, QUOTE)}…` : line;
  };
  const sources = citations.map(
    ({ file, page, kind, sentence, rectangles }, i) =>
      // Text has no pages to name.
      `  [${i + 1}] ${file}${rectangles.length === 0 ? '' : `, page ${page}`}: “${quote(sentence)}”${kind === 'weak' ? ' (not verified)' : ''}`,
  );
  const numbers = unverified.length === 0 ? [] : [`  not found in the text: ${unverified.join(', ')}`];
  const doubt =
    absent.probability < DOUBTFUL
      ? []
      : [
          `  The text ${absent.probability < LIKELY ? 'may not say' : 'probably does not say'} it (${Math.round(100 * absent.probability)} %).`,
        ];
  // Without a source, the way to where it may stand.
  const nearest =
    citations.length > 0
      ? []
      : absent.nearest.slice(0, 1).map(({ document, content, passage }) => {
          const text = content.text.slice(passage.start, passage.end);
          return `  nearest: ${placeOf(names.get(document) ?? '', content, passage.start)}: “${quote(text)}”`;
        });
  return visible(`\n${[...sources, ...numbers, ...doubt, ...nearest, `  read: ${read.description}`].join('\n')}\n`);
}

/** Text has no pages to name. */
function placeOf(name: string, { pages, runs }: DocumentContent, start: number): string {
  return runs.length === 0 ? name : `${name}, page ${pageAt(pages, start)}`;
}

function asJson(
  { text, said, mode, read, absent, unverified, time }: DocumentAnswer,
  citations: readonly Named[],
): Record<string, unknown> {
  return {
    answer: text,
    said,
    citations: citations.map(({ file, page, start, end, quote, sentence, kind, score, rectangles, answer }) => ({
      file,
      page,
      quote,
      sentence,
      kind,
      score: Math.round(1000 * score) / 1000,
      start,
      end,
      rectangles,
      answer,
    })),
    mode,
    read: read.description,
    absent: Math.round(1000 * absent.probability) / 1000,
    unverified,
    tokens: { prompt: read.tokens, cached: read.cached },
    // Milliseconds, to a tenth.
    time: Object.fromEntries(Object.entries(time).map(([phase, took]) => [phase, Math.round(10 * took) / 10])),
  };
}
