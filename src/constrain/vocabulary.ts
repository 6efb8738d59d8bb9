/** The tokens of a model as a trie of bytes, which automata are walked along. */
import type { Tokenizer } from '../text/tokenizer.ts';

/**
 * A special token prints nothing. In the trie it stands for this byte, which no UTF-8 text has, and three bytes of its id: grammars name it by them.
 */
const SPECIAL = 0xff;
/** Bytes of a token with more tell nothing new: the longest published token has 512. */
const LONGEST_TOKEN = 2048;

/** The character of each byte in the keys by which tokens are sorted. */
const LETTERS = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte + 1));

/**
 * Nodes in preorder, so that the subtree of node n is `[n, ends[n])` and its tokens are `ids[starts[n]] .. ids[starts[ends[n]] - 1]`. Node 0 is the root.
 */
export class Vocabulary {
  /** Ids that the model computes logits for. */
  readonly size: number;
  readonly stopIds: readonly number[];
  readonly bytes: Uint8Array;
  readonly depths: Uint16Array;
  readonly ends: Uint32Array;
  /** [nodes + 1] where in `ids` the tokens of a node begin. */
  readonly starts: Uint32Array;
  readonly ids: Uint32Array;
  /** Whether each byte is a token of its own, so that it can be written at any place. */
  readonly single: Uint8Array;
  readonly #tokenizer: Tokenizer;
  readonly #special: Uint8Array;

  constructor(tokenizer: Tokenizer, size: number) {
    this.#tokenizer = tokenizer;
    this.size = size;
    this.stopIds = tokenizer.facts.eos.filter((id) => id < size);
    const stops = new Set(this.stopIds);
    this.#special = new Uint8Array(tokenizer.facts.vocabulary);
    // Strings are sorted fast: a character a byte, then one that is below all, then the id.
    const keys: string[] = [];
    this.single = new Uint8Array(256);
    tokenizer.eachToken((id, bytes, special) => {
      if (special) this.#special[id] = 1;
      if (stops.has(id) || id >= size) return;
      const written = special ? specialBytes(id) : bytes;
      if (written.length === 0 || written.length > LONGEST_TOKEN || (!special && written.includes(SPECIAL))) return;
      if (!special && written.length === 1) this.single[written[0] ?? 0] = 1;
      let key = '';
      for (let i = 0; i < written.length; i++) key += LETTERS[written[i] ?? 0] ?? '';
      keys.push(`${key}\0${String.fromCharCode(id >> 16, id & 0xffff)}`);
    });
    keys.sort();
    const found = keys.map((key) => ({
      id: (key.charCodeAt(key.length - 2) << 16) | key.charCodeAt(key.length - 1),
      text: key.slice(0, -3),
    }));
    const nodes = found.reduce((sum, { text }, i) => sum + text.length - common(found[i - 1]?.text ?? '', text), 1);
    this.bytes = new Uint8Array(nodes);
    this.depths = new Uint16Array(nodes);
    this.ends = new Uint32Array(nodes).fill(nodes);
    this.starts = new Uint32Array(nodes + 1).fill(found.length);
    this.ids = Uint32Array.from(found, ({ id }) => id);
    this.starts[0] = 0;
    /** The nodes on the way to the last token. */
    const path: number[] = [];
    let node = 1;
    found.forEach(({ text }, i) => {
      const same = common(found[i - 1]?.text ?? '', text);
      for (const left of path.splice(same)) this.ends[left] = node;
      for (let at = same; at < text.length; at++) {
        this.bytes[node] = text.charCodeAt(at) - 1;
        this.depths[node] = at + 1;
        this.starts[node] = i;
        path.push(node++);
      }
    });
  }

  /** The bytes of a token as the trie has them; undefined for one that no answer consists of: it prints nothing, or ends the answer. */
  written(id: number): Uint8Array | undefined {
    if (!(id >= 0 && id < this.#special.length) || this.stopIds.includes(id)) return undefined;
    const bytes = this.#special[id] === 1 ? specialBytes(id) : this.#tokenizer.tokenBytes(id);
    return bytes.length === 0 ? undefined : bytes;
  }

  /** The bytes that stand for a special token; undefined where no special token has this name. */
  special(name: string): Uint8Array | undefined {
    const id = this.#tokenizer.idOf(name);
    return id === undefined || this.#special[id] !== 1 ? undefined : specialBytes(id);
  }
}

function specialBytes(id: number): Uint8Array {
  return Uint8Array.of(SPECIAL, id >> 16, (id >> 8) & 0xff, id & 0xff);
}

function common(a: string, b: string): number {
  const most = Math.min(a.length, b.length);
  let same = 0;
  while (same < most && a.charCodeAt(same) === b.charCodeAt(same)) same++;
  return same;
}
