/**
 * Columns of a page: where fragments leave a gutter free on both sides of which there is prose, or an empty strip beside which lines stand at heights of their own, they
 * are read column by column, between the lines that cross it.
 */
import type { Fragment } from './lines.ts';

/** Columns are looked for within columns so many times. */
const DEEPEST = 4;

/** Fragments by columns, in the order of reading. */
export function columns(fragments: readonly Fragment[], rtl: boolean, depth: number): Fragment[][] {
  const prose = depth < DEEPEST ? findGutter(fragments) : undefined;
  const side = prose ?? (depth < DEEPEST ? findCorridor(fragments) : undefined);
  const lists =
    side === undefined && depth < DEEPEST ? (besideItems(fragments) ?? besideAddress(fragments)) : undefined;
  const gutter = side ?? lists?.at;
  const corridor = prose === undefined;
  if (gutter === undefined) return fragments.length === 0 ? [] : [[...fragments]];
  const parts: Fragment[][] = [];
  let before: Fragment[] = [];
  let after: Fragment[] = [];
  let across: Fragment[] = [];
  const flushSides = (): void => {
    const [first, second] = rtl ? [after, before] : [before, after];
    const apart =
      corridor || first.length === 0 || second.length === 0 || pairsOf([...first, ...second], gutter) >= LEAST_PAIRS;
    if (!apart) parts.push([...first, ...second]);
    else parts.push(...columns(first, rtl, depth + 1), ...columns(second, rtl, depth + 1));
    before = [];
    after = [];
  };
  const flushAcross = (): void => {
    if (across.length > 0) parts.push(across);
    across = [];
  };
  const acrossLines = linesAcross(fragments, gutter);
  for (const one of fragments.toSorted((a, b) => a.v - b.v || a.u0 - b.u0)) {
    if (acrossLines.has(one.line) || (lists !== undefined && (one.v < lists.top || one.v > lists.bottom))) {
      flushSides();
      across.push(one);
    } else {
      flushAcross();
      (one.u1 <= gutter + 1 ? before : after).push(one);
    }
  }
  flushAcross();
  flushSides();
  return parts;
}

/** What of a line stands on either side of a gutter. */
interface Sides {
  before: number;
  after: number;
  /** The characters of its longest fragment. */
  longest: number;
  across: boolean;
}

/** Lines of which something crosses the gutter, and rows of tables on both sides of it. */
function linesAcross(fragments: readonly Fragment[], gutter: number): ReadonlySet<number> {
  const lines = new Map<number, Sides>();
  for (const { line, characters, u0, u1 } of fragments) {
    const known = lines.get(line) ?? { before: 0, after: 0, longest: 0, across: false };
    if (u1 <= gutter + 1) known.before++;
    else known.after++;
    known.longest = Math.max(known.longest, characters);
    known.across ||= u1 > gutter + 1 && u0 < gutter - 1;
    lines.set(line, known);
  }
  const isRow = ({ before, after, longest }: Sides): boolean =>
    before > 0 && after > 0 && before + after >= LEAST_CELLS && longest < LEAST_CHARACTERS;
  return new Set([...lines].flatMap(([line, sides]) => (sides.across || isRow(sides) ? [line] : [])));
}

/** A line of so many short fragments is a row of a table. */
const LEAST_CELLS = 4;
/** What makes a gutter: on each side at least so many fragments of so many characters, which fill so much of their side's width. */
const LEAST_FRAGMENTS = 5;
const LEAST_CHARACTERS = 20;
const LEAST_FILLED = 0.35;
/** Text between two lines across the gutter is read column by column where at least so many long fragments stand side by side. */
const LEAST_PAIRS = 2;
/** A page with more is no page of prose, and looking for gutters takes their number squared. */
const MOST_FRAGMENTS = 3000;

/** Where the best gutter between columns of prose ends, or undefined. Only fragments that are long enough for prose say where it is. */
function findGutter(fragments: readonly Fragment[]): number | undefined {
  if (fragments.length > MOST_FRAGMENTS) return undefined;
  const long = fragments.filter(({ characters }) => characters >= LEAST_CHARACTERS);
  if (long.length < 2 * LEAST_FRAGMENTS) return undefined;
  const size = median(long.map((one) => one.size));
  let best: { readonly at: number; readonly pairs: number } | undefined;
  for (const start of new Set(long.map(({ u0 }) => Math.round(u0)))) {
    const at = start - 0.3 * size;
    const before = long.filter(({ u1 }) => u1 <= at + 1);
    const after = long.filter(({ u0 }) => u0 >= at - 1);
    if (Math.min(before.length, after.length) < LEAST_FRAGMENTS || !isFilled(before) || !isFilled(after)) continue;
    const pairs = sideBySide(before, after);
    if (best !== undefined && pairs <= best.pairs) continue;
    if (mostPairs(long, at) >= LEAST_FRAGMENTS) best = { at, pairs };
  }
  return best?.at;
}

/** In font sizes: how wide an empty strip between columns is, and how far apart their lines stand. */
const LEAST_CORRIDOR = 1.2;
const LINE_DISTANCE = 2.4;
/** In font sizes: cells of a row have baselines no further apart. */
const SAME_ROW = 0.1;
/** A page with more empty strips is a table. */
const MOST_CORRIDORS = 6;
/** Of the side with fewer fragments: so many stand beside one of the other side at most, and so many near another one of their own. */
const MOST_BESIDE = 0.35;
const LEAST_TOGETHER = 0.6;

/**
 * Where an empty strip ends that parts the whole height, with lines on both sides at heights of their own, or undefined: a column at the side of a page ("Contact",
 * "Skills"), whose lines are too short for prose. Rows of a table stand beside each other.
 */
function findCorridor(fragments: readonly Fragment[]): number | undefined {
  if (fragments.length > MOST_FRAGMENTS || fragments.length < 2 * LEAST_FRAGMENTS) return undefined;
  const size = median(fragments.map((one) => one.size));
  let reached = -Infinity;
  let looked = 0;
  const sorted = fragments.toSorted((a, b) => a.u0 - b.u0);
  for (const [i, one] of sorted.entries()) {
    if (
      one.u0 - reached > LEAST_CORRIDOR * size &&
      i >= LEAST_FRAGMENTS &&
      sorted.length - i >= LEAST_FRAGMENTS &&
      looked < MOST_CORRIDORS
    ) {
      looked++;
      const [before, after] = [sorted.slice(0, i), sorted.slice(i)];
      const [few, many] = before.length < after.length ? [before, after] : [after, before];
      const beside = few.filter(({ v }) => many.some((other) => Math.abs(other.v - v) < SAME_ROW * size)).length;
      const together = few.filter((own) =>
        few.some((other) => other !== own && Math.abs(other.v - own.v) < LINE_DISTANCE * own.size),
      ).length;
      const prose = many.filter(({ characters }) => characters >= LEAST_CHARACTERS).length >= LEAST_FRAGMENTS;
      if (prose && beside <= MOST_BESIDE * few.length && together >= LEAST_TOGETHER * few.length)
        return one.u0 - 0.3 * size;
    }
    reached = Math.max(reached, one.u1);
  }
  return undefined;
}

const BULLET = /^\s*[•▪◦‣●○]/u;
/** So many lines have items side by side. */
const LEAST_ITEMS = 2;

/** What stands between the first and the last line of two lists side by side, and the line above. */
interface Lists {
  readonly at: number;
  readonly top: number;
  readonly bottom: number;
}

/** Two lists whose items stand side by side, or undefined: nobody writes marks of items into the cells of a row. */
function besideItems(fragments: readonly Fragment[]): Lists | undefined {
  const items = fragments.filter(({ pieces }) => BULLET.test(pieces[0]?.text ?? ''));
  const first = new Map<number, Fragment>();
  for (const item of items.toSorted((a, b) => a.u0 - b.u0)) if (!first.has(item.line)) first.set(item.line, item);
  const second = items.filter((item) => item.u0 > (first.get(item.line)?.u1 ?? Infinity));
  if (new Set(second.map(({ line }) => line)).size < LEAST_ITEMS) return undefined;
  const lines = new Set(second.map(({ line }) => line));
  const left = [...first.values()].filter(({ line }) => lines.has(line));
  const edge = Math.max(...left.map(({ u1 }) => u1));
  if (second.some(({ u0 }) => u0 < edge)) return undefined;
  const distance = LINE_DISTANCE * Math.max(...second.map(({ size }) => size));
  const heights = items.map(({ v }) => v);
  const [top, bottom] = [Math.min(...second.map(({ v }) => v)) - distance, Math.max(...heights) + distance];
  // A title of the first list may be longer than its items.
  const beside = fragments.filter(({ u0, v }) => u0 >= edge && v >= top && v <= bottom);
  return { at: Math.min(...beside.map(({ u0 }) => u0)) - 1, top, bottom };
}

/** What facts of a letter or an invoice are called, and what a line of an address is like: a street with a number, or a town with its code. */
const FACT =
  /:$|\b(?:no|nr|number|date|due|fällig|frist|terms|order|bestellung|customer|kunde|invoice|rechnung|account|konto|reference|referenz|ref|page|seite|vat|ust|tax|steuer|phone|telefon|email|e-mail|total|amount|balance)\b|(?:nummer|datum|betrag|zeitraum|bearbeiter(?:in)?|zeichen)\b/iu;
const STREET = /^\p{L}[\p{L}.'’ -]*\s\d{1,5}\s?\p{L}?,?$|^\d{1,5}\s\p{Lu}[\p{L}.'’ -]+,?$/u;
const TOWN =
  /^(?:\p{Lu}{1,2}-)?\d{4,6}\s+\p{Lu}[\p{L}.'’ -]*$|\p{L},?\s(?:\p{Lu}{2}\s)?\d{5}(?:-\d{4})?$|\b\p{Lu}{1,2}\d[\d\p{Lu}]?\s\d\p{Lu}{2}$/u;
/** In font sizes: how far facts stand from the address beside them. In lines: how many of them there are. */
const ADDRESS_GAP = 4;
const LEAST_FACTS = 2;
const LEAST_NAMED = 0.6;

const textOf = ({ pieces }: Fragment): string =>
  pieces
    .map(({ text }) => text)
    .join('')
    .trim();

/** Fragments of the same line together, in the order in which lines begin. */
export function byLine(fragments: readonly Fragment[]): Fragment[][] {
  const lines = new Map<number, Fragment[]>();
  for (const one of fragments) {
    const known = lines.get(one.line);
    if (known === undefined) lines.set(one.line, [one]);
    else known.push(one);
  }
  return [...lines.values()];
}

/**
 * An address with the facts of its letter beside it (number, date), or undefined: cells of which those to the right begin at one place and name facts, each with another
 * cell behind it, and those to the left are an address. As rows, they would say that the street was the date.
 */
function besideAddress(fragments: readonly Fragment[]): Lists | undefined {
  if (fragments.length > MOST_FRAGMENTS) return undefined;
  const sorted = byLine(fragments)
    .map((members) => members.sort((a, b) => a.u0 - b.u0))
    .sort((a, b) => (a[0]?.v ?? 0) - (b[0]?.v ?? 0));
  for (let first = 0; first < sorted.length; first++) {
    const [left] = sorted[first] ?? [];
    if (left === undefined) continue;
    const label = sorted
      .slice(first, first + LEAST_FACTS)
      .flatMap((row) => row.filter(({ u0 }) => u0 - left.u1 > ADDRESS_GAP * left.size).slice(0, 1))
      .at(0);
    if (label === undefined) continue;
    const near = (a: number, b: number): boolean => Math.abs(a - b) < 0.3 * left.size;
    const rows: { readonly own: Fragment | undefined; readonly facts: readonly Fragment[] }[] = [];
    let v = left.v;
    for (const row of sorted.slice(first)) {
      const [begin] = row;
      if (begin === undefined || begin.v - v > LINE_DISTANCE * left.size) break;
      // Lines of either side may stand at heights of their own.
      const own = begin.u1 < label.u0 ? begin : undefined;
      const facts = own === undefined ? row : row.slice(1);
      const [name] = facts;
      const fits =
        (own === undefined || near(own.u0, left.u0)) &&
        facts.length <= 2 &&
        (name === undefined || near(name.u0, label.u0)) &&
        (own === undefined || name === undefined || name.u0 - own.u1 > ADDRESS_GAP * left.size);
      if (!fits) break;
      rows.push({ own, facts });
      ({ v } = begin);
    }
    const facts = rows.filter((row) => row.facts.length === 2);
    const named = facts.filter(({ facts: [name] }) => name !== undefined && FACT.test(textOf(name)));
    const address = rows.flatMap(({ own }) => (own === undefined ? [] : [textOf(own)]));
    const isAddress = address.some((text) => STREET.test(text)) && address.some((text) => TOWN.test(text));
    if (!isAddress || facts.length < LEAST_FACTS || named.length < LEAST_NAMED * facts.length) continue;
    return { at: label.u0 - 1, top: left.v - 0.5 * left.size, bottom: v + 0.5 * left.size };
  }
  return undefined;
}

function isFilled(fragments: readonly Fragment[]): boolean {
  const width = Math.max(...fragments.map(({ u1 }) => u1)) - Math.min(...fragments.map(({ u0 }) => u0));
  return median(fragments.map(({ u0, u1 }) => u1 - u0)) >= LEAST_FILLED * width;
}

/** How many fragments of the side with fewer have others beside them. */
function sideBySide(before: readonly Fragment[], after: readonly Fragment[]): number {
  const [few, many] = before.length < after.length ? [before, after] : [after, before];
  const heights = Float64Array.from(many, ({ v }) => v).sort();
  return few.filter(({ v, size }) => {
    const next = heights[firstFrom(heights, v - size)];
    return next !== undefined && next <= v + size;
  }).length;
}

/** Where the first of sorted values stands that is not less than `least`, by halving. */
function firstFrom(sorted: Float64Array, least: number): number {
  let [from, to] = [0, sorted.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if ((sorted[middle] ?? 0) < least) from = middle + 1;
    else to = middle;
  }
  return from;
}

/** The most that stand side by side without anything across the gutter between them. */
function mostPairs(fragments: readonly Fragment[], gutter: number): number {
  let most = 0;
  let stretch: Fragment[] = [];
  const flush = (): void => {
    most = Math.max(most, pairsOf(stretch, gutter));
    stretch = [];
  };
  for (const one of fragments.toSorted((a, b) => a.v - b.v)) {
    if (one.u1 > gutter + 1 && one.u0 < gutter - 1) flush();
    else stretch.push(one);
  }
  flush();
  return most;
}

function pairsOf(fragments: readonly Fragment[], gutter: number): number {
  const long = fragments.filter(({ characters }) => characters >= LEAST_CHARACTERS);
  return sideBySide(
    long.filter(({ u1 }) => u1 <= gutter + 1),
    long.filter(({ u0 }) => u0 >= gutter - 1),
  );
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? 0;
}
