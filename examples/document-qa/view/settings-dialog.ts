/** `<doc-settings>`: what can be set; `show()` opens it. */
import { html, nothing, type TemplateResult } from 'lit';
import { dialogFrame } from '../../common/dialog.ts';
import { define, Part } from '../../common/element.ts';
import { bytes } from '../../common/format.ts';
import { common } from '../../common/messages.ts';
import { EMBEDDER, settings } from '../state/settings.ts';
import { t } from '../messages.ts';
import { MODES } from './composer.ts';

type Values = typeof settings.value;
type KeysOf<T> = { [Name in keyof Values]: Values[Name] extends T ? Name : never }[keyof Values];

/** Tokens of one passage, as many as the model reads well, and of more. */
const BUDGETS = [
  [256, 'budgetSmall'],
  [0, 'budgetUsual'],
  [1280, 'budgetLarge'],
  [2560, 'budgetHuge'],
] as const;
const LENGTHS = [
  [80, 'lengthShort'],
  [160, 'lengthUsual'],
  [480, 'lengthLong'],
] as const;
const CONTEXTS = [2048, 4096, 8192, 16_384];

class SettingsDialog extends Part {
  constructor() {
    super();
    this.watch(settings);
  }

  show(): void {
    this.querySelector('dialog')?.showModal();
  }

  override render(): TemplateResult {
    const now = settings.value;
    return dialogFrame(
      { title: t('settings') },
      html`<section aria-labelledby="set-answers">
          <h3 id="set-answers">${t('setAnswers')}</h3>
          <div>
            ${this.#choice(
              t('setMode'),
              t('setModeHint'),
              now.mode,
              MODES.map(([value, key]) => [value, t(key)] as const),
              (mode) => settings.set({ mode }),
            )}
            ${this.#choice(
              t('setBudget'),
              t('setBudgetHint'),
              String(now.budget),
              BUDGETS.map(([value, key]) => [String(value), t(key)] as const),
              (value) => settings.set({ budget: Number(value) }),
            )}
            ${this.#choice(
              t('setLength'),
              undefined,
              String(now.answer),
              LENGTHS.map(([value, key]) => [String(value), t(key)] as const),
              (value) => settings.set({ answer: Number(value) }),
            )}
            ${this.#switch('keep', t('setKeep'), t('setKeepHint'))} ${this.#switch('screenOn', t('setScreen'))}
          </div>
        </section>
        <section aria-labelledby="set-reading">
          <h3 id="set-reading">${t('setReading')}</h3>
          <div>
            ${this.#switch('meaning', t('setMeaning'), t('setMeaningHint', { size: bytes(EMBEDDER.bytes) }))}
            ${this.#switch('pauseHidden', t('setPauseHidden'))} ${this.#switch('pauseBattery', t('setPauseBattery'))}
          </div>
        </section>
        <section aria-labelledby="set-memory">
          <h3 id="set-memory">${t('setMemory')}</h3>
          <div>
            ${this.#choice(
              t('setContext'),
              t('setContextHint'),
              String(now.context),
              [
                ['0', t('contextFull')] as const,
                ...CONTEXTS.map((count) => [String(count), t('contextTokens', { count })] as const),
              ],
              (value) => settings.set({ context: Number(value) }),
            )}
            ${this.#choice(
              t('setPreset'),
              t('setPresetHint'),
              now.preset,
              [
                ['auto', common('presetAuto')],
                ['exact', common('presetExact')],
                ['balanced', common('presetBalanced')],
                ['small', common('presetSmall')],
              ] as const,
              (preset) => settings.set({ preset }),
            )}
            ${this.#choice(
              t('setDevice'),
              undefined,
              now.device,
              [
                ['auto', t('deviceAuto')],
                ['webgpu', 'WebGPU'],
                ['wasm', 'WebAssembly'],
              ] as const,
              (device) => settings.set({ device }),
            )}
          </div>
        </section>
        <section aria-labelledby="set-look">
          <h3 id="set-look">${t('setLook')}</h3>
          <div>
            ${this.#choice(
              t('setTheme'),
              undefined,
              now.theme,
              [
                ['auto', t('themeAuto')],
                ['light', t('themeLight')],
                ['dark', t('themeDark')],
              ] as const,
              (theme) => settings.set({ theme }),
            )}
            ${this.#choice(
              t('setLanguage'),
              undefined,
              now.language,
              [
                ['auto', t('languageAuto')],
                ['en', 'English'],
                ['de', 'Deutsch'],
              ] as const,
              (language) => settings.set({ language }),
            )}
            ${this.#switch('letters', t('setLetters'), t('setLettersHint'))}
          </div>
        </section>`,
    );
  }

  #switch(name: KeysOf<boolean>, label: string, hint?: string): TemplateResult {
    return html`<label class="setting">
      <span>${label}${hint === undefined ? nothing : html`<br /><span class="hint">${hint}</span>`}</span>
      <input
        class="switch"
        type="checkbox"
        role="switch"
        .checked=${settings.value[name]}
        @change=${(event: Event) => settings.set({ [name]: (event.currentTarget as HTMLInputElement).checked })}
      />
    </label>`;
  }

  #choice<T extends string>(
    label: string,
    hint: string | undefined,
    value: T,
    options: readonly (readonly [T, string])[],
    set: (value: T) => void,
  ): TemplateResult {
    return html`<label class="setting">
      <span>${label}${hint === undefined ? nothing : html`<br /><span class="hint">${hint}</span>`}</span>
      <select
        class="field"
        @change=${(event: Event) => {
          const chosen = options[(event.currentTarget as HTMLSelectElement).selectedIndex];
          if (chosen !== undefined) set(chosen[0]);
        }}
      >
        ${options.map(([key, words]) => html`<option value=${key} ?selected=${key === value}>${words}</option>`)}
      </select>
    </label>`;
  }
}
define('doc-settings', SettingsDialog);
export type { SettingsDialog };
