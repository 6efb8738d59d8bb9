/** Asks for the password of an encrypted document. */
import { html, render } from 'lit';
import { ref } from 'lit/directives/ref.js';
import { common } from '../../common/messages.ts';
import { t } from '../messages.ts';

/** Undefined where the user gives none. */
export function askPassword(name: string, wrong: boolean): Promise<string | undefined> {
  return new Promise((resolve) => {
    const place = document.createElement('div');
    document.body.append(place);
    let dialog: HTMLDialogElement | undefined;
    let answer: string | undefined;
    render(
      html`<dialog
        class="dialog small"
        aria-labelledby="password-title"
        @close=${() => {
          place.remove();
          resolve(answer);
        }}
        ${ref((element) => (dialog = element as HTMLDialogElement | undefined))}
      >
        <form
          class="dialog-frame"
          @submit=${(event: SubmitEvent) => {
            event.preventDefault();
            answer = (event.currentTarget as HTMLFormElement).querySelector('input')?.value;
            dialog?.close();
          }}
        >
          <header><h2 id="password-title">${t('passwordTitle', { name })}</h2></header>
          <div class="dialog-body">
            <p class="hint">${t('passwordBody')}</p>
            <div>
              <input
                class="field"
                type="password"
                autocomplete="off"
                autofocus
                aria-label=${t('password')}
                aria-invalid=${wrong ? 'true' : 'false'}
              />
              <p class="field-problem" role="status">${wrong ? t('passwordWrong') : ''}</p>
            </div>
          </div>
          <footer>
            <button type="button" class="button" @click=${() => dialog?.close()}>${common('cancel')}</button>
            <button class="button primary">${t('unlock')}</button>
          </footer>
        </form>
      </dialog>`,
      place,
    );
    dialog?.showModal();
  });
}
