/** Words whose letters stand apart ("C O N TA C T"): pdf.js takes the gaps of wide letter spacing for spaces, so that nobody would find the word. */

/** Parts of one letter, or of two that are kerned: so many of them at least, most of which have one. */
const PART = /^\p{L}{1,2}$/u;
const LEAST_PARTS = 4;
const LEAST_SINGLE = 0.6;
/** In font sizes: spaces of fonts are no narrower. */
const SPACE = 0.22;
/** A gap between words is wider by this factor than those between letters, and by so many font sizes. */
const WORDS_APART = 1.6;
const WIDER = 0.1;
const CAPITAL = /^\p{Lu}+$/u;
const VOWEL = /[aeiouyäöüàáâèéêìíòóôùú]/iu;

/** A text, and where each unit of it begins and the last one ends, as shares of its width. */
export interface Letters {
  readonly text: string;
  readonly at: readonly number[] | undefined;
}

/** A piece of `width` without the spaces between the letters of its words. Where its letters stand has to be known. */
export function withoutTracking(letters: Letters, width: number, size: number): Letters {
  const { text, at } = letters;
  const parts = text.trim().split(' ');
  if (at === undefined || parts.length < LEAST_PARTS || !parts.every((part) => PART.test(part))) return letters;
  if (parts.filter((part) => part.length === 1).length < LEAST_SINGLE * parts.length) return letters;
  const gaps = [...text.matchAll(/ /g)].map(({ index }) => ({
    index,
    gap: (width * ((at[index + 1] ?? 0) - (at[index] ?? 0))) / size,
  }));
  const least = Math.min(...gaps.map(({ gap }) => gap));
  if (least >= SPACE && !isWord(parts)) return letters;
  const between = WORDS_APART * Math.max(0, least) + WIDER;
  const left = new Set(gaps.filter(({ gap }) => gap <= between).map(({ index }) => index));
  return {
    text: Array.from({ length: text.length }, (_, i) => (left.has(i) ? '' : text[i])).join(''),
    // A gap belongs to the letter before it.
    at: at.filter((_, i) => !left.has(i)),
  };
}

/** Letters that stand as far apart as words do may be words, or a row of letters ("A B C D"). */
function isWord(parts: readonly string[]): boolean {
  const letters = parts.join('');
  const rest = letters.slice(1);
  const cased = CAPITAL.test(letters) || (CAPITAL.test(letters.slice(0, 1)) && rest === rest.toLowerCase());
  const ordered = parts.every((part, i) => i === 0 || part > (parts[i - 1] ?? ''));
  return cased && !ordered && VOWEL.test(letters) && /\p{L}/u.test(letters.replaceAll(new RegExp(VOWEL, 'giu'), ''));
}
