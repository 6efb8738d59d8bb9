/**
 * States of layers that have some (kv/state.ts) in a saved session. A sequence can only go on where a snapshot is, so a record holds three of them: the newest, the
 * newest at a border of a block, and one before the last words, where prompts that begin alike mostly part. Their bytes follow the pages, in parts of their own.
 */
import type { Backend } from '../backend/backend.ts';
import { PAGE_TOKENS } from '../backend/backend.ts';
import { ownerOf, type Checksums } from '../kv/checksum.ts';
import { LAST_WORDS, Snapshot, type SavedState, type SequenceState } from '../kv/state.ts';

/** At which all browsers write and read at full speed. */
const PART_BYTES = 8 << 20;
/** The first state part's place among the seeds: pages have lower numbers. */
const STATE_SEED = 0xffff_0000;

/** One snapshot, as the head describes it. */
export interface SavedSnapshot {
  readonly position: number;
  readonly states: readonly { readonly slot: number; readonly shape: readonly number[] }[];
  /** Of its parts, one after the other: bytes and checksum. */
  readonly parts: readonly { readonly bytes: number; readonly sum: readonly number[] }[];
}

/** The positions of the snapshots that are saved with the first `most` tokens, ascending; none where no snapshot is among them. */
export function savedPositions(state: SequenceState, most: number): readonly number[] {
  const within = state.positions.filter((position) => position <= most);
  const borders = within.filter((position) => position % PAGE_TOKENS === 0);
  const border = borders.at(-1) ?? 0;
  const before = borders.findLast((position) => position <= border - LAST_WORDS);
  return [...new Set([before, borders.at(-1), within.at(-1)])].filter((position) => position !== undefined);
}

/** The last position, `end` or before, at which a saved snapshot is. */
export function lastSaved(saved: readonly SavedSnapshot[], end: number): SavedSnapshot | undefined {
  return saved
    .filter(({ position }) => position <= end)
    .reduce<SavedSnapshot | undefined>(
      (best, one) => (best !== undefined && best.position > one.position ? best : one),
      undefined,
    );
}

/** A snapshot's bytes cut into parts, and its description; `before`: how many parts of states come before. */
export async function packSnapshot(
  snapshot: Snapshot,
  before: number,
  generation: string,
  checksums: Checksums,
): Promise<{ readonly saved: SavedSnapshot; readonly parts: readonly Uint8Array[] }> {
  const states = await snapshot.read();
  const bytes = new Uint8Array(states.reduce((sum, { values }) => sum + values.byteLength, 0));
  let at = 0;
  for (const { values } of states) {
    bytes.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), at);
    at += values.byteLength;
  }
  const parts: Uint8Array[] = [];
  for (let start = 0; start < bytes.length; start += PART_BYTES) parts.push(bytes.subarray(start, start + PART_BYTES));
  return {
    saved: {
      position: snapshot.position,
      states: states.map(({ slot, shape }) => ({ slot, shape })),
      parts: parts.map((part, i) => ({ bytes: part.length, sum: sumOf(part, before + i, generation, checksums) })),
    },
    parts,
  };
}

/** The snapshot again; undefined where a part is gone or not as it was written. `read`: the bytes of state part i of the record. */
export async function unpackSnapshot(
  backend: Backend,
  all: readonly SavedSnapshot[],
  wanted: SavedSnapshot,
  read: (part: number) => Promise<Uint8Array | undefined>,
  generation: string,
  checksums: Checksums,
): Promise<Snapshot | undefined> {
  const before = all.slice(0, all.indexOf(wanted)).reduce((sum, { parts }) => sum + parts.length, 0);
  const bytes = new Uint8Array(wanted.parts.reduce((sum, part) => sum + part.bytes, 0));
  let at = 0;
  for (const [i, { bytes: length, sum }] of wanted.parts.entries()) {
    const part = await read(before + i);
    if (part?.length !== length) return undefined;
    const found = sumOf(part, before + i, generation, checksums);
    if (found.some((word, j) => word !== sum[j])) return undefined;
    bytes.set(part, at);
    at += length;
  }
  const numbers = ({ shape }: { readonly shape: readonly number[] }): number => shape.reduce((a, b) => a * b, 1);
  if (4 * wanted.states.reduce((sum, state) => sum + numbers(state), 0) !== bytes.length) return undefined;
  let next = 0;
  const states = wanted.states.map((state): SavedState => {
    const values = new Float32Array(bytes.buffer, 4 * next, numbers(state));
    next += values.length;
    return { ...state, values };
  });
  return Snapshot.restored(backend, wanted.position, states);
}

function sumOf(part: Uint8Array, index: number, generation: string, checksums: Checksums): readonly number[] {
  return [...checksums.of(part, Uint32Array.of(part.length), STATE_SEED + index, ownerOf(generation))];
}
