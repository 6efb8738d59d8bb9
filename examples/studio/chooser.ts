/** `<studio-chooser>`: the ways to a picture: the camera, the photos of the device, and the pictures of the application. It sends `picture` with a `Photo`. */
import { html, nothing, type TemplateResult } from 'lit';
import { define, Part } from '../common/element.ts';
import { icon } from '../common/icons.ts';
import { photoFrom } from './pictures/intake.ts';
import { pictures, type Picture } from './pictures/pictures.ts';
import { addressOf } from './pictures/raster.ts';
import { say } from './texts.ts';

const MOST = 12;
/** Pictures that nano understands: a collage of drawings, and one such as it paints, which it can change. */
export const SAMPLES = { see: './collage.png', edit: './sample.png' } as const;

export class Chooser extends Part {
  static override properties = { sample: { type: String } };
  /** The address of the sample picture that is offered; empty for none. */
  declare sample: string;

  constructor() {
    super();
    this.sample = '';
    this.watch(pictures);
  }

  override render(): TemplateResult {
    const own = pictures.value.slice(0, MOST);
    return html`<div class="chooser">
      <div class="chooser-ways">
        ${this.#file('camera', say('camera'), true)} ${this.#file('image', say('gallery'), false)}
        ${
          this.sample !== ''
            ? html`<button class="way" data-way="sample" @click=${() => void this.#sample()}>
                <img src=${this.sample} alt="" class="tiny" /><span>${say('sample')}</span>
              </button>`
            : nothing
        }
      </div>
      ${
        own.length === 0
          ? nothing
          : html`<div class="chooser-own" role="group" aria-label=${say('ownPictures')}>
              ${own.map((picture) => this.#own(picture))}
            </div>`
      }
    </div>`;
  }

  #file(name: 'camera' | 'image', label: string, camera: boolean): TemplateResult {
    const take = async (event: Event): Promise<void> => {
      const input = event.currentTarget as HTMLInputElement;
      const file = input.files?.[0];
      input.value = '';
      const photo = await photoFrom(file);
      if (photo !== undefined) this.send('picture', photo);
    };
    return html`<label class="way" data-way=${name}>
      ${icon(name)}<span>${label}</span>
      ${
        camera
          ? html`<input type="file" accept="image/*" capture="environment" class="unseen" @change=${take} />`
          : html`<input type="file" accept="image/*" class="unseen" @change=${take} />`
      }
    </label>`;
  }

  #own(picture: Picture): TemplateResult {
    return html`<button
      class="thumb"
      aria-label=${picture.words === '' ? say('photo') : picture.words}
      @click=${() => this.send('picture', picture)}
    >
      <img src=${addressOf(picture.thumb)} alt="" class=${picture.width <= 96 ? 'tiny' : ''} />
    </button>`;
  }

  async #sample(): Promise<void> {
    const response = await fetch(this.sample);
    const photo = await photoFrom(await response.blob());
    if (photo !== undefined) this.send('picture', photo);
  }
}
define('studio-chooser', Chooser);
