/** Short messages at the edge of the window, read out by screen readers. Errors stay until they are dismissed, or somebody goes on without them. */
import { html, nothing, type TemplateResult } from 'lit';
import { repeat } from 'lit/directives/repeat.js';
import { define, Part } from './element.ts';
import { icon } from './icons.ts';
import { Observable } from './observable.ts';
import { common } from './messages.ts';

interface Toast {
  readonly id: number;
  readonly kind: 'info' | 'error';
  readonly message: string;
  readonly action?: { readonly label: string; readonly run: () => void } | undefined;
}

/** Milliseconds: long enough to read two lines, and to reach its button by keyboard. */
const SHOWN = 8000;
const MOST = 3;

const toasts = new Observable<readonly Toast[]>([]);
let last = 0;

export function toast(
  message: string,
  { kind = 'info', action }: { readonly kind?: Toast['kind']; readonly action?: Toast['action'] } = {},
): void {
  const id = ++last;
  // The same words again take the place of those that are there.
  const others = toasts.value.filter((one) => one.message !== message);
  toasts.value = [...others, { id, kind, message, action }].slice(-MOST);
  setTimeout(() => (kind === 'info' ? dismiss(id) : dismissWhenUsed(id)), SHOWN);
}

/** Ends an error, which nobody may have seen yet, at the next click or letter elsewhere: it must not cover what people go on with. */
function dismissWhenUsed(id: number): void {
  const used = new AbortController();
  const use = (event: Event): void => {
    if (event.target instanceof Element && event.target.closest('.toasts') !== null) return;
    used.abort();
    dismiss(id);
  };
  for (const kind of ['pointerdown', 'input']) addEventListener(kind, use, { capture: true, signal: used.signal });
}

function dismiss(id: number): void {
  toasts.value = toasts.value.filter((one) => one.id !== id);
}

class Toasts extends Part {
  constructor() {
    super();
    this.watch(toasts);
  }

  override render(): TemplateResult {
    return html`<div class="toasts" role="status" aria-live="polite">
      ${repeat(
        toasts.value,
        ({ id }) => id,
        ({ id, kind, message, action }) =>
          html`<div class="toast ${kind}">
            ${icon(kind === 'error' ? 'warning' : 'info')}
            <p>${message}</p>
            ${
              action === undefined
                ? nothing
                : html`<button
                    class="button quiet"
                    @click=${() => {
                      dismiss(id);
                      action.run();
                    }}
                  >
                    ${action.label}
                  </button>`
            }
            <button class="icon-button" aria-label=${common('dismiss')} @click=${() => dismiss(id)}>
              ${icon('close')}
            </button>
          </div>`,
      )}
    </div>`;
  }
}
define('oct-toasts', Toasts);
