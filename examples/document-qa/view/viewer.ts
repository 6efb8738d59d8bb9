/** `<doc-viewer>`: the document beside the conversation, with its outline and search. The file is long because pages, outline and search move one place in the document. */
import type { OctavoDocument, SearchResult } from 'octavo';
import { html, nothing, type TemplateResult } from 'lit';
import { define } from '../../common/element.ts';
import { icon, iconButton } from '../../common/icons.ts';
import type { Observable } from '../../common/observable.ts';
import { problemOfDocument, problemView } from '../../common/problem.ts';
import { toast } from '../../common/toasts.ts';
import { t } from '../messages.ts';
import { settings } from '../state/settings.ts';
import { textOf } from '../state/shelf.ts';
import type { Place, Workspace } from '../state/workspace.ts';
import { WorkspacePart } from './element.ts';
import { find, type Hit } from './find.ts';
import { askPassword } from './password.ts';
import { openPages, type DrawnPages } from './pages.ts';
import './pdf-view.ts';
import { recognitionView } from './recognition.ts';
import './text-view.ts';

const ZOOM_STEP = 1.25;
/** Milliseconds without a key before a search begins. */
const RESTS = 200;
const MOST_PASSAGES = 8;

type Panel = 'outline' | 'search' | undefined;

interface Found {
  readonly query: string;
  readonly count: number;
  readonly hits: readonly Hit[];
  readonly passages: readonly SearchResult[];
}

class Viewer extends WorkspacePart {
  static override properties = {
    ...WorkspacePart.properties,
    document: { state: true },
    pages: { state: true },
    problem: { state: true },
    panel: { state: true },
    found: { state: true },
    page: { state: true },
    range: { state: true },
  };
  declare document: OctavoDocument | undefined;
  declare pages: DrawnPages | undefined;
  declare problem: unknown;
  declare panel: Panel;
  declare found: Found | undefined;
  declare page: number;
  #name: string | undefined;
  /** The text that is shown: of another file, or recognised since, it is another one. */
  #text: string | undefined;
  #opening = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #place: Place | undefined;

  protected override shown({ place, shelf }: Workspace): readonly Pick<Observable<unknown>, 'subscribe'>[] {
    return [place, shelf.state, settings];
  }

  override willUpdate(changed: ReadonlyMap<PropertyKey, unknown>): void {
    super.willUpdate(changed);
    const { place, shelf } = this.workspace;
    const now = place.value;
    const entry = now === undefined ? undefined : shelf.entry(now.name);
    if (now === undefined) {
      if (this.#name !== undefined) this.#close();
    } else if (now.name !== this.#name || textOf(entry) !== this.#text) {
      this.#close();
      this.#name = now.name;
      this.#text = textOf(entry);
      if (entry !== undefined && entry.state !== 'waiting' && entry.state !== 'failed') void this.#open(entry.id);
    } else if (
      this.document === undefined &&
      this.problem === undefined &&
      entry !== undefined &&
      (entry.state === 'read' || entry.state === 'ready') &&
      this.#opening === 0
    )
      void this.#open(entry.id);
    if (now !== this.#place) {
      this.#place = now;
      if (now !== undefined) this.page = now.page;
    }
  }

  #close(): void {
    this.#opening = 0;
    this.#name = undefined;
    this.#text = undefined;
    this.document = undefined;
    void this.pages?.close();
    this.pages = undefined;
    this.problem = undefined;
    this.found = undefined;
    this.panel = undefined;
    this.page = 1;
  }

  async #open(id: string): Promise<void> {
    const turn = Math.random();
    this.#opening = turn;
    const { shelf } = this.workspace;
    try {
      const document = await shelf.document(id);
      if (this.#opening !== turn) return;
      this.document = document;
      if (!isPaged(document)) return;
      const file = await shelf.file(id);
      if (this.#opening !== turn) return;
      if (file === undefined) {
        toast(t('goneFile'), { kind: 'error' });
        return;
      }
      const pages = await openPages(file, (again) => askPassword(document.name, again));
      if (this.#opening === turn) this.pages = pages;
      else void pages?.close();
    } catch (error) {
      if (this.#opening === turn) this.problem = error;
    }
  }

  /** What is to be shown, in the document as it is now: what it was cited from may have been replaced. */
  get #current(): Place | undefined {
    const { document } = this;
    const place = this.workspace.place.value;
    if (document === undefined || place === undefined || place.range === undefined || place.quote === undefined)
      return place;
    const [start, end] = place.range;
    if (document.text.slice(start, end) === place.quote) return place;
    const at = document.text.indexOf(place.quote);
    if (at < 0) return { ...place, range: undefined };
    const page = document.pages.findLast((one) => one.start <= at)?.number ?? 1;
    return { ...place, page, range: [at, at + place.quote.length] };
  }

  #settled: Place | undefined;
  #settledFor: Place | undefined;

  /** The same object for the same place, so that a render does not scroll. */
  #shownPlace(): Place | undefined {
    const place = this.workspace.place.value;
    if (place !== this.#settledFor || this.#settled === undefined) {
      this.#settled = this.#current;
      if (this.document !== undefined) {
        this.#settledFor = place;
        if (place?.range !== undefined && this.#settled?.range === undefined) toast(t('changed'));
      }
    }
    return this.#settled;
  }

  override render(): TemplateResult | typeof nothing {
    const place = this.workspace.place.value;
    if (place === undefined) return nothing;
    const { document } = this;
    const title = document?.title ?? place.name;
    return html`<div class="viewer-frame">
      <header class="bar viewer-bar">
        <button class="icon-button sheet-only" aria-label=${t('closeViewer')} @click=${() => this.send('close-place')}>
          ${icon('back')}
        </button>
        <h2 class="grow ellipsis" title=${title}>${title}</h2>
        <button
          class="icon-button"
          aria-label=${t('outline')}
          title=${t('outline')}
          aria-expanded=${this.panel === 'outline' ? 'true' : 'false'}
          @click=${() => this.toggle('outline')}
        >
          ${icon('outline')}
        </button>
        <button
          class="icon-button"
          aria-label=${t('search')}
          title=${t('search')}
          aria-expanded=${this.panel === 'search' ? 'true' : 'false'}
          @click=${() => this.toggle('search')}
        >
          ${icon('search')}
        </button>
        <button
          class="icon-button wide-only"
          aria-label=${t('closeViewer')}
          title=${t('closeViewer')}
          @click=${() => this.send('close-place')}
        >
          ${icon('close')}
        </button>
      </header>
      ${recognitionView(this.workspace.shelf.entry(place.name), this.workspace.shelf, { brief: true })}
      <div class="viewer-body">
        ${this.#panel()}
        ${
          this.problem !== undefined
            ? html`<div class="pad">${problemView(this.problem)}</div>`
            : document === undefined
              ? html`<div class="viewer-wait">${this.#waiting(place)}</div>`
              : isPaged(document)
                ? html`<doc-pdf
                    tabindex="0"
                    role="region"
                    aria-label=${t('viewer')}
                    .document=${document}
                    .pages=${this.pages}
                    .place=${this.#shownPlace()}
                    .zoom=${settings.value.zoom}
                    @page-seen=${({ detail }: CustomEvent<number>) => (this.page = detail)}
                  ></doc-pdf>`
                : html`<doc-text
                    tabindex="0"
                    role="region"
                    aria-label=${t('viewer')}
                    .document=${document}
                    .place=${this.#shownPlace()}
                  ></doc-text>`
        }
      </div>
      ${document !== undefined && isPaged(document) ? this.#foot(document) : nothing}
    </div>`;
  }

  #waiting({ name }: Place): TemplateResult {
    const entry = this.workspace.shelf.entry(name);
    if (entry === undefined)
      return html`<p><b>${t('gone')}</b></p>
        <p class="soft">${t('goneBody')}</p>`;
    if (entry.state === 'failed')
      return html`<p><b>${t('stateFailed')}</b></p>
        <p class="soft">${problemOfDocument(entry.code)}</p>`;
    return html`<span class="spinner"></span>
      <p class="soft">${entry.state === 'waiting' ? t('waitingDocument') : name}</p>`;
  }

  #foot({ pages }: OctavoDocument): TemplateResult {
    const step = (by: number): void => this.#goTo(this.page + by);
    return html`<footer class="viewer-foot">
      ${iconButton('back', t('previous'), () => step(-1), this.page <= 1)}
      <label class="page-number numbers">
        <span class="unseen">${t('page')}</span>
        <input
          type="text"
          inputmode="numeric"
          autocomplete="off"
          .value=${String(this.page)}
          size=${String(pages.length).length}
          @change=${(event: Event) => {
            const field = event.currentTarget as HTMLInputElement;
            this.#goTo(Number(field.value));
            field.value = String(this.page);
          }}
        />
        ${t('pageOf', { total: pages.length })}
      </label>
      ${iconButton('next', t('next'), () => step(1), this.page >= pages.length)}
      <span class="grow"></span>
      ${iconButton('minus', t('zoomOut'), () => this.zoomBy(1 / ZOOM_STEP))}
      ${iconButton('add', t('zoomIn'), () => this.zoomBy(ZOOM_STEP))}
    </footer>`;
  }

  #panel(): TemplateResult | typeof nothing {
    const { document, panel } = this;
    if (document === undefined || panel === undefined) return nothing;
    return html`<aside
      class="viewer-panel"
      aria-label=${t(panel)}
      @keydown=${(event: KeyboardEvent) => this.#escape(event)}
    >
      ${panel === 'outline' ? this.#outline(document) : this.#search(document)}
    </aside>`;
  }

  #outline(document: OctavoDocument): TemplateResult {
    const { outline, name } = document;
    const paged = isPaged(document);
    if (outline.length === 0) return html`<p class="hint pad">${t('outlineNone')}</p>`;
    return html`<ul class="outline">
      ${outline.map(
        ({ title, level, page, start }) =>
          html`<li>
            <button
              .style=${`--level: ${Math.min(5, level - 1)}`}
              @click=${() => this.workspace.show(name, page, [start, start + title.length])}
            >
              <span class="grow">${title}</span>${paged ? html`<span class="hint numbers">${page}</span>` : nothing}
            </button>
          </li>`,
      )}
    </ul>`;
  }

  #search(document: OctavoDocument): TemplateResult {
    const { found } = this;
    const pageOf = (page: number): TemplateResult | typeof nothing =>
      isPaged(document) ? html`<span class="hint numbers">${t('pageShort', { page })}</span>` : nothing;
    return html`<div class="search-head">
        <input
          class="field"
          type="search"
          aria-label=${t('search')}
          placeholder=${t('searchPlaceholder')}
          autocomplete="off"
          @input=${(event: Event) => this.#type(document, (event.currentTarget as HTMLInputElement).value)}
        />
      </div>
      <div class="search-results" role="status" aria-live="polite">
        ${
          found === undefined
            ? nothing
            : html`${found.count === 0 && found.passages.length === 0 ? html`<p class="hint pad">${t('searchNothing')}</p>` : nothing}
              ${
                found.count === 0
                  ? nothing
                  : html`<p class="hint pad">
                        ${t('searchExact', { count: found.count })}${found.count > found.hits.length ? `, ${t('searchMore', { count: found.hits.length })}` : ''}
                      </p>
                      <ul class="hits">
                        ${found.hits.map(
                          ({ start, end, page, before, words, after }) =>
                            html`<li>
                              <button @click=${() => this.workspace.show(document.name, page, [start, end])}>
                                <span class="grow">${before}<mark>${words}</mark>${after}</span>${pageOf(page)}
                              </button>
                            </li>`,
                        )}
                      </ul>`
              }
              ${
                found.passages.length === 0
                  ? nothing
                  : html`<p class="hint pad">${t('searchNear')}</p>
                      <ul class="hits">
                        ${found.passages.map(
                          ({ start, end, page, text }) =>
                            html`<li>
                              <button @click=${() => this.workspace.show(document.name, page, [start, end])}>
                                <span class="grow clamp">${text}</span>${pageOf(page)}
                              </button>
                            </li>`,
                        )}
                      </ul>`
              }`
        }
      </div>`;
  }

  #type(document: OctavoDocument, query: string): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#find(document, query), RESTS);
  }

  async #find(document: OctavoDocument, query: string): Promise<void> {
    if (query.trim() === '') {
      this.found = undefined;
      return;
    }
    const { count, hits } = find(document, query);
    const passages = await document.search(query, { limit: MOST_PASSAGES }).catch(() => []);
    if (this.document === document) this.found = { query, count, hits, passages };
  }

  /** Opens a panel, or closes it; its field or first entry gets the focus. */
  toggle(panel: 'outline' | 'search'): void {
    this.panel = this.panel === panel ? undefined : panel;
    void this.updateComplete.then(() =>
      this.querySelector<HTMLElement>('.viewer-panel input, .viewer-panel button')?.focus(),
    );
  }

  #escape(event: KeyboardEvent): void {
    if (event.key !== 'Escape') return;
    event.stopPropagation();
    const label = this.panel === 'outline' ? 'outline' : 'search';
    this.panel = undefined;
    this.querySelector<HTMLElement>(`.viewer-bar [aria-label="${t(label)}"]`)?.focus();
  }

  zoomBy(factor: number): void {
    settings.set({ zoom: Math.max(0.5, Math.min(4, settings.value.zoom * factor)) });
  }

  #goTo(page: number): void {
    const { document } = this;
    if (document === undefined || !Number.isInteger(page)) return;
    const number = Math.max(1, Math.min(document.pages.length, page));
    this.workspace.show(document.name, number);
  }
}
define('doc-viewer', Viewer);
export type { Viewer };

/** Whether it is drawn on pages; text is one page without a size. */
function isPaged({ pages }: OctavoDocument): boolean {
  return pages.some(({ width }) => width > 0);
}
