/** `<oct-model-button>`: the model in use, or on its way, as a button for a toolbar; a click is the application's to open `<oct-models>`. Needs `holder`. */
import { html, type TemplateResult } from 'lit';
import { define, Part } from '../element.ts';
import { icon } from '../icons.ts';
import { percent } from '../format.ts';
import { common } from '../messages.ts';
import { titleOf } from './choice.ts';
import type { ModelHolder } from './holder.ts';
import { shareOf } from './progress.ts';

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
      <span class="model-name">${name}</span>
      ${part === '' ? '' : html`<span class="hint numbers">${part}</span>`} ${icon('down')}
    </button>`;
  }
}
define('oct-model-button', ModelButton);
