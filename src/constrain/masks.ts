/**
 * Which tokens may come next. Of an automaton's state, the tokens that end within it are the same wherever the automaton stands: they are found once
 * for the model and kept (as XGrammar does with context-independent tokens). Tokens that go on behind its end are followed from there for each rest.
 */
import type { Atom, Found } from './atom.ts';
import type { Rests, Thread, Threads } from './terms.ts';
import type { Vocabulary } from './vocabulary.ts';

/** What is kept of the states of automata, and of whole masks: each of a large vocabulary takes 19 KB. */
const MOST_KEPT_BYTES = 16 << 20;
const MOST_MASKS = 256;

/** The tokens of one state. */
interface Entry {
  /** Tokens that end within the automaton: as bits, or as ids where they are few. */
  readonly bits: Uint32Array | undefined;
  readonly ids: readonly number[];
  /** Nodes at which the automaton may end while tokens go on. */
  readonly exits: readonly number[];
}

/** Of one model; shared by all its grammars. */
export class Entries {
  readonly vocabulary: Vocabulary;
  readonly words: number;
  readonly #kept = new Map<string, Entry>();
  #bytes = 0;

  constructor(vocabulary: Vocabulary) {
    this.vocabulary = vocabulary;
    this.words = Math.ceil(vocabulary.size / 32);
  }

  of(atom: Atom, state: number): Entry {
    const alike = atom.alike(state);
    const key = `${atom.id}.${alike}`;
    const known = this.#kept.get(key);
    if (known !== undefined) return known;
    const entry = this.#find(atom, alike);
    const bytes = 8 * (entry.ids.length + entry.exits.length) + (entry.bits?.byteLength ?? 0) + 128;
    this.#bytes += bytes;
    if (this.#bytes > MOST_KEPT_BYTES) {
      this.#kept.clear();
      this.#bytes = bytes;
    }
    this.#kept.set(key, entry);
    return entry;
  }

  #find(atom: Atom, state: number): Entry {
    const bits = new Uint32Array(this.words);
    let exits = atom.whole?.(state, bits);
    if (exits === undefined) {
      const found = new Collector(this.vocabulary, bits);
      atom.walk(this.vocabulary, 0, state, found);
      exits = found.exits;
    }
    const ids: number[] = [];
    for (let word = 0; word < bits.length; word++) {
      for (let left = bits[word] ?? 0; left !== 0; left &= left - 1)
        ids.push(32 * word + 31 - Math.clz32(left & -left));
      if (ids.length > this.words) return { bits, ids: [], exits };
    }
    return { bits: undefined, ids, exits };
  }
}

class Collector implements Found {
  readonly exits: number[] = [];
  readonly #vocabulary: Vocabulary;
  readonly #bits: Uint32Array;

  constructor(vocabulary: Vocabulary, bits: Uint32Array) {
    this.#vocabulary = vocabulary;
    this.#bits = bits;
  }

  token(node: number): void {
    const { ids, starts } = this.#vocabulary;
    for (let i = starts[node] ?? 0; i < (starts[node + 1] ?? 0); i++) set(this.#bits, ids[i] ?? 0);
  }

  exit(node: number): void {
    this.exits.push(node);
  }
}

/** Of one grammar. */
export class Masks {
  readonly #entries: Entries;
  readonly #rests: Rests;
  readonly #kept = new Map<string, Uint32Array>();

  constructor(entries: Entries, rests: Rests) {
    this.#entries = entries;
    this.#rests = rests;
  }

  /** Not to be written to: it is kept. */
  of(at: Threads): Uint32Array {
    const key = keyOf(at);
    const known = this.#kept.get(key);
    if (known !== undefined) {
      // The newest last.
      this.#kept.delete(key);
      this.#kept.set(key, known);
      return known;
    }
    const bits = this.#make(at);
    if (this.#kept.size >= MOST_MASKS) {
      const [oldest] = this.#kept.keys();
      if (oldest !== undefined) this.#kept.delete(oldest);
    }
    this.#kept.set(key, bits);
    return bits;
  }

  #make({ threads, ends }: Threads): Uint32Array {
    const bits = new Uint32Array(this.#entries.words);
    for (const { atom, state, rest } of threads) {
      const entry = this.#entries.of(atom, state);
      if (entry.bits !== undefined)
        for (let i = 0; i < bits.length; i++) bits[i] = (bits[i] ?? 0) | (entry.bits[i] ?? 0);
      for (const id of entry.ids) set(bits, id);
      if (entry.exits.length > 0) this.#goOn(entry.exits, this.#rests.open(rest).threads, bits);
    }
    if (ends) for (const id of this.#entries.vocabulary.stopIds) set(bits, id);
    return bits;
  }

  /** Follows what is left of tokens, from the nodes where an automaton has ended, into what comes after it. */
  #goOn(nodes: Iterable<number>, threads: readonly Thread[], bits: Uint32Array): void {
    const { vocabulary } = this.#entries;
    for (const { atom, state, rest } of threads) {
      const found = new Collector(vocabulary, bits);
      for (const node of nodes) atom.walk(vocabulary, node, state, found);
      // A node may be come to in several ways.
      if (found.exits.length > 0) this.#goOn(new Set(found.exits), this.#rests.open(rest).threads, bits);
    }
  }
}

function set(bits: Uint32Array, id: number): void {
  bits[id >> 5] = (bits[id >> 5] ?? 0) | (1 << (id & 31));
}

function keyOf({ threads, ends }: Threads): string {
  const names = threads.map(({ atom, state, rest }) => `${atom.id}.${atom.alike(state)}.${rest.id}`);
  return `${ends ? '.' : ''}${names.sort().join()}`;
}
