/** `<studio-compare>`: two pictures of one place, with a line between them that a finger, a mouse or the arrow keys move. */
import { html, type TemplateResult } from 'lit';
import { define, Part } from '../../common/element.ts';
import { percent } from '../../common/format.ts';
import { addressOf, isTiny, type Photo } from '../pictures/raster.ts';
import { say } from '../texts.ts';

class Compare extends Part {
  static override properties = { original: { attribute: false }, changed: { attribute: false }, at: { state: true } };
  declare original: Photo | undefined;
  declare changed: Photo | undefined;
  /** 0: all of it is the picture after; 1: all is the one before. */
  declare at: number;

  constructor() {
    super();
    this.at = 0.5;
  }

  override render(): TemplateResult {
    const { original: before, changed: after, at } = this;
    if (before === undefined || after === undefined) return html``;
    return html`<div class="compare" .style=${`--at: ${at}`}>
      <img src=${addressOf(after.blob)} alt=${say('after')} class=${isTiny(after) ? 'tiny' : ''} />
      <img src=${addressOf(before.blob)} alt=${say('before')} class="compare-before ${isTiny(before) ? 'tiny' : ''}" />
      <span class="compare-name first" aria-hidden="true">${say('before')}</span>
      <span class="compare-name last" aria-hidden="true">${say('after')}</span>
      <span class="compare-line" aria-hidden="true"></span>
      <input
        type="range"
        min="0"
        max="1"
        step="0.01"
        aria-label=${say('compare')}
        aria-valuetext="${say('before')}: ${percent(at)}"
        .value=${String(at)}
        @input=${(event: Event) => (this.at = Number((event.currentTarget as HTMLInputElement).value))}
      />
    </div>`;
  }
}
define('studio-compare', Compare);
