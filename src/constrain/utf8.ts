/** Languages of characters as tables of bytes: as UTF-8, or as the content of a JSON string. */
import { DEAD, MOST_TABLE_STATES, Table } from './atom.ts';
import { TooLarge, type Edge, type Language } from './language.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const SPACE = 0x20;
/** What JSON.stringify writes for characters that a string cannot hold as they are; for others it writes \\u and four digits. */
const SHORT: Readonly<Record<number, string>> = {
  0x22: '"',
  0x5c: '\\',
  0x08: 'b',
  0x09: 't',
  0x0a: 'n',
  0x0c: 'f',
  0x0d: 'r',
};

/** States while they are made; equal ones within a character are one. */
class Builder {
  readonly #rows: Uint16Array[] = [];
  readonly #known = new Map<string, number>();

  state(): number {
    const row = new Uint16Array(256).fill(DEAD);
    const state = this.#rows.push(row) - 1;
    if (state >= MOST_TABLE_STATES) throw new TooLarge(`an automaton of more than ${MOST_TABLE_STATES} byte states`);
    return state;
  }

  row(state: number): Uint16Array {
    return this.#rows[state] ?? new Uint16Array(256);
  }

  /** The state behind the first bytes of a character, from which `count` bytes more choose among the edges; their intervals are of the bits that are left. */
  inside(edges: readonly Edge[], count: number): number {
    const key = `${count}|${edges.join(';')}`;
    let state = this.#known.get(key);
    if (state !== undefined) return state;
    state = this.state();
    this.#known.set(key, state);
    const bits = 6 * (count - 1);
    for (let byte = 0; byte < 64; byte++) {
      const next = this.#below(clipped(edges, byte << bits, (byte + 1) << bits), count - 1);
      if (next !== undefined) this.row(state)[0x80 + byte] = next;
    }
    return state;
  }

  #below(edges: readonly Edge[], count: number): number | undefined {
    return count === 0 ? edges[0]?.[2] : edges.length === 0 ? undefined : this.inside(edges, count);
  }

  /** Edges of the characters of a state, as UTF-8. */
  utf8(state: number, edges: readonly Edge[]): void {
    const row = this.row(state);
    for (const [from, to, target] of clipped(edges, 0, 0x80)) row.fill(target, from, to);
    const lead = (first: number, leads: number, count: number, least: number): void => {
      const bits = 6 * count;
      for (let byte = 0; byte < leads; byte++) {
        const next = this.#below(clipped(edges, byte << bits, (byte + 1) << bits, least), count);
        if (next !== undefined) row[first + byte] = next;
      }
    };
    lead(0xc0, 32, 1, 0x80);
    lead(0xe0, 16, 2, 0x800);
    lead(0xf0, 5, 3, 0x10000);
  }

  /** The state from which these texts of ASCII lead to their targets. */
  choose(texts: readonly (readonly [text: string, target: number])[]): number {
    const key = `>${texts.join(';')}`;
    let state = this.#known.get(key);
    if (state !== undefined) return state;
    state = this.state();
    this.#known.set(key, state);
    for (const first of new Set(texts.map(([text]) => text.charCodeAt(0)))) {
      const rests = texts
        .filter(([text]) => text.charCodeAt(0) === first)
        .map(([text, target]) => [text.slice(1), target] as const);
      // No text begins another one.
      const end = rests.find(([rest]) => rest === '');
      this.row(state)[first] = end?.[1] ?? this.choose(rests);
    }
    return state;
  }

  table(ends: (state: number) => boolean): Table {
    const rows = new Uint16Array(256 * this.#rows.length);
    this.#rows.forEach((row, state) => rows.set(row, 256 * state));
    return new Table(
      rows,
      Uint8Array.from(this.#rows, (_, state) => (ends(state) ? 1 : 0)),
      0,
    );
  }
}

/** What of the edges lies in `[from, to)` and at or above `least`, less `from`. */
function clipped(edges: readonly Edge[], from: number, to: number, least = 0): Edge[] {
  const out: Edge[] = [];
  for (const [start, end, target] of edges) {
    if (start >= to) break;
    const low = Math.max(start, from, least);
    const high = Math.min(end, to);
    if (low < high) out.push([low - from, high - from, target]);
  }
  return out;
}

/** The words as they are. */
export function plainTable({ edges, ends }: Language): Table {
  const builder = new Builder();
  edges.forEach(() => builder.state());
  edges.forEach((list, state) => builder.utf8(state, list));
  return builder.table((state) => ends[state] ?? false);
}

/** The words as the content of JSON strings, as JSON.stringify writes them, each with its closing quote. */
export function jsonTable({ edges, ends }: Language): Table {
  const builder = new Builder();
  edges.forEach(() => builder.state());
  const closed = builder.state();
  edges.forEach((list, state) => {
    const raw = list.flatMap(([from, to, target]) => unescaped(from, to).map(([a, b]): Edge => [a, b, target]));
    builder.utf8(state, raw);
    const escapes = list.flatMap(([from, to, target]) =>
      escaped(from, to).map((code) => [escapeOf(code), target] as const),
    );
    if (escapes.length > 0) builder.row(state)[BACKSLASH] = builder.choose(escapes);
    if (ends[state] === true) builder.row(state)[QUOTE] = closed;
  });
  return builder.table((state) => state === closed);
}

function unescaped(from: number, to: number): (readonly [from: number, to: number])[] {
  const bounds = [SPACE, QUOTE, QUOTE + 1, BACKSLASH, BACKSLASH + 1, Infinity];
  const out: [number, number][] = [];
  for (let i = 0; i < bounds.length; i += 2) {
    const low = Math.max(from, bounds[i] ?? 0);
    const high = Math.min(to, bounds[i + 1] ?? 0);
    if (low < high) out.push([low, high]);
  }
  return out;
}

function escaped(from: number, to: number): number[] {
  const out: number[] = [];
  for (let code = from; code < Math.min(to, SPACE); code++) out.push(code);
  for (const code of [QUOTE, BACKSLASH]) if (from <= code && code < to) out.push(code);
  return out;
}

function escapeOf(code: number): string {
  return SHORT[code] ?? `u${code.toString(16).padStart(4, '0')}`;
}
