/** Rows of tables among the lines of a column: lines that have cells at the same places, with the further lines of cells that were wrapped, below their row's line or around it. */
import type { Fragment, Line } from './lines.ts';

/** A line of which it is not known yet whether it is a row. */
type PlainLine = Omit<Line, 'row' | 'labelled'>;

/** The lines of one column from above, with each row of a table as one line. */
export function tableRows(lines: readonly PlainLine[]): Line[] {
  const together = centred(lines);
  return withEmptyCells(
    wrapped(
      together.map((line, i) => {
        const labelled = isClause(line);
        return { ...line, labelled, row: !labelled && (besideRow(together, i, -1) || besideRow(together, i, 1)) };
      }),
    ),
  );
}

/** The number of a clause, and how many characters of its text stand beside it at least. */
const CLAUSE = /^(?:§\s?)?(?:\d{1,3}(?:\.\d{1,3})+\.?|\(?(?:\d{1,3}|[a-z]{1,2}|[ivx]{1,5})[.)])$/;
const LEAST_CLAUSE = 30;

/** Whether a line is the number of a clause and the beginning of its text, which have the look of two cells. */
function isClause({ fragments }: PlainLine): boolean {
  const [label, text, ...more] = fragments;
  if (label === undefined || text === undefined || more.length > 0 || text.characters < LEAST_CLAUSE) return false;
  const own = label.pieces.map((piece) => piece.text).join('');
  return own.length < 16 && CLAUSE.test(own.trim());
}

/** Rows of tables in which cells are empty: a cell stands in the column above which or below which it stands, as in the rows that have all cells. */
function withEmptyCells(lines: readonly Line[]): Line[] {
  const found: Line[] = [];
  for (let first = 0; first < lines.length;) {
    let end = first;
    while (lines[end]?.row && (end === first || isNear(lines[end - 1], lines[end]))) end++;
    const table = lines.slice(first, Math.max(end, first + 1));
    const columns = columnsOf(table);
    for (const line of table) found.push(columns === undefined ? line : withGaps(line, columns));
    first += table.length;
  }
  return found;
}

/** Whether two rows are of one table: further down another one has columns of its own. */
function isNear(above: Line | undefined, below: Line | undefined): boolean {
  return above !== undefined && below !== undefined && distance(above, below) <= ROW_DISTANCE * below.size;
}

interface Extent {
  readonly u0: number;
  readonly u1: number;
}

const fromLeft = ({ fragments }: Line): Fragment[] => fragments.toSorted((a, b) => a.u0 - b.u0);
/** How far a cell reaches, with its further lines. */
function extentOf(cell: Fragment): Extent {
  const all = [cell, ...(cell.wrapped ?? [])];
  return { u0: Math.min(...all.map(({ u0 }) => u0)), u1: Math.max(...all.map(({ u1 }) => u1)) };
}

/** The columns of a table, from the rows with most cells, where their cells stand apart: at least two, or the first row, which names them. */
function columnsOf(table: readonly Line[]): readonly Extent[] | undefined {
  const most = Math.max(...table.map(({ fragments }) => fragments.length));
  const whole = table.filter(({ fragments }) => fragments.length === most);
  if (most < 3 || whole.length === table.length || (whole.length < 2 && whole[0] !== table[0])) return undefined;
  const cells = whole.map((line) => fromLeft(line).map(extentOf));
  const columns = Array.from({ length: most }, (_, i) => ({
    u0: Math.min(...cells.map((row) => row[i]?.u0 ?? 0)),
    u1: Math.max(...cells.map((row) => row[i]?.u1 ?? 0)),
  }));
  return columns.every(({ u0 }, i) => i === 0 || u0 > (columns[i - 1]?.u1 ?? 0)) ? columns : undefined;
}

/** A row with the empty cells between its own, or as it is where a cell stands in no column. */
function withGaps(line: Line, columns: readonly Extent[]): Line {
  const cells = fromLeft(line);
  if (cells.length >= columns.length) return line;
  const gaps = new Map<Fragment, number>();
  let before: { readonly cell: Fragment; readonly last: number } | undefined;
  for (const cell of cells) {
    const { u0, u1 } = extentOf(cell);
    const own = columns.flatMap((column, i) => (column.u0 < u1 && column.u1 > u0 ? [i] : []));
    const [first, last] = [own[0], own.at(-1)];
    if (first === undefined || last === undefined || (before !== undefined && first <= before.last)) return line;
    if (before !== undefined) gaps.set(line.rtl ? before.cell : cell, first - before.last - 1);
    before = { cell, last };
  }
  return {
    ...line,
    fragments: line.fragments.map((one) => {
      const empty = gaps.get(one) ?? 0;
      return empty > 0 ? { ...one, empty } : one;
    }),
  };
}

/** Rows of a table stand no further apart than this, in font sizes, but for the further lines of their cells. */
export const ROW_DISTANCE = 4;
/** Lines of one cell stand no further apart than this, in font sizes, and nearer than rows by this factor. */
const CELL_LEADING = 1.5;
const ROW_APART = 1.15;

/** Whether the next line above or below that is more than a further line of a cell is a row as this one is. */
function besideRow(lines: readonly PlainLine[], at: number, step: 1 | -1): boolean {
  const line = lines[at];
  if (line === undefined || line.fragments.length < 2) return false;
  let before = line;
  for (let i = at + step; ; i += step) {
    const other = lines[i];
    if (other === undefined) return false;
    if (other.fragments.length > 1) {
      const near = distance(before, other) <= ROW_DISTANCE * line.size;
      return near && isRow(line, other);
    }
    if (!isWithinCells(other, line) || distance(before, other) > ROW_DISTANCE * line.size) return false;
    before = other;
  }
}

/** From the last line of one to the first of the other. */
function distance(a: PlainLine, b: PlainLine): number {
  const heights = ({ fragments }: PlainLine): number[] =>
    fragments.flatMap(({ v, wrapped: further = [] }) => [v, ...further.map((one) => one.v)]);
  const [above, below] = a.v < b.v ? [a, b] : [b, a];
  return Math.max(0, Math.min(...heights(below)) - Math.max(...heights(above)));
}

/** Whether all of a line stands below (or above) cells of a row but its first, each at the left or right edge of one: what stands below the first begins something new. */
function isWithinCells(line: PlainLine, row: PlainLine): boolean {
  const near = (a: number, b: number): boolean => Math.abs(a - b) < 0.3 * line.size;
  return line.fragments.every((own) =>
    row.fragments.slice(1).some((cell) => near(own.u0, cell.u0) || near(own.u1, cell.u1)),
  );
}

/** Lines of a cell are so many at most, above and below the middle of their row. */
const MOST_BESIDE = 10;

/**
 * Rows whose cells stand in the middle of the row's height: the lines of a wrapped cell are as many above the other cells as below them, and nothing else stands
 * within their height.
 */
function centred(lines: readonly PlainLine[]): PlainLine[] {
  const taken = new Set<Fragment>();
  const rows = new Map<PlainLine, Fragment[]>();
  lines.forEach((line, i) => {
    if (line.fragments.some((one) => taken.has(one))) return;
    const around = lines
      .slice(Math.max(0, i - MOST_BESIDE), i + MOST_BESIDE + 1)
      .flatMap(({ fragments }) => fragments)
      .filter((one) => !taken.has(one) && !line.fragments.includes(one));
    const cells = wrappedAround(line, around);
    const members = new Set(cells.flat());
    const names = line.fragments.filter((one) => !members.has(one));
    if (cells.length === 0 || names.length === 0) return;
    const apart = (a: Fragment, b: Fragment): boolean => a.u1 <= b.u0 || a.u0 >= b.u1;
    const top = Math.min(...[...members].map(({ v }) => v));
    const bottom = Math.max(...[...members].map(({ v }) => v));
    const alone =
      names.every((name) => [...members].every((one) => apart(name, one))) &&
      around.every((one) => members.has(one) || one.v < top || one.v > bottom);
    if (!alone) return;
    for (const one of members) taken.add(one);
    const whole = cells.flatMap(([first, ...further]) =>
      first === undefined ? [] : [{ ...first, line: line.fragments[0]?.line ?? first.line, wrapped: further }],
    );
    const fragments = [...names, ...whole];
    rows.set(
      line,
      fragments.sort((a, b) => (line.rtl ? b.u0 - a.u0 : a.u0 - b.u0)),
    );
  });
  const whole = lines.flatMap((line) => {
    const fragments = rows.get(line) ?? line.fragments.filter((one) => !taken.has(one));
    if (fragments.length === 0) return [];
    const own = { u0: Math.min(...fragments.map(({ u0 }) => u0)), u1: Math.max(...fragments.map(({ u1 }) => u1)) };
    return [{ ...line, ...own, fragments }];
  });
  return betweenRows(whole);
}

/** A cell of two rows, in the middle of both, is one of the upper row. In font sizes, so far below it at most. */
const BETWEEN = 1.2;

function betweenRows(lines: readonly PlainLine[]): PlainLine[] {
  const found: PlainLine[] = [];
  lines.forEach((line, i) => {
    const above = found.at(-1);
    const below = lines[i + 1];
    const beside =
      above !== undefined &&
      below !== undefined &&
      above.fragments.length > 1 &&
      below.fragments.length > 1 &&
      line.v - above.v < BETWEEN * line.size &&
      Math.abs((above.v + below.v) / 2 - line.v) < 0.3 * line.size &&
      isRow(above, below) &&
      line.fragments.every((own) =>
        [...above.fragments, ...below.fragments].every((cell) => own.u1 <= cell.u0 || own.u0 >= cell.u1),
      );
    if (!beside) {
      found.push(line);
      return;
    }
    const fragments = [...above.fragments, ...line.fragments].sort((a, b) => (above.rtl ? b.u0 - a.u0 : a.u0 - b.u0));
    found[found.length - 1] = {
      ...above,
      fragments,
      u0: Math.min(above.u0, line.u0),
      u1: Math.max(above.u1, line.u1),
    };
  });
  return found;
}

/** The cells of which as many lines stand above a line as below it, each from its first line to its last. */
function wrappedAround({ fragments, v, size }: PlainLine, around: readonly Fragment[]): Fragment[][] {
  const near = (a: number, b: number): boolean => Math.abs(a - b) < 0.3 * size;
  const beside = around.filter((one) => Math.abs(one.v - v) < CELL_LEADING * size);
  const cells: Fragment[][] = [];
  // The lines of a cell begin, end, or have their middle at one place.
  const places = [({ u0 }: Fragment) => u0, ({ u1 }: Fragment) => u1, ({ u0, u1 }: Fragment) => (u0 + u1) / 2];
  for (const [place, edge] of places.flatMap((of) => [...new Set(beside.map(of))].map((at) => [of, at] as const))) {
    const own = around.filter((one) => near(place(one), edge));
    if (cells.flat().some((one) => own.includes(one))) continue;
    const middle = fragments.find((one) => near(place(one), edge));
    const above = own.filter((one) => one.v < v).sort((a, b) => b.v - a.v);
    const below = own.filter((one) => one.v > v).sort((a, b) => a.v - b.v);
    const [over, under] = [above[0], below[0]];
    if (over === undefined || under === undefined) continue;
    const leading = middle === undefined ? under.v - over.v : v - over.v;
    if (leading > CELL_LEADING * size || !near((over.v + under.v) / 2, v)) continue;
    const run = (side: readonly Fragment[]): number => {
      const end = side.findIndex(
        (one, i) => i > 0 && Math.abs(Math.abs(one.v - (side[i - 1]?.v ?? 0)) - leading) > 0.2 * size,
      );
      return end < 0 ? side.length : end;
    };
    const count = run(above);
    if (count !== run(below)) continue;
    cells.push([...above.slice(0, count).reverse(), ...(middle ? [middle] : []), ...below.slice(0, count)]);
  }
  return cells;
}

/** Rows together with the further lines of their cells: those that stand nearer to their row than the next row does. */
function wrapped(lines: readonly Line[]): Line[] {
  const found: Line[] = [];
  let previous: Line | undefined;
  for (const [i, line] of lines.entries()) {
    const row = found.at(-1);
    const next = lines[i + 1];
    const leading = line.v - (previous?.v ?? 0);
    const goesOn =
      row?.row &&
      line.fragments.length < row.fragments.length &&
      leading <= CELL_LEADING * line.size &&
      (next === undefined || next.v - line.v > ROW_APART * leading || isWithinCells(next, row)) &&
      isWithinCells(line, row);
    if (goesOn) found[found.length - 1] = withWrapped(row, line);
    else found.push(line);
    previous = line;
  }
  return found;
}

/** A row with the further line of some of its cells. */
function withWrapped(row: Line, line: Line): Line {
  const near = (own: Fragment, cell: Fragment): number =>
    Math.min(Math.abs(own.u0 - cell.u0), Math.abs(own.u1 - cell.u1));
  const fragments = [...row.fragments];
  for (const own of line.fragments) {
    let best = 0;
    fragments.forEach((cell, i) => {
      if (near(own, cell) < near(own, fragments[best] ?? cell)) best = i;
    });
    const cell = fragments[best];
    if (cell !== undefined) fragments[best] = { ...cell, wrapped: [...(cell.wrapped ?? []), own] };
  }
  return { ...row, fragments, u0: Math.min(row.u0, line.u0), u1: Math.max(row.u1, line.u1) };
}

/** Whether two lines have cells at the same places. */
export function isRow(line: PlainLine, other: PlainLine): boolean {
  const near = (a: number, b: number): boolean => Math.abs(a - b) < 0.8 * line.size;
  const aligned = (a: Fragment, b: Fragment): boolean =>
    near(a.u0, b.u0) || near(a.u1, b.u1) || near((a.u0 + a.u1) / 2, (b.u0 + b.u1) / 2);
  // All begin at the edge: the first says nothing.
  return line.fragments.slice(1).some((one) => other.fragments.slice(1).some((beside) => aligned(one, beside)));
}
