/** The deterministic automata over bytes that grammars are made of. Every state of one can still reach an end of it. */
import type { Vocabulary } from './vocabulary.ts';

/** What walking the tokens along an automaton finds. */
export interface Found {
  /** A node whose token ends within the automaton. */
  token(node: number): void;
  /** A node at which the automaton may end while the token goes on. */
  exit(node: number): void;
}

export interface Atom {
  /** Equal for equal automata only. */
  readonly id: number;
  /** The state after a byte; -1 where none may come. */
  step(state: number, byte: number): number;
  /** Whether the text may end in the state. */
  ends(state: number): boolean;
  /** Whether the text may go on from the state. */
  goesOn(state: number): boolean;
  /** A state with the same tokens: masks are kept by it. */
  alike(state: number): number;
  /** Follows the tokens below `node` from `state`, and says what becomes of each. */
  walk(vocabulary: Vocabulary, node: number, state: number, found: Found): void;
  /** The same from the root for automata that know a shorter way: sets the ids of tokens that end within it, and returns the exits. */
  whole?(state: number, bits: Uint32Array): readonly number[];
}

let made = 0;

/** Exactly these bytes; the state says how many were written. */
export class Literal implements Atom {
  readonly id = made++;
  readonly #bytes: Uint8Array;

  /** Precondition: at least one byte. */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  step(state: number, byte: number): number {
    return this.#bytes[state] === byte ? state + 1 : -1;
  }

  ends(state: number): boolean {
    return state === this.#bytes.length;
  }

  goesOn(state: number): boolean {
    return state < this.#bytes.length;
  }

  alike(state: number): number {
    return state;
  }

  walk(vocabulary: Vocabulary, node: number, state: number, found: Found): void {
    const { bytes, ends, starts } = vocabulary;
    let at = node;
    for (let i = state; i < this.#bytes.length; i++) {
      const end = ends[at] ?? 0;
      const byte = this.#bytes[i] ?? 0;
      let child = at + 1;
      while (child < end && (bytes[child] ?? 0) < byte) child = ends[child] ?? end;
      if (child >= end || bytes[child] !== byte) return;
      at = child;
      if ((starts[at] ?? 0) < (starts[at + 1] ?? 0)) found.token(at);
    }
    if (at !== node && (ends[at] ?? 0) > at + 1) found.exit(at);
  }
}

/** No state. */
export const DEAD = 0xffff;
/** States of a table are 16 bits. */
export const MOST_TABLE_STATES = 32768;

/** A table of the next state for each state and byte. */
export class Table implements Atom {
  readonly id = made++;
  /** [states, 256] */
  readonly rows: Uint16Array;
  readonly #ends: Uint8Array;
  readonly #goesOn: Uint8Array;
  readonly start: number;
  /** States on the way down the trie. */
  #path = new Uint16Array(64);

  constructor(rows: Uint16Array, ends: Uint8Array, start: number) {
    this.rows = rows;
    this.#ends = ends;
    this.#goesOn = ends.map((_, state) =>
      rows.subarray(256 * state, 256 * (state + 1)).some((next) => next !== DEAD) ? 1 : 0,
    );
    this.start = start;
  }

  step(state: number, byte: number): number {
    const next = this.rows[256 * state + byte] ?? DEAD;
    return next === DEAD ? -1 : next;
  }

  ends(state: number): boolean {
    return this.#ends[state] === 1;
  }

  goesOn(state: number): boolean {
    return this.#goesOn[state] === 1;
  }

  alike(state: number): number {
    return state;
  }

  walk(vocabulary: Vocabulary, node: number, state: number, found: Found): void {
    const { bytes, depths, ends, starts } = vocabulary;
    const { rows } = this;
    const base = depths[node] ?? 0;
    const stop = ends[node] ?? 0;
    let path = this.#path;
    path[0] = state;
    for (let at = node + 1; at < stop;) {
      const depth = (depths[at] ?? 0) - base;
      const next = rows[((path[depth - 1] ?? 0) << 8) + (bytes[at] ?? 0)] ?? DEAD;
      const end = ends[at] ?? stop;
      if (next === DEAD) {
        at = end;
        continue;
      }
      if ((starts[at] ?? 0) < (starts[at + 1] ?? 0)) found.token(at);
      if (end === at + 1) {
        at = end;
        continue;
      }
      if (this.#ends[next] === 1) found.exit(at);
      if (this.#goesOn[next] === 0) {
        at = end;
        continue;
      }
      if (depth >= path.length) {
        this.#path = new Uint16Array(2 * path.length);
        this.#path.set(path);
        path = this.#path;
      }
      path[depth] = next;
      at++;
    }
  }
}
