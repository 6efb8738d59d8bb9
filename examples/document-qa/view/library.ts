/** `<doc-library>`: the documents, how far each was read, and what they take. */
import type { LibraryEntry } from 'octavo';
import { html, nothing, type TemplateResult } from 'lit';
import { repeat } from 'lit/directives/repeat.js';
import { confirm } from '../../common/dialog.ts';
import { define } from '../../common/element.ts';
import { bytes } from '../../common/format.ts';
import { icon } from '../../common/icons.ts';
import type { Observable } from '../../common/observable.ts';
import { installable } from '../../common/pwa.ts';
import { common } from '../../common/messages.ts';
import { toast } from '../../common/toasts.ts';
import { t } from '../messages.ts';
import type { Workspace } from '../state/workspace.ts';
import { WorkspacePart } from './element.ts';
import { readingView } from './reading.ts';

class Library extends WorkspacePart {
  protected override shown({ shelf, scope }: Workspace): readonly Pick<Observable<unknown>, 'subscribe'>[] {
    return [shelf.state, scope, installable];
  }

  override render(): TemplateResult {
    const { entries, opened } = this.workspace.shelf.state.value;
    const { value: scope } = this.workspace.scope;
    const stored = entries.reduce((sum, one) => sum + one.stored, 0);
    const install = installable.value;
    return html`<div class="library">
      <header class="library-head">
        <img src="./icon.svg" alt="" width="24" height="24" />
        <h1>Octavo <span>${t('title')}</span></h1>
        <button
          class="icon-button narrow-only"
          aria-label=${t('closeLibrary')}
          @click=${() => this.send('close-library')}
        >
          ${icon('close')}
        </button>
      </header>
      <div class="library-add">
        <button class="button add" @click=${() => this.send('add-files')}>${icon('add')} ${t('add')}</button>
      </div>
      <nav class="library-list" aria-label=${t('library')}>
        ${
          entries.length < 2
            ? nothing
            : html`<button
                class="entry all"
                aria-current=${scope === '' ? 'true' : 'false'}
                @click=${() => this.#open('')}
              >
                ${icon('library')}
                <span class="grow"
                  ><span class="entry-name">${t('all')}</span>
                  <span class="entry-state">${t('allHint', { count: entries.length })}</span></span
                >
              </button>`
        }
        <ul>
          ${repeat(
            entries,
            ({ id }) => id,
            (entry) => this.#entry(entry, entry.name === scope),
          )}
        </ul>
        ${!opened && this.workspace.shelf.state.value.problem === undefined ? html`<p class="hint pad">${t('opening')}</p>` : nothing}
      </nav>
      <footer class="library-foot">
        ${stored > 0 ? html`<p class="hint numbers">${t('room', { size: bytes(stored) })}</p>` : nothing}
        <div class="row">
          <button class="button quiet grow left" @click=${() => this.send('show-settings')}>
            ${icon('settings')} ${t('settings')}
          </button>
          <button
            class="icon-button"
            aria-label=${t('shortcuts')}
            title=${t('shortcuts')}
            @click=${() => this.send('show-shortcuts')}
          >
            ${icon('keyboard')}
          </button>
          ${
            install === undefined
              ? nothing
              : html`<button
                  class="icon-button"
                  aria-label=${common('install')}
                  title=${common('install')}
                  @click=${install}
                >
                  ${icon('download')}
                </button>`
          }
        </div>
      </footer>
    </div>`;
  }

  #entry(entry: LibraryEntry, current: boolean): TemplateResult {
    const { name, state, code } = entry;
    const locked = state === 'failed' && code === 'password';
    return html`<li class="entry-row" data-state=${state}>
      <button class="entry" aria-current=${current ? 'true' : 'false'} @click=${() => this.#open(name)}>
        ${icon(state === 'failed' ? 'warning' : 'file')}
        <span class="grow">
          <span class="entry-name" title=${name}>${name}</span>
          <span class="entry-state numbers">${this.#state(entry, locked)}</span>
        </span>
      </button>
      ${
        locked
          ? html`<button class="button small" @click=${() => this.send('unlock', entry)}>${t('unlock')}</button>`
          : nothing
      }
      ${(state === 'waiting' || entry.recognition === 'asked') && this.#first(entry) ? this.#pause() : nothing}
      <button
        class="icon-button entry-remove"
        aria-label=${t('removeDocument', { name })}
        title=${common('remove')}
        @click=${() => void this.#remove(entry)}
      >
        ${icon('trash')}
      </button>
    </li>`;
  }

  #state(entry: LibraryEntry, locked: boolean): TemplateResult | string {
    const { id, state, pages, bytes: size, problem, recognition } = entry;
    const { value: now } = this.workspace.shelf.state;
    if (locked) return t('statePassword');
    if (state === 'failed') return html`<span title=${problem ?? ''}>${t('stateFailed')}</span>`;
    if (state === 'waiting' || recognition === 'asked' || (now.progress?.id === id && now.progress.phase === 'vectors'))
      return readingView(entry, now);
    return pages > 1 ? `${t('pages', { count: pages })} · ${bytes(size)}` : bytes(size);
  }

  /** Whether it is the one that is read, or will be next: reading is paused as a whole. */
  #first({ id }: LibraryEntry): boolean {
    const { progress, entries } = this.workspace.shelf.state.value;
    return (
      id ===
      (progress?.id ?? entries.find(({ state, recognition }) => state === 'waiting' || recognition === 'asked')?.id)
    );
  }

  #pause(): TemplateResult {
    const { shelf } = this.workspace;
    const { paused } = shelf.state.value;
    const label = t(paused ? 'resumeReading' : 'pauseReading');
    return html`<button
      class="icon-button"
      aria-label=${label}
      title=${label}
      @click=${() => (paused ? shelf.resume() : shelf.pause())}
    >
      ${icon(paused ? 'play' : 'pause')}
    </button>`;
  }

  #open(name: string): void {
    this.workspace.open(name);
    this.send('close-library');
  }

  async #remove({ id, name, stored }: LibraryEntry): Promise<void> {
    const agreed = await confirm({
      title: t('removeTitle', { name }),
      body: t('removeBody', { size: bytes(stored) }),
      yes: common('remove'),
      danger: true,
    });
    if (!agreed) return;
    const { asker, shelf, exchanges, scope, place } = this.workspace;
    if (shelf.state.value.entries.every((one) => one.id === id || one.name !== name)) asker.drop(name);
    await shelf.remove(id);
    if (shelf.entry(name) === undefined) {
      await exchanges.clear(name);
      if (place.value?.name === name) place.value = undefined;
      if (scope.value === name) this.workspace.open('');
    }
    toast(t('removed', { name }));
  }
}
define('doc-library', Library);
