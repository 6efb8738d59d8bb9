/** Ranges in which the tokens of some spans see each other in both directions, as the images of Gemma 3 do. */
import type { Ranges } from '../backend/backend.ts';
import { ListWriter } from './runs.ts';

/** Slots `[start, end)` of an image whose tokens attend to each other in both directions. */
export type OpenSpan = readonly [start: number, end: number];

/**
 * Returns causal `ranges` in which the queries of a span also see the rest of their span (Gemma 3's images).
 * Returns the same object when no query is in a span.
 */
export function withinSpans(
  ranges: Ranges,
  {
    queryCount,
    position,
    spans,
  }: { readonly queryCount: number; readonly position: number; readonly spans: readonly OpenSpan[] },
): Ranges {
  if (!spans.some(([start, end]) => start < position + queryCount && end > position)) return ranges;
  const lists = (ranges.offsets.length - 1) / Math.max(1, Math.ceil(queryCount / ranges.queryBlock));
  const opened = new ListWriter();
  for (let query = 0; query < queryCount; query++) {
    const own = position + query;
    const [, rest = 0] = spans.find(([start, end]) => start <= own && own < end) ?? [];
    for (let list = 0; list < lists; list++) {
      const at = Math.floor(query / ranges.queryBlock) * lists + list;
      for (let r = ranges.offsets[at] ?? 0; r < (ranges.offsets[at + 1] ?? 0); r++)
        opened.push(ranges.runs[2 * r] ?? 0, Math.min(ranges.runs[2 * r + 1] ?? 0, own + 1), ranges.bias?.[r]);
      opened.push(own + 1, rest);
      opened.next();
    }
  }
  return opened.build({ ...ranges, queryBlock: 1, causal: false });
}
