/** A question to a document or a library, as the page asks it: a stream of text that can be awaited for the whole answer. */
import type { Asked, AskSettings, DocumentAnswer as Answer } from '../document/answer/ask.ts';
import type { Citation as Cited } from '../document/answer/cite.ts';
import type { AnsweringModel } from '../document/answer/model.ts';
import type { SearchResult } from '../document/options.ts';
import { InputError } from '../errors.ts';
import { misfit, misfitArgument, type ShapeOf } from './check.ts';
import { KEEP } from './options.ts';
import { resultOf } from './search-result.ts';
import { linkedSignal } from './signals.ts';
import { AnswerStream, collect } from './stream.ts';

/** Options of `document.ask` and `library.ask`. */
export interface AskOptions extends AskSettings {
  /** Answers, in place of the model that the document was opened with. */
  readonly model?: AnsweringModel | undefined;
}

/** Options of `document.prepare` and `library.prepare`. */
export interface PrepareOptions extends AskOptions {
  /** A question that is being written, as far as it is there. It is read, too, so that its answer begins when it is asked. */
  readonly question?: string | undefined;
}

/** A place of a document that supports a sentence of an answer. */
export interface Citation extends Cited {
  /** The name of the document. */
  readonly name: string;
}

/** A passage that came near to a question, and its document. */
export interface NearPassage extends SearchResult {
  /** The hash of the document; in a library its id. */
  readonly document: string;
  /** The name of the document. */
  readonly name: string;
}

/** An answer about documents, with the places where it stands. */
export interface DocumentAnswer extends Omit<Answer, 'absent' | 'citations'> {
  /** Where the answer stands in the documents, in the order of its sentences. */
  readonly citations: readonly Citation[];
  /** How likely it is, from 0 to 1, that the documents do not say it; and the passages that came nearest. */
  readonly absent: {
    /** From 0 to 1. */
    readonly probability: number;
    /** The three nearest passages. */
    readonly nearest: readonly NearPassage[];
  };
}

export function publicAnswer(
  { absent, citations, ...rest }: Answer,
  names: ReadonlyMap<string, string>,
): DocumentAnswer {
  const named = (document: string): { document: string; name: string } => ({
    document,
    name: names.get(document) ?? '',
  });
  return {
    ...rest,
    citations: citations.map((citation) => ({ ...citation, ...named(citation.document) })),
    absent: {
      probability: absent.probability,
      nearest: absent.nearest.map((found) => ({ ...resultOf(found), ...named(found.document) })),
    },
  };
}

/** Text as it comes; `await` gives the whole answer, and so does `finished` while somebody reads the text. */
export class DocumentAnswerStream extends AnswerStream<string, DocumentAnswer> implements PromiseLike<DocumentAnswer> {
  #answer: Promise<DocumentAnswer> | undefined;

  /** The whole answer, also where nobody reads the text as it comes. */
  // oxlint-disable-next-line unicorn/no-thenable -- An answer is awaited as often as it is streamed.
  then<A = DocumentAnswer, B = never>(
    fulfilled?: ((answer: DocumentAnswer) => A | PromiseLike<A>) | null,
    rejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.#answer ??= this.locked ? this.finished : collect(this).then(() => this.finished);
    return this.#answer.then(fulfilled, rejected);
  }
}

export function askStream(
  call: string,
  question: string,
  options: AskOptions,
  own: AnsweringModel | undefined,
  ended: AbortSignal,
  answer: (
    model: AnsweringModel,
    settings: AskSettings,
    onText: (piece: string) => void | Promise<void>,
  ) => Promise<DocumentAnswer>,
): DocumentAnswerStream {
  const problem = misfitArgument(call, 'question', question, { is: 'string' }) ?? misfit(call, options, ASK);
  problem?.catch(() => undefined);
  const { model = own, signal, ...settings } = problem === undefined ? options : {};
  const link = linkedSignal(signal, ended);
  const stream = new DocumentAnswerStream(({ signal: stopped, onItem }) => {
    const run = async (): Promise<DocumentAnswer> => {
      await problem;
      return answer(answering(call, model), { ...settings, signal: stopped }, onItem);
    };
    // The model's own stream waits where nobody reads; what was read of it is small.
    return { result: run(), take: () => undefined };
  }, link.signal);
  stream.finished.catch(() => undefined).finally(() => link.unlink());
  return stream;
}

function answering(call: string, model: AnsweringModel | undefined): AnsweringModel {
  if (model !== undefined) return model;
  throw new InputError(
    'argument',
    `${call}: no model was given; open it by model.openDocument, or give \`model\` here`,
    { name: 'model' },
  );
}

/** `document.prepare` and `library.prepare`. */
export async function prepared(
  options: PrepareOptions,
  own: AnsweringModel | undefined,
  ended: AbortSignal,
  opened: () => Asked | Promise<Asked>,
): Promise<void> {
  const problem = misfit('prepare', options, PREPARE);
  if (problem !== undefined) return problem;
  const { model = own, signal, question, ...settings } = options;
  const link = linkedSignal(signal, ended);
  try {
    const asked = await opened();
    const { prepare } = await import('../document/answer/ask.ts');
    await prepare(answering('prepare', model), asked, { ...settings, signal: link.signal }, question);
  } finally {
    link.unlink();
  }
}

const ASK: ShapeOf<Required<AskOptions>> = {
  model: { is: 'object' },
  mode: { oneOf: ['auto', 'passages', 'whole', 'windows'] },
  history: { list: { members: { question: { is: 'string' }, answer: { is: 'string' } } } },
  maxTokens: { number: [1, 100_000], whole: true },
  budget: { number: [64, 1_000_000], whole: true },
  context: { oneOf: ['auto', 'exact', 'balanced', 'small'] },
  keep: KEEP,
  onProgress: { is: 'function' },
  signal: { signal: true },
};

const PREPARE: ShapeOf<Required<PrepareOptions>> = { ...ASK, question: { is: 'string' } };
