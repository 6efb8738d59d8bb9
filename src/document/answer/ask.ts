/**
 * One question about documents: what the model is shown is chosen, it answers, and its answer is cited.
 *
 * - `passages`: the passages that search finds, as many as are read within seconds;
 * - `whole`: the whole document, where it fits the model's window;
 * - `windows`: the document part by part, each part asked; then the sentences that the parts' answers were drawn from are asked together.
 *
 * The file is long because all modes share one state: what was read, what was said, and the signal.
 */
import { InputError, OctavoError } from '../../errors.ts';
import type { Attribution } from '../../generate/attribution.ts';
import type { ContextPreset } from '../../select/options.ts';
import type { KeepLimits } from '../../store/index.ts';
import type { DocumentContent, Language } from '../content.ts';
import type { Evidence } from '../index/evidence.ts';
import type { Found } from '../index/searcher.ts';
import { roughTokens } from '../segment.ts';
import { absentProbability, isRefusal } from './absent.ts';
import type { Ahead } from './ahead.ts';
import { narrowedToNumber } from './asked-number.ts';
import { cite, nearerTheQuestion, quotation, sentenceAsked, type Citation } from './cite.ts';
import { isShort, quoted, type Quoted } from './quote.ts';
import { searchText } from './follow-up.ts';
import type { AnsweringModel, AnsweringSession } from './model.ts';
import { asksForAll, leadingSentences, overviewOf } from './overview.ts';
import { packOf, sentencesIn, sentencesShown, type Pack, type Piece, type Shown } from './pack.ts';
import { budgetOf, followsNone, NEXT_QUESTION, promptOf } from './prompt.ts';
import { unknownNumbers } from './verify.ts';

/** How documents are read for an answer: the best passages, everything at once, or part by part. */
export type AskMode = 'passages' | 'whole' | 'windows';

/** A question that was asked before, with its answer. */
export interface Exchange {
  /** The question, as it was asked. */
  readonly question: string;
  /** The answer as text. */
  readonly answer: string;
}

/** How far answering a question has come. */
export interface AskProgress {
  /** `searching` passages, `reading` them or the document, asking its `parts` (mode `windows`), `answering`, `citing` the answer. */
  readonly phase: 'searching' | 'reading' | 'parts' | 'answering' | 'citing';
  /** Steps of the phase that are done: tokens while reading, parts of the document, pieces of text while answering. */
  readonly done: number;
  /** Steps of the phase; while answering the most there can be. */
  readonly total: number;
  /** What the model has said so far of a short answer. The stream holds it back until it ends, since it may be shown as a quote. */
  readonly draft?: string;
}

export interface AskSettings {
  /** How documents are read. Default `auto`: `whole` for short texts, otherwise `passages`. */
  readonly mode?: AskMode | 'auto' | undefined;
  /** Earlier questions and answers of the conversation, the newest last. */
  readonly history?: readonly Exchange[] | undefined;
  /** Most tokens of the answer; default 160. */
  readonly maxTokens?: number | undefined;
  /** Tokens of documents that are read for `passages`; default 640, of models with fewer than a billion parameters 320. */
  readonly budget?: number | undefined;
  /** How the context of an answer is kept, as in `createSession`. All of it is seen in any case: citations need that. */
  readonly context?: ContextPreset | undefined;
  /** Whether what a model has read of a whole document is kept on the disk for the next question, with keys and values of 8 bits. */
  readonly keep?: boolean | KeepLimits | undefined;
  /** Ends the call, which rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Called as the phases go on. */
  readonly onProgress?: ((progress: AskProgress) => void) | undefined;
}

/** The part of a document that was read for an answer. */
export interface ReadReport {
  /** Passages that were shown to the model. */
  readonly passages: number;
  /** Passages of all documents that were asked. */
  readonly of: number;
  /** Tokens of the last prompt. */
  readonly tokens: number;
  /** How many of `tokens` did not have to be computed again. */
  readonly cached: number;
  /** For people: `5 of 214 passages`, `all 31 pages`, `all 4 documents` where each has one. */
  readonly description: string;
}

export interface DocumentAnswer {
  /** The whole answer: in the document's words where it is short and can be a quote. */
  readonly text: string;
  /** What the model itself said: `text`, or other words for it. */
  readonly said: string;
  /** Where the answer stands in the documents, in the order of its sentences. */
  readonly citations: readonly Citation[];
  /** The mode that was taken. */
  readonly mode: AskMode;
  /** What was read for it. */
  readonly read: ReadReport;
  /** How likely it is that the documents do not say it, and the passages that came nearest. */
  readonly absent: { readonly probability: number; readonly nearest: readonly Found[] };
  /** Numbers of the answer that stand nowhere in what was read. */
  readonly unverified: readonly string[];
  /** Milliseconds by phase. */
  readonly time: {
    /** Finding passages. */
    readonly search: number;
    /** Reading them. */
    readonly prefill: number;
    /** Writing the answer. */
    readonly decode: number;
    /** Reading the answer once more for its citations. */
    readonly cite: number;
  };
}

/** What is asked: one document, or several. */
export interface Asked {
  readonly documents: readonly { readonly document: string; readonly content: DocumentContent }[];
  readonly passages: number;
  /** What was read of a question while it was written; undefined where questions are not read ahead. */
  readonly ahead?: Ahead | undefined;
  find(question: string, limit: number, signal?: AbortSignal): Promise<Found[]>;
  /** How much of the question stands in what was found for it. */
  evidence(question: string, found: readonly Found[]): Evidence;
}

const DEFAULT_TOKENS = 160;
/** Passages that are looked at. */
const LOOKED_AT = 32;
const MOST_PASSAGES = 6;
/** Times the tokens of passages that are read where a question is about everything. */
const OVERVIEW = 2;
const NEAREST = 3;
/** Exchanges of the conversation that the model is shown. */
const MOST_HISTORY = 2;
/** Tokens of a prompt beside its question and its document, and the fewest that are left for a document. */
const MARGIN = 64;
const LEAST_ROOM = 32;
/** Of the window, what a document may fill. */
const WHOLE_SHARE = 0.8;
/** A document of so few tokens is read whole. */
const SHORT_DOCUMENT = 1000;
/** Tokens of a part (`windows`), and how many parts are read at most. */
const PART = 1000;
const MOST_PARTS = 400;

export async function ask(
  model: AnsweringModel,
  asked: Asked,
  question: string,
  settings: AskSettings,
  onText: (piece: string) => void | Promise<void>,
): Promise<DocumentAnswer> {
  const { signal, onProgress, maxTokens = DEFAULT_TOKENS } = settings;
  signal?.throwIfAborted();
  if (question.trim() === '') throw new InputError('empty', 'ask: the question is empty');
  if (asked.passages === 0)
    throw new InputError(
      'empty',
      'there is no text to ask about: the pages are pictures, or blank; open the document with `ocr` to have them read',
    );
  const chosen = await choose(model, asked, question, settings);
  const { history, room, overall, searched, found, search, mode, shown } = chosen;
  const finding = { overall, searched, found, search };
  if (mode === 'windows') return askParts(model, asked, question, { ...settings, history }, room, finding, onText);
  const copying = copyingOf(model, asked, question, finding);
  const quoting = copying !== undefined && (overall || copying.foreign);
  const answered = quoting
    ? await asQuotes(overall ? leadingSentences(asked.documents) : sentenceFor(copying, sentencesShown(shown)), onText)
    : await answerFrom(model, shown, question, { ...settings, history, maxTokens }, onText, {
        whole: mode === 'whole',
        ahead: asked.ahead,
        copying,
      });
  onProgress?.({ phase: 'citing', done: 1, total: 1 });
  const everything = (quoting && overall) || mode === 'whole';
  const pages = asked.documents.reduce((sum, { content }) => sum + content.pages.length, 0);
  return finished(asked, answered, {
    mode,
    ...finding,
    read: {
      passages: everything ? asked.passages : shown.pieces.length,
      of: asked.passages,
      tokens: answered.tokens,
      cached: answered.cached,
      description: everything
        ? pages === 1
          ? 'the whole text'
          : pages === asked.documents.length
            ? `all ${pages} documents`
            : `all ${pages} pages`
        : `${shown.pieces.length} of ${asked.passages} passages`,
    },
  });
}

/** From this probability on that the documents do not say it, no sentence is quoted in place of what was misread. */
const TOO_UNLIKELY = 0.8;
/** What nano says of what is not there. */
const NOT_SAID = 'The document does not say.';

/** What to do with answers of a model that was trained to copy words out of English text, and on nothing else: of its other words none are right. */
interface Copying {
  readonly question: string;
  /** The question, with those before it where it cannot be understood alone. */
  readonly searched: string;
  /** Whether the documents are in a language that it has not learnt. */
  readonly foreign: boolean;
  readonly unlikely: boolean;
}

/** Undefined for models that follow instructions. */
function copyingOf(
  model: AnsweringModel,
  asked: Asked,
  question: string,
  { overall, searched, found }: Searched,
): Copying | undefined {
  if (!followsNone(model)) return undefined;
  return {
    question,
    searched,
    foreign: asked.documents[0]?.content.language === 'de',
    unlikely: !overall && absentProbability(asked.evidence(searched, found), false) >= TOO_UNLIKELY,
  };
}

/** In place of an answer: what of the text says most of the question, or, of one that names nothing, most of those before it. */
function sentenceFor({ question, searched, unlikely }: Copying, shown: readonly Shown[]): Shown[] {
  const sentence = unlikely ? undefined : (sentenceAsked(question, shown) ?? sentenceAsked(searched, shown));
  return sentence === undefined ? [] : [sentence];
}

/** What the model is shown for a question, and how that was found. */
interface Chosen extends Searched {
  readonly history: NonNullable<AskSettings['history']>;
  /** Tokens of the window that are left for documents. */
  readonly room: number;
  readonly mode: AskMode;
  /** Empty in the mode `windows`, which is shown one part after the other. */
  readonly shown: Pack;
}

async function choose(model: AnsweringModel, asked: Asked, question: string, settings: AskSettings): Promise<Chosen> {
  const { signal, maxTokens = DEFAULT_TOKENS } = settings;
  const language = asked.documents[0]?.content.language ?? 'other';
  const { history, room } = await conversation(model, question, settings, maxTokens);
  const begun = performance.now();
  const overall = asksForAll(question);
  const searched = searchText(
    question,
    (settings.history ?? []).map((one) => one.question),
    language,
  );
  const found = overall ? [] : await asked.find(searched, LOOKED_AT, signal);
  const search = performance.now() - begun;
  const mode = await chooseMode(model, asked, settings, room);
  const shown =
    mode === 'windows'
      ? packOf([])
      : mode === 'whole'
        ? wholePack(asked)
        : await passagePack(model, asked, { overall, found }, settings, room);
  return { history, room, overall, searched, found, search, mode, shown };
}

/** A question that is complete, as far as can be seen. */
const COMPLETE = /[.?!\u2026\u3002\uff1f\uff01\u061f\u037e]["'\u201d\u2019)]*\s*$/u;

/**
 * Reads what answers with these settings begin with, so that they come sooner. Without a question: a document that is read whole, from the disk where it was kept. With a
 * question that is being written: also the question itself, and in the mode `passages` what was found for it, once it ends with a mark, since for the rest of it other
 * passages may be found. A model on a server reads nothing ahead, which would cost twice.
 */
export async function prepare(
  model: AnsweringModel,
  asked: Asked,
  settings: AskSettings,
  question: string | undefined,
): Promise<void> {
  const { maxTokens = DEFAULT_TOKENS, signal, onProgress } = settings;
  signal?.throwIfAborted();
  if (asked.passages === 0 || model.device?.kind === 'server') return;
  const onPrefill = (done: number, total: number): void => onProgress?.({ phase: 'reading', done, total });
  if (question !== undefined && question.trim() !== '') {
    const chosen = await choose(model, asked, question, settings);
    const { history, mode, overall, shown } = chosen;
    if (mode === 'windows' || (mode === 'passages' && !COMPLETE.test(question))) return;
    const copying = copyingOf(model, asked, question, chosen);
    if (copying !== undefined && (overall || copying.foreign)) return;
    const options = sessionOf({ ...settings, history }, mode === 'whole');
    await asked.ahead?.read({ model, options, text: promptOf(model, shown.text, question), signal, onPrefill });
    return;
  }
  const { room } = await conversation(model, '', settings, maxTokens);
  if ((await chooseMode(model, asked, settings, room)) !== 'whole') return;
  const session = await model.createSession(sessionOf(settings, true));
  try {
    const stream = session.promptStreaming(promptOf(model, wholePack(asked).text, ''), {
      signal,
      maxTokens: 1,
      onPrefill,
    });
    for await (const _ of stream);
    await stream.finished;
  } finally {
    session.destroy();
  }
}

/**
 * The exchanges before the question that fit beside it, and how many tokens of the window are left for the document. Throws `InputError('too-long')` for a question
 * that leaves none.
 */
async function conversation(
  model: AnsweringModel,
  question: string,
  { history = [] }: AskSettings,
  maxTokens: number,
): Promise<{ readonly history: NonNullable<AskSettings['history']>; readonly room: number }> {
  const asking = await tokensOf(model, promptOf(model, '', question));
  const room = model.contextWindow - maxTokens - asking - MARGIN;
  if (room < LEAST_ROOM)
    throw new InputError(
      'too-long',
      `the question has ${asking} tokens and leaves no room for the document in a window of ${model.contextWindow}; ask a shorter one`,
      { tokens: asking, window: model.contextWindow },
    );
  const shown = history.slice(-MOST_HISTORY);
  const before = await tokensOf(model, shown.map((one) => `${one.question}\n${one.answer}\n`).join(''));
  return room - before < LEAST_ROOM ? { history: [], room } : { history: shown, room: room - before };
}

async function chooseMode(
  model: AnsweringModel,
  { documents }: Asked,
  { mode = 'auto', budget = budgetOf(model) }: AskSettings,
  beside: number,
): Promise<AskMode> {
  if (mode === 'passages' || mode === 'windows') return mode;
  const characters = documents.reduce((sum, { content }) => sum + content.text.length, 0);
  const room = WHOLE_SHARE * beside;
  // No tokenizer makes fewer tokens of so many characters.
  if (characters > 16 * room) {
    if (mode === 'auto') return 'passages';
    throw tooLong(Math.round(characters / 4), room);
  }
  const rough = documents.reduce((sum, { content }) => sum + roughTokens(content.text), 0);
  if (mode === 'auto') return rough <= Math.min(room, Math.max(budget, SHORT_DOCUMENT)) ? 'whole' : 'passages';
  let tokens = 0;
  for (const { content } of documents) tokens += await tokensOf(model, content.text);
  if (tokens > room) throw tooLong(tokens, room);
  return 'whole';
}

function tooLong(tokens: number, room: number): InputError {
  return new InputError(
    'too-long',
    `mode whole: the text has about ${tokens} tokens and the model reads ${Math.floor(room)} at once; take mode passages or windows, or load the model with a larger contextWindow`,
    { tokens, room: Math.floor(room) },
  );
}

function wholePack({ documents }: Asked): Pack {
  return packOf(
    documents.map(({ document, content }) => ({ document, content, start: 0, end: content.text.length, path: [] })),
  );
}

/** By the model's own tokenizer; about, for a model on a server, which has none here. */
async function tokensOf(model: AnsweringModel, text: string): Promise<number> {
  try {
    return (await model.tokenize(text, { special: false })).length;
  } catch (error) {
    if (error instanceof OctavoError && error.code !== 'lost') return Math.ceil(1.3 * roughTokens(text));
    throw error;
  }
}

/** The best passages that fit the budget, by the model's own count of tokens. */
async function passagePack(
  model: AnsweringModel,
  { documents }: Asked,
  { overall, found }: Pick<Searched, 'overall' | 'found'>,
  { budget = (overall ? OVERVIEW : 1) * budgetOf(model) }: AskSettings,
  beside: number,
): Promise<Pack> {
  const room = Math.min(budget, beside);
  // Nothing that was asked stands in any of them: the beginning is shown.
  const first = documents[0];
  const candidates: Piece[] = overall
    ? overviewOf(documents, MOST_PASSAGES)
    : found.length > 0
      ? found.map(({ document, content, passage }) => ({ document, content, ...passage }))
      : first === undefined
        ? []
        : [{ ...first, start: 0, end: Math.min(first.content.text.length, 2000), path: [] }];
  let chosen: Piece[] = [];
  for (const piece of candidates.slice(0, MOST_PASSAGES)) {
    const more = [...chosen, piece];
    const { text } = packOf(more);
    const tokens = await tokensOf(model, text);
    if (tokens <= room) chosen = more;
    else if (chosen.length === 0) {
      // One passage alone is too long for this model: as much of its beginning as fits.
      const end = piece.start + Math.floor(((piece.end - piece.start) * room) / tokens);
      return packOf([{ ...piece, end }]);
    }
  }
  return packOf(chosen);
}

/** What was searched for, what was found, and in how many milliseconds. */
interface Searched {
  /** The question is about the documents as a whole; then nothing is searched for. */
  readonly overall: boolean;
  readonly searched: string;
  readonly found: readonly Found[];
  readonly search: number;
}

interface Answered extends Quoted {
  readonly said: string;
  readonly pack: Pack;
  readonly tokens: number;
  readonly cached: number;
  readonly prefill: number;
  readonly decode: number;
  readonly citing: number;
}

/** Without `onText` the answer is one of a part, of which only the citations are wanted. */
async function answerFrom(
  model: AnsweringModel,
  pack: Pack,
  question: string,
  { signal, history = [], maxTokens = DEFAULT_TOKENS, keep = false, context, onProgress }: AskSettings,
  onText: ((piece: string) => void | Promise<void>) | undefined,
  {
    whole,
    ahead,
    copying,
  }: { readonly whole: boolean; readonly ahead: Ahead | undefined; readonly copying: Copying | undefined },
): Promise<Answered> {
  const options = sessionOf({ signal, history, keep, context }, whole);
  const prompt = promptOf(model, pack.text, question);
  const onPrefill = (done: number, total: number): void => onProgress?.({ phase: 'reading', done, total });
  const session = await (ahead?.take({ model, options, text: prompt, signal, onPrefill }) ??
    model.createSession(options));
  try {
    const shown = sentencesShown(pack);
    const language = languageOf(shown);
    const stream = session.promptStreaming(prompt, { signal, maxTokens, stop: NEXT_QUESTION, onPrefill });
    let said = '';
    // A short answer is held back, since it may be shown as a quote.
    let told = 0;
    let done = 0;
    for await (const piece of stream) {
      said += said === '' ? piece.trimStart() : piece;
      const held = told === 0 && isShort(said, language);
      onProgress?.({ phase: 'answering', done: ++done, total: maxTokens, ...(held && { draft: said }) });
      if (held) continue;
      await onText?.(said.slice(told));
      told = said.length;
    }
    const { tokens, time } = await stream.finished;
    said = said.trimEnd();
    const begun = performance.now();
    onProgress?.({ phase: 'citing', done: 0, total: 1 });
    const show = told > 0 || said === '' ? undefined : onText;
    const answer = await citedAnswer(session, pack, shown, { question, said, show, copying }, signal);
    return {
      ...answer,
      said,
      pack,
      tokens: tokens.prompt,
      cached: tokens.cached,
      prefill: time.prefill,
      decode: time.decode,
      citing: performance.now() - begun,
    };
  } finally {
    session.destroy();
  }
}

/** What is said without a model that could say it: the documents' own sentences, each its own citation. */
async function asQuotes(
  sentences: readonly Shown[],
  onText: (piece: string) => void | Promise<void>,
): Promise<Answered> {
  const begun = performance.now();
  const { text, citations } = quotesOf(sentences);
  await onText(text);
  const nothing = { tokens: 0, cached: 0, prefill: 0, decode: 0 };
  return { text, said: text, citations, pack: packOf(sentences), ...nothing, citing: performance.now() - begun };
}

function quotesOf(sentences: readonly Shown[]): Quoted {
  if (sentences.length === 0) return { text: NOT_SAID, citations: [] };
  let text = '';
  const citations: Citation[] = [];
  for (const sentence of sentences) {
    if (text !== '') text += ' ';
    const from = text.length;
    text += sentence.content.text.slice(sentence.start, sentence.end).replaceAll(/\s+/gu, ' ');
    citations.push(quotation(sentence, [from, text.length]));
  }
  return { text, citations };
}

/** How the session of one answer is opened. What is common to all questions comes first, so that it is read once. */
function sessionOf(
  { signal, history = [], keep = false, context }: AskSettings,
  whole: boolean,
): Parameters<AnsweringModel['createSession']>[0] {
  const turns = history.flatMap(({ question, answer }) => [
    { role: 'user' as const, content: question },
    { role: 'assistant' as const, content: answer },
  ]);
  return {
    temperature: 0,
    signal,
    thinking: false,
    ...(turns.length > 0 && !whole && { initialPrompts: turns }),
    ...(((whole && keep) || context !== undefined) && {
      context: {
        // A document that is kept has pages of 8 bits: it comes back from a third of the bytes, and is attended to sooner.
        ...(context === undefined ? { kvBits: 8 as const } : { preset: context, prefill: 'dense' as const }),
        keep: whole && keep,
      },
    }),
  };
}

function languageOf(shown: readonly Shown[]): Language {
  return shown[0]?.content.language ?? 'other';
}

interface Said {
  readonly question: string;
  readonly said: string;
  /** Undefined: it has been shown already, or will not be. */
  readonly show: ((text: string) => void | Promise<void>) | undefined;
  readonly copying: Copying | undefined;
}

/**
 * Shows an answer and cites it. Words alone decide whether it is shown as a quote, so that nobody waits for the
 * attention; a quote is its own citation.
 */
async function citedAnswer(
  session: AnsweringSession,
  pack: Pack,
  shown: readonly Shown[],
  { question, said, show, copying }: Said,
  signal: AbortSignal | undefined,
): Promise<Quoted> {
  const refused = isRefusal(said);
  const narrowed = (citations: readonly Citation[]): Citation[] =>
    citations.map((one) => narrowedToNumber(one, said, question, shown));
  if (show !== undefined) {
    const byWords = refused ? [] : cite(said, question, shown, undefined);
    const misread = copying !== undefined && !refused && byWords.every(({ kind }) => kind === 'weak');
    const quote = misread
      ? quotesOf(sentenceFor(copying, shown))
      : quoted(said, byWords, languageOf(shown), (cited) =>
          nearerTheQuestion(cited, question, shown, copying !== undefined),
        );
    await show(quote.text);
    if (quote.text !== said) return { text: quote.text, citations: narrowed(quote.citations) };
  }
  if (refused) return { text: said, citations: [] };
  const citations = cite(said, question, shown, await attributed(session, pack, shown, signal));
  return { text: said, citations: narrowed(citations) };
}

/** Undefined where the text went another way into the model than it stands here (a template that changes it): then words decide alone. */
async function attributed(
  session: AnsweringSession,
  { text }: Pack,
  shown: readonly Shown[],
  signal: AbortSignal | undefined,
): Promise<Attribution | undefined> {
  try {
    const spans = shown.flatMap(({ at, start, end }) => [at, at + end - start]);
    const found = await session.attribute({ text: text.trim(), spans }, { signal });
    // An answer may begin with a space that is not shown.
    const [first = '', ...rest] = found.tokens;
    return { ...found, tokens: [first.trimStart(), ...rest] };
  } catch (error) {
    // Models on servers are not looked into, either. A lost device is lost.
    if (error instanceof OctavoError && error.code !== 'lost') return undefined;
    throw error;
  }
}

function finished(
  asked: Asked,
  { text, said, citations, prefill, decode, citing, pack }: Answered,
  { mode, read, overall, searched, found, search }: Pick<DocumentAnswer, 'mode' | 'read'> & Searched,
): DocumentAnswer {
  const refused = isRefusal(said) || text === NOT_SAID;
  const probability = overall && !refused ? 0 : absentProbability(asked.evidence(searched, found), refused);
  return {
    text,
    said,
    citations,
    mode,
    read,
    absent: { probability, nearest: found.slice(0, NEAREST) },
    unverified: unknownNumbers(text, pack.text, asked.documents[0]?.content.language ?? 'other'),
    time: { search, prefill, decode, cite: citing },
  };
}

/** Part by part: what each part's answer was drawn from is read again, together. */
async function askParts(
  model: AnsweringModel,
  asked: Asked,
  question: string,
  settings: AskSettings,
  room: number,
  finding: Searched,
  onText: (piece: string) => void | Promise<void>,
): Promise<DocumentAnswer> {
  const { signal, onProgress, maxTokens = DEFAULT_TOKENS } = settings;
  const parts = partsOf(asked, Math.min(PART, room));
  const evidence: { readonly citation: Citation; readonly content: DocumentContent }[] = [];
  const contents = new Map(asked.documents.map(({ document, content }) => [document, content]));
  let prefill = 0;
  let decode = 0;
  for (const [i, part] of parts.entries()) {
    onProgress?.({ phase: 'parts', done: i, total: parts.length });
    const { onProgress: _own, history: _history, ...rest } = settings;
    const answered = await answerFrom(
      model,
      packOf([part]),
      question,
      { ...rest, maxTokens: Math.min(64, maxTokens) },
      undefined,
      { whole: false, ahead: undefined, copying: undefined },
    );
    prefill += answered.prefill;
    decode += answered.decode;
    for (const citation of answered.citations) {
      const content = contents.get(citation.document);
      if (content !== undefined && citation.kind !== 'weak') evidence.push({ citation, content });
    }
  }
  signal?.throwIfAborted();
  onProgress?.({ phase: 'parts', done: parts.length, total: parts.length });
  const chosen = evidence.toSorted((a, b) => b.citation.score - a.citation.score).slice(0, 24);
  const pieces = chosen.map(({ citation, content }) => sentenceAround(citation, content));
  const unique = pieces.filter(
    (piece, i) => pieces.findIndex((one) => one.document === piece.document && one.start === piece.start) === i,
  );
  let pack = unique.length > 0 ? packOf(unique) : await passagePack(model, asked, finding, settings, room);
  while (pack.pieces.length > 1 && (await tokensOf(model, pack.text)) > room) pack = packOf(pack.pieces.slice(0, -1));
  const answered = await answerFrom(model, pack, question, { ...settings, maxTokens }, onText, {
    whole: false,
    ahead: undefined,
    copying: copyingOf(model, asked, question, finding),
  });
  const read = {
    passages: asked.passages,
    of: asked.passages,
    tokens: answered.tokens,
    cached: answered.cached,
    description: `everything, in ${parts.length} parts`,
  };
  const timed = { ...answered, prefill: prefill + answered.prefill, decode: decode + answered.decode };
  return finished(asked, timed, { mode: 'windows', read, ...finding });
}

/** The sentence in which a citation stands. */
function sentenceAround({ document, start, end }: Citation, content: DocumentContent): Piece {
  const block = content.blocks.find((one) => one.start <= start && one.end > start);
  const sentence = sentencesIn(content, block ?? { kind: 'paragraph', start, end }).find(
    ([from, to]) => from <= start && to > start,
  );
  const [from, to] = sentence ?? [start, end];
  return { document, content, start: from, end: Math.max(to, end), path: [] };
}

function partsOf({ documents }: Asked, tokens: number): Piece[] {
  const parts: Piece[] = [];
  for (const { document, content } of documents) {
    let start: number | undefined;
    let end = 0;
    let held = 0;
    for (const block of content.blocks) {
      const own = roughTokens(content.text.slice(block.start, block.end));
      if (start !== undefined && held + own > tokens) {
        parts.push({ document, content, start, end, path: [] });
        start = undefined;
        held = 0;
      }
      start ??= block.start;
      end = block.end;
      held += own;
    }
    if (start !== undefined) parts.push({ document, content, start, end, path: [] });
  }
  if (parts.length > MOST_PARTS)
    throw new InputError(
      'too-long',
      `mode windows: the text has ${parts.length} parts and ${MOST_PARTS} are read for one question; take mode passages`,
      { parts: parts.length },
    );
  return parts;
}
