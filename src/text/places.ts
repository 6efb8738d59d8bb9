/** Where parts of a text come from, through the stages that changed or cut it. */
import { align, byteMap, sourceOf } from './alignment.ts';

/** Maps `[start, end)` of a text, in UTF-16 units, to the text that it was made from. */
export type Locate = (start: number, end: number) => readonly [number, number];

/** Returns a `Locate` for bytes of the text's UTF-8, which gives the units of the characters that the bytes belong to. */
export function byBytes(text: string, locate: Locate): Locate {
  const { starts, ends } = byteMap(text);
  return (start, end) => {
    const from = starts[start] ?? 0;
    return locate(from, start < end ? (ends[end] ?? 0) : from);
  };
}

/** Returns a `Locate` for each part of a piece, although the split may have changed the text; `locate` is that of the piece. */
export function placesOf(
  piece: string,
  parts: readonly string[],
  change: (part: string) => string,
  locate: Locate,
): Locate[] {
  const changed = parts.join('');
  const alignment = changed === piece ? undefined : align(piece, changed, change, true);
  let start = 0;
  return parts.map((part) => {
    const from = start;
    start += part.length;
    return (a, b) => {
      return locate(
        ...(alignment === undefined ? ([from + a, from + b] as const) : sourceOf(alignment, from + a, from + b)),
      );
    };
  });
}
