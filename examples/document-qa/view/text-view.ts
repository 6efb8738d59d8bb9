/**
 * `<doc-text>`: a document that has no pages of its own, as text. It is made of the letters that were read, never of the file's markup, so nothing in it can run. Parts far from the
 * window are empty and of about the right height.
 */
import type { Block, OctavoDocument } from 'octavo';
import { html, nothing, type PropertyDeclarations, type TemplateResult } from 'lit';
import { repeat } from 'lit/directives/repeat.js';
import { define, Part } from '../../common/element.ts';
import type { Place } from '../state/workspace.ts';
import { flowed } from './flowed.ts';

/** Blocks of a part. */
const PART = 60;
/** For the height of a part that is not made yet: characters of a line, and pixels. */
const LINE = 64;
const LINE_HEIGHT = 25;
const BLOCK_SPACE = 14;

interface TextPart {
  readonly index: number;
  readonly blocks: readonly Block[];
  readonly height: number;
}

class TextView extends Part {
  static override properties: PropertyDeclarations = {
    document: { attribute: false },
    place: { attribute: false },
    made: { state: true },
  };
  declare document: OctavoDocument | undefined;
  declare place: Place | undefined;
  declare made: ReadonlySet<number>;
  #parts: readonly TextPart[] = [];
  #observer: IntersectionObserver | undefined;
  #shown: Place | undefined;

  constructor() {
    super();
    this.made = new Set();
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.#observer = new IntersectionObserver(
      (entries) => {
        const seen = entries
          .filter(({ isIntersecting }) => isIntersecting)
          .map(({ target }) => Number((target as HTMLElement).dataset['part']));
        if (seen.some((index) => !this.made.has(index))) this.made = new Set([...this.made, ...seen]);
      },
      { root: this, rootMargin: '100% 0px' },
    );
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#observer?.disconnect();
  }

  override willUpdate(changed: ReadonlyMap<PropertyKey, unknown>): void {
    if (changed.has('document')) {
      this.#parts = this.document === undefined ? [] : partsOf(this.document);
      this.made = new Set([0]);
      this.#shown = undefined;
    }
    const range = this.place?.range;
    const wanted =
      range === undefined ? undefined : this.#parts.find(({ blocks }) => (blocks.at(-1)?.end ?? 0) > range[0]);
    if (wanted !== undefined && !this.made.has(wanted.index)) this.made = new Set([...this.made, wanted.index]);
  }

  override updated(changed: ReadonlyMap<PropertyKey, unknown>): void {
    if (changed.has('document')) {
      this.#observer?.disconnect();
      for (const part of this.querySelectorAll('.text-part')) this.#observer?.observe(part);
    }
    if (this.place !== undefined && this.place !== this.#shown && this.document !== undefined) {
      this.#shown = this.place;
      const mark = this.querySelector('mark');
      if (mark === null) this.scrollTop = 0;
      else mark.scrollIntoView({ block: 'center' });
    }
  }

  override render(): TemplateResult | typeof nothing {
    const { document } = this;
    if (document === undefined) return nothing;
    return html`<div class="text-sheet">
      ${repeat(
        this.#parts,
        ({ index }) => index,
        ({ index, blocks, height }) =>
          this.made.has(index)
            ? html`<div class="text-part" data-part=${index}>
                ${blocks.map((block) => this.#block(document.text, block))}
              </div>`
            : html`<div class="text-part" data-part=${index} .style=${`height: ${height}px`}></div>`,
      )}
    </div>`;
  }

  #block(text: string, { kind, level, start, end }: Block): TemplateResult {
    const words = this.#marked(text.slice(start, end), start, end);
    switch (kind) {
      case 'heading':
        return html`<p class="text-heading" role="heading" aria-level=${Math.min(6, level + 2)} data-level=${level}>
          ${words}
        </p>`;
      case 'item':
        return html`<p class="text-item">${words}</p>`;
      case 'row':
        return html`<p class="text-row">${words}</p>`;
      case 'code':
        return html`<p class="text-code">${words}</p>`;
      case 'paragraph':
        return html`<p>${this.#marked(flowed(text.slice(start, end)), start, end)}</p>`;
      default:
        throw new Error(`no block: ${String(kind satisfies never)}`);
    }
  }

  /** `text`: what stands from `start` to `end`. */
  #marked(text: string, start: number, end: number): TemplateResult | string {
    const [from, to] = this.place?.range ?? [0, 0];
    if (to <= start || from >= end) return text;
    const [a, b] = [Math.max(start, from) - start, Math.min(end, to) - start];
    return html`${text.slice(0, a)}<mark>${text.slice(a, b)}</mark>${text.slice(b)}`;
  }
}
define('doc-text', TextView);

function partsOf({ blocks, text }: OctavoDocument): readonly TextPart[] {
  const all = blocks.length > 0 ? blocks : [{ kind: 'paragraph', start: 0, end: text.length, level: 0 } as const];
  const parts: TextPart[] = [];
  for (let i = 0; i < all.length; i += PART) {
    const some = all.slice(i, i + PART);
    const height = some.reduce(
      (sum, { start, end }) => sum + Math.ceil((end - start + 1) / LINE) * LINE_HEIGHT + BLOCK_SPACE,
      0,
    );
    parts.push({ index: parts.length, blocks: some, height });
  }
  return parts;
}
