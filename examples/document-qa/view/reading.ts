/** How far a document was read, in words and as a bar. */
import type { LibraryEntry } from 'octavo';
import { html, nothing, type TemplateResult } from 'lit';
import { duration } from '../../common/format.ts';
import { t } from '../messages.ts';
import type { ShelfState } from '../state/shelf.ts';

export function readingText({ id, recognition }: LibraryEntry, { progress, paused }: ShelfState): string {
  if (paused) return t('statePaused');
  if (progress === undefined || progress.id !== id)
    return t(recognition === 'asked' ? 'stateWaitsForOcr' : 'stateWaiting');
  const { phase, done, total, secondsLeft } = progress;
  const words =
    phase === 'recognition'
      ? t('stateRecognising', { done: Math.min(total, done + 1), total })
      : t(phase === 'vectors' ? 'stateVectors' : 'stateReading', { done, total });
  return secondsLeft === undefined || secondsLeft < 1
    ? words
    : `${words} · ${t('stateLeft', { left: duration(secondsLeft) })}`;
}

export function readingView(entry: LibraryEntry, state: ShelfState): TemplateResult {
  const text = readingText(entry, state);
  const { progress } = state;
  return html`${text}
  ${
    progress?.id === entry.id
      ? html`<progress max=${progress.total} .value=${progress.done} aria-label=${text}></progress>`
      : nothing
  }`;
}
