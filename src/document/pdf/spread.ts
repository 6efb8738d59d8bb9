/**
 * Words of justified lines, however wide the spaces between them are: a narrow column may have lines of two or three long words. Alone, such a line looks as a row does;
 * that several of them begin and end at the same two edges, each with equal spaces of its own and with words that do not stand below each other, makes them prose.
 */
import type { Piece } from './lines.ts';

/** In font sizes: how far edges of lines, and spaces of one line, may differ, and by how much spaces of different lines do. */
const SAME_EDGE = 0.1;
const SAME_SPACE = 0.05;
const OTHER_SPACE = 0.3;
/** Words of different lines that begin, end or have their middle as near stand below each other. */
const ALIGNED = 0.3;
/** In font sizes: wider ones are no spaces; words of one line differ in width by so much. */
const WIDEST = 12;
const OTHER_WIDTH = 0.5;
/** So many lines, of three words at least, say that there is a column. In font sizes: how far its other lines are from them. */
const LEAST_LINES = 2;
const LINE_DISTANCE = 2.4;
/** A page with more lines that may be such has none: looking takes their number squared. */
const MOST_STRETCHES = 1000;

interface Stretch {
  readonly pieces: readonly Piece[];
  readonly u0: number;
  readonly u1: number;
  readonly v: number;
  readonly size: number;
  readonly gap: number;
}

/** The pieces that follow a space of a justified line, of lines whose pieces come from left to right. */
export function spreadWords(lines: readonly (readonly Piece[])[]): ReadonlySet<Piece> {
  const found = new Set<Piece>();
  const stretches = lines.flatMap((line) => stretchesOf(line));
  if (stretches.length > MOST_STRETCHES) return found;
  for (const first of stretches) {
    if (first.pieces[1] === undefined || found.has(first.pieces[1])) continue;
    const alike = stretches.filter((other) => isSameColumn(first, other));
    const own = alike.filter((other) => other === first || (isOther(first, other) && !isAligned(first, other)));
    if (own.length < LEAST_LINES) continue;
    let [top, bottom] = [Math.min(...own.map(({ v }) => v)), Math.max(...own.map(({ v }) => v))];
    const inColumn = lines.flatMap((line) => {
      const within = line.filter(
        ({ u0, u1 }) => u0 >= first.u0 - first.size * SAME_EDGE && u1 <= first.u1 + first.size * SAME_EDGE,
      );
      const stretch = stretchOf(within);
      return stretch !== undefined && isSameColumn(first, stretch) ? [stretch] : [];
    });
    // From the lines that are known to those next to them.
    for (let grown = true; grown;) {
      grown = false;
      for (const { v, size } of inColumn) {
        if (v < top && v >= top - LINE_DISTANCE * size) [top, grown] = [v, true];
        if (v > bottom && v <= bottom + LINE_DISTANCE * size) [bottom, grown] = [v, true];
      }
    }
    for (const { pieces, v } of inColumn)
      if (v >= top && v <= bottom) for (const piece of pieces.slice(1)) found.add(piece);
  }
  return found;
}

/** Three words or more in a row with equal spaces, as far as they go. */
function stretchesOf(line: readonly Piece[]): Stretch[] {
  const found: Stretch[] = [];
  for (let first = 0; first + 2 < line.length;) {
    let end = first + 2;
    while (end < line.length && stretchOf(line.slice(first, end + 1)) !== undefined) end++;
    const stretch = end > first + 2 ? stretchOf(line.slice(first, end)) : undefined;
    if (stretch !== undefined) found.push(stretch);
    first = stretch === undefined ? first + 1 : end;
  }
  return found;
}

/** Pieces whose spaces are equal. */
function stretchOf(pieces: readonly Piece[]): Stretch | undefined {
  const [first, last] = [pieces[0], pieces.at(-1)];
  if (first === undefined || last === undefined || pieces.length < 2) return undefined;
  const gaps = pieces.slice(1).map(({ u0 }, i) => u0 - (pieces[i]?.u1 ?? u0));
  const [least, most] = [Math.min(...gaps), Math.max(...gaps)];
  const widths = pieces.map(({ u0, u1 }) => u1 - u0);
  const words = pieces.length === 2 || Math.max(...widths) - Math.min(...widths) > OTHER_WIDTH * first.size;
  if (least <= 0 || most > WIDEST * first.size || most - least > SAME_SPACE * first.size || !words) return undefined;
  return { pieces, u0: first.u0, u1: last.u1, v: first.v, size: first.size, gap: least };
}

function isSameColumn(a: Stretch, b: Stretch): boolean {
  return Math.abs(a.u0 - b.u0) <= SAME_EDGE * a.size && Math.abs(a.u1 - b.u1) <= SAME_EDGE * a.size;
}

function isOther(a: Stretch, b: Stretch): boolean {
  return a.v !== b.v && Math.abs(a.gap - b.gap) > OTHER_SPACE * a.size;
}

/** Whether a word within one of them stands below a word within the other, as cells do. */
function isAligned(a: Stretch, b: Stretch): boolean {
  const near = (x: number, y: number): boolean => Math.abs(x - y) < ALIGNED * a.size;
  return a.pieces
    .slice(1, -1)
    .every((one) =>
      b.pieces
        .slice(1, -1)
        .some(
          (other) =>
            near(one.u0, other.u0) || near(one.u1, other.u1) || near((one.u0 + one.u1) / 2, (other.u0 + other.u1) / 2),
        ),
    );
}
