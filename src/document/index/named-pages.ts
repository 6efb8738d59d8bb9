/** Pages that a question names: "page 14", "pp. 3-5", "slides 2 and 7", "the cover page", "Seite 12", "letzte Folie"; the first one by "the author of this paper". */
import type { Page } from '../content.ts';

/** A range of more pages is no place to look at. */
const MOST = 40;
const WORD = String.raw`(?:pages?|pp?\.|slides?|seiten?|s\.|folien?)`;
const RANGE = String.raw`(\d{1,5})(?:\s*(?:[-–—]|to|through|bis)\s*(?:${WORD}\s*)?(\d{1,5}))?`;
const AND = String.raw`\s*(?:,|&|and|or|und|oder)\s*(?:${WORD}\s*)?`;
/** A page behind a quotation mark or a bracket is an example of how to answer. */
const NAMED = new RegExp(
  String.raw`(?<![\p{L}\p{N}.’"'“„‘[])${WORD}\s*(?:numbers?|no\.?|nr\.?|nummer|#)?\s*\(?(${RANGE}(?:${AND}${RANGE})*)`,
  'giu',
);
const EACH = new RegExp(RANGE, 'giu');
const ORDINAL = /(?<![\p{L}\p{N}])(\p{L}+|\d(?:st|nd|rd|th|\.))\s+(?:page|slide|seite|folie)(?!\p{L})/giu;
const ORDINALS: readonly RegExp[] = [
  /^(?:first|1st|erste[nrs]?|1\.|cover|front|title)$/iu,
  /^(?:second|2nd|zweite[nrs]?|2\.)$/iu,
  /^(?:third|3rd|dritte[nrs]?|3\.)$/iu,
  /^(?:fourth|4th|vierte[nrs]?|4\.)$/iu,
  /^(?:fifth|5th|fünfte[nrs]?|5\.)$/iu,
];
const LAST = /^(?:last|final|back|letzte[nrs]?)$/iu;
/** What stands on the first page: the title, and who made it, of all of the document. */
const DOCUMENT =
  'document|paper|report|article|slides?|presentation|book|booklet|brochure|manual|guide|guidebook|handbook|deck|study|thesis|text|file|dokuments?|berichts?|artikels?|aufsatzes|folien|präsentation|buch(?:e?s)?|broschüre|handbuch(?:e?s)?|studie|textes?|datei';
const MAKER =
  'titles?|authors?|presenters?|speakers?|editors?|publishers?|titel|autor(?:en|in)?|verfasser(?:in)?|vortragende[nr]?|herausgeber(?:in)?|verlag';
const OF_ALL = [
  `(?:${MAKER})\\s+(?:of|des|der|dieses|dieser|von)\\s+(?:(?:the|this|these|diesem)\\s+)?(?:${DOCUMENT})`,
  `(?:wrote|published|authored|presented|edited)\\s+(?:the|this|these)\\s+(?:${DOCUMENT})`,
  `hat\\s+(?:das|dieses?n?|den|die)\\s+(?:${DOCUMENT})\\s+(?:verfasst|geschrieben|herausgegeben|veröffentlicht)`,
].map((asked) => new RegExp(`(?<!\\p{L})${asked}\\s*(?:[?.!]|$)`, 'iu'));
const COVER = /(?<!\p{L})(?:titelseite|titelblatt|deckblatt|titelfolie)(?!\p{L})/iu;

/**
 * Their numbers, of `pages`. A number means the page that has it printed on it, where the file says so, and the one at
 * that place in the file, since people say either.
 */
export function namedPages(question: string, pages: readonly Pick<Page, 'number' | 'label'>[]): ReadonlySet<number> {
  const named = new Set<number>();
  if (pages.length < 2) return named;
  for (const [, list = ''] of question.matchAll(NAMED))
    for (const [, first, last] of list.matchAll(EACH)) {
      const [from, to] = [Number(first), Number(last ?? first)];
      if (to - from >= MOST) continue;
      for (const { number, label } of pages) {
        const printed = /^\d+$/.test(label ?? '') ? Number(label) : number;
        if ((number >= from && number <= to) || (printed >= from && printed <= to)) named.add(number);
      }
    }
  for (const [, word = ''] of question.matchAll(ORDINAL)) {
    const at = LAST.test(word) ? pages.length - 1 : ORDINALS.findIndex((ordinal) => ordinal.test(word));
    const page = pages[at];
    if (page !== undefined) named.add(page.number);
  }
  if ([COVER, ...OF_ALL].some((asked) => asked.test(question))) named.add(pages[0]?.number ?? 1);
  return named;
}
