/** Texts in the user's language. Every table has all keys in all languages: the types check it. */
import { Observable } from './observable.ts';

export const LANGUAGES = ['en', 'de'] as const;
export type LanguageCode = (typeof LANGUAGES)[number];

/** The best of the languages that the user reads. */
function preferred(): LanguageCode {
  const wanted = navigator.languages.map((tag) => tag.slice(0, 2).toLowerCase());
  return wanted.map((tag) => LANGUAGES.find((code) => code === tag)).find((code) => code !== undefined) ?? 'en';
}

export const language = new Observable<LanguageCode>(preferred());
const follow = (code: LanguageCode): void => void (document.documentElement.lang = code);
follow(language.value);
language.subscribe(follow);

/** `auto` follows the browser. */
export function setLanguage(code: LanguageCode | 'auto'): void {
  language.value = code === 'auto' ? preferred() : code;
}

type Values = Readonly<Record<string, string | number>>;
export type Table<Keys extends string> = Readonly<Record<LanguageCode, Readonly<Record<Keys, string>>>>;

/**
 * A function from keys to texts. `{name}` stands for a value; numbers are written as the language does. A text of two parts divided by `|` is singular and plural,
 * chosen by `count`.
 */
export function texts<Keys extends string>(table: Table<Keys>): (key: Keys, values?: Values) => string {
  return (key, values = {}) => {
    const code = language.value;
    const forms = table[code][key].split('|');
    const plural = forms.length > 1 && new Intl.PluralRules(code).select(Number(values['count'] ?? 0)) !== 'one';
    return (forms[plural ? 1 : 0] ?? '').replace(/\{(\w+)\}/g, (whole, name: string) => {
      const value = values[name];
      if (value === undefined) return whole;
      return typeof value === 'number' ? new Intl.NumberFormat(code).format(value) : value;
    });
  };
}
