/** Contract 4: which keys each query may see, as sorted runs. The usual kinds, and the checks that hold for all. */
import type { Ranges } from '../backend/backend.ts';
import { InputError } from '../errors.ts';
import { ListWriter } from './runs.ts';

/** One list for all queries of the call: keys `[0, keyCount)`. */
function dense(queryCount: number, keyCount: number, causal: boolean): Ranges {
  return {
    queryBlock: queryCount,
    shared: true,
    causal,
    offsets: Uint32Array.of(0, 1),
    runs: Uint32Array.of(0, keyCount),
  };
}

/** Every query sees the keys up to its own position; `keyCount` is the position after the last query. */
export function denseCausal(queryCount: number, keyCount: number): Ranges {
  return dense(queryCount, keyCount, true);
}

/** Every query sees every key. */
export function bidirectional(queryCount: number, keyCount: number): Ranges {
  return dense(queryCount, keyCount, false);
}

/**
 * Query at position p sees keys `(p - window, p]` (Mistral) and the first `sinks` keys (StreamingLLM, Xiao et al. 2023).
 * A list for each query, or one for all where the window limits none of them.
 */
export function slidingWindow(queryCount: number, position: number, window: number, sinks = 0): Ranges {
  return withinWindow(denseCausal(queryCount, position + queryCount), { queryCount, position, window, sinks });
}

/** `ranges` without the keys that lie `window` or more before their query, except the first `sinks`. The same object where none does. */
export function withinWindow(
  ranges: Ranges,
  {
    queryCount,
    position,
    window,
    sinks = 0,
  }: { readonly queryCount: number; readonly position: number; readonly window: number; readonly sinks?: number },
): Ranges {
  if (!(window >= 1))
    throw new InputError('argument', `a sliding window of ${window} keys; it needs at least 1`, { window });
  if (position + queryCount <= Math.max(window, sinks + 1)) return ranges;
  const lists = (ranges.offsets.length - 1) / Math.max(1, Math.ceil(queryCount / ranges.queryBlock));
  const limited = new ListWriter();
  for (let query = 0; query < queryCount; query++) {
    const first = Math.max(0, position + query + 1 - window);
    for (let list = 0; list < lists; list++) {
      const at = Math.floor(query / ranges.queryBlock) * lists + list;
      for (let r = ranges.offsets[at] ?? 0; r < (ranges.offsets[at + 1] ?? 0); r++) {
        const start = ranges.runs[2 * r] ?? 0;
        const end = ranges.runs[2 * r + 1] ?? 0;
        const bias = ranges.bias?.[r];
        limited.push(start, Math.min(end, sinks), bias);
        limited.push(Math.max(start, sinks, first), end, bias);
      }
      limited.next();
    }
  }
  return limited.build({ ...ranges, queryBlock: 1 });
}

/** Throws `InputError('argument')` unless every list is there, its runs are sorted, disjoint and within `keyCount`, and biases are finite, one a run. */
export function checkRanges(
  ranges: Ranges,
  {
    queryCount,
    kvHeads,
    keyCount,
  }: { readonly queryCount: number; readonly kvHeads: number; readonly keyCount: number },
): void {
  const { queryBlock, shared, offsets, runs, bias } = ranges;
  const wrong = (problem: string): InputError =>
    new InputError('argument', `ranges: ${problem}`, { queryCount, kvHeads, keyCount });
  if (!Number.isInteger(queryBlock) || queryBlock < 1) throw wrong(`query blocks of ${queryBlock}`);
  const lists = Math.ceil(queryCount / queryBlock) * (shared ? 1 : kvHeads);
  if (offsets.length !== lists + 1) throw wrong(`${offsets.length} offsets, ${lists} lists need ${lists + 1}`);
  if (offsets[0] !== 0) throw wrong(`offsets begin with ${offsets[0]}, should with 0`);
  if (offsets[lists] !== runs.length / 2)
    throw wrong(`offsets end with ${offsets[lists]}, there are ${runs.length / 2} runs`);
  if (bias !== undefined && bias.length !== runs.length / 2)
    throw wrong(`${bias.length} biases for ${runs.length / 2} runs`);
  const unusable = bias?.findIndex((added) => !Number.isFinite(added)) ?? -1;
  if (unusable >= 0) throw wrong(`run ${unusable} has a bias of ${bias?.[unusable]}, which is not a finite number`);
  for (let list = 0; list < lists; list++) {
    const from = offsets[list] ?? 0;
    const to = offsets[list + 1] ?? 0;
    if (to < from) throw wrong(`list ${list} ends at run ${to} before it begins at ${from}`);
    let before = 0;
    for (let r = from; r < to; r++) {
      const start = runs[2 * r] ?? 0;
      const end = runs[2 * r + 1] ?? 0;
      if (start < before || end <= start)
        throw wrong(`list ${list}: run [${start}, ${end}) is empty or not after ${before}`);
      if (end > keyCount) throw wrong(`list ${list}: run [${start}, ${end}) ends after the ${keyCount} keys`);
      before = end;
    }
  }
}
