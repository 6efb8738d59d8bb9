/** Sentences of a text: Intl.Segmenter, whose cuts behind abbreviations and numbers are undone. */
import type { Language } from './content.ts';
import { RAISED_DIGITS, RAISED_LETTERS } from './raised.ts';

/** `[start, end)`, without the white space around it. */
export type Span = readonly [start: number, end: number];

/** What ends with a full stop and no sentence. Single letters and numbers (ordinals, in German) are known by their form. */
const ABBREVIATIONS = new Set(
  (
    'mr mrs ms dr prof st sr jr rev gen col capt lt sgt hon no nos vol vols fig figs eq eqs sec secs ch pp p art al approx dept est inc ltd co corp vs etc ca cf ed eds e.g i.e a.m p.m u.s u.k jan feb mar apr jun jul aug sept sep oct nov dec ' +
    'bzw z.b d.h u.a usw ggf evtl vgl abb tab nr str hrsg jh jhd bspw inkl exkl max min mio mrd tel u.ä o.ä s.o s.u z.t i.d.r a.d v.chr n.chr chr geb gest bd aufl ing dipl hl sog zzgl abs anm'
  ).split(' '),
);

/** The number of an item, before its sentence. */
const LABEL = /^\s*(?:§\s?)?\(?(?:\d{1,3}(?:\.\d{1,3}){0,3}|[a-z]|[ivx]{1,4}|[IVX]{1,4})[.)]{1,2}\s*$/u;
const MARK = new RegExp(`^[${RAISED_DIGITS}${RAISED_LETTERS}]+`, 'u');

const segmenters = new Map<string, Intl.Segmenter>();

function segmenter(language: Language): Intl.Segmenter {
  const locale = language === 'other' ? 'en' : language;
  const known = segmenters.get(locale) ?? new Intl.Segmenter(locale, { granularity: 'sentence' });
  segmenters.set(locale, known);
  return known;
}

/** The sentences of units `[from, to)` of the text. */
export function sentencesOf(text: string, from: number, to: number, language: Language): Span[] {
  const spans: Span[] = [];
  let start = from;
  let end = from;
  const flush = (): void => {
    const piece = text.slice(start, end);
    const trimmed = piece.trim();
    if (trimmed !== '') {
      const at = start + piece.indexOf(trimmed);
      spans.push([at, at + trimmed.length]);
    }
    start = end;
  };
  /** Units of the next segment that were taken already: the mark of a footnote belongs to the sentence before it. */
  let taken = 0;
  for (const { segment } of segmenter(language).segment(text.slice(from, to))) {
    end += segment.length - taken;
    taken = 0;
    if (LABEL.test(text.slice(start, Math.min(end, start + 16)))) continue;
    if (goesOn(segment, text.slice(end, end + 40), language)) continue;
    taken = /\s$/u.test(segment) ? 0 : (MARK.exec(text.slice(end, Math.min(to, end + 8)))?.[0].length ?? 0);
    end += taken;
    flush();
  }
  flush();
  return spans;
}

/** Whether a sentence goes on behind a cut. */
function goesOn(segment: string, next: string, language: Language): boolean {
  if (segment.includes('\n') && /\n\s*$/.test(segment) && /\n\s*\n\s*$/.test(segment)) return false;
  const word = /(\S+)\.["'”’)\]]*\s*$/u.exec(segment)?.[1]?.replace(/^["'“‘([„»]+/u, '');
  if (word === undefined) {
    // "Go!" he said.
    if (/[!?]["'”’»]\s*$/u.test(segment) && /^\s*\p{Ll}/u.test(next)) return true;
    // A line's end within a sentence: text that was wrapped by hand.
    return /[^.?!…:;\n]\n$/u.test(segment) && /^\s*\p{Ll}/u.test(next);
  }
  if (/^\s*\p{Ll}/u.test(next)) return true;
  const lower = word.toLowerCase();
  if (ABBREVIATIONS.has(lower))
    return !/^(?:etc|usw|a\.m|p\.m|inc|ltd|co|corp)$/.test(lower) || /^\s*[\p{Ll}\d]/u.test(next);
  // Initials, and abbreviations of single letters: J. F. Kennedy, z. B.
  if (/^(?:\p{L}\.)*\p{L}$/u.test(word)) return true;
  // In German a number with a full stop is an ordinal: am 3. Oktober.
  return language === 'de' && /^\d{1,2}$/.test(word);
}
