/** Keyboard shortcuts: what each key does, and the dialog that lists them. */
import { html, type TemplateResult } from 'lit';
import { dialogFrame } from '../../common/dialog.ts';
import { define, Part } from '../../common/element.ts';
import { t, type Key } from '../messages.ts';
import { settings } from '../state/settings.ts';

export type Command =
  | 'ask'
  | 'add'
  | 'find'
  | 'outline'
  | 'page'
  | 'nextCitation'
  | 'previousCitation'
  | 'nextDocument'
  | 'previousDocument'
  | 'models'
  | 'help';

const LETTERS: Readonly<Partial<Record<string, Command>>> = {
  '/': 'ask',
  a: 'add',
  f: 'find',
  t: 'outline',
  v: 'page',
  n: 'nextCitation',
  p: 'previousCitation',
  j: 'nextDocument',
  k: 'previousDocument',
  m: 'models',
  '?': 'help',
};

const LISTED: readonly (readonly [readonly string[], Key])[] = [
  [['/'], 'keyAsk'],
  [['Enter', 'Shift + Enter'], 'keySend'],
  [['a'], 'keyAdd'],
  [['n', 'p'], 'keyCitation'],
  [['v'], 'keyPage'],
  [['f'], 'keyFind'],
  [['t'], 'keyOutline'],
  [['j', 'k'], 'keyDocument'],
  [['m'], 'keyModels'],
  [['Esc'], 'keyEscape'],
  [['?'], 'keyHelp'],
];

/** What a key means where it was pressed: nothing while text is written, or a dialog is open. */
export function commandOf(event: KeyboardEvent): Command | undefined {
  const { key, target, ctrlKey, metaKey, altKey, isComposing } = event;
  if (!settings.value.letters || ctrlKey || metaKey || altKey || isComposing || event.defaultPrevented)
    return undefined;
  if (target instanceof Element && target.closest('input, textarea, select, dialog, [contenteditable]') !== null)
    return undefined;
  return LETTERS[key];
}

class Shortcuts extends Part {
  show(): void {
    this.querySelector('dialog')?.showModal();
  }

  override render(): TemplateResult {
    return dialogFrame(
      { title: t('shortcuts'), className: 'small' },
      html`<table class="shortcuts">
        <tbody>
          ${LISTED.map(
            ([keys, name]) =>
              html`<tr>
                <th scope="row">${t(name)}</th>
                <td>${keys.map((key) => html`<kbd>${key}</kbd> `)}</td>
              </tr>`,
          )}
        </tbody>
      </table>`,
    );
  }
}
define('doc-shortcuts', Shortcuts);
export type { Shortcuts };
