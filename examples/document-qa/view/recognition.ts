/** Offers to recognise the text of pages that are pictures, and shows how far that is. */
import type { LibraryEntry } from 'octavo';
import { html, nothing, type TemplateResult } from 'lit';
import { icon } from '../../common/icons.ts';
import { t } from '../messages.ts';
import { chooseOcrLanguages, LANGUAGES, ocrLanguages, type OcrLanguage } from '../state/recognition.ts';
import type { Shelf } from '../state/shelf.ts';
import { readingView } from './reading.ts';

/** Nothing where all of the document has letters. `brief`: in a strip beside the page. */
export function recognitionView(
  entry: LibraryEntry | undefined,
  shelf: Shelf,
  { brief = false } = {},
): TemplateResult | typeof nothing {
  if (entry === undefined) return nothing;
  const { id, pictures = 0, pages, recognition, problem } = entry;
  if (recognition === 'asked')
    return html`<div class="notice recognition" role="group" aria-label=${t('ocrTitle')}>
      <div class="grow numbers">${readingView(entry, shelf.state.value)}</div>
      <button class="button" @click=${() => void shelf.cancelRecognition(id)}>${t('ocrCancel')}</button>
    </div>`;
  if (pictures === 0) return nothing;
  const tried = recognition === 'done';
  const title = tried
    ? t('ocrNothing', { count: pictures })
    : pages === 1
      ? t('ocrPicture')
      : t('ocrPictures', { count: pictures, total: pages });
  const start = (): void => void shelf.recognise(id);
  return html`<div class="notice recognition" role="group" aria-label=${t('ocrTitle')}>
    <div class="grow">
      <p>${title}</p>
      ${
        brief
          ? nothing
          : html`<p class="hint">${t('ocrBody')}</p>
              ${languagesView(shelf)}`
      }
      ${problem === undefined ? nothing : html`<p class="hint detail">${t('ocrFailed', { problem })}</p>`}
    </div>
    <button class="button ${brief ? '' : 'primary'}" @click=${start}>
      ${icon('file')} ${t(tried ? 'ocrAgain' : 'ocrStart')}
    </button>
  </div>`;
}

function languagesView(shelf: Shelf): TemplateResult {
  const chosen = ocrLanguages();
  const change = (code: OcrLanguage, wanted: boolean): void => {
    chooseOcrLanguages(wanted ? [...chosen, code] : chosen.filter((one) => one !== code));
    // What was chosen last cannot be taken away: the boxes show what is.
    shelf.state.value = { ...shelf.state.value };
  };
  return html`<fieldset class="ocr-languages">
    <legend class="unseen">${t('ocrLanguages')}</legend>
    ${(Object.keys(LANGUAGES) as OcrLanguage[]).map(
      (code) =>
        html`<label class="ocr-language">
          <input
            type="checkbox"
            .checked=${chosen.includes(code)}
            @change=${(event: Event) => {
              const box = event.currentTarget as HTMLInputElement;
              change(code, box.checked);
              box.checked = ocrLanguages().includes(code);
            }}
          />
          <span lang=${code.slice(0, 2)}>${LANGUAGES[code]}</span>
        </label>`,
    )}
  </fieldset>`;
}
