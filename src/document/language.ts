/** Which language a text is in, by its most frequent words: it decides stems, stop words and how far an English embedder is trusted. */
import type { Language } from './content.ts';

const MARKS: Readonly<Record<'en' | 'de', ReadonlySet<string>>> = {
  en: new Set(
    'the of and to in is that was for it with as his on be at by this had not are but from or have an they which you were her she'.split(
      ' ',
    ),
  ),
  de: new Set(
    'der die und das den von zu mit sich des auf für ist im dem nicht ein eine als auch es an werden aus er hat dass sie nach wird bei einer um am sind noch wie einem über'.split(
      ' ',
    ),
  ),
};

/** Words that are looked at, evenly spread. */
const WORDS = 4000;
/** The least share of words that are marks of a language which a text in it has. */
const LEAST = 0.1;

export function detectLanguage(text: string): Language {
  const samples = 8;
  const width = Math.ceil((WORDS * 7) / samples);
  const counts = { en: 0, de: 0 };
  let words = 0;
  for (let i = 0; i < samples; i++) {
    const from = Math.floor((text.length * i) / samples);
    for (const [word] of text
      .slice(from, from + width)
      .toLowerCase()
      .matchAll(/\p{L}+/gu)) {
      words++;
      if (MARKS.en.has(word)) counts.en++;
      if (MARKS.de.has(word)) counts.de++;
    }
    if (text.length <= width) break;
  }
  const best = counts.en >= counts.de ? 'en' : 'de';
  return words > 0 && counts[best] / words >= LEAST ? best : 'other';
}
