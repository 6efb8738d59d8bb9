/**
 * Asks one question after the other. A question about a document that is still being read waits for it, one without a model for the model; what is on its way is told by
 * an observable, what came of it is kept as an exchange.
 */
import { InputError, type AskMode, type AskOptions, type DocumentAnswer, type OctavoModel } from 'octavo';
import type { ScreenLock } from '../../common/device/wake-lock.ts';
import type { ModelHolder } from '../../common/models/holder.ts';
import { titleOf } from '../../common/models/choice.ts';
import { Observable } from '../../common/observable.ts';
import { isAbort, problemOf } from '../../common/problem.ts';
import {
  holdAnswer,
  type Answer,
  type Evidence,
  type Exchange,
  type Exchanges,
  type Nearest,
  type TooLong,
} from './exchanges.ts';
import { settings } from './settings.ts';
import type { Shelf } from './shelf.ts';

export type Phase = 'queued' | 'document' | 'model' | 'searching' | 'reading' | 'parts' | 'answering' | 'citing';

export interface Going {
  readonly exchange: Exchange;
  readonly phase: Phase;
  readonly done: number;
  readonly total: number;
  readonly text: string;
}

/** What a question is answered from that nobody has. */
export class NothingToRead extends Error {
  override readonly name = 'NothingToRead';
}

interface Job extends Going {
  readonly mode: AskMode | 'auto' | undefined;
  readonly abort: AbortController;
  /** Tells other tabs that it is over. */
  readonly release: () => void;
}

/** What is read before a question comes. */
interface Preparation {
  readonly scope: string;
  readonly model: OctavoModel;
  readonly abort: AbortController;
  /** Resolves when it has ended, successfully or not. */
  ended: Promise<void>;
  onProgress: (phase: Phase, done: number, total: number) => void;
}

/** Exchanges of the conversation that a question brings along. */
const MOST_HISTORY = 4;
/** Characters that are shown on either side of a quote. */
const CONTEXT = 180;

export class Asker {
  /** The first is being answered. */
  readonly going = new Observable<readonly Going[]>([]);
  readonly #shelf: Shelf;
  readonly #models: ModelHolder;
  readonly #exchanges: Exchanges;
  readonly #screen: ScreenLock;
  #jobs: readonly Job[] = [];
  #running = false;
  #preparation: Preparation | undefined;
  /** What is read of a question that is being written. */
  #drafting: AbortController | undefined;

  constructor(shelf: Shelf, models: ModelHolder, exchanges: Exchanges, screen: ScreenLock) {
    this.#shelf = shelf;
    this.#models = models;
    this.#exchanges = exchanges;
    this.#screen = screen;
  }

  /** `again`: an exchange that is asked anew, and replaced. */
  async ask(
    scope: string,
    question: string,
    { mode, again }: { readonly mode?: AskMode; readonly again?: Exchange } = {},
  ): Promise<void> {
    const exchange: Exchange =
      again === undefined
        ? { id: crypto.randomUUID(), scope, question, asked: Date.now(), answer: undefined, problem: undefined }
        : { ...again, answer: undefined, problem: undefined };
    const release = await holdAnswer(exchange.id);
    const job: Job = {
      exchange,
      mode,
      phase: 'queued',
      done: 0,
      total: 0,
      text: '',
      abort: new AbortController(),
      release,
    };
    this.#set([...this.#jobs, job]);
    await this.#exchanges.put(exchange);
    void this.#run();
  }

  /**
   * Called when a question is about to be written: what questions about a document begin with is read, or taken from where it was kept. Only of one document, only
   * while nothing is answered, and only once until another is prepared.
   */
  prepare(scope: string): void {
    const { model } = this.#models.state.value;
    if (scope === '' || model === undefined || this.#running || !settings.value.keep) return;
    const before = this.#preparation;
    if (before?.scope === scope && before.model === model) return;
    const entry = this.#shelf.entry(scope);
    if (entry?.state !== 'ready') return;
    before?.abort.abort();
    const abort = new AbortController();
    const preparation: Preparation = { scope, model, abort, ended: Promise.resolve(), onProgress: () => undefined };
    this.#preparation = preparation;
    const read = async (): Promise<void> => {
      const document = await this.#shelf.document(entry.id);
      await document.prepare({
        model,
        ...reading(model),
        signal: abort.signal,
        onProgress: ({ phase, done, total }) => preparation.onProgress(phase, done, total),
      });
    };
    // What goes wrong here goes wrong again with the question, and is told then.
    preparation.ended = read().catch(() => {
      if (this.#preparation === preparation) this.#preparation = undefined;
    });
  }

  /**
   * Called when the writing of a question rests: it is read as far as it is there, so that its answer begins when it is asked. What is read for another question ends, and what goes
   * wrong goes wrong again with the question.
   */
  async draft(scope: string, question: string): Promise<void> {
    const { model } = this.#models.state.value;
    if (question === '' || model === undefined || this.#running || !settings.value.keep) return;
    this.#drafting?.abort();
    this.#drafting = new AbortController();
    const { signal } = this.#drafting;
    try {
      const entry = scope === '' ? undefined : this.#shelf.entry(scope);
      if (scope !== '' && entry?.state !== 'ready') return;
      await this.#preparation?.ended;
      const place = entry === undefined ? this.#shelf.library : await this.#shelf.document(entry.id);
      await place?.prepare({ model, ...reading(model), question, history: this.#history(scope, ''), signal });
    } catch {
      // Told with the question.
    }
  }

  /** What is read for this question already is waited for; what is read for others ends. */
  async #prepared(id: string, scope: string, mode: AskMode | 'auto' | undefined, signal: AbortSignal): Promise<void> {
    const preparation = this.#preparation;
    if (preparation === undefined) return;
    signal.throwIfAborted();
    const stop = (): void => preparation.abort.abort();
    if (preparation.scope !== scope || mode !== undefined) {
      this.#preparation = undefined;
      return stop();
    }
    preparation.onProgress = (phase, done, total) => this.#change(id, { phase, done, total });
    signal.addEventListener('abort', stop, { once: true });
    await preparation.ended;
    signal.removeEventListener('abort', stop);
    signal.throwIfAborted();
  }

  /** Ends what is being answered, or what waits. */
  stop(id: string): void {
    this.#jobs.find(({ exchange }) => exchange.id === id)?.abort.abort();
  }

  /** Ends what is asked of a document whose conversation goes away: nothing of it is kept. */
  drop(scope: string): void {
    const dropped = this.#jobs.filter(({ exchange }) => exchange.scope === scope);
    this.#set(this.#jobs.filter(({ exchange }) => exchange.scope !== scope));
    for (const { abort, release } of dropped) {
      abort.abort();
      release();
    }
  }

  async #run(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    try {
      for (let job = this.#jobs[0]; job !== undefined; job = this.#jobs[0]) {
        const { id } = job.exchange;
        await this.#screen.during(settings.value.screenOn, () => this.#one(id));
        job.release();
        this.#set(this.#jobs.filter(({ exchange }) => exchange.id !== id));
      }
    } finally {
      this.#running = false;
    }
  }

  async #one(id: string): Promise<void> {
    const job = this.#job(id);
    if (job === undefined) return;
    const { exchange, abort } = job;
    const { signal } = abort;
    try {
      signal.throwIfAborted();
      const answer = await this.#answer(id, exchange, job.mode, signal);
      if (this.#job(id) !== undefined) await this.#exchanges.put({ ...exchange, answer });
    } catch (error) {
      if (this.#job(id) === undefined) return;
      if (signal.aborted || isAbort(error)) {
        // What was said so far stays, without citations, since nothing was checked.
        await this.#exchanges.put({ ...exchange, problem: { title: 'stopped', detail: this.#job(id)?.text ?? '' } });
      } else
        await this.#exchanges.put({
          ...exchange,
          problem:
            error instanceof NothingToRead
              ? { title: 'nothing', detail: error.message }
              : { ...problemOf(error), tooLong: tooLong(error) },
        });
    }
  }

  async #answer(
    id: string,
    { scope, question }: Exchange,
    mode: AskMode | 'auto' | undefined,
    signal: AbortSignal,
  ): Promise<Answer> {
    const begun = performance.now();
    this.#change(id, { phase: 'document' });
    // What it has read is kept, and the question goes on from there.
    this.#drafting?.abort();
    const entry = scope === '' ? undefined : await this.#shelf.read(scope, signal);
    const unread =
      scope === '' ? await this.#shelf.readAll(signal, (done, total) => this.#change(id, { done, total })) : 0;
    if (scope !== '' && (entry === undefined || entry.state === 'failed'))
      throw new NothingToRead(entry?.problem ?? scope);
    this.#change(id, { phase: 'model' });
    const model = await this.#model(signal);
    await this.#prepared(id, scope, mode, signal);
    this.#change(id, { phase: 'searching' });
    const { library } = this.#shelf;
    const place = entry === undefined ? library : await this.#shelf.document(entry.id);
    if (place === undefined) throw new NothingToRead(scope);
    const stream = place.ask(question, {
      model,
      ...reading(model),
      ...(mode !== undefined && { mode }),
      history: this.#history(scope, id),
      signal,
      // A short answer is seen as it is written, though it may become a quote.
      onProgress: ({ phase, done, total, draft }) =>
        this.#change(id, { phase, done, total, ...(draft !== undefined && { text: draft }) }),
    });
    let text = '';
    for await (const piece of stream) {
      text += piece;
      this.#change(id, { phase: 'answering', text });
    }
    const answer = await this.#told(await stream.finished, model, entry?.id, performance.now() - begun);
    return unread === 0 ? answer : { ...answer, unread };
  }

  /** The model in use, or the one that is on its way. */
  #model(signal: AbortSignal): Promise<OctavoModel> {
    return new Promise((resolve, reject) => {
      const look = (): boolean => {
        const { model, loading, problem } = this.#models.state.value;
        if (loading !== undefined) return false;
        if (model !== undefined) resolve(model);
        else reject(problem?.error ?? new NothingToRead('model'));
        return true;
      };
      if (look()) return;
      const end = this.#models.state.subscribe(() => {
        if (look()) end();
      });
      signal.addEventListener('abort', () => {
        end();
        reject(signal.reason);
      });
    });
  }

  #history(scope: string, id: string): readonly { readonly question: string; readonly answer: string }[] {
    return this.#exchanges.list.value
      .filter((one) => one.scope === scope && one.id !== id)
      .flatMap(({ question, answer }) => (answer === undefined ? [] : [{ question, answer: answer.text }]))
      .slice(-MOST_HISTORY);
  }

  /** What is kept of an answer: with the words around each quote, and the documents' names. */
  async #told(
    { text, citations, mode, read, absent, unverified, time }: DocumentAnswer,
    model: OctavoModel,
    only: string | undefined,
    took: number,
  ): Promise<Answer> {
    const evidence: Evidence[] = [];
    for (const { document, name, page, start, end, quote, rectangles, kind, answer } of citations) {
      const { text: content, pages } = await this.#shelf.document(document);
      evidence.push({
        ...{ document, name, page, start, end, quote, rectangles, kind, answer },
        before: tail(content.slice(Math.max(0, start - CONTEXT), start), start > CONTEXT),
        after: /[.!?]["”’)]*\s*$/.test(quote)
          ? ''
          : head(content.slice(end, end + CONTEXT), end + CONTEXT < content.length),
        recognised: pages[page - 1]?.kind === 'recognised',
      });
    }
    const nearest = absent.nearest.map(
      ({ start, end, page, text: words, path, rectangles, document, name }): Nearest => ({
        ...{ start, end, page, text: words, path, rectangles, name },
        document: only ?? document,
      }),
    );
    const { choice } = this.#models.state.value;
    return {
      text,
      evidence,
      mode,
      read: read.description,
      absent: absent.probability,
      nearest,
      unverified,
      model: choice === undefined ? model.name : titleOf(choice),
      time: took,
      prefill: time.prefill,
      tokens: read.tokens - read.cached,
    };
  }

  #job(id: string): Job | undefined {
    return this.#jobs.find(({ exchange }) => exchange.id === id);
  }

  #change(id: string, change: Partial<Going>): void {
    this.#set(this.#jobs.map((job) => (job.exchange.id === id ? { ...job, ...change } : job)));
  }

  #set(jobs: readonly Job[]): void {
    this.#jobs = jobs;
    this.going.value = jobs;
  }
}

function tooLong(error: unknown): TooLong | undefined {
  if (!(error instanceof InputError) || error.code !== 'too-long') return undefined;
  return 'parts' in error.facts ? 'parts' : 'room' in error.facts ? 'text' : 'question';
}

/** How the settings have documents read. */
function reading(model: OctavoModel): Pick<AskOptions, 'mode' | 'budget' | 'maxTokens' | 'keep' | 'context'> {
  const { mode, budget, answer, keep, preset: context } = settings.value;
  return {
    mode,
    ...(budget > 0 && { budget: Math.min(budget, Math.floor(model.contextWindow / 2)) }),
    maxTokens: Math.min(answer, Math.floor(model.contextWindow / 4)),
    keep,
    context,
  };
}

/** What stands before a quote in its sentence. */
function tail(text: string, cut: boolean): string {
  const begins = [...text.matchAll(/\n\s*\n|[.!?]["”’)]*\s+/g)].at(-1);
  if (begins !== undefined) return text.slice(begins.index + begins[0].length);
  return cut ? `…${text.slice(Math.max(0, text.search(/\s/)))}` : text;
}

/** What stands behind it. */
function head(text: string, cut: boolean): string {
  const end = /\n\s*\n|[.!?]["”’)]*(?=\s|$)/.exec(text);
  if (end !== null) return text.slice(0, end.index) + end[0].trimEnd();
  return cut ? `${text.slice(0, Math.max(0, text.search(/\s\S*$/)))} …` : text;
}
