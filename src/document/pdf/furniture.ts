/** Headers and footers of pages: what stands at the top or bottom of many of them is read once. */
import { CELLS } from '../formats/csv.ts';
import type { ReadPage } from './blocks.ts';
import type { PageLine } from './page-lines.ts';

/** How many pages a line has to stand on, and what share of them, to be a header or footer; of two pages, at the same height of both. */
const LEAST_PAGES = 3;
const LEAST_SHARE = 0.4;
const SAME_HEIGHT = 2;
const MOST_OF_TWO = 0.5;
/** What the number of a page is called, and what stands before the number of all pages. */
const NAMES = String.raw`(?:page|seite|blatt|slide|folie|sheet|p\.|s\.)`;
const OF = String.raw`(?:\/|of|von|de|sur)`;
/** The number of a page, as it is written at the beginning or end of a header or footer. */
const PAGE_NUMBER = new RegExp(
  String.raw`^\d+(?=\s|$)|(?:\d+\s*${OF}\s*)?(?<![\p{L}\d.,])\d+$|(?<=\b${NAMES}\s*)\d+`,
  'giu',
);

export interface Furniture {
  /** Lines that are not read. */
  readonly left: ReadonlySet<PageLine>;
  /** Of those that are read once, what is read: the number of the page is not. */
  readonly kept: ReadonlyMap<PageLine, PageLine>;
}

/**
 * First and last lines that stand on many pages, but for the page's number. Other numbers in a line make it another line: what pages say differs in these alone where
 * they were made from one form. A row of a table that is repeated names its columns, and stays where it stands first. Pages of which nothing else would be left are
 * alike, and have no headers; of two pages, half of the lines are enough to say so.
 */
export function repeated(pages: readonly ReadPage[]): Furniture {
  const key = ({ text, v }: PageLine): string => {
    const plain = text.replaceAll(CELLS, ' ').replace(PAGE_NUMBER, '#').trim();
    return pages.length > 2 ? plain : `${Math.round(v / SAME_HEIGHT)} ${plain}`;
  };
  const artifacts = pages.map(({ lines }) => lines.filter(({ artifact }) => artifact === true));
  const edges = pages.map(({ lines }) => {
    const byHeight = lines.filter(({ artifact }) => artifact !== true).sort((a, b) => a.v - b.v);
    return [...new Set([...byHeight.slice(0, 2), ...byHeight.slice(-2)])];
  });
  const counts = new Map<string, number>();
  for (const lines of edges) for (const one of new Set(lines.map(key))) counts.set(one, (counts.get(one) ?? 0) + 1);
  const least = Math.max(Math.min(LEAST_PAGES, Math.max(2, pages.length)), LEAST_SHARE * pages.length);
  const running = runningHeads(edges, key);
  const columns = new Set<string>();
  /** Where a line stands that is no row on some page: how far apart its parts stand may be an accident, unless the row stands elsewhere. */
  const plainly = new Map<string, Set<number>>();
  for (const line of edges.flat()) {
    if (line.row) continue;
    const heights = plainly.get(key(line)) ?? new Set();
    plainly.set(key(line), heights.add(Math.round(line.v / SAME_HEIGHT)));
  }
  const isPlain = (line: PageLine): boolean => {
    const heights = plainly.get(key(line));
    const at = Math.round(line.v / SAME_HEIGHT);
    return heights !== undefined && [at - 1, at, at + 1].some((height) => heights.has(height));
  };
  const found = edges.map((lines) =>
    lines.filter((line) => {
      const own = key(line);
      if (running.has(line)) return true;
      if ((counts.get(own) ?? 0) < least) return false;
      if (!line.row || columns.has(own) || isPlain(line)) return true;
      columns.add(own);
      return false;
    }),
  );
  const share = pages.length > 2 ? 1 : MOST_OF_TWO;
  const alike = pages.every(
    ({ lines }, i) => (found[i]?.length ?? 0) >= share * (lines.length - (artifacts[i]?.length ?? 0)),
  );
  const left = found.map((lines, i) => [...(alike ? [] : lines), ...(artifacts[i] ?? [])]);
  return left.every(({ length }) => length === 0) ? { left: new Set(), kept: new Map() } : withoutOne(left, pages, key);
}

/** Pages that the header of a chapter stands on at least, and how far they are apart: left and right pages have headers of their own. */
const LEAST_RUNNING = 3;
const MOST_APART = 2;

/** Headers and footers that change from chapter to chapter: the first or last line of pages that follow each other, at the same height, with numbers that go on as the pages do. */
function runningHeads(edges: readonly (readonly PageLine[])[], key: (line: PageLine) => string): ReadonlySet<PageLine> {
  const found = new Set<PageLine>();
  const open = new Map<string, { readonly lines: PageLine[]; page: number }>();
  edges.forEach((lines, page) => {
    for (const line of new Set([lines[0], lines.at(-1)])) {
      const number = line?.text.match(PAGE_NUMBER)?.at(-1);
      if (line === undefined || line.row || number === undefined) continue;
      const own = `${Math.round(line.v / SAME_HEIGHT)} ${Number.parseInt(number, 10) - page} ${key(line)}`;
      const run = open.get(own);
      if (run === undefined || page - run.page > MOST_APART) open.set(own, { lines: [line], page });
      else {
        run.lines.push(line);
        run.page = page;
        if (run.lines.length >= LEAST_RUNNING) for (const one of run.lines) found.add(one);
      }
    }
  });
  return found;
}

/** What a header says besides the number of its page. */
const PAGE_WORDS = new RegExp(String.raw`\b${NAMES}|\b${OF}|[^\p{L}\p{N}]`, 'giu');

/** Of each header and footer one is read, where it says more than the number of its page: a header where it stands first, a footer where it stands last. */
function withoutOne(
  found: readonly (readonly PageLine[])[],
  pages: readonly ReadPage[],
  key: (line: PageLine) => string,
): Furniture {
  const kept = new Map<string, PageLine>();
  /** Without its height. */
  const plain = (own: string): string => own.replace(/^-?\d+ /, '');
  /** What a file calls a header is none of its own where it is said elsewhere: names of columns, say. */
  const said = new Set(
    pages.flatMap(({ lines }) => lines.flatMap((line) => (line.artifact === true ? [] : [plain(key(line))]))),
  );
  /** A number that is the same on all pages is no page's. */
  const texts = new Map<string, Set<string>>();
  found.forEach((lines, i) => {
    if (lines.length === 0) return;
    let [top, bottom] = [Infinity, -Infinity];
    for (const { v } of pages[i]?.lines ?? []) [top, bottom] = [Math.min(top, v), Math.max(bottom, v)];
    for (const line of lines) {
      const own = plain(key(line));
      texts.set(own, (texts.get(own) ?? new Set()).add(line.text));
      // The first of repeated rows is not among them.
      if (line.artifact === true ? said.has(own) : line.row) continue;
      if (own.replace(PAGE_WORDS, '') === '') continue;
      if (line.v > (top + bottom) / 2 || !kept.has(own)) kept.set(own, line);
    }
  });
  const one = new Map(
    [...kept].map(([own, line]) => [line, (texts.get(own)?.size ?? 0) > 1 ? withoutNumber(line) : line]),
  );
  return { left: new Set(found.flat().filter((line) => !one.has(line))), kept: one };
}

/** The number of a page with its words and what parts it from the rest, before or behind it. */
const NUMBER_BEFORE = new RegExp(String.raw`^(?:${NAMES}\s*)?\d+(?:\s*${OF}\s*\d+)?[\s|·•–—-]+(?=\p{L})`, 'iu');
const NUMBER_BEHIND = new RegExp(String.raw`[\s|·•–—,-]+(?:${NAMES}\s*)?(?:\d+\s*${OF}\s*)?(?<![\p{L}\d.,])\d+$`, 'iu');

function withoutNumber(line: PageLine): PageLine {
  const { text, runs } = line;
  const from = NUMBER_BEFORE.exec(text)?.[0].length ?? 0;
  const to = NUMBER_BEHIND.exec(text)?.index ?? text.length;
  if (from >= to || (from === 0 && to === text.length)) return line;
  return {
    ...line,
    text: text.slice(from, to),
    // A row of which one cell is left is a line.
    row: line.row && text.slice(from, to).includes(CELLS),
    runs: runs.flatMap((run) => {
      const [start, end] = [Math.max(run.start, from), Math.min(run.end, to)];
      if (start >= end) return [];
      const bounds = run.bounds?.slice(start - run.start, end - run.start + 1);
      return [{ ...run, start: start - from, end: end - from, ...(bounds && { bounds }) }];
    }),
  };
}
