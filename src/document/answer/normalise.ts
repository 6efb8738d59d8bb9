/** Texts as they are compared: without regard to case, to the form of characters, hyphens, quotes and white space. */
import { lowered } from '../raised.ts';

export interface Normalised {
  readonly text: string;
  /** For each unit of the normalised text, and for its end, the unit of the original that it comes from. */
  readonly places: readonly number[];
}

const HYPHENS = /[\u2010-\u2015\u2212\ufe58\uff0d]/u;
const SINGLE = /[\u2018\u2019\u201a\u201b\u2032`´]/u;
const DOUBLE = /[\u201c-\u201f\u2033«»„]/u;

/** A fraction that is one character. */
const VULGAR = /[¼-¾⅐-⅞]/u;
/** Raised digits above the stroke of a fraction. */
const UPPER = /^[⁰¹²³⁴-⁹]{1,3}(?=\u2044|\/[₀-₉])/u;

export function normalise(text: string): Normalised {
  let out = '';
  const places: number[] = [];
  let at = 0;
  let wasRaised = false;
  /** Where the number above the stroke of a fraction ends. */
  let upperEnd = 0;
  for (const character of text) {
    const low = lowered(character);
    if (low !== undefined && at >= upperEnd) upperEnd = at + (UPPER.exec(text.slice(at, at + 8))?.[0].length ?? 0);
    const inFraction = at < upperEnd || VULGAR.test(character);
    // A fraction is compared as "1/2", and behind a number apart from it.
    const apart = inFraction && !wasRaised && /\d$/.test(out) ? ' ' : '';
    const mark = inFraction || wasRaised ? apart : '^';
    // Exponents are compared as "10^2", in whichever way they are written.
    const plain = low === undefined ? `${apart}${folded(character)}` : `${mark}${low === '−' ? '-' : low}`;
    wasRaised = low !== undefined;
    if (plain === ' ' && (out === '' || out.endsWith(' '))) {
      at += character.length;
      continue;
    }
    for (let i = 0; i < plain.length; i++) places.push(at);
    out += plain;
    at += character.length;
  }
  places.push(text.length);
  if (out.endsWith(' ')) {
    out = out.slice(0, -1);
    places.splice(out.length, 1);
  }
  return { text: out, places };
}

function folded(character: string): string {
  if (character === '\u00ad') return '';
  if (/\s/u.test(character)) return ' ';
  if (character === '\u2044') return '/';
  if (HYPHENS.test(character)) return '-';
  if (SINGLE.test(character)) return "'";
  if (DOUBLE.test(character)) return '"';
  return character.normalize('NFKC').replace('\u2044', '/').toLowerCase();
}
