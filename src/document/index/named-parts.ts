/** Parts that a question names: "Figure 5", "tables 1 and 2", "Section 3.4", "Appendix C", "Kapitel 2", and headings in quotation marks. */
import { pageAt, type Block, type DocumentContent } from '../content.ts';

/** What a part is called, by what stands over or under it; the first of each is what the others are the same as. */
const KINDS: readonly (readonly [kind: string, captioned: boolean, names: string])[] = [
  ['figure', true, String.raw`figures?|figs?\.?|abbildung(?:en)?|abb\.?`],
  ['table', true, String.raw`tables?|tabs?\.|tabellen?`],
  ['exhibit', true, 'exhibits?'],
  ['chart', true, 'charts?|diagramme?'],
  ['box', true, 'box(?:es)?'],
  ['algorithm', true, String.raw`algorithms?|algorithmus`],
  ['section', false, String.raw`(?:sub)?sections?|abschnitte?n?`],
  ['chapter', false, String.raw`chapters?|kapiteln?`],
  ['appendix', false, String.raw`appendi(?:x|ces)|annex(?:es)?|anhang|anlagen?`],
  ['part', false, 'parts?|teile?n?'],
  ['unit', false, 'units?'],
];
/** "3", "3.4", "2-1", "5a", "S2", "IV", "C". */
const LABEL = String.raw`(?:[A-Z]{1,2}[.-]?)?\d{1,3}(?:[.-]\d{1,3})*[a-z]?|[IVX]{1,5}|[A-Z]`;
const END = String.raw`(?![\p{L}\p{N}])`;
const MARK = String.raw`(?:nos?\.|nr\.|numbers?|#)?`;
const QUOTED = /["“„‘'»]([^"“”„‘’'«»]{5,80})["”“’'«]/gu;
/** A page with so many captions is a list of them. */
const LISTED = 6;

/** Characters of a title that is no heading. */
const LONGEST = 120;

const ALL = KINDS.map(([, , names]) => names).join('|');
const NAMED = new RegExp(
  String.raw`(?<![\p{L}\p{N}])(${ALL})\s*${MARK}\s*\(?((?:${LABEL})${END}(?:\s*(?:,|&|and|or|to|und|oder|bis)+\s*(?:(?:${ALL})\s*)?(?:${LABEL})${END})*)`,
  'giu',
);
const EACH = new RegExp(String.raw`(?<![\p{L}\p{N}.-])(?:${LABEL})${END}`, 'gu');
const OF_KIND = KINDS.map(([kind, captioned, names]) => ({
  kind,
  captioned,
  named: new RegExp(`^(?:${names})$`, 'iu'),
  /** At the beginning of a block: the name and the number; what follows is the caption. */
  begins: new RegExp(String.raw`^\s*(?:${names})\s*${MARK}\s*(${LABEL})${END}\s*(.?)`, 'iu'),
}));
/** The number of a heading without a name; "A" and "I" may also be its first word. */
const NUMBERED = new RegExp(String.raw`^\s*(?![AI]\s)(${LABEL})(?=[.:)\s])`, 'u');

/** Stretches of the text: of a figure or table the page on which its caption stands, of a section all that is under its heading. */
export function namedParts(question: string, content: DocumentContent): (readonly [start: number, end: number])[] {
  const found: (readonly [number, number])[] = [];
  for (const [, name = '', list = ''] of question.matchAll(NAMED)) {
    const own = OF_KIND.find(({ named }) => named.test(name));
    if (own === undefined) continue;
    const labels = Array.from(list.matchAll(EACH), ([label]) => label);
    for (const label of labels)
      found.push(...(own.captioned ? captions(own.begins, label, content) : sections(own, label, content)));
  }
  for (const [, quoted = ''] of question.matchAll(QUOTED)) found.push(...titled(letters(quoted), content));
  return found;
}

/**
 * What is under paragraphs that are no headings, but stand where one would: up to the next heading, or the next of such paragraphs, `next` among them.
 */
function under(
  blocks: readonly Block[],
  isTitle: (block: Block) => boolean,
  next: (block: Block) => boolean,
  text: string,
): [number, number][] {
  return blocks.flatMap((block, i): [number, number][] => {
    if (block.kind !== 'paragraph' || !isTitle(block)) return [];
    const later = blocks.slice(i + 1).find((one) => one.kind === 'heading' || next(one) || isTitle(one));
    return [[block.start, later?.start ?? text.length]];
  });
}

/** A title without its number, marks and case. */
const letters = (title: string): string =>
  title
    .replace(NUMBERED, '')
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}]+/gu, ' ')
    .trim();

/** What is under the headings that have these words, two at least; where there are none, paragraphs of nothing but these words. */
function titled(title: string, { text, blocks }: DocumentContent): [number, number][] {
  if (!title.includes(' ')) return [];
  const isTitle = ({ start, end }: Block): boolean =>
    end - start <= LONGEST && letters(text.slice(start, end)) === title;
  const headings = blocks.filter(({ kind }) => kind === 'heading');
  if (!headings.some(isTitle)) return under(blocks, isTitle, () => false, text);
  return headings.flatMap(({ start, end, level }, i): [number, number][] =>
    letters(text.slice(start, end)) === title ? [[start, behind(headings.slice(i + 1), level, text)]] : [],
  );
}

/** Where a section ends: at the next heading that is not under its own. */
const behind = (later: readonly Block[], level: number, text: string): number =>
  later.find((heading) => heading.level <= level)?.start ?? text.length;

const same = (a: string, b: string): boolean =>
  a.toLowerCase().replace(/[.-]/g, '.') === b.toLowerCase().replace(/[.-]/g, '.');

function captions(begins: RegExp, label: string, { text, blocks, pages }: DocumentContent): [number, number][] {
  /** How many captions stand on a page. */
  const counts = new Map<number, number>();
  /** Captions, and sentences that begin with the name, by their blocks. */
  const [marked, others]: [number[], number[]] = [[], []];
  for (const [i, { start, end }] of blocks.entries()) {
    const match = begins.exec(text.slice(start, Math.min(end, start + 40)));
    if (match === null) continue;
    const page = pageAt(pages, start);
    counts.set(page, (counts.get(page) ?? 0) + 1);
    if (same(match[1] ?? '', label)) (/^[\p{Ll}(,]/u.test(match[2] ?? '') ? others : marked).push(i);
  }
  const best = marked.length > 0 ? marked : others;
  // Where there are no pages, what stands beside the caption.
  if (pages.length < 2)
    return best.map((i) => [blocks[Math.max(0, i - 1)]?.start ?? 0, (blocks[i + 1] ?? blocks[i])?.end ?? text.length]);
  const numbers = best.map((i) => pageAt(pages, blocks[i]?.start ?? 0));
  const alone = numbers.filter((page) => (counts.get(page) ?? 0) < LISTED);
  const wanted = new Set(alone.length > 0 ? alone : numbers);
  return pages.filter(({ number }) => wanted.has(number)).map(({ start, end }) => [start, end]);
}

function sections(
  { kind, begins }: { readonly kind: string; readonly begins: RegExp },
  label: string,
  { text, blocks }: DocumentContent,
): [number, number][] {
  const found: [number, number][] = [];
  const headings = blocks.filter((block) => block.kind === 'heading');
  for (const [i, heading] of headings.entries()) {
    const title = text.slice(heading.start, Math.min(heading.end, heading.start + 60));
    const numbered = begins.exec(title) ?? (kind === 'unit' || kind === 'part' ? null : NUMBERED.exec(title));
    if (numbered === null || !same((numbered[1] ?? '').replace(/\.$/, ''), label)) continue;
    found.push([heading.start, behind(headings.slice(i + 1), heading.level, text)]);
  }
  if (found.length > 0) return found;
  /** The label of a paragraph that is the name and the number of a part with its title; what goes on in small letters is a sentence. */
  const labelOf = ({ kind: own, start, end }: Block): string | undefined => {
    if (own !== 'paragraph' || end - start > LONGEST) return undefined;
    const [, named, behindIt = ''] = begins.exec(text.slice(start, end)) ?? [];
    return /^[\p{Ll}(,;&]/u.test(behindIt) ? undefined : named;
  };
  return under(
    blocks,
    (block) => same(labelOf(block) ?? '', label),
    (block) => !same(labelOf(block) ?? label, label),
    text,
  );
}
