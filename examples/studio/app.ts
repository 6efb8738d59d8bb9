/** `<studio-app>`: the frame of the application: views, tabs for the thumb, the history beside them where there is room. */
import { html, nothing, type TemplateResult } from 'lit';
import { define, Part } from '../common/element.ts';
import { icon, type IconName } from '../common/icons.ts';
import { common } from '../common/messages.ts';
import { NANO } from '../common/models/catalogue.ts';
import { choiceOf } from '../common/models/choice.ts';
import { ModelManager } from '../common/models/manager.ts';
import { problemView } from '../common/problem.ts';
import { online } from '../common/device/connection.ts';
import { chats, openChats } from './chat/chats.ts';
import { KeptDialog } from './chat/kept.ts';
import { talk } from './chat/talk.ts';
import { holder, open, route, settings, type View } from './context.ts';
import { chatList } from './library/view.ts';
import { work } from './paint/work.ts';
import { listen } from './pictures/intake.ts';
import { openPictures, pictures, type Picture } from './pictures/pictures.ts';
import { keepPicture } from './pictures/pictures.ts';
import { addressOf, isTiny, type Photo } from './pictures/raster.ts';
import { Preferences } from './preferences.ts';
import { say } from './texts.ts';

const TABS: readonly (readonly [View, IconName])[] = [
  ['ask', 'chat'],
  ['paint', 'brush'],
  ['edit', 'edit'],
  ['pictures', 'image'],
];
const RECENT = 9;

class App extends Part {
  constructor() {
    super();
    this.watch(route, holder.state, chats, pictures, work.state, online, talk.state);
    this.addEventListener('kept', (event) =>
      this.#dialog('studio-kept', KeptDialog).show((event as CustomEvent<Photo>).detail),
    );
    this.addEventListener('edit-picture', (event) => {
      settings.set({ editing: (event as CustomEvent<Picture>).detail.id, editDraft: '' });
      open('edit');
    });
    this.addEventListener('ask-picture', (event) => this.#ask((event as CustomEvent<Picture>).detail));
    this.addEventListener('model-chosen', (event) => settings.set({ model: (event as CustomEvent<string>).detail }));
  }

  override firstUpdated(): void {
    void this.#start();
  }

  override render(): TemplateResult {
    const { view } = route.value;
    const { problem, model } = holder.state.value;
    return html`
      <div class="frame" data-view=${view}>
        ${this.#sidebar(view)}
        <div class="pane">
          <header class="bar">
            <h1>${say(view)}</h1>
            ${
              view === 'ask' && talk.state.value.chat.messages.length > 0
                ? html`<button
                    class="icon-button"
                    aria-label=${say('newChat')}
                    title=${say('newChat')}
                    @click=${() => talk.fresh()}
                  >
                    ${icon('add')}
                  </button>`
                : nothing
            }
            <span class="grow"></span>
            ${online.value ? nothing : html`<span class="offline" title=${say('offlineReady')}>${icon('offline')}</span>`}
            <oct-model-button .holder=${holder} @click=${() => this.#models()}></oct-model-button>
            <button class="icon-button only-narrow" aria-label=${say('settings')} @click=${() => this.#settings()}>
              ${icon('settings')}
            </button>
          </header>
          ${
            problem !== undefined && model === undefined
              ? html`<div class="column bar-problem">
                  ${problemView(
                    problem.error,
                    html`<button class="button" @click=${() => void holder.use(problem.choice)}>
                        ${common('retry')}
                      </button>
                      <button class="button quiet" @click=${() => this.#models()}>${say('chooseModel')}</button>`,
                  )}
                </div>`
              : nothing
          }
          <main class="view" id="view">${this.#view(view)}</main>
          <nav class="tabs" aria-label=${say('views')}>${TABS.map(([name, sign]) => this.#tab(name, sign, view))}</nav>
        </div>
      </div>
      <div class="drop-target" aria-hidden="true">${icon('image')} ${say('dropHere')}</div>
      <oct-models .holder=${holder} .abilities=${['text', 'see', 'paint']}></oct-models>
      <studio-kept></studio-kept>
      <studio-settings></studio-settings>
    `;
  }

  #view(view: View): TemplateResult {
    switch (view) {
      case 'ask':
        return html`<studio-ask></studio-ask>`;
      case 'paint':
        return html`<studio-paint></studio-paint>`;
      case 'edit':
        return html`<studio-edit></studio-edit>`;
      case 'pictures':
        return html`<studio-library></studio-library>`;
      default:
        throw new Error(`no view: ${String(view satisfies never)}`);
    }
  }

  #tab(name: View, sign: IconName, view: View): TemplateResult {
    const { running, kind } = work.state.value;
    const busy = running && (kind === 'paint' ? 'paint' : 'edit') === name && name !== view;
    return html`<a class="tab" href="#${name}" aria-current=${name === view ? 'page' : 'false'}>
      <span class="tab-icon" ?data-busy=${busy}>${icon(sign)}</span><span>${say(name)}</span>
    </a>`;
  }

  #sidebar(view: View): TemplateResult {
    const recent = pictures.value.slice(0, RECENT);
    return html`<aside class="sidebar" aria-label=${say('history')}>
      <div class="brand"><img src="./icon.svg" width="26" height="26" alt="" /> <span>${say('name')}</span></div>
      <nav class="side-tabs" aria-label=${say('views')}>${TABS.map(([name, sign]) => this.#tab(name, sign, view))}</nav>
      <div class="sidebar-scroll">
        <section>
          <div class="row side-head">
            <h2 class="grow">${say('chats')}</h2>
            <button
              class="icon-button"
              aria-label=${say('newChat')}
              title=${say('newChat')}
              @click=${() => {
                talk.fresh();
                open('ask');
              }}
            >
              ${icon('add')}
            </button>
          </div>
          ${chats.value.length === 0 ? html`<p class="hint">${say('noChats')}</p>` : chatList()}
        </section>
        ${
          recent.length === 0
            ? nothing
            : html`<section>
                <div class="side-head"><h2>${say('pictures')}</h2></div>
                <ul class="grid">
                  ${recent.map(
                    (picture) =>
                      html`<li>
                        <a
                          class="thumb"
                          href="#pictures/${picture.id}"
                          aria-label=${say('openPicture', { words: picture.words || say('photo') })}
                        >
                          <img src=${addressOf(picture.thumb)} alt="" class=${isTiny(picture) ? 'tiny' : ''} />
                        </a>
                      </li>`,
                  )}
                </ul>
              </section>`
        }
      </div>
      <button class="button quiet side-settings" @click=${() => this.#settings()}>
        ${icon('settings')} ${say('settings')}
      </button>
    </aside>`;
  }

  #dialog<T extends Element>(name: string, kind: new () => T): T {
    const found = this.querySelector(name);
    if (!(found instanceof kind)) throw new Error(`<${name}> is not in the page`);
    return found;
  }

  #models(): void {
    this.#dialog('oct-models', ModelManager).show();
  }

  #settings(): void {
    this.#dialog('studio-settings', Preferences).show();
  }

  #ask(photo: Photo): void {
    talk.fresh();
    talk.attach(photo);
    open('ask');
  }

  /** A picture that comes in from outside goes to what is open. */
  async #take(photo: Photo): Promise<void> {
    if (route.value.view !== 'edit' && route.value.view !== 'pictures') {
      if (route.value.view !== 'ask') this.#ask(photo);
      else talk.attach(photo);
      return;
    }
    const { id } = await keepPicture(photo, { kind: 'photo', words: '', seed: undefined, from: undefined });
    if (route.value.view === 'edit') settings.set({ editing: id, editDraft: '' });
    else open('pictures', id);
  }

  async #start(): Promise<void> {
    const loading = holder.use(choiceOf(settings.value.model));
    await Promise.all([openPictures(), openChats()]);
    talk.start();
    await work.start();
    listen({
      take: (photo) => void this.#take(photo),
      shared: (photo, words) => {
        if (photo !== undefined) this.#ask(photo);
        if (words !== '') settings.set({ askDraft: words });
        open('ask');
      },
    });
    // A model of the user's own that is gone leaves the one of the application.
    if ((await loading) === undefined && settings.value.model !== NANO && holder.state.value.loading === undefined)
      await holder.use(choiceOf(NANO));
  }
}
define('studio-app', App);
