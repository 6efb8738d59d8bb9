/**
 * A JSON string's content and closing quote, of bounded length in characters. One automaton for all bounds: a state is a state of the plain string, how
 * many characters must still come, and how many may. Its masks are those of the plain string without the tokens that are too long.
 */
import { DEAD, type Atom, type Found, type Table } from './atom.ts';
import type { Vocabulary } from './vocabulary.ts';

/** Lengths have 24 bits of a state. No context window holds as many characters: a larger maximum is none. */
export const UNLIMITED = 2 ** 24 - 1;
/** Most states of the plain string. */
const PLAIN = 32;
const QUOTE = 0x22;

/** What a walk finds, with how many characters have begun on the way to each. */
interface Walked {
  /** Nodes of tokens that end within the string. */
  readonly open: Counted;
  /** Nodes of tokens that end with its closing quote. */
  readonly closed: Counted;
  readonly exits: Counted;
}

interface Counted {
  readonly nodes: number[];
  readonly counts: number[];
}

/** The tokens of a state of the plain string, from the root. */
interface Sorted {
  /** Of tokens that end within the string, those of fewer characters first. */
  readonly open: Uint32Array;
  /** How many of them have at most as many characters. */
  readonly upTo: Uint32Array;
  /** All of them. */
  readonly bits: Uint32Array;
  readonly closed: Counted;
  readonly exits: Counted;
}

export class CountedString implements Atom {
  readonly id: number;
  readonly #plain: Table;
  readonly #vocabulary: Vocabulary;
  readonly #sorted = new Map<number, Sorted>();

  /** Takes the place of the table `plain`, which nothing else may use. */
  constructor(plain: Table, vocabulary: Vocabulary) {
    this.id = plain.id;
    this.#plain = plain;
    this.#vocabulary = vocabulary;
  }

  /** The state in which from `least` to `most` characters may come. */
  state(least: number, most: number): number {
    return join(this.#plain.start, least, Math.min(most, UNLIMITED));
  }

  step(state: number, byte: number): number {
    const [plain, least, most] = split(state);
    const next = this.#plain.step(plain, byte);
    if (next < 0 || plain !== this.#plain.start) return next < 0 ? -1 : join(next, least, most);
    if (byte === QUOTE) return least === 0 ? join(next, 0, 0) : -1;
    return most === 0 ? -1 : join(next, Math.max(0, least - 1), most === UNLIMITED ? most : most - 1);
  }

  ends(state: number): boolean {
    return this.#plain.ends(state % PLAIN);
  }

  goesOn(state: number): boolean {
    return this.#plain.goesOn(state % PLAIN);
  }

  /** Where as many characters may come as the longest token has, its length does not matter. */
  alike(state: number): number {
    const [plain, least, most] = split(state);
    const longest = this.#of(plain).upTo.length - 1;
    return join(plain, Math.min(least, longest + 1), most >= longest ? UNLIMITED : most);
  }

  walk(vocabulary: Vocabulary, node: number, state: number, found: Found): void {
    const [plain, least, most] = split(state);
    const { open, closed, exits } = this.#walk(vocabulary, node, plain);
    open.nodes.forEach((at, i) => {
      if ((open.counts[i] ?? 0) <= most) found.token(at);
    });
    within(closed, least, most, (at) => found.token(at));
    within(exits, least, most, (at) => found.exit(at));
  }

  whole(state: number, bits: Uint32Array): readonly number[] {
    const [plain, least, most] = split(state);
    const { ids, starts } = this.#vocabulary;
    const sorted = this.#of(plain);
    const { open, upTo } = sorted;
    const count = upTo[Math.min(most, upTo.length - 1)] ?? 0;
    if (2 * count < open.length) for (let i = 0; i < count; i++) set(bits, open[i] ?? 0);
    else {
      bits.set(sorted.bits);
      for (let i = count; i < open.length; i++) {
        const id = open[i] ?? 0;
        bits[id >> 5] = (bits[id >> 5] ?? 0) & ~(1 << (id & 31));
      }
    }
    within(sorted.closed, least, most, (node) => {
      for (let i = starts[node] ?? 0; i < (starts[node + 1] ?? 0); i++) set(bits, ids[i] ?? 0);
    });
    const exits: number[] = [];
    within(sorted.exits, least, most, (node) => exits.push(node));
    return exits;
  }

  #of(plain: number): Sorted {
    let sorted = this.#sorted.get(plain);
    if (sorted === undefined) {
      sorted = this.#sort(this.#walk(this.#vocabulary, 0, plain));
      this.#sorted.set(plain, sorted);
    }
    return sorted;
  }

  #sort({ open, closed, exits }: Walked): Sorted {
    const { ids, starts, size } = this.#vocabulary;
    const longest = [open, closed, exits].reduce(
      (most, { counts }) => counts.reduce((a, b) => Math.max(a, b), most),
      1,
    );
    const upTo = new Uint32Array(longest + 1);
    const tokens = (node: number): number => (starts[node + 1] ?? 0) - (starts[node] ?? 0);
    open.nodes.forEach((node, i) => {
      const count = open.counts[i] ?? 0;
      upTo[count] = (upTo[count] ?? 0) + tokens(node);
    });
    for (let count = 1; count <= longest; count++) upTo[count] = (upTo[count] ?? 0) + (upTo[count - 1] ?? 0);
    const list = new Uint32Array(upTo[longest] ?? 0);
    const bits = new Uint32Array(Math.ceil(size / 32));
    const next = [0, ...upTo.subarray(0, longest)];
    open.nodes.forEach((node, at) => {
      const count = open.counts[at] ?? 0;
      for (let i = starts[node] ?? 0; i < (starts[node + 1] ?? 0); i++) {
        const id = ids[i] ?? 0;
        const place = next[count] ?? 0;
        list[place] = id;
        next[count] = place + 1;
        set(bits, id);
      }
    });
    return { open: list, upTo, bits, closed, exits };
  }

  #walk(vocabulary: Vocabulary, node: number, plain: number): Walked {
    const { bytes, depths, ends, starts } = vocabulary;
    const { rows, start } = this.#plain;
    const [open, closed, exits] = [counted(), counted(), counted()];
    const base = depths[node] ?? 0;
    const stop = ends[node] ?? 0;
    const states = [plain];
    const counts = [0];
    for (let at = node + 1; at < stop;) {
      const depth = (depths[at] ?? 0) - base;
      const byte = bytes[at] ?? 0;
      const state = states[depth - 1] ?? 0;
      const next = rows[(state << 8) + byte] ?? DEAD;
      const end = ends[at] ?? stop;
      if (next === DEAD) {
        at = end;
        continue;
      }
      const count = (counts[depth - 1] ?? 0) + (state === start && byte !== QUOTE ? 1 : 0);
      const isToken = (starts[at] ?? 0) < (starts[at + 1] ?? 0);
      if (this.#plain.ends(next)) {
        if (isToken) add(closed, at, count);
        if (end > at + 1) add(exits, at, count);
        at = end;
        continue;
      }
      if (isToken) add(open, at, count);
      states[depth] = next;
      counts[depth] = count;
      at++;
    }
    return { open, closed, exits };
  }
}

function counted(): Counted {
  return { nodes: [], counts: [] };
}

function add(to: Counted, node: number, count: number): void {
  to.nodes.push(node);
  to.counts.push(count);
}

/** The nodes whose counts are between the bounds. */
function within({ nodes, counts }: Counted, least: number, most: number, visit: (node: number) => void): void {
  for (let i = 0; i < nodes.length; i++) {
    const count = counts[i] ?? 0;
    if (count >= least && count <= most) visit(nodes[i] ?? 0);
  }
}

function set(bits: Uint32Array, id: number): void {
  bits[id >> 5] = (bits[id >> 5] ?? 0) | (1 << (id & 31));
}

function split(state: number): [plain: number, least: number, most: number] {
  const lengths = Math.floor(state / PLAIN);
  return [state % PLAIN, lengths % (UNLIMITED + 1), Math.floor(lengths / (UNLIMITED + 1))];
}

function join(plain: number, least: number, most: number): number {
  return plain + PLAIN * (least + (UNLIMITED + 1) * most);
}
