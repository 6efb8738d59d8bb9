/**
 * The lines of a page that says by tags what its text is: paragraphs, headings, items and cells are the file's own, and the lines within them are found by their places.
 * Tags may lie: where they leave out much of the page, contradict its order, or take lines for paragraphs, the page is read by its layout alone.
 */
import {
  fragmentsOf,
  isRtl,
  SAME_LINE,
  withoutSpaces,
  withScripts,
  type Fragment,
  type Line,
  type Piece,
} from './lines.ts';
import { isRow, ROW_DISTANCE } from './rows.ts';
import type { TaggedBlock } from './tags.ts';

export interface TaggedPiece extends Piece {
  readonly direction: number;
  readonly mark?: string | undefined;
  readonly artifact?: true | undefined;
}

/** What a page's own tags say of lines that follow each other. */
export interface Part {
  /** Among those of its page. */
  readonly id: number;
  readonly kind: 'heading' | 'paragraph' | 'item' | 'code' | 'row' | 'picture';
  readonly level: number;
}

/** Lines of one part; `loose` ones are found by layout; a picture has its description. */
export type TaggedLines<Own extends TaggedPiece> =
  | { readonly part: Part; readonly lines: readonly Line[]; readonly picture?: undefined }
  | { readonly part: Part; readonly lines: readonly []; readonly picture: TaggedBlock }
  | { readonly part?: undefined; readonly loose: readonly Own[]; readonly artifact?: true; readonly rest?: true };

/** The share of a page's characters that its tags have to name, and how many of them may be said to be headers and the like. */
const LEAST_COVERED = 0.9;
const MOST_ARTIFACTS = 0.5;
const FEW_CHARACTERS = 300;
/** Of pairs of blocks that stand above one another: so many may be in the order from below. A page with more blocks is not asked. */
const MOST_BACKWARDS = 0.2;
const MOST_COMPARED = 2000;
/** Of paragraphs that follow each other: so many may end within a sentence. */
const MOST_BROKEN = 0.3;
const LEAST_BROKEN = 4;
/** Of the characters of a page that has at least so many: in headings. */
const MOST_IN_HEADINGS = 0.6;
const LEAST_IN_HEADINGS = 200;
/** Characters of one cell. */
const LONGEST_CELL = 1500;
/** Lines of one paragraph stand no further apart than others of it by this factor, and their letters are no larger. */
const APART = 1.8;
const LARGER = 1.3;
/** Lines that a piece may belong to: the last ones. */
const RECENT = 4;
const NEAR = 1;
/** Cells side by side that are paragraphs of their own have so many lines at most. */
const MOST_CELL_LINES = 4;

const charactersOf = (pieces: readonly Piece[]): number =>
  pieces.reduce((sum, { text }) => sum + text.trim().length, 0);

interface Open {
  readonly block: TaggedBlock;
  readonly lines: Line[];
  readonly pieces: readonly TaggedPiece[];
  readonly part: Part;
}

/** Undefined where the tags are not to be believed. */
export function taggedLines<Own extends TaggedPiece>(
  blocks: readonly TaggedBlock[],
  pieces: readonly Own[],
): TaggedLines<Own>[] | undefined {
  const marked = new Map<string, Own[]>();
  for (const piece of pieces) {
    if (piece.mark === undefined) continue;
    const known = marked.get(piece.mark);
    if (known === undefined) marked.set(piece.mark, [piece]);
    else known.push(piece);
  }
  /** A name that is used twice counts where it stands first. */
  const take = (content: readonly string[]): Own[] =>
    content.flatMap((name) => {
      const own = marked.get(name) ?? [];
      marked.delete(name);
      return own;
    });
  const usual = usualDirection(pieces);
  let id = 0;
  const found: (Open | { readonly loose: Own[] })[] = [];
  const loose = (own: readonly Own[]): void => {
    if (own.length === 0) return;
    const last = found.at(-1);
    if (last !== undefined && 'loose' in last) for (const piece of own) last.loose.push(piece);
    else found.push({ loose: [...own] });
  };
  let table: { readonly number: number | undefined; readonly rows: Open[] } = { number: undefined, rows: [] };
  const flushTable = (): void => {
    withEmpty(table.rows, usual);
    table = { number: undefined, rows: [] };
  };
  for (const block of blocks) {
    const part = (kind: Part['kind']): Part => ({ id: id++, kind, level: block.level });
    if (block.kind === 'row') {
      if (block.table !== table.number) {
        flushTable();
        table = { number: block.table, rows: [] };
      }
      const cells = (block.cells ?? []).map(take).filter((own) => charactersOf(own) > 0);
      if (cells.some((own) => charactersOf(own) > LONGEST_CELL)) {
        for (const own of cells) found.push({ block, pieces: own, part: part('paragraph'), lines: linesWithin(own) });
      } else if (cells.length > 0) {
        const open = { block, pieces: cells.flat(), part: part('row'), lines: [rowLine(cells.map(cellOf))] };
        found.push(open);
        table.rows.push(open);
      }
      continue;
    }
    const own = take(block.content);
    if (block.kind === 'picture') found.push({ block, pieces: [], part: part('picture'), lines: [] });
    if (block.kind === 'loose' || block.kind === 'picture') loose(own);
    else if (charactersOf(own) > 0) {
      const kind = block.kind === 'line' ? 'row' : block.kind;
      const lines = linesWithin(own);
      if (kind === 'paragraph' && isSeveral(lines)) loose(own);
      else found.push({ block, pieces: own, part: part(kind), lines });
    }
  }
  flushTable();
  const artifacts = pieces.filter(({ artifact }) => artifact === true);
  const left = [...marked.values()].flat();
  const unmarked = pieces.filter(({ mark, artifact }) => mark === undefined && artifact === undefined);
  const all = charactersOf(pieces);
  const hidden = charactersOf(artifacts);
  // What was written into a form or over the page has no font, and no tags.
  const missing = charactersOf([...left, ...unmarked].filter(({ font }) => font !== ''));
  if (all - hidden === 0 || missing > (1 - LEAST_COVERED) * (all - hidden)) return undefined;
  if (hidden > FEW_CHARACTERS && hidden > MOST_ARTIFACTS * all) return undefined;
  const read = found.filter((one): one is Open => !('loose' in one));
  if (isBackwards(read, usual) || isBroken(read)) return undefined;
  const inHeadings = charactersOf(read.flatMap((one) => (one.part.kind === 'heading' ? one.pieces : [])));
  if (inHeadings > Math.max(LEAST_IN_HEADINGS, MOST_IN_HEADINGS * all)) return undefined;
  const lines = withRows(found).map((one): TaggedLines<Own> => {
    if ('loose' in one) return one;
    if (one.part.kind === 'picture') return { part: one.part, lines: [], picture: one.block };
    return { part: one.part, lines: one.lines };
  });
  const rest = [...left, ...unmarked].filter(({ text }) => text.trim() !== '');
  return [
    ...lines,
    ...(rest.length > 0 ? [{ loose: rest, rest: true as const }] : []),
    ...(artifacts.length > 0 ? [{ loose: artifacts, artifact: true as const }] : []),
  ];
}

/** The direction in which most of a page is written. */
function usualDirection(pieces: readonly TaggedPiece[]): number {
  const counts = new Map<number, number>();
  for (const { direction, text } of pieces) counts.set(direction, (counts.get(direction) ?? 0) + text.length);
  return [...counts].reduce((a, b) => (b[1] > a[1] ? b : a), [0, 0])[0];
}

/** The lines of one element. Its pieces come in the order of its text: where it goes on in another column, lines that are higher come later. */
function linesWithin(pieces: readonly TaggedPiece[]): Line[] {
  const scripts = new Map<TaggedPiece, TaggedPiece>();
  for (const direction of new Set(pieces.map((piece) => piece.direction))) {
    const own = pieces.filter((piece) => piece.direction === direction);
    withScripts(own).forEach((piece, i) => scripts.set(own[i] as TaggedPiece, piece as TaggedPiece));
  }
  const lines: { members: TaggedPiece[]; v: number; size: number; u0: number; u1: number }[] = [];
  for (const given of pieces) {
    const piece = scripts.get(given) ?? given;
    const isOn = (line: (typeof lines)[number], last: boolean): boolean =>
      line.members[0]?.direction === piece.direction &&
      Math.abs(line.v - piece.v) <= SAME_LINE * Math.max(line.size, piece.size) &&
      (last || Math.max(piece.u0 - line.u1, line.u0 - piece.u1) <= NEAR * piece.size);
    const recent = lines.slice(-RECENT).reverse();
    const line = recent.find((one, i) => isOn(one, i === 0));
    if (line === undefined) {
      if (piece.text.trim() !== '')
        lines.push({ members: [piece], v: piece.v, size: piece.size, u0: piece.u0, u1: piece.u1 });
      continue;
    }
    line.members.push(piece);
    if (piece.size > line.size && piece.text.trim() !== '') [line.size, line.v] = [piece.size, piece.v];
    [line.u0, line.u1] = [Math.min(line.u0, piece.u0), Math.max(line.u1, piece.u1)];
  }
  const widest = lines.reduce(
    (a, b) => (b.u1 - b.u0 > a.u1 - a.u0 ? b : a),
    lines[0] ?? { members: [], v: 0, size: 0, u0: 0, u1: 0 },
  );
  const oneColumn = lines.every(
    ({ members, u0, u1 }) => members[0]?.direction === widest.members[0]?.direction && u0 < widest.u1 && u1 > widest.u0,
  );
  if (oneColumn) lines.sort((a, b) => a.v - b.v);
  const usual = isRtl(pieces, false);
  return lines.map(({ members, v }) => {
    // All of them are on one line.
    const fragments = fragmentsOf(withoutSpaces(members).map((piece) => ({ ...piece, v })));
    return lineOf(fragments, isRtl(members, usual), false);
  });
}

/** Whether what is called one paragraph looks like several, or like a paragraph with its heading. */
function isSeveral(lines: readonly Line[]): boolean {
  const sizes = lines.map(({ size }) => size);
  const pitches = lines.slice(1).map(({ v }, i) => v - (lines[i]?.v ?? v));
  const down = pitches.filter((pitch) => pitch > 0).sort((a, b) => a - b);
  const usual = down[down.length >> 1] ?? Infinity;
  return Math.max(...sizes) > LARGER * Math.min(...sizes) || (down.at(-1) ?? 0) > APART * usual;
}

function lineOf(fragments: readonly Fragment[], rtl: boolean, row: boolean): Line {
  const largest = fragments.reduce((a, b) => (b.characters > a.characters ? b : a), fragments[0] as Fragment);
  return {
    fragments: rtl ? fragments.toSorted((a, b) => b.u0 - a.u0) : fragments,
    column: 0,
    u0: Math.min(...fragments.map(({ u0 }) => u0)),
    u1: Math.max(...fragments.map(({ u1 }) => u1)),
    v: largest.v,
    size: largest.size,
    rtl,
    row,
    labelled: false,
  };
}

/** A cell, all of its lines below its first one. */
function cellOf(pieces: readonly TaggedPiece[]): Fragment {
  const [first, ...further] = linesWithin(pieces).flatMap(({ fragments }) => fragments);
  const cell = first as Fragment;
  return further.length === 0 ? cell : { ...cell, wrapped: further };
}

/** Cells in their order. */
function rowLine(cells: readonly Fragment[]): Line {
  const pieces = cells.flatMap((cell) => [cell, ...(cell.wrapped ?? [])]).flatMap((one) => one.pieces);
  return { ...lineOf(cells, false, true), rtl: isRtl(pieces, false), fragments: cells };
}

interface Extent {
  u0: number;
  u1: number;
}

function extentOf(cell: Fragment): Extent {
  const all = [cell, ...(cell.wrapped ?? [])];
  return { u0: Math.min(...all.map(({ u0 }) => u0)), u1: Math.max(...all.map(({ u1 }) => u1)) };
}

/**
 * A table's rows with the empty cells between their own, which a page's tree does not have: a cell stands in the column that cells of other rows stand in. Where the
 * columns are not as many as the cells of the longest row, nothing is said of them.
 */
function withEmpty(rows: readonly Open[], usual: number): void {
  const cellsOf = ({ lines }: Open): readonly Fragment[] => lines[0]?.fragments ?? [];
  const most = Math.max(0, ...rows.map((row) => cellsOf(row).length));
  if (most < 3 || rows.every((row) => cellsOf(row).length === most)) return;
  const upright = rows.every(({ pieces }) => pieces.every(({ direction }) => direction === usual));
  const columns: Extent[] = [];
  const extents = rows.flatMap((row) => cellsOf(row).map(extentOf)).sort((a, b) => a.u1 - a.u0 - (b.u1 - b.u0));
  for (const { u0, u1 } of extents) {
    const over = columns.filter((column) => column.u0 < u1 && column.u1 > u0);
    if (over.length === 0) columns.push({ u0, u1 });
    else if (over.length === 1 && over[0] !== undefined) {
      over[0].u0 = Math.min(over[0].u0, u0);
      over[0].u1 = Math.max(over[0].u1, u1);
    }
  }
  columns.sort((a, b) => a.u0 - b.u0);
  const apart = columns.every(({ u0 }, i) => i === 0 || u0 >= (columns[i - 1]?.u1 ?? 0));
  if (!upright || !apart || columns.length !== most) return;
  for (const row of rows) {
    const [line] = row.lines;
    if (line === undefined || line.fragments.length === most) continue;
    const order = line.rtl ? columns.toReversed() : columns;
    let next = 0;
    const cells: Fragment[] = [];
    for (const [i, cell] of line.fragments.entries()) {
      const { u0, u1 } = extentOf(cell);
      const first = order.findIndex((column) => column.u0 < u1 && column.u1 > u0);
      const last = order.findLastIndex((column) => column.u0 < u1 && column.u1 > u0);
      if (first < next) break;
      cells.push(i > 0 && first > next ? { ...cell, empty: first - next } : cell);
      next = last + 1;
    }
    if (cells.length === line.fragments.length) row.lines[0] = { ...line, fragments: cells };
  }
}

/** Whether blocks come from below, where they stand above one another. */
function isBackwards(blocks: readonly Open[], usual: number): boolean {
  const boxes = blocks.flatMap(({ lines, pieces }) =>
    lines.length === 0 || pieces[0]?.direction !== usual
      ? []
      : [
          {
            u0: Math.min(...lines.map(({ u0 }) => u0)),
            u1: Math.max(...lines.map(({ u1 }) => u1)),
            top: Math.min(...lines.map(({ v, size }) => v - size / 2)),
            bottom: Math.max(...lines.map(({ v }) => v)),
          },
        ],
  );
  if (boxes.length > MOST_COMPARED) return false;
  let [forwards, backwards] = [0, 0];
  boxes.forEach((a, i) => {
    for (let k = i + 1; k < boxes.length; k++) {
      const b = boxes[k];
      if (b === undefined) continue;
      const common = Math.min(a.u1, b.u1) - Math.max(a.u0, b.u0);
      if (common < 0.5 * Math.min(a.u1 - a.u0, b.u1 - b.u0)) continue;
      if (a.bottom <= b.top) forwards++;
      else if (b.bottom <= a.top) backwards++;
    }
  });
  return backwards > MOST_BACKWARDS * (forwards + backwards);
}

const plainText = (pieces: readonly Piece[]): string =>
  pieces
    .map(({ text }) => text)
    .join('')
    .trim();

/** Whether lines were taken for paragraphs: many that follow each other end within a sentence, which goes on in the next one. */
function isBroken(blocks: readonly Open[]): boolean {
  let [pairs, broken] = [0, 0];
  blocks.forEach((one, i) => {
    const next = blocks[i + 1];
    if (one.part.kind !== 'paragraph' || next?.part.kind !== 'paragraph') return;
    pairs++;
    if (/[\p{Ll},-]$/u.test(plainText(one.pieces)) && /^\p{Ll}/u.test(plainText(next.pieces))) broken++;
  });
  return broken >= LEAST_BROKEN && broken > MOST_BROKEN * pairs;
}

/**
 * Paragraphs that are cells: what is written with tabs, and what stands side by side in boxes of its own. As in a layout without tags, a line with wide gaps is a row
 * where one next to it has cells at the same places.
 */
function withRows<Own>(found: readonly (Open | Own)[]): (Open | Own)[] {
  const isOpen = (one: Open | Own | undefined): one is Open =>
    typeof one === 'object' && one !== null && 'part' in one && one.part.kind === 'paragraph';
  /** Blocks, or several of them as one line. */
  const groups: { readonly members: readonly (Open | Own)[]; readonly line?: Line }[] = [];
  for (let i = 0; i < found.length;) {
    const first = found[i];
    if (!isOpen(first)) {
      groups.push({ members: first === undefined ? [] : [first] });
      i++;
      continue;
    }
    const members = [first];
    for (let last = first; ;) {
      const next = found[i + members.length];
      if (!isOpen(next) || !isBeside(last, next)) break;
      members.push(next);
      last = next;
    }
    i += members.length;
    const [only] = first.lines;
    if (members.length > 1) groups.push({ members, line: rowLine(members.map(({ lines }) => cellOfLines(lines))) });
    else
      groups.push({
        members,
        ...(first.lines.length === 1 &&
          only !== undefined &&
          only.fragments.length > 1 && { line: { ...only, row: true } }),
      });
  }
  return groups.flatMap(({ members, line }, i) => {
    const [first] = members;
    const beside = [groups[i - 1]?.line, groups[i + 1]?.line];
    const isCells =
      line !== undefined &&
      beside.some(
        (other) => other !== undefined && Math.abs(other.v - line.v) < ROW_DISTANCE * line.size && isRow(line, other),
      );
    if (!isCells || !isOpen(first)) return members;
    return [{ ...first, part: { ...first.part, kind: 'row' as const }, lines: [line] }];
  });
}

function cellOfLines(lines: readonly Line[]): Fragment {
  const [first, ...further] = lines.flatMap(({ fragments }) => fragments);
  return { ...(first as Fragment), ...(further.length > 0 && { wrapped: further }) };
}

/** Whether the second begins on the height of the first, behind it. */
function isBeside(first: Open, second: Open): boolean {
  const [a, b] = [first.lines[0], second.lines[0]];
  if (a === undefined || b === undefined || Math.max(first.lines.length, second.lines.length) > MOST_CELL_LINES)
    return false;
  const behind = a.rtl ? b.u1 <= a.u0 : b.u0 >= Math.max(...first.lines.map(({ u1 }) => u1));
  return Math.abs(a.v - b.v) < SAME_LINE * a.size && behind;
}
