/** Recognises text in pictures by tesseract.js, whose worker, core and languages are files of this application: vite.config.mjs puts them into `ocr/`. */
import type { Recogniser } from 'octavo';
import type { TesseractRecogniser } from 'octavo/ocr-tesseract';
import { settings } from './settings.ts';

/** By tesseract's codes. A language more is a package more, `@tesseract.js-data/<code>`, in examples/package.json. */
export const LANGUAGES = { eng: 'English', deu: 'Deutsch', fra: 'Français' } as const;
export type OcrLanguage = keyof typeof LANGUAGES;

/** Milliseconds without a picture after which the worker, which takes some 100 MB, is ended. */
const RESTS = 60_000;
/** `(module (func (result v128) i32.const 0 i8x16.splat i8x16.popcnt))`: whether the browser has WASM's SIMD. */
const SIMD = Uint8Array.of(
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11],
);

/** The languages that are looked for: the user's choice, or that of the page, and English. */
export function ocrLanguages(): readonly OcrLanguage[] {
  const chosen = settings.value.ocr.split('+').filter(isLanguage);
  if (chosen.length > 0) return chosen;
  return document.documentElement.lang === 'de' ? ['deu', 'eng'] : ['eng'];
}

export function chooseOcrLanguages(languages: readonly OcrLanguage[]): void {
  if (languages.length > 0) settings.set({ ocr: languages.join('+') });
}

function isLanguage(code: string): code is OcrLanguage {
  return Object.hasOwn(LANGUAGES, code);
}

let current: { readonly languages: string; readonly recogniser: TesseractRecogniser } | undefined;
let timer: ReturnType<typeof setTimeout> | undefined;

async function recogniserOf(languages: readonly OcrLanguage[]): Promise<TesseractRecogniser> {
  const key = languages.join('+');
  if (current?.languages !== key) {
    await current?.recogniser.close();
    const { tesseract } = await import('octavo/ocr-tesseract');
    const at = (path: string): string => new URL(`./ocr/${path}`, location.href).href;
    const core = WebAssembly.validate(SIMD) ? 'tesseract-core-simd-lstm.wasm.js' : 'tesseract-core-lstm.wasm.js';
    const places = { workerPath: at('worker.min.js'), corePath: at(core), langPath: at('languages') };
    current = { languages: key, recogniser: tesseract({ languages, ...places }) };
  }
  return current.recogniser;
}

/** What the library reads pictures with: in the languages that are chosen when a picture's turn comes. */
export const ocr: Recogniser = {
  get fingerprint() {
    return ocrLanguages().join('+');
  },
  async recognise(picture, options) {
    clearTimeout(timer);
    const recogniser = await recogniserOf(ocrLanguages());
    try {
      return await recogniser.recognise(picture, options);
    } finally {
      clearTimeout(timer);
      timer = setTimeout(() => {
        if (current?.recogniser === recogniser) current = undefined;
        void recogniser.close();
      }, RESTS);
    }
  },
};
