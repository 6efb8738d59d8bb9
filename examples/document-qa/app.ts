/**
 * `<document-app>`: documents, conversation and page side by side. On narrow windows the documents are a drawer and the page is a sheet over the conversation; what is
 * covered is inert, and what had the focus gets it back. The file is long because the three panes share one state of what is open, covered and focused.
 */
import type { LibraryEntry } from 'octavo';
import { html, nothing, type TemplateResult } from 'lit';
import { online } from '../common/device/connection.ts';
import { confirm } from '../common/dialog.ts';
import { define } from '../common/element.ts';
import { icon } from '../common/icons.ts';
import '../common/models/button.ts';
import '../common/models/manager.ts';
import type { ModelManager } from '../common/models/manager.ts';
import type { Observable } from '../common/observable.ts';
import { Observable as ObservableValue } from '../common/observable.ts';
import '../common/toasts.ts';
import { toast } from '../common/toasts.ts';
import { asMarkdown, download } from './export.ts';
import { t } from './messages.ts';
import { EMBEDDER, settings } from './state/settings.ts';
import type { Workspace } from './state/workspace.ts';
import { ACCEPTED, addFiles, followLaunches, pastedFiles } from './view/arrivals.ts';
import './view/composer.ts';
import type { Composer } from './view/composer.ts';
import { evictedView, SAMPLE, type Conversation } from './view/conversation.ts';
import './view/conversation.ts';
import { WorkspacePart } from './view/element.ts';
import './view/library.ts';
import { askPassword } from './view/password.ts';
import { hideQuote } from './view/quote-card.ts';
import './view/settings-dialog.ts';
import type { SettingsDialog } from './view/settings-dialog.ts';
import { commandOf, type Command, type Shortcuts } from './view/shortcuts.ts';
import './view/viewer.ts';
import type { Viewer } from './view/viewer.ts';

/** Below, the documents are a drawer; and the page is a sheet. */
const DRAWER = matchMedia('(max-width: 1099px)');
const SHEET = matchMedia('(max-width: 799px)');
const narrow = new ObservableValue(DRAWER.matches);
const sheet = new ObservableValue(SHEET.matches);
DRAWER.addEventListener('change', ({ matches }) => (narrow.value = matches));
SHEET.addEventListener('change', ({ matches }) => (sheet.value = matches));

const SPLIT_STEP = 0.03;

class DocumentApp extends WorkspacePart {
  static override properties = { ...WorkspacePart.properties, drawer: { state: true }, dropping: { state: true } };
  declare drawer: boolean;
  declare dropping: boolean;
  /** Has the focus back when the page is closed. */
  #from: Element | undefined;
  /** Of elements that a drag is over. */
  #over = 0;

  constructor() {
    super();
    this.drawer = false;
    this.dropping = false;
    this.watch(narrow, sheet, online, settings);
  }

  protected override shown({
    shelf,
    scope,
    place,
    exchanges,
  }: Workspace): readonly Pick<Observable<unknown>, 'subscribe'>[] {
    return [shelf.state, scope, place, exchanges.list];
  }

  override connectedCallback(): void {
    super.connectedCallback();
    addEventListener('keydown', this.#key);
    addEventListener('paste', this.#paste);
    for (const name of ['dragenter', 'dragover', 'dragleave', 'drop'] as const) addEventListener(name, this.#drag);
    followLaunches(this.workspace);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    removeEventListener('keydown', this.#key);
    removeEventListener('paste', this.#paste);
    for (const name of ['dragenter', 'dragover', 'dragleave', 'drop'] as const) removeEventListener(name, this.#drag);
  }

  override render(): TemplateResult {
    const { workspace } = this;
    const { entries, opened, problem } = workspace.shelf.state.value;
    const place = workspace.place.value;
    const empty = opened && entries.length === 0 && problem === undefined;
    const covered = (narrow.value && this.drawer) || (sheet.value && place !== undefined);
    return html`<div
        class="app"
        data-page=${place === undefined ? 'closed' : 'open'}
        .style=${`--split: ${settings.value.split}`}
        @ask=${({ detail }: CustomEvent<string>) => void this.#ask(detail)}
        @edit-question=${({ detail }: CustomEvent<string>) => this.#composer?.write(detail)}
        @add-files=${() => this.querySelector<HTMLInputElement>('#files')?.click()}
        @unlock=${({ detail }: CustomEvent<LibraryEntry>) => void this.#unlock(detail)}
        @show-settings=${() => this.querySelector<SettingsDialog & HTMLElement>('doc-settings')?.show()}
        @show-shortcuts=${() => this.querySelector<Shortcuts & HTMLElement>('doc-shortcuts')?.show()}
        @show-models=${() => this.#models()}
        @close-library=${() => this.#closeDrawer()}
        @show-place=${({ detail }: CustomEvent<Element>) => (this.#from = detail)}
        @close-place=${() => this.#closePlace()}
        @model-chosen=${({ detail }: CustomEvent<string>) => settings.set({ model: detail })}
      >
        <aside
          class="sidebar ${this.drawer ? 'open' : ''}"
          aria-label=${t('library')}
          ?inert=${(narrow.value && !this.drawer) || (sheet.value && place !== undefined)}
        >
          <doc-library .workspace=${workspace}></doc-library>
        </aside>
        ${narrow.value && this.drawer ? html`<div class="scrim" @click=${() => this.#closeDrawer()}></div>` : nothing}
        <main class="main" ?inert=${covered}>
          ${this.#bar()}
          ${online.value ? nothing : html`<p class="offline" role="status">${icon('offline')} ${t('offline')}</p>`}
          ${
            empty
              ? this.#empty()
              : html`<doc-conversation .workspace=${workspace}></doc-conversation>
                  <doc-composer .workspace=${workspace}></doc-composer>`
          }
        </main>
        ${place === undefined || sheet.value ? nothing : this.#divider()}
        <section
          class="viewer"
          aria-label=${t('viewer')}
          ?hidden=${place === undefined}
          ?inert=${narrow.value && this.drawer}
        >
          <doc-viewer .workspace=${workspace}></doc-viewer>
        </section>
        ${
          this.dropping
            ? html`<div class="dropzone">
                <div>
                  ${icon('upload')}
                  <p>${t('drop')}</p>
                  <p class="soft">${t('dropHint')}</p>
                </div>
              </div>`
            : nothing
        }
        <oct-models
          .holder=${workspace.models}
          .abilities=${['documents', 'text']}
          .others=${[EMBEDDER.source]}
          .contextTokens=${settings.value.context || undefined}
        ></oct-models>
        <doc-settings></doc-settings>
        <doc-shortcuts></doc-shortcuts>
      </div>
      <input
        id="files"
        class="unseen"
        type="file"
        multiple
        tabindex="-1"
        aria-hidden="true"
        accept=${ACCEPTED}
        @change=${(event: Event) => {
          const input = event.currentTarget as HTMLInputElement;
          const files = [...(input.files ?? [])];
          input.value = '';
          void addFiles(workspace, files);
        }}
      />
      <oct-toasts></oct-toasts>`;
  }

  #bar(): TemplateResult {
    const { scope, shelf, place, exchanges, models } = this.workspace;
    const { entries } = shelf.state.value;
    const entry = shelf.entry(scope.value);
    const title = entry?.title ?? entry?.name ?? (entries.length > 0 ? t('all') : '');
    return html`<header class="bar">
      <button
        class="icon-button narrow-only"
        aria-label=${t('openLibrary')}
        aria-expanded=${this.drawer ? 'true' : 'false'}
        @click=${() => this.#openDrawer()}
      >
        ${icon('menu')}
      </button>
      <h2 class="grow ellipsis" title=${title}>${title}</h2>
      ${
        exchanges.list.value.length === 0
          ? nothing
          : html`<button
                class="icon-button wide-only"
                aria-label=${t('export')}
                title=${t('export')}
                @click=${() => this.#export(title)}
              >
                ${icon('download')}
              </button>
              <button
                class="icon-button wide-only"
                aria-label=${t('clearConversation')}
                title=${t('clearConversation')}
                @click=${() => void this.#clear()}
              >
                ${icon('trash')}
              </button>`
      }
      <oct-model-button .holder=${models} @click=${() => this.#models()}></oct-model-button>
      ${
        entry === undefined
          ? nothing
          : html`<button
              class="icon-button"
              aria-label=${t('showViewer')}
              title=${t('showViewer')}
              aria-pressed=${place.value === undefined ? 'false' : 'true'}
              @click=${(event: Event) => this.#togglePlace(event.currentTarget as Element)}
            >
              ${icon('panel')}
            </button>`
      }
    </header>`;
  }

  #empty(): TemplateResult {
    const { evicted } = this.workspace.shelf.state.value;
    return html`<div class="empty">
      ${evictedView(evicted)}
      <div class="empty-card">
        <img src="./icon.svg" alt="" width="56" height="56" />
        <h2>${t('emptyTitle')}</h2>
        <p class="soft">${t('emptyBody')}</p>
        <div class="row">
          <button class="button primary large" @click=${() => this.querySelector<HTMLInputElement>('#files')?.click()}>
            ${icon('add')} ${t('add')}
          </button>
          <button class="button large" @click=${() => void this.#sample()}>${t('emptySample')}</button>
        </div>
        <ul class="facts">
          <li>${icon('quote')} ${t('emptyFact1')}</li>
          <li>${icon('chip')} ${t('emptyFact2')}</li>
          <li>${icon('info')} ${t('emptyFact3')}</li>
        </ul>
      </div>
    </div>`;
  }

  #divider(): TemplateResult {
    const set = (split: number): void => settings.set({ split: Math.max(0.25, Math.min(0.75, split)) });
    return html`<div
      class="divider"
      role="separator"
      tabindex="0"
      aria-orientation="vertical"
      aria-label=${t('resize')}
      aria-valuenow=${Math.round(100 * settings.value.split)}
      aria-valuemin="25"
      aria-valuemax="75"
      @keydown=${({ key }: KeyboardEvent) => {
        if (key === 'ArrowLeft') set(settings.value.split + SPLIT_STEP);
        if (key === 'ArrowRight') set(settings.value.split - SPLIT_STEP);
      }}
      @pointerdown=${(event: PointerEvent) => {
        (event.currentTarget as Element).setPointerCapture(event.pointerId);
        event.preventDefault();
      }}
      @pointermove=${(event: PointerEvent) => {
        const divider = event.currentTarget as HTMLElement;
        if (!divider.hasPointerCapture(event.pointerId)) return;
        const left = this.querySelector('.main')?.getBoundingClientRect().left ?? 0;
        set(1 - (event.clientX - left) / (innerWidth - left));
      }}
    ></div>`;
  }

  get #composer(): Composer | null {
    return this.querySelector<Composer & HTMLElement>('doc-composer');
  }
  get #conversation(): Conversation | null {
    return this.querySelector<Conversation & HTMLElement>('doc-conversation');
  }
  get #viewer(): Viewer | null {
    return this.querySelector<Viewer & HTMLElement>('doc-viewer');
  }

  async #ask(question: string): Promise<void> {
    this.#conversation?.toEnd();
    await this.workspace.asker.ask(this.workspace.scope.value, question);
  }

  #models(): void {
    this.querySelector<ModelManager>('oct-models')?.show();
  }

  async #sample(): Promise<void> {
    const response = await fetch(new URL('./sample.pdf', location.href));
    await addFiles(this.workspace, [new File([await response.blob()], SAMPLE, { type: 'application/pdf' })]);
  }

  async #unlock({ id, name }: LibraryEntry): Promise<void> {
    const { shelf } = this.workspace;
    for (let wrong = false; ; wrong = true) {
      const password = await askPassword(name, wrong);
      const file = password === undefined ? undefined : await shelf.file(id);
      if (password === undefined || file === undefined) return;
      await shelf.add(file, password);
      const entry = await shelf.read(name, new AbortController().signal);
      if (entry?.state !== 'failed') return this.workspace.open(name);
    }
  }

  #openDrawer(): void {
    this.drawer = true;
    void this.updateComplete.then(() => this.querySelector<HTMLElement>('.sidebar button')?.focus());
  }

  #closeDrawer(): void {
    if (!this.drawer) return;
    this.drawer = false;
    void this.updateComplete.then(() => this.querySelector<HTMLElement>('.bar .narrow-only')?.focus());
  }

  #togglePlace(from: Element): void {
    const { place, scope } = this.workspace;
    if (place.value !== undefined) return this.#closePlace();
    this.#from = from;
    this.workspace.show(scope.value, 1);
  }

  #closePlace(): void {
    this.workspace.place.value = undefined;
    for (const one of this.querySelectorAll('.shown')) one.classList.remove('shown');
    const from = this.#from;
    void this.updateComplete.then(() => {
      if (from instanceof HTMLElement && from.isConnected) from.focus();
      else this.#composer?.focus();
    });
  }

  #export(title: string): void {
    download(
      `${title.replace(/[^\p{L}\p{N} ._-]/gu, '').slice(0, 80) || 'Octavo'}.md`,
      asMarkdown(this.workspace.exchanges.list.value, title),
    );
  }

  async #clear(): Promise<void> {
    const { asker, exchanges, scope } = this.workspace;
    const count = exchanges.list.value.length;
    const agreed = await confirm({
      title: t('clearTitle'),
      body: t('clearBody', { count }),
      yes: t('clearConversation'),
      danger: true,
    });
    if (!agreed) return;
    asker.drop(scope.value);
    await exchanges.clear(scope.value);
  }

  readonly #key = (event: KeyboardEvent): void => {
    if (event.key === 'Escape' && !event.defaultPrevented && document.querySelector('dialog[open]') === null) {
      hideQuote();
      if (narrow.value && this.drawer) this.#closeDrawer();
      else if (this.workspace.place.value !== undefined) this.#closePlace();
      return;
    }
    const command = commandOf(event);
    if (command === undefined) return;
    event.preventDefault();
    this.#do(command);
  };

  #do(command: Command): void {
    switch (command) {
      case 'ask':
        return this.#composer?.focus();
      case 'add':
        return this.querySelector<HTMLInputElement>('#files')?.click();
      case 'find':
      case 'outline': {
        const { place, scope } = this.workspace;
        if (place.value === undefined && scope.value === '') return undefined;
        if (place.value === undefined) this.workspace.show(scope.value, 1);
        void this.updateComplete.then(() => this.#viewer?.toggle(command === 'find' ? 'search' : 'outline'));
        return undefined;
      }
      case 'page':
        return this.workspace.scope.value === '' && this.workspace.place.value === undefined
          ? undefined
          : this.#togglePlace(document.activeElement ?? this);
      case 'nextCitation':
        return this.#citation(1);
      case 'previousCitation':
        return this.#citation(-1);
      case 'nextDocument':
        return this.#document(1);
      case 'previousDocument':
        return this.#document(-1);
      case 'models':
        return this.#models();
      case 'help':
        return this.querySelector<Shortcuts & HTMLElement>('doc-shortcuts')?.show();
      default:
        throw new Error(`no command: ${String(command satisfies never)}`);
    }
  }

  /** The focus goes from chip to chip; each shows its quote. */
  #citation(step: 1 | -1): void {
    const chips = this.#conversation?.chips ?? [];
    const at = chips.findIndex((chip) => chip === document.activeElement);
    const next = at < 0 ? (step > 0 ? 0 : chips.length - 1) : at + step;
    chips[next]?.focus({ preventScroll: false });
    chips[next]?.scrollIntoView({ block: 'nearest' });
  }

  #document(step: 1 | -1): void {
    const { scope, shelf } = this.workspace;
    const { entries } = shelf.state.value;
    const names = [...(entries.length > 1 ? [''] : []), ...entries.map(({ name }) => name)];
    const next = names[names.indexOf(scope.value) + step];
    if (next !== undefined) this.workspace.open(next);
  }

  readonly #paste = (event: ClipboardEvent): void => {
    const files = pastedFiles(event);
    if (files.length === 0) return;
    event.preventDefault();
    void addFiles(this.workspace, files);
  };

  readonly #drag = (event: DragEvent): void => {
    if (event.dataTransfer?.types.includes('Files') !== true) return;
    event.preventDefault();
    if (event.type === 'dragenter') this.#over++;
    if (event.type === 'dragleave') this.#over--;
    if (event.type === 'drop') {
      this.#over = 0;
      const files = [...event.dataTransfer.files];
      if (files.length > 0) void addFiles(this.workspace, files);
      else toast(t('dropHint'));
    }
    this.dropping = this.#over > 0;
  };
}
define('document-app', DocumentApp);
export type { DocumentApp };
