/** Questions about documents as a whole ("Summarize this.", "What is it about?"): no words lead to passages, so those that stand for the whole are shown. */
import type { DocumentContent } from '../content.ts';
import { passagesOf, type Passage } from '../segment.ts';
import { stemsOf, wordsOf } from '../stems.ts';
import { packOf, sentencesShown, type Piece, type Shown } from './pack.ts';

interface Document {
  readonly document: string;
  readonly content: DocumentContent;
}

/** What is asked for. A question that has one of these words, and beside them only those of `FILLER`, names no topic. */
const WHOLE =
  /^(?:summar(?:y|ies|i[sz]e[sd]?|i[sz]ing)|overview|gist|abstract|tl|about|outline|topics?|themes?|points?|ideas?|findings?|takeaways?|zusammenfass\p{L}*|fasse?n?|überblick|übersicht|worum|wovon|inhalt|thema|themen|haupt\p{L}+|kern\p{L}+|punkte|aussagen)$/u;
const FILLER = new Set(
  (
    'what is s are does do this that these those the a an of it its they them me us please can could would you i want need give write make tell provide show ' +
    'describe explain in on for with and to short shortly brief briefly concise quick quickly simple plain one two three four five few some sentence sentences word words ' +
    'paragraph paragraphs bullet bullets point points main key central important most idea ideas finding findings message messages argument arguments ' +
    'document documents doc text texts file files pdf paper article report page pages book letter content contents here all whole entire everything mainly deal deals dr english german ' +
    'was ist sind das dass dieses dieser diese diesem diesen der die den dem des ein eine einen einer es sie in im um von zu zusammen geht handelt steht hier bitte gib gebe geben ' +
    'mir uns kurz kurze kurzen knapp kannst können du sie auf für mit und satz sätzen sätze wort worten wörtern stichpunkten stichworten dokument dokuments dokumente datei text texts ' +
    'agreement contract lease manual guide guidebook handbook tutorial invoice form presentation slides deck cv resume thesis essay story brochure leaflet newsletter magazine study memo minutes readme specification standard policy ' +
    'vertrag vertrags mietvertrag vereinbarung handbuch handbuchs anleitung leitfaden rechnung präsentation folien lebenslauf broschüre heft zeitschrift studie protokoll aufsatz geschichte webseite ' +
    'bericht artikel seite seiten brief buch ganze ganzen gesamte gesamten alles wichtigste wichtigsten punkte aussagen gedanken deutsch englisch'
  ).split(' '),
);
/** Sections that speak of all others. */
const TELLING =
  /^[\s\d.ivx]*(?:abstract|(?:executive |management )?summary|conclusions?|key (?:points|findings|takeaways)|zusammenfassung|fazit|ergebnis(?:se)?)\b/iu;
/** Words of a sentence that is quoted: shorter ones say little, longer ones are lists. */
const [LEAST_WORDS, MOST_WORDS] = [8, 45];
const MOST_LEADS = 5;
const TELLING_WEIGHT = 3;
/** Sentences that are compared: of a long text its first ones. */
const MOST_SENTENCES = 6000;
const WHOLE_SENTENCE = /^["'“„‘«(]?[\p{Lu}\p{Lo}\p{N}].*[.!?…。！？]["'”“’»)]?$/su;
/** It goes on about what was said before it. */
const LEANING =
  /^(?:this|these|those|that|such|it|its|he|she|they|their|however|but|and|also|then|thus|hence|therefore|note|moreover|furthermore|finally|otherwise|diese[rsmn]?|dies|es|er|sie|sein|ihre?|aber|und|auch|dann|daher|jedoch|außerdem|dadurch)\b/iu;
/** Sections whose sentences say nothing of the rest. */
const ASIDE =
  /^[\s\d.ivx]*(?:references|bibliography|acknowledge?ments?|literatur(?:verzeichnis)?|quellen|danksagung|index|contents|inhaltsverzeichnis)\b/iu;
/** What stands in every paper and says nothing of it. */
const BOILERPLATE =
  /@|©|\b(?:copyright|all rights reserved|permissions?|licen[sc]ed?|acknowledge\p{L}*|thanks?|proofread\p{L}*|erratum|urheberrecht\p{L}*|danken?|vorbehalten)\b/iu;

/** It sends its reader elsewhere, to a page or a figure. */
const POINTING =
  /^(?:see|id|cf|please|visit|siehe|vgl|bitte)\b|\bwww\.|https?:|\bfor (?:(?:more|further|complete|full|additional|other) )?(?:details?|information)\b|\brefer to\b|\b(?:shown|depicted|pictured|illustrated) (?:in|with|here|above|below|at|on)\b|\b(?:weitere|nähere) (?:informationen|angaben|einzelheiten)\b|\b(?:abgebildet|dargestellt)\b/iu;
/** A step, an item, a caption or a note at the foot of a page: "3 Press", "• Press", "12. Some", "Step 1: Plug", "Figure 5: The". */
const ITEM = /^(?:(?:\d{1,3}[.)]?|[^IA\s])\s+\p{Lu}|\p{L}+\.?\s\d{1,3}[a-z]?:\s)/u;

/** Whether a question asks about documents as a whole, and not about a topic. */
export function asksForAll(question: string): boolean {
  const words = wordsOf(question).map(({ text }) => text.toLowerCase());
  return words.some((word) => WHOLE.test(word)) && words.every((word) => WHOLE.test(word) || FILLER.has(word));
}

/** Passages that stand for the whole, the most telling first: the beginning, sections that speak of the others, and the beginnings of parts that lie evenly over the text. */
export function overviewOf(documents: readonly Document[], most: number): Piece[] {
  const each = Math.max(1, Math.floor(most / documents.length));
  return documents
    .slice(0, most)
    .flatMap(({ document, content }) =>
      chosen(passagesOf(content), each).map((passage) => ({ document, content, ...passage })),
    );
}

function isTelling(sentence: string): boolean {
  const words = wordsOf(sentence).length;
  return (
    words >= LEAST_WORDS &&
    words <= MOST_WORDS &&
    WHOLE_SENTENCE.test(sentence) &&
    !LEANING.test(sentence) &&
    !BOILERPLATE.test(sentence)
  );
}

/** A sentence that was cut at an abbreviation has half of a bracket, and one without its icon a bracket with no letter in it, or a full stop behind a space. */
const isWhole = (sentence: string): boolean =>
  !/[()]|\s[.,](?:\s|$)/u.test(sentence.replaceAll(/\([^()]*[\p{L}\p{N}][^()]*\)/gu, 'x'));

/** Of a list of names and numbers fewer words than a third begin with a small letter. */
function hasProse(sentence: string): boolean {
  const words = wordsOf(sentence);
  return words.filter(({ text }) => /^[\p{Ll}\p{Lo}]/u.test(text)).length >= words.length / 3;
}

/** What says nothing by itself is not quoted; its words count for other sentences all the same. */
const isQuotable = (sentence: string): boolean =>
  !POINTING.test(sentence) && !ITEM.test(sentence) && isWhole(sentence) && hasProse(sentence);

const tells = ({ path }: Passage): boolean => path.some((title) => TELLING.test(title));

function chosen(passages: readonly Passage[], most: number): Passage[] {
  const [first] = passages;
  if (first === undefined) return [];
  const under = (passage: Passage | undefined): string | undefined => passage?.path.join('\n');
  const telling = passages.filter((passage, i) => tells(passage) && under(passage) !== under(passages[i - 1]));
  const begins = passages.filter(({ path }, i) => path.length > 0 && path[0] !== passages[i - 1]?.path[0]);
  const parts = begins.length >= most ? begins : passages;
  const spread = Array.from({ length: most }, (_, i) => parts[Math.floor((i * parts.length) / most)] ?? first);
  return [...new Set([first, ...telling, ...spread])].slice(0, most);
}

/**
 * The sentences that say most of what documents speak about, in their order: what is said instead of models that were
 * trained to find facts and cannot sum up. As in SumBasic (Nenkova and Vanderwende, 2005) always the sentence of the
 * likeliest words, after which they count less; but their likelihoods are divided by the root of their number, since a
 * mean prefers sentences that say little, and those of the first passage and of `TELLING` sections count more.
 */
export function leadingSentences(documents: readonly Document[]): Shown[] {
  const candidates = documents
    .flatMap(({ document, content }) => {
      const passages = passagesOf(content);
      const aside = passages.filter(({ path }) => path.some((title) => ASIDE.test(title)));
      const telling = passages.filter((passage, i) => i === 0 || tells(passage));
      const paragraphs = content.blocks.filter(({ kind }) => kind === 'paragraph');
      return sentencesShown(packOf(paragraphs.map(({ start, end }) => ({ document, content, start, end, path: [] }))))
        .slice(0, MOST_SENTENCES)
        .flatMap((shown) => {
          const within = ({ start, end }: Passage): boolean => start <= shown.start && shown.end <= end;
          const text = content.text.slice(shown.start, shown.end);
          if (!isTelling(text) || aside.some(within)) return [];
          return [
            {
              shown,
              weight: telling.some(within) ? TELLING_WEIGHT : 1,
              stems: [...new Set(stemsOf(text, content.language))],
              quotable: isQuotable(text),
            },
          ];
        });
    })
    .filter(({ stems }) => stems.length > 0);
  const likely = new Map<string, number>();
  for (const { stems } of candidates)
    for (const stem of stems) likely.set(stem, (likely.get(stem) ?? 0) + 1 / candidates.length);
  const found: (typeof candidates)[number][] = [];
  while (found.length < MOST_LEADS) {
    let best: (typeof candidates)[number] | undefined;
    let most = -1;
    for (const one of candidates) {
      if (!one.quotable || found.includes(one)) continue;
      const sum = one.stems.reduce((before, stem) => before + (likely.get(stem) ?? 0), 0);
      const score = (one.weight * sum) / Math.sqrt(one.stems.length);
      if (score > most) [best, most] = [one, score];
    }
    if (best === undefined) break;
    found.push(best);
    for (const stem of best.stems) likely.set(stem, (likely.get(stem) ?? 0) ** 2);
  }
  return candidates.filter((one) => found.includes(one)).map(({ shown }) => shown);
}
