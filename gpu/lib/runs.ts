/** Ranges in the form that kernels read: see runs.wgsl. */
import type { HostData } from '../runtime/arena.ts';

/**
 * The keys that queries may see, as lists of runs. List `block * heads + head` belongs to queries `[block * queryBlock,
 * (block + 1) * queryBlock)` and one KV head (or all, when `shared`), and holds runs `[offsets[list], offsets[list +
 * 1])`. Run r is the keys `[runs[2 r], runs[2 r + 1])`.
 */
export interface Ranges {
  readonly queryBlock: number;
  readonly shared: boolean;
  /** Whether, in addition, a query sees no key behind its own position. */
  readonly causal: boolean;
  readonly offsets: Uint32Array;
  readonly runs: Uint32Array;
  /** [runs]; added to the scores of a run's keys. */
  readonly bias?: Float32Array;
}

/** Index of the word at which the runs begin. */
export const runsStart = (ranges: Ranges): number => ranges.offsets.length;

/** Index of the word at which the biases begin, 0 when there are none. */
export const biasStart = (ranges: Ranges): number =>
  ranges.bias === undefined ? 0 : ranges.offsets.length + ranges.runs.length;

/** Returns offsets, runs as (start, slots), and biases. Precondition: the ranges were checked. */
export function runsData(ranges: Ranges): HostData {
  const { offsets, runs, bias } = ranges;
  const words = new Uint32Array(offsets.length + runs.length + (bias?.length ?? 0));
  words.set(offsets);
  let at = offsets.length;
  let list = 0;
  let slots = 0;
  for (let r = 0; 2 * r < runs.length; r += 1) {
    // The first run of the next list that is not empty.
    while (r >= (offsets[list + 1] ?? Infinity)) {
      list += 1;
      slots = 0;
    }
    const start = runs[2 * r] ?? 0;
    slots += (runs[2 * r + 1] ?? 0) - start;
    words[at] = start;
    words[at + 1] = slots;
    at += 2;
  }
  if (bias !== undefined) words.set(new Uint32Array(bias.buffer, bias.byteOffset, bias.length), at);
  return { words };
}

/** Returns the largest number of keys in a list. */
export function mostKeys({ offsets, runs }: Ranges): number {
  let most = 0;
  for (let list = 0; list + 1 < offsets.length; list += 1) {
    let keys = 0;
    for (let r = offsets[list] ?? 0; r < (offsets[list + 1] ?? 0); r += 1)
      keys += (runs[2 * r + 1] ?? 0) - (runs[2 * r] ?? 0);
    most = Math.max(most, keys);
  }
  return most;
}
