/** `<doc-composer>`: where questions are written. Enter asks, Shift+Enter begins a new line. */
import type { AskMode } from 'octavo';
import { html, nothing, type TemplateResult } from 'lit';
import { define } from '../../common/element.ts';
import { icon } from '../../common/icons.ts';
import type { Observable } from '../../common/observable.ts';
import { t, type Key } from '../messages.ts';
import { settings } from '../state/settings.ts';
import type { Workspace } from '../state/workspace.ts';
import { WorkspacePart } from './element.ts';

/** Milliseconds without a key after which a question is read as far as it is there: one that ends with a mark, and one that may go on. */
const RESTS = { done: 150, open: 700 };
/** Characters: what is longer is a document, and is told so instead of being cut. */
const LONGEST = 8000;

export const MODES = [
  ['auto', 'modeAuto'],
  ['passages', 'modePassages'],
  ['whole', 'modeWhole'],
  ['windows', 'modeWindows'],
] as const satisfies readonly (readonly [AskMode | 'auto', Key])[];

class Composer extends WorkspacePart {
  /** Characters of the question beyond the longest, since it was last asked. */
  #surplus = 0;
  #rest: ReturnType<typeof setTimeout> | undefined;

  protected override shown({ shelf, scope, asker }: Workspace): readonly Pick<Observable<unknown>, 'subscribe'>[] {
    return [shelf.state, scope, asker.going, settings];
  }

  override render(): TemplateResult {
    const { scope, asker, shelf } = this.workspace;
    const going = asker.going.value.filter(({ exchange }) => exchange.scope === scope.value);
    const [running] = going;
    const entry = shelf.entry(scope.value);
    const unread = scope.value !== '' && entry?.state === 'failed';
    const title = entry?.title ?? scope.value;
    return html`<form
      class="composer"
      @submit=${(event: SubmitEvent) => {
        event.preventDefault();
        this.#ask();
      }}
    >
      <textarea
        rows="1"
        aria-invalid=${String(this.#surplus > 0)}
        aria-label=${t('question')}
        placeholder=${
          scope.value === ''
            ? t('placeholderAll')
            : unread
              ? t(entry.code === 'password' ? 'statePassword' : 'nothingToAsk')
              : t('placeholder', { name: title })
        }
        ?disabled=${unread}
        enterkeyhint="send"
        @focus=${() => asker.prepare(scope.value)}
        @keydown=${(event: KeyboardEvent) => {
          if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
          event.preventDefault();
          this.#ask();
        }}
        @input=${() => {
          asker.prepare(scope.value);
          this.#fit();
          if (this.#surplus > 0) this.#measure();
          this.#rests(scope.value);
        }}
      ></textarea>
      ${
        this.#surplus > 0
          ? html`<p class="composer-note" role="alert">
              ${t('questionTooLong', { most: LONGEST, surplus: this.#surplus })}
            </p>`
          : nothing
      }
      <div class="composer-row">
        <button
          type="button"
          class="icon-button"
          aria-label=${t('add')}
          title=${t('add')}
          @click=${() => this.send('add-files')}
        >
          ${icon('add')}
        </button>
        <select
          class="mode"
          aria-label=${t('modeLabel')}
          title=${t('modeLabel')}
          @change=${(event: Event) => settings.set({ mode: (event.currentTarget as HTMLSelectElement).value as AskMode | 'auto' })}
        >
          ${MODES.map(([value, key]) => html`<option value=${value} ?selected=${settings.value.mode === value}>${t(key)}</option>`)}
        </select>
        <span class="grow"></span>
        ${
          running === undefined
            ? nothing
            : html`<button
                type="button"
                class="send stop"
                aria-label=${t('stop')}
                title=${t('stop')}
                @click=${() => asker.stop(running.exchange.id)}
              >
                ${icon('stop')}
              </button>`
        }
        <button class="send" ?disabled=${unread} aria-label=${t('send')} title=${t('send')}>${icon('arrowUp')}</button>
      </div>
    </form>`;
  }

  get #field(): HTMLTextAreaElement | null {
    return this.querySelector('textarea');
  }

  override focus(): void {
    this.#field?.focus();
  }

  /** Gives a question to be written anew; what stands there already stays behind it. */
  write(question: string): void {
    const field = this.#field;
    if (field === null) return;
    field.value = [question, field.value.trim()].filter((text) => text !== '').join('\n');
    this.#fit();
    this.#measure();
    field.focus();
  }

  #ask(): void {
    const field = this.#field;
    const question = field?.value.trim() ?? '';
    this.#measure();
    if (field === null || question === '' || this.#surplus > 0) return;
    clearTimeout(this.#rest);
    field.value = '';
    this.#fit();
    this.send('ask', question);
  }

  /** Has the question read when nothing is written for a while. */
  #rests(scope: string): void {
    clearTimeout(this.#rest);
    const written = (): string => this.#field?.value.trim() ?? '';
    const read = (): void => {
      const question = written();
      if (question.length <= LONGEST) void this.workspace.asker.draft(scope, question);
    };
    this.#rest = setTimeout(read, /[.?!]$/.test(written()) ? RESTS.done : RESTS.open);
  }

  #measure(): void {
    this.#surplus = Math.max((this.#field?.value.trim().length ?? 0) - LONGEST, 0);
    this.requestUpdate();
  }

  /** As high as its text; browsers that know `field-sizing` do it themselves. */
  #fit(): void {
    const field = this.#field;
    if (field === null || CSS.supports('field-sizing', 'content')) return;
    field.style.height = 'auto';
    field.style.height = `${field.scrollHeight}px`;
  }
}
define('doc-composer', Composer);
export type { Composer };
