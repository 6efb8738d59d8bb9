/** The line at the bottom in which everything is asked for: it grows with its text, and Enter sends. */
import { html, nothing, type TemplateResult } from 'lit';
import { icon, type IconName } from '../common/icons.ts';
import { say } from './texts.ts';

export interface ComposerOptions {
  readonly label: string;
  readonly placeholder: string;
  readonly value: string;
  readonly send: { readonly label: string; readonly icon: IconName; readonly disabled: boolean };
  /** Shown in place of the button to send, while something runs. */
  readonly stop?: { readonly label: string; readonly run: () => void } | undefined;
  /** Buttons before the text, and what lies above it. */
  readonly before?: TemplateResult | undefined;
  readonly above?: TemplateResult | typeof nothing | undefined;
  readonly onInput: (text: string) => void;
  readonly onSend: (text: string) => void;
}

function submit(form: HTMLFormElement, { onSend, send }: ComposerOptions): void {
  const field = form.querySelector('textarea');
  const text = field?.value.trim() ?? '';
  if (text === '' || send.disabled) field?.focus();
  else onSend(text);
}

export function composer(options: ComposerOptions): TemplateResult {
  const { label, placeholder, value, send, stop, before, above, onInput } = options;
  return html`<form
    class="composer"
    @submit=${(event: SubmitEvent) => {
      event.preventDefault();
      submit(event.currentTarget as HTMLFormElement, options);
    }}
  >
    ${above ?? nothing}
    <div class="composer-line">
      ${before ?? nothing}
      <div class="composer-text" data-text="${value} ">
        <textarea
          rows="1"
          enterkeyhint="send"
          autocomplete="off"
          aria-label=${label}
          placeholder=${placeholder}
          .value=${value}
          @input=${(event: Event) => onInput((event.currentTarget as HTMLTextAreaElement).value)}
          @keydown=${(event: KeyboardEvent) => {
            if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
            event.preventDefault();
            const { form } = event.currentTarget as HTMLTextAreaElement;
            if (form !== null) submit(form, options);
          }}
        ></textarea>
      </div>
      ${
        stop === undefined
          ? html`<button class="send" aria-label=${send.label} title=${send.label} ?disabled=${send.disabled}>
              ${icon(send.icon)}
            </button>`
          : html`<button type="button" class="send" aria-label=${stop.label} title=${stop.label} @click=${stop.run}>
              ${icon('stop')}
            </button>`
      }
    </div>
  </form>`;
}

/** Shows the settings of what is painted or edited, where they are not always in view. */
export function optionsButton(open: boolean, toggle: () => void): TemplateResult {
  return html`<button
    type="button"
    class="icon-button only-narrow"
    aria-label=${say('paintOptions')}
    title=${say('paintOptions')}
    aria-expanded=${open ? 'true' : 'false'}
    @click=${toggle}
  >
    ${icon('settings')}
  </button>`;
}

/** Examples above the line. */
export function suggestions(texts: readonly string[], take: (text: string) => void): TemplateResult {
  return html`<div class="suggestions">
    ${texts.map((text) => html`<button type="button" class="chip" @click=${() => take(text)}>${text}</button>`)}
  </div>`;
}
