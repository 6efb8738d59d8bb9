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

/** Tables and lists have few of these words. What shows that one is German: letters and endings that its words have, and words of prices and times. */
const GERMAN =
  /ß|[äöü]|sch[lmnw]|^pf|(?:ung|heit|keit|schaft)(?:en)?$|(?:lich|isch)(?:e[nmrs]?)?$|^(?:montag|dienstag|mittwoch|donnerstag|freitag|samstag|sonntag|januar|februar|dezember|uhr|preise?|betrag|anzahl|menge|stunden?|tage?|woche|monate?|jahre?|schiffe?|zoll|kinder|geschlossen|bis|ohne|oder|zum|zur|vom)$/u;
/** Letters of languages whose words have "ä", "ö" or "ü", too, and the doubled ones of Finnish and Estonian. */
const NOT_GERMAN = /[åõøæñçğışőűáíóúâêî]|ää|öö|yy|uu|ii/u;
const LEAST_GERMAN = 2;
/** The most that a German list has of words of English, or of words that are not German. */
const MOST_OTHER = 0.04;

/** Words that are looked at, evenly spread. */
const WORDS = 4000;
/** The least share of words that are marks of a language which a text in it has. */
const LEAST = 0.1;

export function detectLanguage(text: string): Language {
  const samples = 8;
  const width = Math.ceil((WORDS * 7) / samples);
  const counts = { en: 0, de: 0 };
  let words = 0;
  let foreign = 0;
  let signs = 0;
  const german = new Set<string>();
  for (let i = 0; i < samples; i++) {
    const from = Math.floor((text.length * i) / samples);
    for (const [word] of text
      .slice(from, from + width)
      .toLowerCase()
      .matchAll(/\p{L}+/gu)) {
      words++;
      if (MARKS.en.has(word)) counts.en++;
      if (MARKS.de.has(word)) counts.de++;
      if (NOT_GERMAN.test(word)) foreign++;
      else if (GERMAN.test(word) || MARKS.de.has(word)) {
        signs++;
        german.add(word);
      }
    }
    if (text.length <= width) break;
  }
  const best = counts.en >= counts.de ? 'en' : 'de';
  if (words > 0 && counts[best] / words >= LEAST) return best;
  const isList = german.size >= LEAST_GERMAN && signs >= LEAST * words;
  return isList && Math.max(foreign, counts.en) <= MOST_OTHER * words ? 'de' : 'other';
}
