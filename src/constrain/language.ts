/** Regular languages over code points as deterministic automata, and what can be made of two of them. */
import { POINTS, pairs, SCALARS, type CharSet } from './charset.ts';

/** Characters `[from, to)` lead to a state. */
export type Edge = readonly [from: number, to: number, target: number];

/** State 0 is the start. Every state but the start can reach an end; a language without words has one state that is none. */
export interface Language {
  /** Of each state: ascending, without overlaps. */
  readonly edges: readonly (readonly Edge[])[];
  readonly ends: readonly boolean[];
}

/** Thrown where a limit is passed; the caller names what was compiled. */
export class TooLarge extends Error {}

/** States of one automaton over characters: as bytes it has some times as many. */
const MOST_STATES = 8192;

export const NOTHING: Language = { edges: [[]], ends: [false] };
export const ANYTHING: Language = { edges: [pairs(SCALARS).map(([from, to]): Edge => [from, to, 0])], ends: [true] };

export function isEmpty({ ends }: Language): boolean {
  return !ends.includes(true);
}

/** Without the states that reach no end, or that nothing reaches; equal neighbours are one edge. */
export function trimmed({ edges, ends }: Language): Language {
  const sources: number[][] = edges.map(() => []);
  edges.forEach((list, state) => list.forEach(([, , target]) => sources[target]?.push(state)));
  const alive = new Set(ends.flatMap((end, state) => (end ? [state] : [])));
  for (const state of alive) for (const source of sources[state] ?? []) alive.add(source);
  const numbers = new Map<number, number>([[0, 0]]);
  const order = [0];
  const out: Edge[][] = [];
  for (const state of order) {
    const list: Edge[] = [];
    for (const [from, to, target] of edges[state] ?? []) {
      if (!alive.has(target)) continue;
      let number = numbers.get(target);
      if (number === undefined) {
        number = order.push(target) - 1;
        numbers.set(target, number);
      }
      const last = list.at(-1);
      if (last !== undefined && last[1] === from && last[2] === number) list[list.length - 1] = [last[0], to, number];
      else list.push([from, to, number]);
    }
    out.push(list);
  }
  return { edges: out, ends: order.map((state) => ends[state] ?? false) };
}

/** No state: what is not in the language any more. */
const GONE = -1;

/** The words for which `keep(in a, in b)` holds; words in neither must not be kept. */
function combined(a: Language, b: Language, keep: (inA: boolean, inB: boolean) => boolean): Language {
  const states = new Map<string, number>();
  const list: [number, number][] = [];
  const of = (p: number, q: number): number => {
    const key = `${p} ${q}`;
    let state = states.get(key);
    if (state === undefined) {
      state = list.push([p, q]) - 1;
      if (state >= MOST_STATES) throw new TooLarge(`an automaton of more than ${MOST_STATES} states`);
      states.set(key, state);
    }
    return state;
  };
  const oneSided = [keep(true, false), keep(false, true)];
  of(0, 0);
  const edges: Edge[][] = [];
  const ends: boolean[] = [];
  for (let state = 0; state < list.length; state++) {
    const [p, q] = list[state] ?? [GONE, GONE];
    ends.push(keep(a.ends[p] ?? false, b.ends[q] ?? false));
    const out: Edge[] = [];
    for (const [from, to, left, right] of together(a.edges[p] ?? [], b.edges[q] ?? [])) {
      if ((left === GONE && oneSided[1] !== true) || (right === GONE && oneSided[0] !== true)) continue;
      out.push([from, to, of(left, right)]);
    }
    edges.push(out);
  }
  return trimmed({ edges, ends });
}

/** The intervals in which neither list changes, with both targets. */
function* together(
  a: readonly Edge[],
  b: readonly Edge[],
): Generator<readonly [from: number, to: number, left: number, right: number]> {
  let [i, j, at] = [0, 0, 0];
  while (i < a.length || j < b.length) {
    const [aFrom, aTo, aTarget] = a[i] ?? [POINTS, POINTS, GONE];
    const [bFrom, bTo, bTarget] = b[j] ?? [POINTS, POINTS, GONE];
    at = Math.max(at, Math.min(aFrom, bFrom));
    const inA = aFrom <= at && at < aTo;
    const inB = bFrom <= at && at < bTo;
    const to = Math.min(inA ? aTo : aFrom > at ? aFrom : POINTS, inB ? bTo : bFrom > at ? bFrom : POINTS);
    if (inA || inB) yield [at, to, inA ? aTarget : GONE, inB ? bTarget : GONE];
    at = to;
    if (at >= aTo) i++;
    if (at >= bTo) j++;
  }
}

export function both(a: Language, b: Language): Language {
  if (a === ANYTHING) return b;
  if (b === ANYTHING) return a;
  return combined(a, b, (inA, inB) => inA && inB);
}

export function either(a: Language, b: Language): Language {
  return combined(a, b, (inA, inB) => inA || inB);
}

export function without(a: Language, b: Language): Language {
  return combined(a, b, (inA, inB) => inA && !inB);
}

/** Exactly these words. */
export function words(list: readonly string[]): Language {
  const nodes: { readonly next: Map<number, number>; end: boolean }[] = [{ next: new Map(), end: false }];
  for (const word of list) {
    let at = 0;
    for (const character of word) {
      const node = nodes[at];
      const code = character.codePointAt(0) ?? 0;
      let next = node?.next.get(code);
      if (next === undefined) {
        next = nodes.push({ next: new Map(), end: false }) - 1;
        if (next >= MOST_STATES) throw new TooLarge(`words of more than ${MOST_STATES} characters together`);
        node?.next.set(code, next);
      }
      at = next;
    }
    const last = nodes[at];
    if (last !== undefined) last.end = true;
  }
  return trimmed({
    edges: nodes.map(({ next }) => [...next].sort(([a], [b]) => a - b).map(([code, to]): Edge => [code, code + 1, to])),
    ends: nodes.map(({ end }) => end),
  });
}

/** Words of `least` to `most` characters. */
export function ofLength(least: number, most: number): Language {
  const states = Number.isFinite(most) ? most + 1 : least + 1;
  if (states > MOST_STATES) throw new TooLarge(`a length beside a pattern of more than ${MOST_STATES - 1} characters`);
  return {
    edges: Array.from({ length: states }, (_, state) =>
      state === states - 1 && Number.isFinite(most)
        ? []
        : pairs(SCALARS).map(([from, to]): Edge => [from, to, Math.min(state + 1, states - 1)]),
    ),
    ends: Array.from({ length: states }, (_, state) => state >= least),
  };
}

/** The words of `language` whose characters are all in the set. */
export function within(language: Language, set: CharSet): Language {
  return both(language, { edges: [pairs(set).map(([from, to]): Edge => [from, to, 0])], ends: [true] });
}

export function contains({ edges, ends }: Language, word: string): boolean {
  let state = 0;
  for (const character of word) {
    const code = character.codePointAt(0) ?? 0;
    const edge = edges[state]?.find(([from, to]) => from <= code && code < to);
    if (edge === undefined) return false;
    state = edge[2];
  }
  return ends[state] ?? false;
}
