/**
 * Passages: the pieces that are searched, put before the model, and kept. Up to 256 tokens, cut at headings before paragraphs before sentences, each with
 * the path of the headings that it stands under.
 */
import { pageAt, type Block, type DocumentContent, type Language, type Page } from './content.ts';
import { sentencesOf } from './sentences.ts';

export interface Passage {
  readonly start: number;
  readonly end: number;
  /** The headings above it, outermost first, and the first row of the table that it is a part of. */
  readonly path: readonly string[];
}

/** Tokens of a passage, by `roughTokens`. */
const MOST = 224;
/** Paragraphs are put together up to so many. */
const ENOUGH = 96;
/** A heading of a path is cut here. */
const HEADING = 120;

/** About how many tokens a text is, without a tokenizer: a passage is kept for every model. */
export function roughTokens(text: string): number {
  let tokens = 0;
  for (const [word] of text.matchAll(/\p{L}+|\p{N}|[^\s\p{L}\p{N}]+/gu)) {
    tokens += /^\p{Script=Latin}+$/u.test(word)
      ? Math.max(1, Math.ceil(word.length / 5))
      : /^\p{L}/u.test(word)
        ? word.length
        : 1;
  }
  return tokens;
}

/**
 * In the order of the text; none has parts of two pages but in one paragraph. A heading with nothing under it on its
 * page is a passage of its own, together with such headings beside it: title pages and slides are made of them.
 */
export function passagesOf({ text, blocks, language, pages }: DocumentContent): Passage[] {
  const passages: Passage[] = [];
  const headings: { readonly level: number; readonly title: string; readonly block: Block; bare: boolean }[] = [];
  /** Headings with nothing under them on their page. */
  const bare: (readonly [number, number])[] = [];
  /** The first row of the table that is being read. */
  let tableHead: Block | undefined;
  let open: { start: number; end: number; tokens: number; kind: Block['kind'] } | undefined;
  const path = (start: number): string[] => [
    ...headings.map(({ title }) => title),
    ...(tableHead !== undefined && tableHead.start < start ? [text.slice(tableHead.start, tableHead.end)] : []),
  ];
  const flush = (): void => {
    if (open !== undefined) passages.push({ start: open.start, end: open.end, path: path(open.start) });
    open = undefined;
  };
  const leave = (): void => {
    const left = headings.pop();
    if (left?.bare === true) bare.push([left.block.start, left.block.end]);
  };
  for (const block of blocks) {
    if (block.kind === 'heading') {
      flush();
      tableHead = undefined;
      while ((headings.at(-1)?.level ?? 0) >= block.level) leave();
      headings.push({
        block,
        bare: true,
        level: block.level,
        title: text.slice(block.start, block.end).replace(/\s+/g, ' ').slice(0, HEADING),
      });
      continue;
    }
    const page = pageAt(pages, block.start);
    for (const heading of headings) heading.bare &&= pageAt(pages, heading.block.start) !== page;
    if (block.kind !== 'row') {
      if (tableHead !== undefined) flush();
      tableHead = undefined;
    } else if (tableHead === undefined) {
      flush();
      tableHead = block;
    }
    for (const [start, end] of piecesOf(text, block, language)) {
      const tokens = roughTokens(text.slice(start, end));
      const fits = open !== undefined && open.tokens + tokens <= MOST;
      // A list or a table stays together as far as it fits, paragraphs as far as they are short.
      const wanted =
        open !== undefined && (open.tokens < ENOUGH || (block.kind !== 'paragraph' && open.kind === block.kind));
      if (open !== undefined && fits && wanted && pageAt(pages, open.start) === pageAt(pages, start)) {
        open.end = end;
        open.tokens += tokens;
      } else {
        flush();
        open = { start, end, tokens, kind: block.kind };
      }
    }
  }
  flush();
  while (headings.length > 0) leave();
  return [...passages, ...together(text, bare, pages)].sort((a, b) => a.start - b.start);
}

/** Stretches of one page with nothing but space between them, as far as they fit. */
function together(text: string, stretches: readonly (readonly [number, number])[], pages: readonly Page[]): Passage[] {
  const passages: { start: number; end: number; path: readonly string[] }[] = [];
  for (const [start, end] of stretches.toSorted(([a], [b]) => a - b)) {
    const last = passages.at(-1);
    const beside =
      last !== undefined &&
      text.slice(last.end, start).trim() === '' &&
      pageAt(pages, last.start) === pageAt(pages, start);
    if (beside && roughTokens(text.slice(last.start, end)) <= ENOUGH) last.end = end;
    else passages.push({ start, end, path: [] });
  }
  return passages;
}

/** A block, or its sentences put together up to the most tokens of a passage; a longer sentence is cut between words. */
function piecesOf(text: string, { start, end }: Block, language: Language): [number, number][] {
  if (roughTokens(text.slice(start, end)) <= MOST) return [[start, end]];
  const pieces: [number, number][] = [];
  let last: { piece: [number, number]; tokens: number } | undefined;
  for (const [from, to] of sentencesOf(text, start, end, language).flatMap((span) => shortened(text, span))) {
    const tokens = roughTokens(text.slice(from, to));
    if (last !== undefined && last.tokens + tokens <= MOST) {
      last.piece[1] = to;
      last.tokens += tokens;
    } else {
      last = { piece: [from, to], tokens };
      pieces.push(last.piece);
    }
  }
  return pieces;
}

/** A sentence in pieces that fit: between words, and where there are none between characters. */
function shortened(text: string, [start, end]: readonly [number, number]): [number, number][] {
  if (roughTokens(text.slice(start, end)) <= MOST) return [[start, end]];
  const pieces: [number, number][] = [];
  let from = start;
  let tokens = 0;
  for (const match of text.slice(start, end).matchAll(/\s*(?:[\p{L}\p{N}]{1,200}|[^\s\p{L}\p{N}]{1,200})/gu)) {
    const at = start + match.index;
    const count = roughTokens(match[0]);
    if (tokens + count > MOST && at > from) {
      pieces.push([from, at]);
      from = at + (match[0].length - match[0].trimStart().length);
      tokens = 0;
    }
    tokens += count;
  }
  pieces.push([from, end]);
  return pieces;
}
