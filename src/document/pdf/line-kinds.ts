/** What kind of block a line begins: by its font and size compared with those of most of the text, by its first characters, or by what the page's own tags say. */
import type { PageLine } from './page-lines.ts';
import type { Part } from './tagged-lines.ts';

/** What most of the text is like. */
export interface Body {
  readonly size: number;
  readonly font: string;
  /** Font sizes of headings, largest first. */
  readonly headings: readonly number[];
  /** Words that stand within lines, among them those with hyphens. */
  readonly words: ReadonlySet<string>;
  /** Whether the file says itself what its headings are. */
  readonly tagged: boolean;
}

/** What a block is, and the level of a heading. */
export interface LineKind {
  readonly kind: 'heading' | 'paragraph' | 'item' | 'row' | 'code';
  readonly level: number;
}

/** Letters of a heading are larger than the text's by this factor; its text is no longer than this. */
const LARGER = 1.12;
const LONGEST_HEADING = 200;
const MOST_LEVELS = 4;
const BULLET = /^(?:[•▪◦‣●○–—*·-]|\(?\d{1,3}[.)]|\(?[a-z][.)])\s/u;
/** A line of a table of contents: its page behind a row of dots. */
const LEADERS = /(?:[.…]\s?){4,}\s*[\p{L}\d-]{1,8}$/u;
/** What no heading begins with. */
const MARK = /^[•▪◦‣●○*·–—-]\s/u;
const NUMBERED = /^(\d+(?:\.\d+)*)\.?\s+\p{Lu}/u;

export function bodyOf(pages: readonly (readonly PageLine[])[]): Body {
  const sizes = new Map<number, number>();
  const fonts = new Map<string, number>();
  const words = new Set<string>();
  let tagged = false;
  for (const lines of pages) {
    for (const { text, size, font, part } of lines) {
      tagged ||= part?.kind === 'heading';
      if (part?.kind === 'picture') continue;
      const rounded = Math.round(size * 2) / 2;
      sizes.set(rounded, (sizes.get(rounded) ?? 0) + text.length);
      fonts.set(font, (fonts.get(font) ?? 0) + text.length);
      for (const [word] of text.replace(/\S+$/u, '').matchAll(/\p{L}+(?:-\p{L}+)*/gu)) words.add(word.toLowerCase());
    }
  }
  const most = <Key>(counts: ReadonlyMap<Key, number>, none: Key): Key =>
    [...counts].reduce((a, b) => (b[1] > a[1] ? b : a), [none, 0] as [Key, number])[0];
  const size = most(sizes, 10);
  const headings = [...sizes.keys()].filter((one) => one >= LARGER * size).sort((a, b) => b - a);
  return { size, font: most(fonts, ''), headings, words, tagged };
}

/** Lines of a part that the page names a paragraph, and that look like a heading. */
const HEADING_LINES = 3;

/** What a part of a page's own tags is. Many files have no other tag than that of paragraphs; letters that are larger than the text's make a heading of one. */
export function partKind(
  lines: readonly PageLine[],
  part: Part,
  before: PageLine | undefined,
  next: PageLine | undefined,
  body: Body,
  pitch: number,
): LineKind {
  const length = lines.reduce((sum, { text }) => sum + text.length, 0);
  const [first] = lines;
  if (part.kind === 'heading')
    return length > LONGEST_HEADING ? { kind: 'paragraph', level: 0 } : { kind: 'heading', level: part.level };
  if (part.kind !== 'paragraph' || first === undefined)
    return { kind: part.kind === 'picture' ? 'paragraph' : part.kind, level: 0 };
  const own = kindOf(first, before, next, body, pitch);
  if (own.kind !== 'heading') return own;
  const short = lines.length <= HEADING_LINES && length <= LONGEST_HEADING;
  return short && (!body.tagged || first.size >= LARGER * body.size) ? own : { kind: 'paragraph', level: 0 };
}

export function kindOf(
  line: PageLine,
  before: PageLine | undefined,
  next: PageLine | undefined,
  body: Body,
  pitch: number,
): LineKind {
  const { text, size, font, row, labelled = false } = line;
  if (row || LEADERS.test(text)) return { kind: 'row', level: 0 };
  if (text.length <= LONGEST_HEADING && /\p{L}/u.test(text) && !MARK.test(text)) {
    const number = NUMBERED.exec(text)?.[1];
    const larger = size >= LARGER * body.size;
    const alone =
      font !== body.font &&
      // Of what was written over the page the font is not known.
      font !== '' &&
      text.length <= 80 &&
      /^(?:§+\s?)?[\p{Lu}\d]/u.test(text) &&
      !/[.,;:]$/.test(text) &&
      size >= 0.95 * body.size &&
      (before === undefined || before.column !== line.column || line.v - before.v > 1.2 * pitch) &&
      (next === undefined || next.font === body.font);
    const depth = number?.split('.').length ?? 0;
    if (larger) {
      const rank = body.headings.findIndex((one) => size >= one - 0.3);
      return { kind: 'heading', level: Math.min(MOST_LEVELS, depth > 0 ? depth : rank < 0 ? MOST_LEVELS : rank + 1) };
    }
    if (alone && (number !== undefined || text.split(' ').length <= 10)) {
      const least = Math.min(MOST_LEVELS, body.headings.length + 1);
      return { kind: 'heading', level: depth > 0 ? Math.min(MOST_LEVELS, depth) : least };
    }
  }
  return { kind: BULLET.test(text) || labelled ? 'item' : 'paragraph', level: 0 };
}
