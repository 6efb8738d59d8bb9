/** `<oct-model-button>`: the model in use, or on its way, as a button for a toolbar; a click is the application's to open `<oct-models>`. Needs `holder`. */
import { html, nothing, type TemplateResult } from 'lit';
import { define, Part } from '../element.ts';
import { icon } from '../icons.ts';
import { percent } from '../format.ts';
import { common } from '../messages.ts';
import { titleOf } from './choice.ts';
import type { ModelHolder } from './holder.ts';
import { shareOf } from './progress.ts';

/** Characters of a name that has room on the narrowest screens. */
const LONGEST_WHOLE = 12;
/** What a longer one keeps behind its cut, such as `Q4_K_M` or `0.5B`. */
const LAST_PART = /(?:\d+\.\d+\w{0,2}|[^.\-\s]{1,8})$/u;

export class ModelButton extends Part {
  static override properties = { holder: { attribute: false } };
  declare holder: ModelHolder | undefined;

  override willUpdate(changed: ReadonlyMap<PropertyKey, unknown>): void {
    if (changed.has('holder') && this.holder !== undefined) this.watch(this.holder.state);
  }

  override render(): TemplateResult {
    const { choice, loading, problem } = this.holder?.state.value ?? {};
    const shown = loading?.choice ?? choice ?? problem?.choice;
    const name = shown === undefined ? common('modelNone') : titleOf(shown);
    const state =
      loading !== undefined ? 'loading' : choice !== undefined ? 'ready' : problem !== undefined ? 'failed' : 'none';
    const { progress } = loading ?? {};
    const part = progress === undefined || progress.total === 0 ? '' : percent(shareOf(progress));
    return html`<button
      class="button model-button"
      data-state=${state}
      aria-label="${common('model')}: ${name} ${part}"
    >
      <span class="dot" aria-hidden="true"></span>
      <span class="model-name" title=${name}>${shortened(name)}</span>
      ${part === '' ? '' : html`<span class="hint numbers">${part}</span>`} ${icon('down')}
    </button>`;
  }
}
define('oct-model-button', ModelButton);

/** The end of a file's name says how it is quantised, so that a long one is cut before it. */
function shortened(name: string): TemplateResult {
  const shown = name.replace(/\.gguf$/i, '');
  const cut = shown.length > LONGEST_WHOLE ? shown.search(LAST_PART) : shown.length;
  // Without spaces between them, which would be shown.
  return html`<span>${shown.slice(0, cut)}</span
    >${cut < shown.length ? html`<span>${shown.slice(cut)}</span>` : nothing}`;
}
