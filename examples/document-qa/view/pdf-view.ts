/**
 * `<doc-pdf>`: all pages of a PDF below each other, or a picture. Pages near the window are drawn, others are empty frames of the right size, so that nothing moves when they come. Marks are
 * laid over a page in shares of its size, whatever its scale.
 */
import type { OctavoDocument, Page, PlacedRectangle } from 'octavo';
import { html, nothing, type PropertyDeclarations, type TemplateResult } from 'lit';
import { repeat } from 'lit/directives/repeat.js';
import { define, Part } from '../../common/element.ts';
import { t } from '../messages.ts';
import type { Place } from '../state/workspace.ts';
import type { DrawnPage, DrawnPages } from './pages.ts';

/** Screens before and behind the window within which pages are drawn. */
const NEAR = '60%';
/** Milliseconds that the width must rest before pages are drawn anew. */
const RESTS = 150;

class PdfView extends Part {
  static override properties: PropertyDeclarations = {
    document: { attribute: false },
    pages: { attribute: false },
    place: { attribute: false },
    zoom: { attribute: false },
  };
  declare document: OctavoDocument | undefined;
  declare pages: DrawnPages | undefined;
  declare place: Place | undefined;
  declare zoom: number;
  readonly #drawn = new Map<
    number,
    { readonly abort: AbortController; readonly page: Promise<DrawnPage | undefined> }
  >();
  readonly #near = new Set<number>();
  #observer: IntersectionObserver | undefined;
  #size: ResizeObserver | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #width = 0;
  #seenWidth = 0;
  #top = 0;
  #shown: Place | undefined;

  override connectedCallback(): void {
    super.connectedCallback();
    this.#observer = new IntersectionObserver((entries) => this.#seen(entries), {
      root: this,
      rootMargin: `${NEAR} 0px`,
    });
    this.#size = new ResizeObserver(() => {
      // Pages grow with the width: what is in sight stays in sight.
      const width = this.clientWidth;
      if (this.#seenWidth > 0 && width > 0 && width !== this.#seenWidth)
        this.scrollTop = (this.#top * width) / this.#seenWidth;
      this.#seenWidth = width;
      this.#top = this.scrollTop;
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#redraw(), RESTS);
    });
    this.#size.observe(this);
    this.addEventListener('scroll', this.#scrolled, { passive: true });
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#observer?.disconnect();
    this.#size?.disconnect();
    this.removeEventListener('scroll', this.#scrolled);
    this.#clear();
  }

  override willUpdate(changed: ReadonlyMap<PropertyKey, unknown>): void {
    if (changed.has('pages')) this.#clear();
  }

  override updated(changed: ReadonlyMap<PropertyKey, unknown>): void {
    if (changed.has('document') || changed.has('pages')) {
      this.#observer?.disconnect();
      this.#near.clear();
      for (const sheet of this.querySelectorAll('.sheet')) this.#observer?.observe(sheet);
    }
    if (changed.has('zoom')) this.#redraw();
    if (this.place !== undefined && this.place !== this.#shown && this.document !== undefined) {
      this.#shown = this.place;
      this.#reveal(this.place);
    }
  }

  override render(): TemplateResult | typeof nothing {
    const { document } = this;
    if (document === undefined) return nothing;
    const { range } = this.place ?? {};
    const marks = range === undefined ? [] : document.rectangles(range[0], range[1]);
    return html`<div class="sheets" .style=${`--zoom: ${this.zoom}`}>
      ${repeat(
        document.pages,
        ({ number }) => number,
        (page) =>
          this.#sheet(
            page,
            marks.filter((mark) => mark.page === page.number),
          ),
      )}
    </div>`;
  }

  #sheet({ number, width, height, label }: Page, marks: readonly PlacedRectangle[]): TemplateResult {
    return html`<div
      class="sheet"
      role="group"
      aria-label="${t('page')} ${label ?? number}"
      data-page=${number}
      .style=${`aspect-ratio: ${width} / ${height}`}
    >
      <div class="drawn"></div>
      <div class="marks">
        ${marks.map(
          ({ rectangle: [left, top, right, bottom] }) =>
            html`<div
              class="mark"
              .style=${`left: ${(100 * left) / width}%; top: ${(100 * top) / height}%; width: ${(100 * (right - left)) / width}%; height: ${(100 * (bottom - top)) / height}%`}
            ></div>`,
        )}
      </div>
    </div>`;
  }

  #seen(entries: readonly IntersectionObserverEntry[]): void {
    for (const { target, isIntersecting } of entries) {
      const number = Number((target as HTMLElement).dataset['page']);
      if (isIntersecting) {
        this.#near.add(number);
        this.#draw(number);
      } else {
        this.#near.delete(number);
        this.#drop(number);
      }
    }
  }

  #draw(number: number): void {
    const { pages } = this;
    const sheet = this.#sheetOf(number);
    const place = sheet?.querySelector<HTMLElement>('.drawn');
    if (pages === undefined || sheet === undefined || place === null || place === undefined || this.#drawn.has(number))
      return;
    const abort = new AbortController();
    this.#width = sheet.clientWidth;
    if (this.#width === 0) return;
    const page = pages.draw(number, place, this.#width, abort.signal).catch((error: unknown) => {
      if (!abort.signal.aborted) sheet.dataset['problem'] = error instanceof Error ? error.message : String(error);
      return undefined;
    });
    this.#drawn.set(number, { abort, page });
  }

  #drop(number: number): void {
    const found = this.#drawn.get(number);
    if (found === undefined) return;
    this.#drawn.delete(number);
    found.abort.abort();
    void found.page.then((page) => page?.clear());
  }

  #clear(): void {
    for (const number of [...this.#drawn.keys()]) this.#drop(number);
  }

  /** At the size that pages have now; what is drawn stays stretched until then. */
  #redraw(): void {
    const [first] = this.#near;
    const sheet = first === undefined ? undefined : this.#sheetOf(first);
    if (sheet === undefined || sheet.clientWidth === this.#width) return;
    for (const number of this.#near) {
      const before = this.#drawn.get(number);
      this.#drawn.delete(number);
      this.#draw(number);
      // What is there stays, stretched, until the new drawing takes its place.
      const end = (): void => {
        before?.abort.abort();
        void before?.page.then((page) => page?.clear());
      };
      void this.#drawn.get(number)?.page.then(end, end);
    }
  }

  #sheetOf(number: number): HTMLElement | undefined {
    return this.querySelector<HTMLElement>(`.sheet[data-page="${number}"]`) ?? undefined;
  }

  /** The marked words in the middle of the window; a page without any at its beginning. */
  #reveal({ page, range }: Place): void {
    const sheet = this.#sheetOf(page);
    const mark = range === undefined ? null : this.querySelector('.mark');
    if (mark !== null) mark.scrollIntoView({ block: 'center', inline: 'nearest' });
    else sheet?.scrollIntoView({ block: 'start' });
  }

  readonly #scrolled = (): void => {
    if (this.clientWidth === this.#seenWidth) this.#top = this.scrollTop;
    const middle = this.getBoundingClientRect().top + this.clientHeight / 2;
    const sheets = [...this.#near].toSorted((a, b) => a - b);
    const at = sheets.find((number) => (this.#sheetOf(number)?.getBoundingClientRect().bottom ?? 0) > middle);
    if (at !== undefined) this.send('page-seen', at);
  };
}
define('doc-pdf', PdfView);
