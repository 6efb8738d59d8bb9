/**
 * Contract 4: which keys each query may see, as sorted runs. This file makes the usual kinds; `checkRanges` of
 * `src/backend/page-checks.ts` defines what is valid.
 */
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
 * The query at position p sees keys `(p - window, p]` (Mistral) and the first `sinks` keys (StreamingLLM, Xiao et al.
 * 2023). One list for each query, or one for all when the window limits none of them.
 */
export function slidingWindow(queryCount: number, position: number, window: number, sinks = 0): Ranges {
  return withinWindow(denseCausal(queryCount, position + queryCount), { queryCount, position, window, sinks });
}

/**
 * Returns `ranges` without the keys that are `window` or more positions before their query, except the first `sinks`.
 * Returns the same object when there are none.
 */
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
