/** Expressions to deterministic automata over characters: Thompson's construction, then sets of its states. */
import { POINTS, UNITS, type CharSet } from './charset.ts';
import type { Expression, Parsed } from './expression.ts';
import { both, TooLarge, trimmed, without, type Edge, type Language } from './language.ts';

/** Instructions; counted repetitions are written out. */
const MOST_INSTRUCTIONS = 32768;
const MOST_STATES = 8192;
/** Steps of the construction of one expression, about a second. */
const MOST_WORK = 16_000_000;
/** Ranges of characters that the sets of one expression tell apart: \p{L} alone has 1,400. */
const MOST_RANGES = 65536;
const HIGH = 0xd800;
const LOW = 0xdc00;
const AFTER = 0xe000;

type Instruction =
  | { readonly op: 'set'; readonly set: number }
  | { readonly op: 'begin' | 'end' | 'match' }
  /** Goes on at each of these places. */
  | { readonly op: 'split'; readonly to: number[] };

/** `search`: words that contain a match, as patterns of schemas mean it; otherwise words that match as a whole. */
export function compileExpression({ expression, lookaheads, units }: Parsed, search: boolean): Language {
  const any: Expression = {
    kind: 'repeat',
    part: { kind: 'set', set: [0, units ? UNITS : POINTS] },
    least: 0,
    most: Infinity,
  };
  const language = (whole: Expression): Language => {
    const { program, sets } = assemble(whole);
    return new Subsets(program, classify(sets, units ? UNITS : POINTS)).language(units);
  };
  const plain = language(search ? { kind: 'sequence', parts: [any, expression, any] } : expression);
  return lookaheads.reduce((left, { negative, expression: ahead }) => {
    const following = language({ kind: 'sequence', parts: [ahead, any] });
    return negative ? without(left, following) : both(left, following);
  }, plain);
}

function assemble(expression: Expression): {
  readonly program: readonly Instruction[];
  readonly sets: readonly CharSet[];
} {
  const program: Instruction[] = [];
  const sets: CharSet[] = [];
  const numbers = new Map<string, number>();
  const add = (instruction: Instruction): number => {
    if (program.length >= MOST_INSTRUCTIONS)
      throw new TooLarge(`more than ${MOST_INSTRUCTIONS} places, its repetitions written out`);
    return program.push(instruction) - 1;
  };
  const split = (): number[] => {
    const to: number[] = [];
    add({ op: 'split', to });
    return to;
  };
  let steps = 0;
  const emit = (part: Expression): void => {
    // What is repeated may write nothing.
    if (++steps > MOST_WORK) throw new TooLarge(`more than ${MOST_WORK} steps to compile`);
    switch (part.kind) {
      case 'set': {
        const key = part.set.join();
        let set = numbers.get(key);
        if (set === undefined) {
          set = sets.push(part.set) - 1;
          numbers.set(key, set);
        }
        add({ op: 'set', set });
        break;
      }
      case 'begin':
      case 'end':
        add({ op: part.kind });
        break;
      case 'sequence':
        for (const one of part.parts) emit(one);
        break;
      case 'choice': {
        const branches = split();
        const ends: number[][] = [];
        for (const one of part.parts) {
          branches.push(program.length);
          emit(one);
          ends.push(split());
        }
        for (const end of ends) end.push(program.length);
        break;
      }
      case 'repeat': {
        for (let i = 0; i < part.least; i++) emit(part.part);
        if (part.most === Infinity) {
          const start = program.length;
          const loop = split();
          loop.push(program.length);
          emit(part.part);
          split().push(start);
          loop.push(program.length);
          break;
        }
        const exits: number[][] = [];
        for (let i = part.least; i < part.most; i++) {
          const exit = split();
          exit.push(program.length);
          exits.push(exit);
          emit(part.part);
        }
        for (const exit of exits) exit.push(program.length);
        break;
      }
      default:
        part satisfies never;
    }
  };
  emit(expression);
  add({ op: 'match' });
  return { program, sets };
}

/** Characters that no set tells apart are one class. */
interface Classes {
  /** Ascending from 0 without gaps: where a class begins, and which. */
  readonly ranges: readonly (readonly [from: number, to: number, kind: number])[];
  /** Of each class, the sets that it is in. */
  readonly in: readonly ReadonlySet<number>[];
}

function classify(sets: readonly CharSet[], end: number): Classes {
  const changes = new Map<number, number[]>();
  sets.forEach((set, number) => {
    for (const bound of set) {
      const list = changes.get(bound);
      if (list === undefined) changes.set(bound, [number]);
      else list.push(number);
    }
  });
  // Surrogates are told apart from other characters, and their two kinds from each other.
  for (const bound of [0, HIGH, LOW, AFTER, end]) if (!changes.has(bound)) changes.set(bound, []);
  if (changes.size > MOST_RANGES) throw new TooLarge(`more than ${MOST_RANGES} ranges of characters`);
  const bounds = [...changes.keys()].sort((a, b) => a - b);
  const kinds = new Map<string, number>();
  const members: ReadonlySet<number>[] = [];
  const inside = new Set<number>();
  const ranges: [number, number, number][] = [];
  bounds.forEach((from, i) => {
    for (const set of changes.get(from) ?? []) if (!inside.delete(set)) inside.add(set);
    const to = bounds[i + 1];
    if (to === undefined) return;
    const key = [...inside].sort((a, b) => a - b).join();
    let kind = kinds.get(key);
    if (kind === undefined) {
      kind = members.push(new Set(inside)) - 1;
      kinds.set(key, kind);
    }
    ranges.push([from, to, kind]);
  });
  return { ranges, in: members };
}

/** States of the deterministic automaton: sets of the places where the expression may go on. */
class Subsets {
  readonly #program: readonly Instruction[];
  readonly #classes: Classes;
  readonly #states = new Map<string, number>();
  readonly #places: (readonly number[])[] = [];
  /** Of each state, the next one for each class. */
  readonly #steps: (number | undefined)[][] = [];
  #work = 0;

  constructor(program: readonly Instruction[], classes: Classes) {
    this.#program = program;
    this.#classes = classes;
  }

  language(units: boolean): Language {
    // The start is a state of its own: only there does `^` hold.
    const start = this.#closure([0], true);
    this.#places.push(start.places);
    this.#steps.push([]);
    const edges: Edge[][] = [];
    const ends: boolean[] = [];
    for (let state = 0; state < this.#places.length; state++) {
      edges.push(units ? this.#unitEdges(state) : this.#pointEdges(state));
      ends.push(this.#closure(this.#places[state] ?? [], state === 0, true).matched);
    }
    return trimmed({ edges, ends });
  }

  #pointEdges(state: number): Edge[] {
    return this.#classes.ranges.flatMap(([from, to, kind]): Edge[] => {
      if (from >= HIGH && to <= AFTER) return [];
      const next = this.#step(state, kind);
      return next === undefined ? [] : [[from, to, next]];
    });
  }

  /** Two steps for a character that is two units. */
  #unitEdges(state: number): Edge[] {
    const { ranges } = this.#classes;
    const out = this.#pointEdges(state);
    const lows = ranges.filter(([from]) => from >= LOW && from < AFTER);
    for (const [from, to, kind] of ranges) {
      if (from < HIGH || from >= LOW) continue;
      const middle = this.#step(state, kind);
      if (middle === undefined) continue;
      const targets = lows.map(([start, end, low]) => [start, end, this.#step(middle, low)] as const);
      if (targets.every(([, , target]) => target === targets[0]?.[2])) {
        const target = targets[0]?.[2];
        if (target !== undefined) out.push([point(from, LOW), point(to, LOW), target]);
        continue;
      }
      for (let high = from; high < to; high++)
        for (const [start, end, target] of targets)
          if (target !== undefined) out.push([point(high, start), point(high, end), target]);
    }
    return out;
  }

  #step(state: number, kind: number): number | undefined {
    const known = this.#steps[state];
    if (known !== undefined && kind in known) return known[kind];
    const inside = this.#classes.in[kind];
    const next: number[] = [];
    for (const place of this.#places[state] ?? []) {
      const instruction = this.#program[place];
      if (instruction?.op === 'set' && inside?.has(instruction.set) === true) next.push(place + 1);
    }
    this.#spend(this.#places[state]?.length ?? 0);
    const found = next.length === 0 ? undefined : this.#stateOf(this.#closure(next, false).places);
    if (known !== undefined) known[kind] = found;
    return found;
  }

  #stateOf(places: readonly number[]): number | undefined {
    if (places.length === 0) return undefined;
    const key = places.join();
    let state = this.#states.get(key);
    if (state === undefined) {
      state = this.#places.push(places) - 1;
      if (state >= MOST_STATES) throw new TooLarge(`an automaton of more than ${MOST_STATES} states`);
      this.#states.set(key, state);
      this.#steps.push([]);
    }
    return state;
  }

  /** The places that wait for a character, an end or nothing, reached without one. `atEnd`: `$` holds, and `matched` says whether the whole matches. */
  #closure(
    from: readonly number[],
    atBegin: boolean,
    atEnd = false,
  ): { readonly places: number[]; readonly matched: boolean } {
    const seen = new Set<number>();
    const stack = [...from];
    const places: number[] = [];
    let matched = false;
    for (let place = stack.pop(); place !== undefined; place = stack.pop()) {
      if (seen.has(place)) continue;
      seen.add(place);
      const instruction = this.#program[place];
      switch (instruction?.op) {
        case 'split':
          stack.push(...instruction.to);
          break;
        case 'begin':
          if (atBegin) stack.push(place + 1);
          break;
        case 'end':
          places.push(place);
          if (atEnd) stack.push(place + 1);
          break;
        case 'match':
          matched = true;
          places.push(place);
          break;
        default:
          places.push(place);
      }
    }
    this.#spend(seen.size);
    return { places: places.sort((a, b) => a - b), matched };
  }

  #spend(steps: number): void {
    this.#work += steps;
    if (this.#work > MOST_WORK) throw new TooLarge(`more than ${MOST_WORK} steps to compile`);
  }
}

function point(high: number, low: number): number {
  // `high` may be the bound behind the last one, and `low` behind the last of its kind.
  return UNITS + ((high - HIGH) << 10) + (low - LOW);
}
