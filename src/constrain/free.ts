/** Free text between triggers, as tables of bytes (the automaton of Aho and Corasick). */
import { DEAD, Table } from './atom.ts';
import { TooLarge } from './language.ts';

/** The first byte of a special token in the trie (vocabulary.ts), and how many follow it. */
const SPECIAL = 0xff;
const SPECIAL_BYTES = 3;
/** States of the automaton, about as many as the triggers have bytes. */
const MOST_STATES = 4096;

interface Node {
  readonly next: Map<number, number>;
  /** The longest end of its text that begins a trigger, too. */
  fail: number;
  /** The trigger that is complete here. */
  trigger: number | undefined;
}

/** Texts up to and with the first occurrence of any trigger, which is the one with this number; undefined: texts without any. */
export function freeTable(triggers: readonly Uint8Array[], wanted: number | undefined): Table {
  const nodes: Node[] = [{ next: new Map(), fail: 0, trigger: undefined }];
  triggers.forEach((bytes, trigger) => {
    let at = 0;
    for (const byte of bytes) {
      let next = nodes[at]?.next.get(byte);
      if (next === undefined) {
        next = nodes.push({ next: new Map(), fail: 0, trigger: undefined }) - 1;
        nodes[at]?.next.set(byte, next);
      }
      at = next;
    }
    const last = nodes[at];
    if (last !== undefined) last.trigger ??= trigger;
  });
  const done = nodes.length;
  /** States `inside + i`: within a special token, of which i + 1 bytes are written. */
  const inside = done + 1;
  const states = inside + SPECIAL_BYTES;
  if (states > MOST_STATES) throw new TooLarge(`triggers of more than ${MOST_STATES} bytes together`);
  const rows = new Uint16Array(256 * states).fill(DEAD);
  const ends = new Uint8Array(states);
  for (let i = 0; i < SPECIAL_BYTES; i++)
    rows.fill(i + 1 < SPECIAL_BYTES ? inside + i + 1 : 0, 256 * (inside + i), 256 * (inside + i + 1));

  /** Where a node leads: a complete trigger is the end of this text, or no part of it. */
  const target = (node: number): number => {
    const { trigger } = nodes[node] ?? {};
    return trigger === undefined ? node : trigger === wanted ? done : DEAD;
  };
  const special = depthsOfSpecials(nodes);
  const order = [0];
  for (const at of order) {
    const node = nodes[at];
    if (node === undefined) continue;
    const row = rows.subarray(256 * at, 256 * (at + 1));
    const depth = special.get(at);
    if (depth !== undefined) row.fill(depth < SPECIAL_BYTES ? inside + depth : 0);
    else if (at === 0) row.fill(0, 0, SPECIAL);
    else row.set(rows.subarray(256 * node.fail, 256 * (node.fail + 1)));
    if (depth === undefined && at === 0) row[SPECIAL] = inside;
    for (const [byte, child] of node.next) {
      const next = nodes[child];
      if (next === undefined) continue;
      if (depth === undefined && at !== 0) {
        const fail = stepOf(nodes, node.fail, byte);
        next.fail = fail;
        next.trigger ??= nodes[fail]?.trigger;
      }
      row[byte] = target(child);
      if (next.trigger === undefined) order.push(child);
    }
    ends[at] = wanted === undefined && depth === undefined ? 1 : 0;
  }
  ends[done] = wanted === undefined ? 0 : 1;
  return new Table(rows, ends, 0);
}

/** How many bytes of a special token are written at the nodes within one. */
function depthsOfSpecials(nodes: readonly Node[]): ReadonlyMap<number, number> {
  const depths = new Map<number, number>();
  const first = nodes[0]?.next.get(SPECIAL);
  if (first !== undefined) depths.set(first, 1);
  for (const [node, depth] of depths)
    for (const child of nodes[node]?.next.values() ?? []) if (depth < SPECIAL_BYTES + 1) depths.set(child, depth + 1);
  return depths;
}

/** The longest end of a node's text and a byte that begins a trigger. */
function stepOf(nodes: readonly Node[], from: number, byte: number): number {
  for (let at = from; ; at = nodes[at]?.fail ?? 0) {
    const next = nodes[at]?.next.get(byte);
    if (next !== undefined) return next;
    if (at === 0) return 0;
  }
}
