/** One question with its answer, as it is shown: the text with a chip behind each sentence, and the quotes below. */
import type { AskMode } from 'octavo';
import { html, nothing, type TemplateResult } from 'lit';
import { duration, percent } from '../../common/format.ts';
import { icon, iconButton } from '../../common/icons.ts';
import { common } from '../../common/messages.ts';
import { readText, t, type Key } from '../messages.ts';
import type { Going } from '../state/asker.ts';
import type { Answer, Evidence, Exchange, Nearest } from '../state/exchanges.ts';

/** From here on an answer is shown as one that the document does not give. */
const ABSENT = 0.5;
/** What stays beside a chip: a whole word would be too wide in scripts without spaces, or of an address. */
const LAST_LETTERS = /\S{1,12}$/u;
/** Words of a quote that a name for screen readers has. */
const LONGEST_NAME = 140;

export interface AnswerActions {
  show(
    evidence: Pick<Evidence, 'document' | 'name' | 'page' | 'start' | 'end'> & { readonly quote: string },
    from: Element,
  ): void;
  peek(evidence: Evidence | undefined, at?: Element): void;
  /** `mode`: in place of what the settings say. */
  again(exchange: Exchange, mode?: AskMode): void;
  /** Gives the question back to be written anew. */
  edit(exchange: Exchange): void;
  copy(exchange: Exchange): void;
  remove(exchange: Exchange): void;
  chooseModel(): void;
}

export function isAbsent({ absent }: Answer): boolean {
  return absent >= ABSENT;
}

/** A number for each place that is cited, the same for the same place. */
export function numbersOf(
  evidence: readonly Evidence[],
): ReadonlyMap<string, { readonly n: number; readonly evidence: Evidence }> {
  const found = new Map<string, { n: number; evidence: Evidence }>();
  for (const one of evidence) {
    const key = placeOf(one);
    if (!found.has(key)) found.set(key, { n: found.size + 1, evidence: one });
  }
  return found;
}

export const placeOf = ({ document, start, end }: Evidence): string => `${document} ${start} ${end}`;

/** Text has no pages to name. */
export function pageOf({ page, rectangles }: Pick<Evidence, 'page' | 'rectangles'>): string {
  return rectangles.length === 0 ? '' : t('pageShort', { page });
}

/** Seconds that reading everything would take at the rate of this answer. */
export function secondsForAll({ prefill, tokens }: Answer, characters: number): number | undefined {
  if (tokens < 32 || prefill <= 0) return undefined;
  const rate = tokens / (prefill / 1000);
  return characters / 4 / rate;
}

export function exchangeView(
  exchange: Exchange,
  going: Going | undefined,
  {
    actions,
    scope,
    elsewhere,
    seconds,
  }: {
    readonly actions: AnswerActions;
    readonly scope: string;
    /** Another tab answers it. */
    readonly elsewhere: boolean;
    readonly seconds: (answer: Answer) => number | undefined;
  },
): TemplateResult {
  const { question, answer, problem, id } = exchange;
  const waits = elsewhere && answer === undefined && problem === undefined;
  return html`<li class="exchange" data-id=${id}>
    <article aria-labelledby="q-${id}">
      <h3 class="question" id="q-${id}">${question}</h3>
      ${isLong(question) ? foldButton(`q-${id}`) : nothing}
      <div class="answer" aria-busy=${going === undefined && !waits ? 'false' : 'true'}>
        ${
          going !== undefined
            ? goingView(going)
            : waits
              ? html`<p class="meta"><span class="spinner" aria-hidden="true"></span> ${t('elsewhere')}</p>
                  <p class="answer-text empty"></p>`
              : answer !== undefined
                ? isAbsent(answer)
                  ? absentView(exchange, answer, { actions, scope, seconds: seconds(answer) })
                  : answerView(exchange, answer, actions, scope)
                : problemView(exchange, problem, actions)
        }
      </div>
    </article>
  </li>`;
}

/** Whether a question would fill a screen. */
function isLong(question: string): boolean {
  return question.length > 600 || question.split('\n', 10).length === 10;
}

/** Shows all of a long question, or its first lines. */
function foldButton(question: string): TemplateResult {
  return html`<button
    class="button quiet small fold"
    aria-expanded="false"
    aria-controls=${question}
    @click=${({ currentTarget }: Event) => {
      const button = currentTarget as HTMLButtonElement;
      button.ariaExpanded = button.ariaExpanded === 'true' ? 'false' : 'true';
    }}
  >
    <span>${t('showAll')}</span><span>${t('showLess')}</span>
  </button>`;
}

function phaseText({ phase, done, total, exchange }: Going): string {
  switch (phase) {
    case 'queued':
      return t('waitingQuestion');
    case 'document':
      return exchange.scope === '' && total > 0 ? t('waitingDocuments', { done, total }) : t('waitingDocument');
    case 'model':
      return t('waitingModel');
    case 'searching':
      return t('searching');
    case 'reading':
      return t('readingTokens', { share: percent(total > 0 ? done / total : 0) });
    case 'parts':
      return t('readingParts', { done: Math.min(done + 1, total), total });
    case 'answering':
      return t('answering');
    case 'citing':
      return t('citing');
    default:
      throw new Error(`no phase: ${String(phase satisfies never)}`);
  }
}

function goingView(going: Going): TemplateResult {
  return html`<p class="meta numbers"><span class="spinner" aria-hidden="true"></span> ${phaseText(going)}</p>
    <p class="answer-text ${going.text === '' ? 'empty' : ''}">${going.text}</p>`;
}

function metaView({ model, read, time, unread = 0 }: Answer): TemplateResult {
  return html`<p class="meta numbers">
      ${t('readWhat', { what: readText(read) })} <span aria-hidden="true">·</span> ${model}
      <span aria-hidden="true">·</span>
      ${duration(time / 1000)}
    </p>
    ${
      unread === 0
        ? nothing
        : html`<p class="unverified">${icon('warning')} ${t('unreadDocuments', { count: unread })}</p>`
    }`;
}

function answerView(exchange: Exchange, answer: Answer, actions: AnswerActions, scope: string): TemplateResult {
  const numbers = numbersOf(answer.evidence);
  return html`${metaView(answer)}
    <p class="answer-text">${withChips(answer, numbers, actions, scope)}</p>
    ${
      answer.unverified.length === 0
        ? nothing
        : html`<p class="unverified">
            ${icon('warning')} ${t('unverified', { numbers: answer.unverified.join(', ') })}
          </p>`
    }
    ${numbers.size === 0 ? html`<p class="unverified">${icon('warning')} ${t('unsupported')}</p>` : nothing}
    <ol class="quotes" aria-label=${t('quotes')}>
      ${[...numbers.values()].map(
        ({ n, evidence }) =>
          html`<li>
            <button
              class="quote ${evidence.kind}"
              @click=${(event: Event) => actions.show(evidence, event.currentTarget as Element)}
            >
              <span class="quote-number" aria-hidden="true">${n}</span>
              <span class="quote-text">${evidence.before}<mark>${evidence.quote}</mark>${evidence.after}</span>
              <span class="quote-place numbers"
                >${scope === '' ? html`<span class="quote-name">${evidence.name}</span>` : nothing}
                ${pageOf(evidence)}${evidence.recognised === true ? ` · ${t('recognised')}` : ''}</span
              >
            </button>
          </li>`,
      )}
    </ol>
    ${actionsView(exchange, actions)}`;
}

/** Chips stand behind the sentence that they are for. */
function withChips(
  { text, evidence }: Answer,
  numbers: ReturnType<typeof numbersOf>,
  actions: AnswerActions,
  scope: string,
): readonly (string | TemplateResult)[] {
  const ends = [...new Set(evidence.map(({ answer }) => answer[1]))].sort((a, b) => a - b);
  const parts: (string | TemplateResult)[] = [];
  let from = 0;
  for (const end of ends) {
    // A chip and the last word stay on one line.
    const sentence = text.slice(from, end).trimEnd();
    const chips = evidence
      .filter(({ answer }) => answer[1] === end)
      .map((one) => chip(one, numbers.get(placeOf(one))?.n ?? 0, actions, scope));
    const at = sentence.search(LAST_LETTERS);
    parts.push(sentence.slice(0, at), html`<span class="cited">${sentence.slice(at)}${chips}</span>`);
    from = from + sentence.length;
  }
  parts.push(text.slice(from));
  return parts;
}

function chip(evidence: Evidence, n: number, actions: AnswerActions, scope: string): TemplateResult {
  const { page, name, kind, quote, rectangles } = evidence;
  const short = quote.length > LONGEST_NAME ? `${quote.slice(0, LONGEST_NAME)}…` : quote;
  const place = [...(scope === '' ? [name] : []), ...(rectangles.length === 0 ? [] : [t('onPage', { page })])];
  const label = t('citation', { n, place: place.map((one) => `, ${one}`).join(''), quote: short });
  return html`<button
    class="chip ${kind}"
    aria-label="${label} ${t(kind)}"
    @click=${(event: Event) => {
      actions.peek(undefined);
      actions.show(evidence, event.currentTarget as Element);
    }}
    @focus=${(event: Event) => {
      const element = event.currentTarget as Element;
      if (element.matches(':focus-visible')) actions.peek(evidence, element);
    }}
    @blur=${() => actions.peek(undefined)}
    @mouseenter=${(event: Event) => actions.peek(evidence, event.currentTarget as Element)}
    @mouseleave=${() => actions.peek(undefined)}
  >
    ${n}
  </button>`;
}

function absentView(
  exchange: Exchange,
  answer: Answer,
  {
    actions,
    scope,
    seconds,
  }: { readonly actions: AnswerActions; readonly scope: string; readonly seconds: number | undefined },
): TemplateResult {
  const { nearest, text, mode, evidence } = answer;
  return html`${metaView(answer)}
    <p class="answer-text absent">${icon('info')} ${t(scope === '' ? 'absentAllTitle' : 'absentTitle')}</p>
    ${
      evidence.length === 0
        ? nothing
        : html`<details class="said">
            <summary>${t('absentSaid')}</summary>
            <p>${text}</p>
          </details>`
    }
    ${
      nearest.length === 0
        ? nothing
        : html`<p class="meta">${t('nearest')}</p>
            <ol class="quotes">
              ${nearest.map((one) => nearestView(one, actions, scope))}
            </ol>`
    }
    ${
      mode === 'passages'
        ? html`<button class="button" @click=${() => actions.again(exchange, 'windows')}>
            ${icon('search')}
            ${seconds === undefined ? t('searchAll') : t('searchAllTime', { time: duration(seconds) })}
          </button>`
        : nothing
    }
    ${actionsView(exchange, actions)}`;
}

function nearestView(nearest: Nearest, actions: AnswerActions, scope: string): TemplateResult {
  const { name, text, path } = nearest;
  return html`<li>
    <button
      class="quote"
      @click=${(event: Event) => actions.show({ ...nearest, quote: text }, event.currentTarget as Element)}
    >
      <span class="quote-text">${path.length > 0 ? html`<b>${path.at(-1)}</b> ` : nothing}${text}</span>
      <span class="quote-place numbers"
        >${scope === '' ? html`<span class="quote-name">${name}</span>` : nothing} ${pageOf(nearest)}</span
      >
    </button>
  </li>`;
}

function problemView(exchange: Exchange, problem: Exchange['problem'], actions: AnswerActions): TemplateResult {
  const stopped = problem?.title === 'stopped';
  const nothingThere = problem?.title === 'nothing';
  const model = nothingThere && problem.detail === 'model';
  // No other model finds text where there is none, and the details are for programmers.
  const textless = problem?.title === common('errorNoText');
  const title =
    problem === undefined
      ? t('interrupted')
      : stopped
        ? t('stopped')
        : model
          ? t('noModel')
          : nothingThere
            ? t('nothingToAsk')
            : problem.title;
  return html`<p class="meta">${title}</p>
    ${stopped ? html`<p class="answer-text partial">${problem.detail}</p>` : nothing}
    ${
      problem !== undefined && !stopped && !model && !textless && problem.detail !== ''
        ? html`<p class="hint detail">${problem.detail}</p>`
        : nothing
    }
    <div class="row actions">
      ${
        problem === undefined || stopped || textless
          ? nothing
          : html`<button class="button" @click=${() => actions.chooseModel()}>
              ${icon('chip')} ${t('chooseModel')}
            </button>`
      }
      ${againView(exchange, actions)} ${iconButton('trash', t('removeExchange'), () => actions.remove(exchange))}
    </div>`;
}

/** What was too long would be so again. */
function againView(exchange: Exchange, actions: AnswerActions): TemplateResult {
  const reads = (mode: AskMode, label: Key): TemplateResult =>
    html`<button class="button" @click=${() => actions.again(exchange, mode)}>${icon('reload')} ${t(label)}</button>`;
  const { tooLong } = exchange.problem ?? {};
  switch (tooLong) {
    case 'question':
      return html`<button class="button" @click=${() => actions.edit(exchange)}>${icon('edit')} ${t('edit')}</button>`;
    case 'text':
      return html`${reads('passages', 'againPassages')} ${reads('windows', 'searchAll')}`;
    case 'parts':
      return reads('passages', 'againPassages');
    case undefined:
      return html`<button class="button" @click=${() => actions.again(exchange)}>
        ${icon('reload')} ${t('again')}
      </button>`;
    default:
      throw new Error(`no kind of length: ${String(tooLong satisfies never)}`);
  }
}

function actionsView(exchange: Exchange, actions: AnswerActions): TemplateResult {
  return html`<div class="row actions">
    ${iconButton('copy', t('copyAnswer'), () => actions.copy(exchange))}
    ${iconButton('reload', t('again'), () => actions.again(exchange))}
    ${iconButton('trash', t('removeExchange'), () => actions.remove(exchange))}
  </div>`;
}
