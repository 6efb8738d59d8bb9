/**
 * Grammars as terms, and where an answer stands in one: a set of threads, each an automaton's state and what must follow it. What follows is a graph
 * in which equal rests are one node, so that recursion and ambiguity cost what they differ in (Tomita's graph-structured stack, with terms for rules).
 */
import type { Atom } from './atom.ts';
import { InputError } from '../errors.ts';

/** Terms are told apart by identity: whoever makes them makes equal ones once. Every term can be written to its end. */
export type Term =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'atom'; readonly atom: Atom; readonly state: number }
  | { readonly kind: 'pair'; readonly first: Term; readonly rest: Term }
  | { readonly kind: 'choice'; readonly parts: readonly Term[] }
  /** Made when an answer comes to it; it must not come to itself before a byte is written. */
  | { readonly kind: 'later'; readonly make: () => Term };

export const EMPTY: Term = { kind: 'nothing' };

export function atom(of: Atom, state = 0): Term {
  return { kind: 'atom', atom: of, state };
}

export function sequence(...parts: readonly Term[]): Term {
  return parts.reduceRight((rest, first) => (rest === EMPTY ? first : { kind: 'pair', first, rest }), EMPTY);
}

export function choice(parts: readonly Term[]): Term {
  const [only] = parts;
  return parts.length === 1 && only !== undefined ? only : { kind: 'choice', parts };
}

export function later(make: () => Term): Term {
  let made: Term | undefined;
  return { kind: 'later', make: () => (made ??= make()) };
}

/** What must follow: one of these terms, each with what follows it in turn. If `ends` is true, nothing has to follow. */
export interface Rest {
  readonly id: number;
  readonly ends: boolean;
  readonly items: readonly { readonly term: Term; readonly rest: Rest }[];
}

/** An automaton in a state, and what must follow it. */
export interface Thread {
  readonly atom: Atom;
  readonly state: number;
  readonly rest: Rest;
}

/** All ways in which an answer can go on. */
export interface Threads {
  readonly threads: readonly Thread[];
  /** Whether it may end here. */
  readonly ends: boolean;
}

/** Steps to find out what may come next; schemas with a thousand properties take some thousands. */
const MOST_STEPS = 1_000_000;

/** The nodes of one grammar's rests, made once each. */
export class Rests {
  readonly #terms = new Map<Term, number>();
  readonly #known = new Map<string, Rest>();
  readonly #openings = new Map<Rest, Threads>();
  readonly #none = this.#node(false, []);
  readonly end = this.#node(true, []);

  /** How many there are. */
  get size(): number {
    return this.#known.size;
  }

  /** The threads with which an answer begins that is one `term`. */
  start(term: Term): Threads {
    return this.open(this.#before(term, this.end));
  }

  /** The threads with which `rest` begins. */
  open(rest: Rest): Threads {
    const known = this.#openings.get(rest);
    if (known !== undefined) return known;
    const found = this.#open(rest);
    this.#openings.set(rest, found);
    return found;
  }

  /** The threads after a byte. */
  step({ threads }: Threads, byte: number): Threads {
    const next = new ThreadSet(this);
    for (const { atom, state, rest } of threads) {
      const after = atom.step(state, byte);
      if (after >= 0) next.enter(atom, after, rest);
    }
    return next.take();
  }

  union(a: Rest, b: Rest): Rest {
    if (a === b || b === this.#none) return a;
    if (a === this.#none) return b;
    const merged = new Map(a.items.map(({ term, rest }) => [term, rest]));
    for (const { term, rest } of b.items) {
      const other = merged.get(term);
      merged.set(term, other === undefined ? rest : this.union(other, rest));
    }
    return this.#node(
      a.ends || b.ends,
      [...merged].map(([term, rest]) => ({ term, rest })),
    );
  }

  #open(rest: Rest): Threads {
    const out = new ThreadSet(this);
    const done = new Map<Term, Rest>();
    const waiting = new Map<Term, Rest>();
    const add = (term: Term, then: Rest): void => {
      const before = done.get(term);
      if (before !== undefined && this.union(before, then) === before) return;
      waiting.set(term, this.union(waiting.get(term) ?? this.#none, then));
    };
    /** What begins where a term may be empty. */
    const skip = (then: Rest): void => {
      out.ends ||= then.ends;
      for (const item of then.items) add(item.term, item.rest);
    };
    skip(rest);
    let steps = 0;
    for (let entry = first(waiting); entry !== undefined; entry = first(waiting)) {
      if (++steps > MOST_STEPS) throw tooAmbiguous();
      const [term, then] = entry;
      waiting.delete(term);
      done.set(term, this.union(done.get(term) ?? this.#none, then));
      switch (term.kind) {
        case 'nothing':
          skip(then);
          break;
        case 'atom':
          out.add(term.atom, term.state, then);
          if (term.atom.ends(term.state)) skip(then);
          break;
        case 'pair':
          add(term.first, this.#before(term.rest, then));
          break;
        case 'choice':
          for (const part of term.parts) add(part, then);
          break;
        case 'later':
          add(term.make(), then);
          break;
        default:
          term satisfies never;
      }
    }
    return out.take();
  }

  #before(term: Term, rest: Rest): Rest {
    return term === EMPTY ? rest : this.#node(false, [{ term, rest }]);
  }

  #node(ends: boolean, items: Rest['items']): Rest {
    const names = items.map(({ term, rest }) => `${this.#name(term)}:${rest.id}`).sort();
    const key = `${ends ? '.' : ''}${names.join()}`;
    let node = this.#known.get(key);
    if (node === undefined) {
      node = { id: this.#known.size, ends, items };
      this.#known.set(key, node);
    }
    return node;
  }

  #name(term: Term): number {
    let name = this.#terms.get(term);
    if (name === undefined) {
      name = this.#terms.size;
      this.#terms.set(term, name);
    }
    return name;
  }
}

/** Threads while they are collected: those in the same state of the same automaton become one. */
class ThreadSet {
  ends = false;
  readonly #rests: Rests;
  readonly #threads = new Map<string, Thread>();

  constructor(rests: Rests) {
    this.#rests = rests;
  }

  add(atom: Atom, state: number, rest: Rest): void {
    if (!atom.goesOn(state)) return;
    const key = `${atom.id}.${state}`;
    const same = this.#threads.get(key);
    if (same === undefined) this.#threads.set(key, { atom, state, rest });
    else if (same.rest !== rest) this.#threads.set(key, { ...same, rest: this.#rests.union(same.rest, rest) });
  }

  /** The same after a byte: where the automaton may end, what follows it begins. */
  enter(atom: Atom, state: number, rest: Rest): void {
    this.add(atom, state, rest);
    if (!atom.ends(state)) return;
    const opening = this.#rests.open(rest);
    this.ends ||= opening.ends;
    for (const thread of opening.threads) this.add(thread.atom, thread.state, thread.rest);
  }

  take(): Threads {
    return { threads: [...this.#threads.values()], ends: this.ends };
  }
}

function first<K, V>(map: ReadonlyMap<K, V>): [K, V] | undefined {
  for (const entry of map) return entry;
  return undefined;
}

function tooAmbiguous(): InputError {
  return new InputError(
    'argument',
    `responseConstraint: what may come next takes more than ${MOST_STEPS} steps to find; make its branches differ earlier, or have fewer of them`,
    { limit: MOST_STEPS },
  );
}
