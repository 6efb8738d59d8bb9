/** The card with the quote, above or below the chip that the pointer or the focus is on. Decoration: the chip's own name has the quote for screen readers. */
import { html, nothing, render } from 'lit';
import { t } from '../messages.ts';
import type { Evidence } from '../state/exchanges.ts';

const GAP = 8;
/** Milliseconds before it shows, so that a pointer that passes opens nothing. */
const DELAY = 120;

let card: HTMLDivElement | undefined;
let timer: ReturnType<typeof setTimeout> | undefined;

export function showQuote(evidence: Evidence, at: Element, named: boolean): void {
  clearTimeout(timer);
  timer = setTimeout(() => place(evidence, at, named), DELAY);
}

function place(
  { before, quote, after, kind, page, rectangles, name, recognised }: Evidence,
  at: Element,
  named: boolean,
): void {
  if (!at.isConnected) return;
  if (card === undefined) {
    card = document.createElement('div');
    card.className = 'quote-card';
    card.setAttribute('aria-hidden', 'true');
    document.body.append(card);
  }
  render(
    html`<p class="quote-card-text">${before}<mark>${quote}</mark>${after}</p>
      <p class="hint">
        ${named ? html`${name} · ` : nothing}${rectangles.length === 0 ? nothing : html`${t('pageShort', { page })} · `}${t(kind)}${recognised === true ? ` · ${t('recognised')}` : ''}
      </p>`,
    card,
  );
  card.hidden = false;
  const chip = at.getBoundingClientRect();
  const { width, height } = card.getBoundingClientRect();
  const left = Math.max(GAP, Math.min(chip.left + chip.width / 2 - width / 2, innerWidth - width - GAP));
  const above = chip.top - height - GAP;
  card.style.left = `${left}px`;
  card.style.top = `${above >= GAP ? above : chip.bottom + GAP}px`;
}

export function hideQuote(): void {
  clearTimeout(timer);
  if (card !== undefined) card.hidden = true;
}
