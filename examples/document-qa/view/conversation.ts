/**
 * `<doc-conversation>`: the questions and answers about what is open. It keeps to the end while an answer comes, unless the reader has scrolled up, and tells screen
 * readers when an answer is there.
 */
import type { LibraryEntry } from 'octavo';
import { html, nothing, type TemplateResult } from 'lit';
import { repeat } from 'lit/directives/repeat.js';
import { define } from '../../common/element.ts';
import { icon } from '../../common/icons.ts';
import { isPart, titleOf } from '../../common/models/choice.ts';
import type { Observable } from '../../common/observable.ts';
import { detailsView, problemOfDocument, problemView } from '../../common/problem.ts';
import { toast } from '../../common/toasts.ts';
import { asMarkdown } from '../export.ts';
import { t } from '../messages.ts';
import type { Answer, Exchange } from '../state/exchanges.ts';
import type { Workspace } from '../state/workspace.ts';
import { exchangeView, isAbsent, numbersOf, secondsForAll, type AnswerActions } from './answer.ts';
import { WorkspacePart } from './element.ts';
import { hideQuote, showQuote } from './quote-card.ts';
import { readingView } from './reading.ts';
import { recognitionView } from './recognition.ts';

/** Pixels from the end within which the reader is at the end. */
const AT_END = 80;
const MOST_SUGGESTIONS = 3;
/** Headings that nobody asks about. */
const NOT_ASKED =
  /^([\d.]+ *)?(table of contents|contents|index|references|bibliography|acknowledge?ments?|cover|inhalt(sverzeichnis)?|literatur)$/i;
const SAMPLE_QUESTIONS = [
  'What is the call sign of the Aurora?',
  'How tall is the lighthouse?',
  'When is the meeting about project Atlas?',
];
export const SAMPLE = 'Notes from the harbour.pdf';

class Conversation extends WorkspacePart {
  static override properties = { ...WorkspacePart.properties, suggestions: { state: true }, told: { state: true } };
  declare suggestions: readonly string[];
  declare told: string;
  #follow = true;
  #characters = new Map<string, number>();
  #suggested: string | undefined;
  #finished = new Set<string>();
  /** A turned phone, a keyboard on the screen and a longer question leave the thread less height. */
  readonly #resized = new ResizeObserver(() => this.#toEnd());

  constructor() {
    super();
    this.suggestions = [];
    this.told = '';
  }

  protected override shown({
    shelf,
    scope,
    exchanges,
    asker,
    place,
    models,
  }: Workspace): readonly Pick<Observable<unknown>, 'subscribe'>[] {
    return [shelf.state, scope, exchanges.list, exchanges.elsewhere, asker.going, place, models.state];
  }

  override willUpdate(changed: ReadonlyMap<PropertyKey, unknown>): void {
    super.willUpdate(changed);
    const { scope, asker, exchanges } = this.workspace;
    if (this.#suggested !== scope.value) {
      this.#suggested = scope.value;
      this.suggestions = [];
      this.#follow = true;
      this.#finished = new Set();
    }
    void this.#learn();
    // What was going and is not any more was answered just now.
    const going = new Set(asker.going.value.map(({ exchange }) => exchange.id));
    for (const { id, answer } of exchanges.list.value) {
      if (going.has(id)) this.#finished.add(id);
      else if (this.#finished.delete(id) && answer !== undefined) this.told = told(answer);
    }
  }

  override updated(): void {
    const thread = this.querySelector('.thread');
    if (thread !== null) this.#resized.observe(thread);
    this.#toEnd();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#resized.disconnect();
  }

  #toEnd(): void {
    const thread = this.querySelector('.thread');
    if (thread !== null && this.#follow) thread.scrollTop = thread.scrollHeight;
  }

  /** What the open document has headings about, and how long it is. */
  async #learn(): Promise<void> {
    const { shelf, scope } = this.workspace;
    const name = scope.value;
    const entry = shelf.entry(name);
    if (entry === undefined || (entry.state !== 'read' && entry.state !== 'ready') || this.#characters.has(entry.id))
      return;
    this.#characters.set(entry.id, entry.characters);
    const document = await shelf.document(entry.id).catch(() => undefined);
    if (document === undefined || scope.value !== name) return;
    const titles = document.outline
      .map(({ title }) => title.trim())
      .filter((title) => title.length > 3 && title.length < 60 && title !== document.title && !NOT_ASKED.test(title));
    this.suggestions =
      name === SAMPLE
        ? SAMPLE_QUESTIONS
        : [t('suggestionAll'), ...titles.map((title) => t('suggestion', { title }))].slice(0, MOST_SUGGESTIONS);
  }

  override render(): TemplateResult {
    const { exchanges, asker, scope, shelf } = this.workspace;
    const list = exchanges.list.value;
    const { problem } = shelf.state.value;
    return html`<div
        class="thread"
        tabindex="-1"
        @scroll=${(event: Event) => {
          const { scrollHeight, scrollTop, clientHeight } = event.currentTarget as HTMLElement;
          this.#follow = scrollHeight - scrollTop - clientHeight < AT_END;
        }}
      >
        ${problem === undefined ? nothing : html`<div class="thread-notice">${problemView(problem)}</div>`}
        ${
          list.length === 0
            ? this.#start()
            : html`<ol class="exchanges" aria-label=${t('conversation')}>
                ${repeat(
                  list,
                  ({ id }) => id,
                  (exchange) =>
                    exchangeView(
                      exchange,
                      asker.going.value.find((one) => one.exchange.id === exchange.id),
                      {
                        actions: this.#actions,
                        scope: scope.value,
                        elsewhere: exchanges.elsewhere.value.has(exchange.id),
                        seconds: (answer) => this.#secondsForAll(answer),
                      },
                    ),
                )}
              </ol>`
        }
      </div>
      <p class="unseen" role="status">${this.told}</p>`;
  }

  #start(): TemplateResult {
    const { shelf, scope } = this.workspace;
    const { entries } = shelf.state.value;
    const entry = shelf.entry(scope.value);
    if (scope.value !== '' && entry?.state === 'failed')
      return html`<div class="start">
        <h2>${entry.name}</h2>
        <div class="problem">
          ${icon('warning')}
          <div>
            <p class="problem-title">${t('stateFailed')}</p>
            <p>${problemOfDocument(entry.code)}</p>
            ${entry.problem === undefined ? nothing : detailsView(entry.problem)}
          </div>
        </div>
      </div>`;
    const read = entry !== undefined && entry.state !== 'waiting';
    const unread = entries.filter(({ state }) => state === 'waiting').length;
    // What they say of pictures is what the notice is for.
    const notes = entry?.notes.filter((note) => !note.includes('`ocr`')) ?? [];
    return html`<div class="start">
      <h2>${entry === undefined ? t('startAll') : t('startTitle', { name: entry.title ?? entry.name })}</h2>
      <p class="soft numbers">
        ${
          entry === undefined
            ? html`${t('startAllBody', { count: entries.length })}
              ${unread === 0 ? nothing : t('startAllReading', { done: entries.length - unread, count: entries.length })}`
            : read && entry.characters === 0
              ? t('pages', { count: entry.pages })
              : read
                ? t('startBody', {
                    pages:
                      entry.pages > 1
                        ? t('pages', { count: entry.pages })
                        : t('words', { count: wordsOf(entry.characters) }),
                  })
                : readingView(entry, shelf.state.value)
        }
      </p>
      ${
        notes.length > 0
          ? html`<details class="notes">
              <summary>${icon('info')} ${t('notes')} (${notes.length})</summary>
              <ul>
                ${notes.map((note) => html`<li>${note}</li>`)}
              </ul>
            </details>`
          : nothing
      }
      ${recognitionView(entry, shelf)}
      ${
        entry?.recognition === 'done' && entry.characters > 0
          ? html`<p class="hint">${icon('info')} ${t('ocrDone')}</p>`
          : nothing
      }
      ${this.#trying(entry)}
      ${
        entry === undefined || this.suggestions.length === 0
          ? nothing
          : html`<ul class="suggestions">
              ${this.suggestions.map(
                (question) =>
                  html`<li>
                    <button class="suggestion" @click=${() => this.send('ask', question)}>
                      ${question} ${icon('arrowUp')}
                    </button>
                  </li>`,
              )}
            </ul>`
      }
    </div>`;
  }

  /** What comes with the application answers about the sample, and little else. */
  #trying(entry: LibraryEntry | undefined): TemplateResult | typeof nothing {
    const { choice } = this.workspace.models.state.value;
    if (
      entry === undefined ||
      entry.name === SAMPLE ||
      entry.characters === 0 ||
      choice === undefined ||
      !isPart(choice)
    )
      return nothing;
    return html`<div class="notice">
      <p class="grow">${t('nanoHint', { model: titleOf(choice) })}</p>
      <button class="button" @click=${() => this.send('show-models')}>${t('chooseModel')}</button>
    </div>`;
  }

  #secondsForAll(answer: Answer): number | undefined {
    const { shelf, scope } = this.workspace;
    const entries = scope.value === '' ? shelf.state.value.entries : [shelf.entry(scope.value)];
    return secondsForAll(
      answer,
      entries.reduce((sum, entry) => sum + (entry?.characters ?? 0), 0),
    );
  }

  readonly #actions: AnswerActions = {
    show: (evidence, from) => void this.#show(evidence, from),
    peek: (evidence, at) =>
      evidence === undefined || at === undefined
        ? hideQuote()
        : showQuote(evidence, at, this.workspace.scope.value === ''),
    again: (exchange, mode) =>
      void this.workspace.asker.ask(exchange.scope, exchange.question, { again: exchange, ...(mode && { mode }) }),
    edit: (exchange) => {
      this.send('edit-question', exchange.question);
      void this.workspace.exchanges.remove(exchange);
    },
    copy: (exchange) => void copy(exchange),
    remove: (exchange) => void this.workspace.exchanges.remove(exchange),
    chooseModel: () => this.send('show-models'),
  };

  async #show({ name, page, start, end, quote }: Parameters<AnswerActions['show']>[0], from: Element): Promise<void> {
    for (const one of this.querySelectorAll('.shown')) one.classList.remove('shown');
    from.classList.add('shown');
    this.workspace.show(name, page, [start, end], quote);
    this.send('show-place', from);
  }

  /** The chips of all answers, for the keyboard. */
  get chips(): readonly HTMLElement[] {
    return [...this.querySelectorAll<HTMLElement>('.chip')];
  }

  /** Shows the end again, when something was asked. */
  toEnd(): void {
    this.#follow = true;
    this.requestUpdate();
  }
}
define('doc-conversation', Conversation);
export type { Conversation };

/** About, in steps that do not say more than is known. */
function wordsOf(characters: number): number {
  const words = characters / 6;
  const step = words < 100 ? 10 : words < 1000 ? 50 : 100;
  return Math.max(step, Math.round(words / step) * step);
}

/** What the browser removed of its own accord. */
export function evictedView(names: readonly string[]): TemplateResult | typeof nothing {
  if (names.length === 0) return nothing;
  return html`<div class="thread-notice">
    <div class="problem" role="alert">
      ${icon('warning')}
      <div><p class="problem-title">${t('evicted', { count: names.length, names: names.join(', ') })}</p></div>
    </div>
  </div>`;
}

function told(answer: Answer): string {
  if (isAbsent(answer)) return t('answerAbsent', { count: answer.nearest.length });
  return `${t('answerReady', { text: answer.text })} ${t('citationsReady', { count: numbersOf(answer.evidence).size })}`;
}

async function copy(exchange: Exchange): Promise<void> {
  try {
    await navigator.clipboard.writeText(asMarkdown([exchange]));
    toast(t('copied'));
  } catch {
    toast(t('copyFailed'), { kind: 'error' });
  }
}
