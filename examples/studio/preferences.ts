/** `<studio-settings>`: a dialog. `show()` opens it. */
import { html, nothing, type TemplateResult } from 'lit';
import { confirm, dialogFrame } from '../common/dialog.ts';
import { define, Part } from '../common/element.ts';
import { common } from '../common/messages.ts';
import { installable } from '../common/pwa.ts';
import { removeAllChats } from './chat/chats.ts';
import { talk } from './chat/talk.ts';
import { settings } from './context.ts';
import { work } from './paint/work.ts';
import { removeAllPictures } from './pictures/pictures.ts';
import { say } from './texts.ts';

type Choice = 'theme' | 'language' | 'device' | 'preset';

export class Preferences extends Part {
  constructor() {
    super();
    this.watch(settings, installable);
  }

  show(): void {
    this.querySelector('dialog')?.showModal();
  }

  override render(): TemplateResult {
    const install = installable.value;
    return dialogFrame(
      { title: say('settings'), className: 'preferences' },
      html`<div>
          ${this.#choice('theme', say('theme'), [
            ['auto', say('themeAuto')],
            ['light', say('themeLight')],
            ['dark', say('themeDark')],
          ])}
          ${this.#choice('language', say('language'), [
            ['auto', say('languageAuto')],
            ['en', 'English'],
            ['de', 'Deutsch'],
          ])}
          ${this.#choice(
            'device',
            say('device'),
            [
              ['auto', say('deviceAuto')],
              ['wasm', say('deviceWasm')],
              ['webgpu', say('deviceGpu')],
            ],
            say('deviceHint'),
          )}
          ${this.#choice(
            'preset',
            say('preset'),
            [
              ['auto', common('presetAuto')],
              ['exact', common('presetExact')],
              ['balanced', common('presetBalanced')],
              ['small', common('presetSmall')],
            ],
            say('presetHint'),
          )}
          ${this.#switch('awake', say('awake'))} ${this.#switch('rest', say('rest'))}
          ${
            install === undefined
              ? nothing
              : html`<div class="setting">
                  <div>
                    <p>${common('install')}</p>
                    <p class="hint">${say('installHint')}</p>
                  </div>
                  <button class="button" @click=${install}>${common('install')}</button>
                </div>`
          }
          <div class="setting">
            <div>
              <p>${say('removeAll')}</p>
              <p class="hint">${say('removeAllHint')}</p>
            </div>
            <button class="button" @click=${() => void this.#removeAll()}>${common('remove')}…</button>
          </div>
        </div>
        <p class="hint">${say('private')}</p>`,
    );
  }

  #choice(name: Choice, label: string, options: readonly (readonly [string, string])[], hint?: string): TemplateResult {
    return html`<div class="setting">
      <label for="setting-${name}">
        <p>${label}</p>
        ${hint === undefined ? nothing : html`<p class="hint">${hint}</p>`}
      </label>
      <select
        id="setting-${name}"
        class="field"
        @change=${(event: Event) => settings.set({ [name]: (event.currentTarget as HTMLSelectElement).value })}
      >
        ${options.map(
          ([value, text]) => html`<option value=${value} ?selected=${settings.value[name] === value}>${text}</option>`,
        )}
      </select>
    </div>`;
  }

  #switch(name: 'awake' | 'rest', label: string): TemplateResult {
    return html`<label class="setting">
      <span>${label}</span>
      <input
        class="switch"
        type="checkbox"
        .checked=${settings.value[name]}
        @change=${(event: Event) => settings.set({ [name]: (event.currentTarget as HTMLInputElement).checked })}
      />
    </label>`;
  }

  async #removeAll(): Promise<void> {
    const sure = await confirm({
      title: say('removeAllTitle'),
      body: say('removeAllBody'),
      yes: common('remove'),
      danger: true,
    });
    if (!sure) return;
    await work.discard();
    work.clear();
    talk.fresh();
    settings.set({ editing: '' });
    await removeAllChats();
    await removeAllPictures();
  }
}
define('studio-settings', Preferences);
