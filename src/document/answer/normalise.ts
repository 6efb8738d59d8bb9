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

export function normalise(text: string): Normalised {
  let out = '';
  const places: number[] = [];
  let at = 0;
  let wasRaised = false;
  for (const character of text) {
    const low = lowered(character);
    // Exponents are compared as "10^2", in whichever way they are written.
    const plain = low === undefined ? folded(character) : `${wasRaised ? '' : '^'}${low === '−' ? '-' : low}`;
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
  return character.normalize('NFKC').toLowerCase();
}
