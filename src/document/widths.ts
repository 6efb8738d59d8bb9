/**
 * Widths of letters, by which a run's width is shared out where the places of its letters are not known: those of Helvetica and Times (Adobe's font metrics), which most fonts of
 * their kinds are near to, and which browsers' own fonts are made to have.
 */

/** What a font is like, as pdf.js names it; undefined: like Helvetica. */
export type FontFamily = 'serif' | 'mono' | undefined;

/** Of the characters from space to tilde, in thousandths of the font size. */
const HELVETICA =
  '278 278 355 556 556 889 667 191 333 333 389 584 278 333 278 278 556 556 556 556 556 556 556 556 556 556 278 278 584 584 584 556 1015 667 667 722 722 667 611 778 722 278 500 667 556 833 722 778 667 778 722 667 611 722 667 944 667 667 611 278 278 278 469 556 333 556 556 500 556 556 278 556 556 222 222 500 222 833 556 556 556 556 333 500 278 556 500 722 500 500 500 334 260 334 584';
const TIMES =
  '250 333 408 500 500 833 778 180 333 333 500 564 250 333 250 278 500 500 500 500 500 500 500 500 500 500 278 278 564 564 564 444 921 722 667 667 722 611 556 722 722 333 389 722 611 889 722 722 556 722 667 556 611 722 722 944 722 722 611 333 278 333 469 500 333 444 500 444 500 444 333 500 500 278 278 500 278 778 500 500 500 500 333 389 278 500 500 722 500 500 444 480 200 480 541';
const tableOf = (widths: string): readonly number[] => widths.split(' ').map(Number);
const TABLES = { sans: tableOf(HELVETICA), serif: tableOf(TIMES) };
/** Marks of more than ASCII, by what is as wide. */
const LIKE: Readonly<Record<string, string>> = {
  '\u2018': ',',
  '\u2019': ',',
  '\u201c': '"',
  '\u201d': '"',
  '\u2013': '0',
  '\u2014': 'W',
  '\u2026': 'W',
  '\u2022': '*',
  '\u00a0': ' ',
  '\u00df': 'n',
};
const USUAL = 550;
const FULL = /[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Hangul}\u3000-\u303f\uff00-\uff60]/u;
const NONE = /\p{Mn}/u;

/** In thousandths of the font size, about. `unit`: a UTF-16 unit; a second surrogate has no width of its own. */
export function widthOf(unit: string, family: FontFamily): number {
  if (family === 'mono') return NONE.test(unit) ? 0 : 600;
  const table = family === 'serif' ? TABLES.serif : TABLES.sans;
  const known = table[unit.charCodeAt(0) - 32];
  if (known !== undefined) return known;
  const like = LIKE[unit] ?? unit.normalize('NFD')[0] ?? '';
  const found = table[like.charCodeAt(0) - 32];
  if (found !== undefined) return found;
  if (NONE.test(unit) || /[\udc00-\udfff]/.test(unit)) return 0;
  return FULL.test(unit) || /[\ud800-\udbff]/.test(unit) ? 1000 : USUAL;
}
