/**
 * A JSON string's content and closing quote, of bounded length in characters. One automaton for all bounds: a state is a state of the plain string, how
 * many characters must still come, and how many may. Its masks are those of the plain string without the tokens that are too long.
 */
import type { Atom, Found, Table } from './atom.ts';
import type { Vocabulary } from './vocabulary.ts';

/** Lengths have 24 bits of a state. No context window holds as many characters: a larger maximum is none. */
export const UNLIMITED = 2 ** 24 - 1;
/** Most states of the plain string. */
const PLAIN = 32;
const QUOTE = 0x22;
/** Added to the count of a token that closes the string: no token has as many characters. */
const CLOSED = 1 << 16;

/** Nodes that a walk from a state of the plain string finds, and how many characters have begun on the way. */
interface Walked {
  readonly tokens: readonly number[];
  readonly tokenCounts: readonly number[];
  readonly exits: readonly number[];
  readonly exitCounts: readonly number[];
}

export class CountedString implements Atom {
  readonly id: number;
  readonly #plain: Table;
  readonly #vocabulary: Vocabulary;
  readonly #walked = new Map<number, Walked>();
  /** Most characters of a token: where as many may come, a token's length does not matter. */
  #longest: number | undefined;

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

  alike(state: number): number {
    const [plain, least, most] = split(state);
    this.#longest ??= this.#from(this.#plain.start).tokenCounts.reduce((most, count) => Math.max(most, count), 1);
    return join(plain, Math.min(least, this.#longest + 1), most > this.#longest ? UNLIMITED : most);
  }

  walk(vocabulary: Vocabulary, node: number, state: number, found: Found): void {
    const [plain, least, most] = split(state);
    const walked = node === 0 ? this.#from(plain) : this.#walk(vocabulary, node, plain);
    const { tokens, tokenCounts, exits, exitCounts } = walked;
    tokens.forEach((at, i) => {
      const count = tokenCounts[i] ?? 0;
      if (count >= CLOSED ? count - CLOSED >= least && count - CLOSED <= most : count <= most) found.token(at);
    });
    exits.forEach((at, i) => {
      const count = exitCounts[i] ?? 0;
      if (count >= least && count <= most) found.exit(at);
    });
  }

  #from(plain: number): Walked {
    let walked = this.#walked.get(plain);
    if (walked === undefined) {
      walked = this.#walk(this.#vocabulary, 0, plain);
      this.#walked.set(plain, walked);
    }
    return walked;
  }

  #walk(vocabulary: Vocabulary, node: number, plain: number): Walked {
    const { bytes, depths, ends, starts } = vocabulary;
    const walked = {
      tokens: [] as number[],
      tokenCounts: [] as number[],
      exits: [] as number[],
      exitCounts: [] as number[],
    };
    const base = depths[node] ?? 0;
    const stop = ends[node] ?? 0;
    const states = [plain];
    const counts = [0];
    for (let at = node + 1; at < stop;) {
      const depth = (depths[at] ?? 0) - base;
      const byte = bytes[at] ?? 0;
      const state = states[depth - 1] ?? 0;
      const next = this.#plain.step(state, byte);
      const end = ends[at] ?? stop;
      if (next < 0) {
        at = end;
        continue;
      }
      const count = (counts[depth - 1] ?? 0) + (state === this.#plain.start && byte !== QUOTE ? 1 : 0);
      const closed = this.#plain.ends(next);
      if ((starts[at] ?? 0) < (starts[at + 1] ?? 0)) {
        walked.tokens.push(at);
        walked.tokenCounts.push(closed ? count + CLOSED : count);
      }
      if (closed) {
        if (end > at + 1) {
          walked.exits.push(at);
          walked.exitCounts.push(count);
        }
        at = end;
        continue;
      }
      states[depth] = next;
      counts[depth] = count;
      at++;
    }
    return walked;
  }
}

function split(state: number): [plain: number, least: number, most: number] {
  const lengths = Math.floor(state / PLAIN);
  return [state % PLAIN, lengths % (UNLIMITED + 1), Math.floor(lengths / (UNLIMITED + 1))];
}

function join(plain: number, least: number, most: number): number {
  return plain + PLAIN * (least + (UNLIMITED + 1) * most);
}
