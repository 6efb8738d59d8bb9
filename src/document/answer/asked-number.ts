/**
 * What is cited where a question asks when, or how many: of a stretch of a sentence with one date, or one amount, that alone. The words around it, which the question
 * does not have either, answer something else: "1943, a Supreme Court of the United States decision restored the prior patents".
 */
import { termsOf, wordsOf } from '../stems.ts';
import { recited, type Citation } from './cite.ts';
import { normalise } from './normalise.ts';
import type { Shown } from './pack.ts';
import { claimOf, completeRange, SENTENCE } from './verify.ts';

const B = String.raw`(?<![\p{L}\p{N}])`;
const E = String.raw`(?![\p{L}\p{N}])`;
const pattern = (source: string, flags = 'iu'): RegExp => new RegExp(`${B}(?:${source})${E}`, flags);

/** A question with two of these asks for two things, or begins with what it is about: "When the war ended, who ruled?" */
const ASKING = pattern('who|whose|whom|what|which|where|when|why|how', 'giu');
/** "Was" is English, too. */
const ASKING_DE = pattern(
  'wer|wen|wem|wessen|was|welche[mnrs]?|wo|wohin|woher|wann|warum|weshalb|wie|wieviele?',
  'giu',
);
const WHEN = pattern(
  String.raw`when|wann|(?:what|which|welche[mnrs]?)\s(?:year|century|decade|date|day|month|time|jahr|jahrhundert|jahrzehnt|datum|tag|monat)s?`,
);
const DEGREES = 'many|much|old|long|far|tall|high|large|big|deep|heavy|wide|fast|often|hot|cold';
const GRADE = 'viele?n?|alt|lange?|weit|hoch|groß|tief|schwer|breit|schnell|oft|heiß|kalt';
const AMOUNT = pattern(
  String.raw`how\s(?:${DEGREES})|(?:what|which)\s(?:percentage|percent|number|proportion|share|amount)|wie\s(?:${GRADE})|wieviele?|welche[mnrs]?\s(?:prozentsatz|anteil|anzahl|zahl)`,
);

const MONTH =
  'January|February|March|April|May|June|July|August|September|October|November|December|Januar|Februar|März|Mai|Juni|Juli|Oktober|Dezember';
const YEAR = String.raw`(?:1\d|20)\d\ds?`;
const DATES = [
  // With a month, a day, a year or both.
  String.raw`(?:\d{1,2}(?:st|nd|rd|th|\.)?\s)?(?:${MONTH})\s\d{1,2}(?:st|nd|rd|th)?(?!\d)(?:,?\s\d{4})?|(?:\d{1,2}(?:st|nd|rd|th|\.)?\s)?(?:${MONTH})\s\d{4}|\d{1,2}(?:st|nd|rd|th|\.)?\s(?:${MONTH})`,
  String.raw`\d{1,2}(?:st|nd|rd|th|\.)[\s-](?:century|Jahrhunderts?)`,
  String.raw`\d[\d,.]*\s(?:BCE?|CE|AD|BP|[vn]\.\sChr)|AD\s\d+`,
  String.raw`\d{1,2}:\d\d(?:\s(?:[ap]\.?m|Uhr))?`,
  YEAR,
];
const CENTURY = /[\s-](?:century|Jahrhunderts?)$/iu;
/** "summer of 1521", "early May 1886", "Ende des 17. Jahrhunderts". */
const PART = String.raw`(?:[Ee]arly|[Ll]ate|[Mm]id|[Ss]pring|[Ss]ummer|[Aa]utumn|[Ff]all|[Ww]inter|Anfang|Mitte|Ende|Frühjahr|Frühling|Sommer|Herbst|Winter)[\s-](?:(?:of|in|the|des|im)\s){0,2}`;
const DATE = pattern(`(?:${PART})?(?:${DATES.join('|')})`, 'gu');
const NUMBER = /(?<![\p{L}\p{N}]|\d[.,:])\d+(?:[.,]\d+)*(?![\p{L}\p{N}]|[:.,]\d)/gu;
/** What a year stands behind; an amount may look like one. */
const DATED = new RegExp(String.raw`${B}(?:in|since|by|until|from|of|im|seit|bis|ab|von|jahre?|${MONTH}),?\s$`, 'iu');

/** `said`: what the model said, of which the number is a part. */
export function narrowedToNumber(
  citation: Citation,
  said: string,
  question: string,
  shown: readonly Shown[],
): Citation {
  const { quote, kind, document, start, end } = citation;
  const timed = WHEN.test(question);
  if (kind === 'weak' || (!timed && !AMOUNT.test(question))) return citation;
  const sentence = shown.find((one) => one.document === document && one.start <= start && end <= one.end);
  if (sentence === undefined) return citation;
  const { language } = sentence.content;
  if (question.match(language === 'de' ? ASKING_DE : ASKING)?.length !== 1) return citation;
  // A short answer that stands there as it is stays what is cited.
  if (wordsOf(said).length < SENTENCE && normalise(said).text.includes(normalise(quote).text)) return citation;
  const stemsIn = (text: string): string[] => termsOf(text, language).map(({ stem }) => stem);
  const asked = new Set(stemsIn(question));
  const own = new Set(stemsIn(said));
  const isNew = (text: string): boolean => stemsIn(text).some((stem) => /^\d/.test(stem) && !asked.has(stem));
  const numbers = Array.from(quote.matchAll(timed ? DATE : NUMBER), ({ 0: text, index }) => ({ text, index })).filter(
    ({ text, index }) =>
      isNew(text) && (timed || !(new RegExp(`^${YEAR}$`, 'u').test(text) && DATED.test(quote.slice(0, index)))),
  );
  const [only] = numbers;
  if (only === undefined || numbers.length > 1 || !stemsIn(only.text).some((stem) => own.has(stem))) return citation;
  // "In what century": the question names the rest of it.
  const text = /century|jahrhundert/iu.test(question) ? only.text.replace(CENTURY, '') : only.text;
  const range: [number, number] = [only.index, only.index + text.length];
  const [from, to] = timed ? range : completeRange(claimOf(said, question, language), quote, range);
  return recited(citation, sentence.content, [start + from, start + to]);
}
