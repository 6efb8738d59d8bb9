/** `<studio-edit>`: a picture that is changed by saying how, with all its versions. */
import { html, nothing, type TemplateResult } from 'lit';
import { define, Part } from '../../common/element.ts';
import { icon, iconButton } from '../../common/icons.ts';
import { SAMPLES } from '../chooser.ts';
import { composer, optionsButton, suggestions } from '../composer.ts';
import { cannot } from '../cannot.ts';
import { holder, isNano, settings } from '../context.ts';
import { brush } from '../paint/options.ts';
import { workProgress } from '../paint/progress.ts';
import { work } from '../paint/work.ts';
import { keepPicture, newestEdit, pictureOf, pictures, versionsOf, type Picture } from '../pictures/pictures.ts';
import { addressOf, isTiny, type Photo } from '../pictures/raster.ts';
import { savePicture, sharePicture } from '../pictures/share.ts';
import { NANO_EDITS, say } from '../texts.ts';

class EditView extends Part {
  static override properties = { options: { state: true } };
  declare options: boolean;
  #seen: Picture | undefined;

  constructor() {
    super();
    this.options = false;
    this.watch(work.state, holder.state, settings, pictures);
  }

  override willUpdate(): void {
    // A finished edit of what is shown takes its place.
    const { pictures: made, kind } = work.state.value;
    const last = made.at(-1);
    if (kind === 'edit' && last !== undefined && last !== this.#seen && last.from === settings.value.editing) {
      this.#seen = last;
      settings.set({ editing: last.id, editDraft: '' });
    }
  }

  override render(): TemplateResult {
    const { model } = holder.state.value;
    if (model !== undefined && !model.capabilities.edit) return cannot(say('cannotEdit'), model);
    const picture = pictureOf(settings.value.editing);
    const { job, running, kind } = work.state.value;
    const mine = kind === 'edit' && job !== undefined;
    return html`
      <div class="scroll stage-scroll" tabindex="0" role="region" aria-label=${say('edit')}>
        <div class="stage">
          ${picture === undefined ? this.#welcome() : this.#picture(picture)}
          ${mine ? workProgress(work.state.value) : nothing}
        </div>
        ${
          picture === undefined
            ? nothing
            : html`<aside class="side" ?data-open=${this.options} aria-label=${say('paintOptions')}>
                <studio-brush editing></studio-brush>
              </aside>`
        }
      </div>
      ${
        picture === undefined
          ? nothing
          : html`<div class="dock">
              ${composer({
                label: say('instruction'),
                placeholder: say('instructionPlaceholder'),
                value: settings.value.editDraft,
                send: { label: say('editGo'), icon: 'edit', disabled: model === undefined || running },
                stop: running && mine ? { label: say('stop'), run: () => void work.discard() } : undefined,
                before: optionsButton(this.options, () => (this.options = !this.options)),
                above:
                  isNano() && !mine && settings.value.editDraft === ''
                    ? suggestions(NANO_EDITS, (text) => this.#edit(picture, text))
                    : nothing,
                onInput: (editDraft) => settings.set({ editDraft }),
                onSend: (text) => this.#edit(picture, text),
              })}
            </div>`
      }
    `;
  }

  #edit(picture: Picture, words: string): void {
    this.options = false;
    settings.set({ editDraft: words });
    const { seed, steps, guidance } = brush();
    settings.set({ seed });
    void work.begin({ kind: 'edit', words, count: 1, seed, steps, guidance, from: picture.id });
  }

  async #choose(photo: Photo): Promise<void> {
    const known = pictures.value.find(({ blob }) => blob === photo.blob);
    const { id } = known ?? (await keepPicture(photo, { kind: 'photo', words: '', seed: undefined, from: undefined }));
    settings.set({ editing: id, editDraft: '' });
  }

  #welcome(): TemplateResult {
    return html`<div class="welcome">
      <div class="welcome-art" aria-hidden="true">${icon('edit')}</div>
      <h2>${say('editTitle')}</h2>
      <p>${say('editIntro')}</p>
      ${isNano() ? html`<p class="hint">${say('nanoEdit')}</p>` : nothing}
      <studio-chooser
        sample=${isNano() ? SAMPLES.edit : ''}
        @picture=${(event: CustomEvent<Photo>) => void this.#choose(event.detail)}
      ></studio-chooser>
    </div>`;
  }

  #picture(picture: Picture): TemplateResult {
    const { job, preview, known } = work.state.value;
    const before = pictureOf(picture.from);
    const after = newestEdit(picture.id);
    const underWay = job?.request.kind === 'edit' && job.request.from === picture.id;
    return html`<div class="edit-tools" role="toolbar" aria-label=${say('edit')}>
        ${iconButton('undo', say('undo'), () => this.#show(before), before === undefined)}
        ${iconButton('redo', say('redo'), () => this.#show(after), after === undefined)}
        <span class="grow"></span>
        ${iconButton('share', say('share'), () => void sharePicture(picture))}
        ${iconButton('download', say('save'), () => savePicture(picture))}
        ${iconButton('close', say('closePicture'), () => settings.set({ editing: '' }))}
      </div>
      <div class="edit-stage">
        ${
          underWay
            ? html`<studio-canvas
                .pixels=${preview}
                .known=${known}
                .cells=${work.cells ?? 1}
                .label=${`${say('editing')}: ${job.request.words}`}
              ></studio-canvas>`
            : before === undefined
              ? html`<img
                  class="whole ${isTiny(picture) ? 'tiny' : ''}"
                  src=${addressOf(picture.blob)}
                  width=${picture.width}
                  height=${picture.height}
                  alt=${picture.words === '' ? say('photo') : picture.words}
                />`
              : html`<studio-compare .original=${before} .changed=${picture}></studio-compare>`
        }
      </div>
      ${this.#versions(picture)}`;
  }

  #versions(picture: Picture): TemplateResult | typeof nothing {
    const line = [...versionsOf(picture)];
    for (let next = newestEdit(picture.id); next !== undefined && !line.includes(next); next = newestEdit(next.id))
      line.push(next);
    if (line.length < 2) return nothing;
    return html`<ol class="versions" aria-label=${say('versions')}>
      ${line.map(
        (one, index) =>
          html`<li>
            <button
              class="thumb"
              aria-current=${one === picture ? 'true' : 'false'}
              aria-label=${index === 0 ? say('original') : `${say('version', { number: index })}: ${one.words}`}
              @click=${() => this.#show(one)}
            >
              <img src=${addressOf(one.thumb)} alt="" class=${isTiny(one) ? 'tiny' : ''} />
            </button>
          </li>`,
      )}
    </ol>`;
  }

  #show(picture: Picture | undefined): void {
    if (picture !== undefined) settings.set({ editing: picture.id });
  }
}
define('studio-edit', EditView);
