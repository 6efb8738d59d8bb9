/** `<studio-library>`: all pictures, one of them large, and the conversations. */
import { html, nothing, type TemplateResult } from 'lit';
import { repeat } from 'lit/directives/repeat.js';
import { define, Part } from '../../common/element.ts';
import { date } from '../../common/format.ts';
import { icon } from '../../common/icons.ts';
import { toast } from '../../common/toasts.ts';
import { chats, removeChat, titleOf, type Chat } from '../chat/chats.ts';
import { talk } from '../chat/talk.ts';
import { open, route, settings } from '../context.ts';
import { pictureOf, pictures, removePicture, type Picture } from '../pictures/pictures.ts';
import { addressOf, isTiny } from '../pictures/raster.ts';
import { savePicture, sharePicture } from '../pictures/share.ts';
import { say } from '../texts.ts';

const KINDS = { painted: 'painted', edited: 'edited', photo: 'photo' } as const;

class LibraryView extends Part {
  constructor() {
    super();
    this.watch(pictures, chats, route);
  }

  override render(): TemplateResult {
    const shown = pictureOf(route.value.picture);
    return shown === undefined ? this.#all() : this.#one(shown);
  }

  #all(): TemplateResult {
    return html`<div class="scroll library" tabindex="0" role="region" aria-label=${say('pictures')}>
      <section aria-labelledby="library-pictures">
        <h2 id="library-pictures">${say('picturesTitle')}</h2>
        ${
          pictures.value.length === 0
            ? html`<div class="welcome small">
                <div class="welcome-art" aria-hidden="true">${icon('image')}</div>
                <p>${say('noPictures')}</p>
                <button class="button primary large" @click=${() => open('paint')}>${say('paintFirst')}</button>
              </div>`
            : html`<ul class="grid">
                ${repeat(
                  pictures.value,
                  ({ id }) => id,
                  (picture) =>
                    html`<li>
                      <a
                        class="thumb"
                        href="#pictures/${picture.id}"
                        aria-label=${say('openPicture', { words: picture.words || say('photo') })}
                      >
                        <img
                          loading="lazy"
                          src=${addressOf(picture.thumb)}
                          alt=""
                          class=${isTiny(picture) ? 'tiny' : ''}
                        />
                      </a>
                    </li>`,
                )}
              </ul>`
        }
      </section>
      <section class="only-narrow" aria-labelledby="library-chats">
        <h2 id="library-chats">${say('chats')}</h2>
        ${chats.value.length === 0 ? html`<p class="hint">${say('noChats')}</p>` : chatList()}
      </section>
    </div>`;
  }

  #one(picture: Picture): TemplateResult {
    const { kind, words, seed, created, width, height, blob } = picture;
    return html`<div class="scroll detail" tabindex="0" role="region" aria-label=${words || say('photo')}>
      <div class="detail-bar">
        <button class="icon-button" aria-label=${say('back')} @click=${() => open('pictures')}>${icon('back')}</button>
        <span class="grow"></span>
        <button
          class="icon-button"
          aria-label=${say('remove')}
          title=${say('remove')}
          @click=${() => void this.#remove(picture)}
        >
          ${icon('trash')}
        </button>
      </div>
      <img
        class="whole ${isTiny(picture) ? 'tiny' : ''}"
        src=${addressOf(blob)}
        width=${width}
        height=${height}
        alt=${words || say('photo')}
      />
      <div class="detail-text">
        <h2>${words || say('photo')}</h2>
        <p class="hint numbers">
          ${say(KINDS[kind])} · ${date(created)} · ${width} × ${height}
          ${seed === undefined ? '' : `· ${say('seedIs', { seed: String(seed) })}`}
        </p>
      </div>
      <div class="detail-tools">
        ${this.#tool('share', say('share'), () => void sharePicture(picture))}
        ${this.#tool('download', say('save'), () => savePicture(picture))}
        ${this.#tool('edit', say('editIt'), () => this.send('edit-picture', picture))}
        ${this.#tool('chat', say('askAbout'), () => this.send('ask-picture', picture))}
        ${
          kind === 'painted'
            ? this.#tool('brush', say('moreLikeThis'), () => {
                settings.set({ paintDraft: words, fixedSeed: false });
                open('paint');
              })
            : nothing
        }
      </div>
    </div>`;
  }

  #tool(name: 'share' | 'download' | 'edit' | 'chat' | 'brush', label: string, run: () => void): TemplateResult {
    return html`<button class="tool" @click=${run}>${icon(name)}<span>${label}</span></button>`;
  }

  async #remove({ id }: Picture): Promise<void> {
    const undo = await removePicture(id);
    if (settings.value.editing === id) settings.set({ editing: '' });
    open('pictures');
    toast(say('removedPicture'), { action: { label: say('undo'), run: () => void undo() } });
  }
}

/** The conversations, as rows. */
export function chatList(): TemplateResult {
  return html`<ul class="chat-list">
    ${repeat(
      chats.value,
      ({ id }) => id,
      (chat) => chatRow(chat),
    )}
  </ul>`;
}

function chatRow(chat: Chat): TemplateResult {
  const title = titleOf(chat) || say('photo');
  const picture = chat.messages.find((one) => one.picture !== undefined)?.picture;
  const show = (): void => {
    talk.show(chat);
    open('ask');
  };
  const remove = async (): Promise<void> => {
    const current = talk.state.value.chat.id === chat.id;
    // It is left first, since an answer on its way would be kept with it again.
    if (current) talk.fresh();
    const undo = await removeChat(chat.id);
    toast(say('removedChat'), { action: { label: say('undo'), run: () => void undo() } });
  };
  return html`<li class="chat-row" ?data-current=${talk.state.value.chat.id === chat.id}>
    <button class="chat-open" @click=${show}>
      ${
        picture === undefined
          ? html`<span class="chat-icon">${icon('chat')}</span>`
          : html`<img src=${addressOf(picture.blob)} alt="" class=${isTiny(picture) ? 'tiny' : ''} />`
      }
      <span class="grow ellipsis">${title}</span>
    </button>
    <button
      class="icon-button"
      aria-label=${say('removeChat', { title })}
      title=${say('remove')}
      @click=${() => void remove()}
    >
      ${icon('trash')}
    </button>
  </li>`;
}
define('studio-library', LibraryView);
