/** `<studio-paint>`: pictures from words. */
import { html, nothing, type TemplateResult } from 'lit';
import { define, Part } from '../../common/element.ts';
import { icon, iconButton } from '../../common/icons.ts';
import { composer, optionsButton, suggestions } from '../composer.ts';
import { cannot } from '../cannot.ts';
import { holder, isNano, open, settings } from '../context.ts';
import { sharePicture } from '../pictures/share.ts';
import { addressOf, isTiny } from '../pictures/raster.ts';
import type { Picture } from '../pictures/pictures.ts';
import { NANO_PAINTINGS, say } from '../texts.ts';
import { brush } from './options.ts';
import { workProgress } from './progress.ts';
import { work } from './work.ts';

class PaintView extends Part {
  static override properties = { options: { state: true } };
  /** Whether the settings are shown, where they are not always in view. */
  declare options: boolean;

  constructor() {
    super();
    this.options = false;
    this.watch(work.state, holder.state, settings);
  }

  override render(): TemplateResult {
    const { model } = holder.state.value;
    if (model !== undefined && !model.capabilities.paint) return cannot(say('cannotPaint'), model);
    const { job, kind, running } = work.state.value;
    const mine = kind === 'paint';
    const busy = job !== undefined;
    return html`
      <div class="scroll stage-scroll" tabindex="0" role="region" aria-label=${say('paint')}>
        <div class="stage">
          ${mine ? this.#pictures() : this.#welcome()}
          ${job !== undefined && mine ? workProgress(work.state.value) : nothing}
        </div>
        <aside class="side" ?data-open=${this.options} aria-label=${say('paintOptions')}>
          <studio-brush></studio-brush>
        </aside>
      </div>
      <div class="dock">
        ${composer({
          label: say('words'),
          placeholder: say('wordsPlaceholder'),
          value: settings.value.paintDraft,
          send: { label: say('paintGo'), icon: 'brush', disabled: model === undefined || running },
          stop: running && mine ? { label: say('stop'), run: () => void work.discard() } : undefined,
          before: optionsButton(this.options, () => void this.#showOptions()),
          above:
            isNano() && !busy && !this.options && settings.value.paintDraft === ''
              ? suggestions(NANO_PAINTINGS, (text) => this.#paint(text))
              : nothing,
          onInput: (paintDraft) => settings.set({ paintDraft }),
          onSend: (text) => this.#paint(text),
        })}
      </div>
    `;
  }

  async #showOptions(): Promise<void> {
    this.options = !this.options;
    await this.updateComplete;
    if (this.options) this.querySelector('.side')?.scrollIntoView({ block: 'end', behavior: 'smooth' });
  }

  #paint(words: string): void {
    settings.set({ paintDraft: words });
    this.options = false;
    const request = brush();
    settings.set({ seed: request.seed });
    void work.begin({ kind: 'paint', words, count: settings.value.variants, ...request });
  }

  #welcome(): TemplateResult {
    return html`<div class="welcome">
      <div class="empty-canvas" aria-hidden="true">${icon('brush')}</div>
      <h2>${say('paintTitle')}</h2>
      <p>${say('paintIntro')}</p>
      ${isNano() ? html`<p class="hint">${say('nanoPaint')}</p>` : nothing}
    </div>`;
  }

  #pictures(): TemplateResult {
    const { job, pictures, preview, known } = work.state.value;
    const count = job === undefined ? pictures.length : job.request.count;
    const waiting = Math.max(0, count - pictures.length - 1);
    return html`<ul class="variants" data-count=${count}>
      ${pictures.map((picture) => this.#finished(picture))}
      ${
        job === undefined || pictures.length >= count
          ? nothing
          : html`<li>
              <studio-canvas
                .pixels=${preview}
                .known=${known}
                .cells=${work.cells ?? 1}
                .label=${`${say('painting')}: ${job.request.words}`}
              ></studio-canvas>
            </li>`
      }
      ${Array.from({ length: waiting }, () => html`<li><div class="forming waiting"></div></li>`)}
    </ul>`;
  }

  #finished(picture: Picture): TemplateResult {
    const { words, seed, blob, width, height } = picture;
    return html`<li class="finished">
      <button
        class="finished-picture"
        aria-label=${say('openPicture', { words })}
        @click=${() => open('pictures', picture.id)}
      >
        <img src=${addressOf(blob)} width=${width} height=${height} alt="" class=${isTiny(picture) ? 'tiny' : ''} />
      </button>
      <div class="finished-tools">
        <span class="hint numbers grow">${seed === undefined ? '' : say('seedIs', { seed: String(seed) })}</span>
        ${iconButton('edit', say('editIt'), () => this.send('edit-picture', picture))}
        ${iconButton('chat', say('askAbout'), () => this.send('ask-picture', picture))}
        ${iconButton('share', say('share'), () => void sharePicture(picture))}
      </div>
    </li>`;
  }
}
define('studio-paint', PaintView);
