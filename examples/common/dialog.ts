/** Modal dialogs on the browser's own <dialog>, which keeps the focus inside and gives it back. */
import { html, render, type TemplateResult } from 'lit';
import { ref } from 'lit/directives/ref.js';
import { icon } from './icons.ts';
import { common } from './messages.ts';

let count = 0;

/** A dialog's frame, for elements that render one: `open` it by `showModal()`. */
export function dialogFrame(
  {
    title,
    className = '',
    onClose,
  }: { readonly title: string; readonly className?: string; readonly onClose?: () => void },
  body: TemplateResult,
  footer?: TemplateResult,
): TemplateResult {
  const id = `dialog-${title.replace(/\W+/g, '-')}`;
  return html`<dialog
    class="dialog ${className}"
    aria-labelledby=${id}
    @close=${() => onClose?.()}
    @click=${(event: MouseEvent) => {
      // A click beside the dialog closes it.
      if (event.target === event.currentTarget) (event.currentTarget as HTMLDialogElement).close();
    }}
  >
    <div class="dialog-frame">
      <header>
        <h2 id=${id}>${title}</h2>
        <button
          class="icon-button"
          aria-label=${common('close')}
          @click=${(event: Event) => (event.currentTarget as HTMLElement).closest('dialog')?.close()}
        >
          ${icon('close')}
        </button>
      </header>
      <div class="dialog-body">${body}</div>
      ${footer === undefined ? '' : html`<footer>${footer}</footer>`}
    </div>
  </dialog>`;
}

export interface Question {
  readonly title: string;
  readonly body: string;
  /** What the button says that does it. */
  readonly yes: string;
  readonly danger?: boolean;
}

/** Resolves with whether the user agreed. */
export function confirm({ title, body, yes, danger = false }: Question): Promise<boolean> {
  return new Promise((resolve) => {
    const place = document.createElement('div');
    document.body.append(place);
    const before = document.activeElement;
    const id = `confirm-${++count}`;
    let answer = false;
    let dialog: HTMLDialogElement | undefined;
    const end = (): void => {
      place.remove();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
      resolve(answer);
    };
    render(
      html`<dialog
        class="dialog small"
        role="alertdialog"
        aria-labelledby="${id}-title"
        aria-describedby="${id}-body"
        @close=${end}
        ${ref((element) => (dialog = element as HTMLDialogElement | undefined))}
      >
        <div class="dialog-frame">
          <header><h2 id="${id}-title">${title}</h2></header>
          <div class="dialog-body"><p id="${id}-body">${body}</p></div>
          <footer>
            <button class="button" autofocus @click=${() => dialog?.close()}>${common('cancel')}</button>
            <button
              class="button ${danger ? 'danger' : 'primary'}"
              @click=${() => {
                answer = true;
                dialog?.close();
              }}
            >
              ${yes}
            </button>
          </footer>
        </div>
      </dialog>`,
      place,
    );
    dialog?.showModal();
  });
}
