/** How far a model is on its way, with what is left of it. */
import type { LoadProgress } from 'octavo';
import { html, type TemplateResult } from 'lit';
import { bytes, duration, percent } from '../format.ts';
import { common } from '../messages.ts';

const PHASES = {
  header: 'phaseHeader',
  download: 'phaseDownload',
  verify: 'phaseVerify',
  load: 'phaseLoad',
} as const satisfies Readonly<Record<LoadProgress['phase'], string>>;

export function shareOf({ loaded, total }: LoadProgress): number {
  return total > 0 ? Math.min(1, loaded / total) : 0;
}

export function progressText(progress: LoadProgress): string {
  const { phase, loaded, total, rate } = progress;
  const words = common(PHASES[phase]);
  if (phase === 'header' || total === 0) return `${words}…`;
  const left = rate > 0 ? duration((total - loaded) / rate) : undefined;
  const share = percent(shareOf(progress));
  const amount = `${bytes(loaded)} / ${bytes(total)}`;
  return `${words} · ${amount} · ${left === undefined ? share : common('progressLeft', { share, left })}`;
}

export function progressView(progress: LoadProgress | undefined, label: string): TemplateResult {
  return html`<div class="progress">
    ${
      progress === undefined
        ? html`<progress aria-label=${label}></progress>`
        : html`<progress aria-label=${label} max="1" .value=${shareOf(progress)}></progress>`
    }
    <p class="hint numbers">${progress === undefined ? '…' : progressText(progress)}</p>
  </div>`;
}
