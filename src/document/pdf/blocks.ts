/**
 * From the lines of all pages to paragraphs, headings, items and rows: by their distances, indents and font sizes compared with those of most of the text.
 * Words that were parted at a line's end are joined, and what stands at the top or bottom of most pages is read once.
 */
import type { ContentBuilder, PlacedRun } from '../builder.ts';
import type { PageKind } from '../content.ts';
import { median } from './columns.ts';
import { repeated } from './furniture.ts';
import { bodyOf, kindOf, partKind, type Body, type LineKind } from './line-kinds.ts';
import type { PageLine } from './page-lines.ts';

export interface ReadPage {
  readonly lines: readonly PageLine[];
  readonly width: number;
  readonly height: number;
  readonly label: string | undefined;
  readonly kind: PageKind;
  /** What readers have noted on it. */
  readonly comments?: readonly string[] | undefined;
  /** Whether it could not be read. */
  readonly damaged?: boolean | undefined;
}

/** Keeps the pages of a document while it is read, so that reading goes on at the page where it ended. */
export interface PageKeeper {
  /** Pages that were read before, from the first one on. */
  readonly read: readonly ReadPage[];
  /** Called after each page with all that were read so far; the next page waits for it. */
  keep(pages: readonly ReadPage[]): Promise<void>;
}

/** Of a line's usual distance: a larger one begins a paragraph. */
const APART = 1.35;
const SENTENCE_END = /[.!?:;…。！？؟۔][”"’'»」』)\]⁰¹²³⁴-⁹]*$/u;
/** Scripts without spaces between words: their lines are joined without one. */
const UNSPACED = '[\\p{sc=Han}\\p{sc=Hiragana}\\p{sc=Katakana}\\u3000-\\u303f\\uff00-\\uffef]';
const UNSPACED_END = new RegExp(`${UNSPACED}$`, 'u');
const UNSPACED_START = new RegExp(`^${UNSPACED}`, 'u');

/** Where a line begins and ends in the direction in which it is read. */
const beginOf = ({ rtl, u0, u1 }: PageLine): number => (rtl ? -u1 : u0);
const endOf = ({ rtl, u0, u1 }: PageLine): number => (rtl ? -u0 : u1);

export function addPages(builder: ContentBuilder, pages: readonly ReadPage[]): void {
  const { left, kept } = repeated(pages);
  const lines = pages.map((page) => page.lines.flatMap((line) => (left.has(line) ? [] : (kept.get(line) ?? line))));
  const body = bodyOf(lines);
  const blocks = lines.map((own) => paragraphs(own, body));
  pages.forEach((page, i) => {
    builder.beginPage(i + 1, page.width, page.height, page.label);
    const [own = [], before, after] = [blocks[i], blocks[i - 1]?.at(-1), blocks[i + 1]];
    const ordered = withoutNotesBetween(own, before, after?.[0], body);
    const rights = rightsOf(lines[i] ?? []);
    // What follows on the next page is asked for the last paragraph of this one.
    blocks[i] = ordered;
    ordered.forEach((block, k) =>
      addBlock(builder, block, body, {
        before: ordered[k - 1] ?? before,
        after: apart(block, ordered[k + 1]) ? undefined : (ordered[k + 1] ?? after?.[0]),
        apart: apart(ordered[k - 1], block),
        rights,
      }),
    );
    // As items, which no paragraph goes on with.
    for (const comment of page.comments ?? []) builder.add('item', comment);
    builder.endPage(page.kind);
  });
}

/** Whether a page's own tags say that two blocks are different ones. */
function apart(first: Paragraph | undefined, second: Paragraph | undefined): boolean {
  const [a, b] = [first?.lines[0]?.part, second?.lines[0]?.part];
  return a !== undefined && b !== undefined;
}

/** Of most of the text: letters of notes at the foot of a column are smaller. */
const SMALLER = 0.94;

/**
 * The blocks of a page, of which small ones at the foot of a column (notes, the lines of a publisher) do not stand within a paragraph that goes on in the next column or
 * overleaf: they come before it, or behind it where it began on the page before.
 */
function withoutNotesBetween(
  blocks: readonly Paragraph[],
  before: Paragraph | undefined,
  after: Paragraph | undefined,
  body: Body,
): Paragraph[] {
  const isText = ({ kind, lines }: Paragraph): boolean =>
    kind === 'paragraph' && lines.every(({ size }) => size >= SMALLER * body.size);
  const isNote = ({ kind, lines }: Paragraph): boolean =>
    (kind === 'paragraph' || kind === 'item') && lines.every(({ size }) => size < SMALLER * body.size);
  const follows = (first: Paragraph | undefined, second: Paragraph | undefined): boolean => {
    const [last, next] = [first?.lines.at(-1), second?.lines[0]];
    if (first === undefined || second === undefined || last === undefined || next === undefined) return false;
    return isText(first) && isText(second) && goesOn(last.text, next.text);
  };
  const found = [...blocks];
  for (let i = 0; i < found.length; i++) {
    const open = found[i];
    let end = i + 1;
    while (end < found.length && isBelow(found[end], open) && isNote(found[end] as Paragraph)) end++;
    if (open === undefined || end === i + 1 || !isText(open)) continue;
    const next = found[end];
    const here = next !== undefined && next.lines[0]?.column !== open.lines.at(-1)?.column && follows(open, next);
    if (!here && !(next === undefined && follows(open, after))) continue;
    const notes = found.slice(i + 1, end);
    const whole = here ? { ...open, lines: [...open.lines, ...next.lines] } : open;
    const begun = i === 0 && follows(before, open);
    if (begun && !here) continue;
    found.splice(i, end - i + (here ? 1 : 0), ...(begun ? [whole, ...notes] : [...notes, whole]));
    // The paragraph may go on in a third column.
    if (!begun) i += notes.length - 1;
  }
  return found;
}

/** Whether all of a block stands lower on the page than the end of another one. */
function isBelow(block: Paragraph | undefined, other: Paragraph | undefined): boolean {
  const end = other?.lines.at(-1)?.v ?? Infinity;
  return block !== undefined && block.lines.every(({ v }) => v > end);
}

interface Paragraph extends LineKind {
  readonly lines: readonly PageLine[];
}

/** The lines of a page as blocks. */
function paragraphs(lines: readonly PageLine[], body: Body): Paragraph[] {
  const found: Paragraph[] = [];
  const pitches = new Map<number, number>();
  const edges = new Map<number, number>();
  const rights = rightsOf(lines);
  for (const column of new Set(lines.map((line) => line.column))) {
    const own = lines.filter((line) => line.column === column);
    pitches.set(column, pitchOf(own, body));
    edges.set(column, median(own.map(beginOf)));
  }
  const isFull = (line: PageLine): boolean => {
    const [right = 0, edge = 0] = [rights.get(line.column), edges.get(line.column)];
    return endOf(line) > right - 0.2 * (right - edge);
  };
  let open: PageLine[] = [];
  let kind: Paragraph['kind'] = 'paragraph';
  let level = 0;
  const flush = (): void => {
    if (open.length > 0) found.push({ kind, level, lines: open });
    open = [];
  };
  lines.forEach((line, i) => {
    const before = lines[i - 1];
    const next = lines[i + 1];
    const pitch = pitches.get(line.column) ?? 0;
    const last = open.at(-1);
    if (line.part !== undefined) {
      if (last?.part?.id !== line.part.id) {
        flush();
        let end = i + 1;
        while (lines[end]?.part?.id === line.part.id) end++;
        ({ kind, level } = partKind(lines.slice(i, end), line.part, before, lines[end], body, pitch));
      }
      open.push(line);
      return;
    }
    if (last?.part !== undefined) flush();
    const own = kindOf(line, before, next, body, pitch);
    if (last !== undefined && last.part === undefined && own.kind === kind && kind !== 'row' && kind !== 'item') {
      const sameColumn = last.column === line.column;
      // Lines of a heading stand further apart as they are larger.
      const scale = Math.max(1, Math.min(line.size, last.size) / body.size);
      const apart = sameColumn && (line.v - last.v > APART * pitch * scale || line.v < last.v);
      const otherSize = Math.abs(last.size - line.size) > 0.12 * body.size;
      const indented =
        beginOf(line) - (edges.get(line.column) ?? 0) > 0.8 * line.size &&
        beginOf(last) - (edges.get(last.column) ?? 0) < 0.5 * last.size;
      const ended = SENTENCE_END.test(last.text) && !isFull(last);
      const elsewhere = !sameColumn && !goesOn(last.text, line.text);
      const heading = kind === 'heading' && (own.level !== level || apart);
      if (apart || otherSize || (kind === 'paragraph' && (indented || ended)) || elsewhere || heading) flush();
    } else if (last !== undefined && last.part === undefined && own.kind === 'paragraph' && kind === 'item') {
      // The second line of an item stands further in than its mark, or just below it.
      const follows =
        last.column === line.column &&
        beginOf(line) >= beginOf(last) - 0.5 * line.size &&
        line.v - last.v <= APART * pitch &&
        line.v > last.v;
      const [mark] = open;
      const further = mark !== undefined && beginOf(line) > beginOf(mark) + 0.3 * line.size;
      // A clause ("(1) ...") is no further in; its lines are full.
      if (follows && (further || isFull(last))) {
        open.push(line);
        return;
      }
      flush();
    } else flush();
    if (open.length === 0) ({ kind, level } = own);
    open.push(line);
  });
  flush();
  return found;
}

/** Of pairs of lines: where paragraphs are short, as many stand between paragraphs as within them, and those further apart are more than a line's distance. */
const WITHIN_PARAGRAPHS = 0.3;

/** How far apart the lines of a column's paragraphs stand. */
function pitchOf(lines: readonly PageLine[], body: Body): number {
  const pairs = lines.slice(1).flatMap((line, i) => {
    const before = lines[i];
    return before !== undefined && line.v > before.v ? [{ line, before, pitch: line.v - before.v }] : [];
  });
  const text = pairs.filter(
    ({ line, before, pitch }) =>
      !line.row &&
      !before.row &&
      pitch > 0.9 * line.size &&
      [line, before].every(({ size }) => Math.abs(size - body.size) < 0.06 * body.size),
  );
  const sorted = text.map(({ pitch }) => pitch).sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length * WITHIN_PARAGRAPHS)] ?? median(pairs.map(({ pitch }) => pitch));
}

/** Whether a text goes on in another column or on another page. */
function goesOn(text: string, next: string): boolean {
  return !SENTENCE_END.test(text) && (/^[\p{Ll}\p{Lo}]/u.test(next) || /[\p{L}-][-\u2010\u00ad]$/u.test(text));
}

/** The characters of a text's end that are looked at: its last word. */
const LONGEST_WORD = 100;

/** What stands between a text and the next line of a paragraph: a space, nothing, or nothing in place of a hyphen that parted a word. */
function between(whole: string, next: string, body: Body): 'space' | 'nothing' | 'no hyphen' {
  const text = whole.slice(-LONGEST_WORD);
  const hyphen = /(\p{L}+)[-\u2010\u00ad]$/u.exec(text);
  const second = /^\p{Ll}+/u.exec(next)?.[0];
  if (hyphen !== null && second !== undefined) {
    const before = hyphen[1] ?? '';
    const kept =
      !text.endsWith('\u00ad') &&
      body.words.has(`${before}-${second}`.toLowerCase()) &&
      !body.words.has(`${before}${second}`.toLowerCase());
    return kept ? 'nothing' : 'no hyphen';
  }
  // A word in capital letters, which is known, goes on in capital letters; other such words are joined by their hyphen.
  const capitals = /^\p{Lu}+(?!\p{L})/u.exec(next)?.[0];
  const first = hyphen?.[1] ?? '';
  if (capitals !== undefined && /^\p{Lu}{2,}$/u.test(first) && body.words.has(`${first}${capitals}`.toLowerCase()))
    return 'no hyphen';
  const unspaced = UNSPACED_END.test(text) && UNSPACED_START.test(next);
  return (hyphen !== null && /^\p{Lu}/u.test(next)) || unspaced ? 'nothing' : 'space';
}

/** Where the lines of each column end. */
function rightsOf(lines: readonly PageLine[]): Map<number, number> {
  const rights = new Map<number, number>();
  for (const line of lines) rights.set(line.column, Math.max(rights.get(line.column) ?? -Infinity, endOf(line)));
  return rights;
}

/** Of a paragraph's line ends, such a share, and so many of them, are meant where the next line's first word would have fitted before them. */
const LEAST_MEANT = 0.6;
const FEWEST_MEANT = 2;
/** Of a line's height: a space, and what lines that end together may differ by. */
const ROOM = 0.6;

/** The lines of a paragraph that begin where their writer has ended the line before: those of an address, of a list without marks, of a poem. */
function lineEnds(lines: readonly PageLine[], rights: ReadonlyMap<number, number>): ReadonlySet<PageLine> {
  const meant = lines.slice(1).filter((line, i) => {
    const before = lines[i];
    if (before === undefined || before.column !== line.column || line.v <= before.v) return false;
    if (/^\p{Ll}/u.test(line.text) || /[\p{L}-][-\u2010\u00ad]$/u.test(before.text)) return false;
    const [word = ''] = line.text.split(' ');
    const width = ((line.u1 - line.u0) * word.length) / Math.max(1, line.text.length);
    return (rights.get(line.column) ?? 0) - endOf(before) > width + ROOM * line.size;
  });
  return new Set(meant.length >= Math.max(FEWEST_MEANT, LEAST_MEANT * (lines.length - 1)) ? meant : []);
}

/** `before` and `after`: the blocks around it, perhaps on other pages. */
function addBlock(
  builder: ContentBuilder,
  { kind, level, lines }: Paragraph,
  body: Body,
  {
    before,
    after,
    apart: isApart,
    rights,
  }: {
    readonly before: Paragraph | undefined;
    readonly after: Paragraph | undefined;
    readonly apart: boolean;
    /** Where the lines of each column of its page end. */
    readonly rights: ReadonlyMap<number, number>;
  },
): void {
  let text = '';
  const runs: PlacedRun[] = [];
  const last = builder.last;
  const begin = lines[0]?.text ?? '';
  const joined = !isApart && kind === 'paragraph' && last?.kind === 'paragraph' && goesOn(last.ending, begin);
  const joint = joined && before !== undefined ? between(before.lines.at(-1)?.text ?? '', begin, body) : 'space';
  /** The hyphen that was left out is no character of the run before. */
  const dropHyphen = (): void => {
    text = text.slice(0, -1);
    const run = runs.at(-1);
    if (run !== undefined && run.end > text.length) runs[runs.length - 1] = { ...run, end: text.length };
  };
  const ends = kind === 'paragraph' ? lineEnds(lines, rights) : new Set<PageLine>();
  for (const line of lines) {
    if (text !== '') {
      const own = between(text, line.text, body);
      if (kind === 'code' || ends.has(line)) text += '\n';
      else if (own === 'no hyphen') dropHyphen();
      else if (own === 'space') text += ' ';
    }
    const at = text.length;
    text += line.text;
    for (const run of line.runs) runs.push({ ...run, start: run.start + at, end: run.end + at });
  }
  const next = after?.kind === 'paragraph' && kind === 'paragraph' ? after.lines[0]?.text : undefined;
  if (next !== undefined && goesOn(text, next) && between(text, next, body) === 'no hyphen') dropHyphen();
  builder.add(kind, text.replaceAll('\u00ad', ''), {
    level,
    runs: text.includes('\u00ad') ? withoutSoftHyphens(text, runs) : runs,
    ...(joined && { joined: joint === 'space' ? ' ' : '' }),
  });
}

function boundsWithout(text: string, { start, bounds }: PlacedRun): Pick<PlacedRun, 'bounds'> {
  return bounds === undefined ? {} : { bounds: bounds.filter((_, i) => text[start + i] !== '\u00ad') };
}

/** Runs of a text whose soft hyphens are taken out. */
function withoutSoftHyphens(text: string, runs: readonly PlacedRun[]): PlacedRun[] {
  const places: number[] = [];
  let at = 0;
  for (let i = 0; i <= text.length; i++) {
    places.push(at);
    if (text[i] !== '\u00ad') at++;
  }
  return runs
    .map((run) => ({ ...run, start: places[run.start] ?? 0, end: places[run.end] ?? 0, ...boundsWithout(text, run) }))
    .filter(({ start, end }) => start < end);
}
