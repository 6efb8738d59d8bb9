/** Writes token ids and, where the caller asks for them, the byte ranges of the text that the ids stand for. */
import { set } from './arrays';

/** u32[2] for each id of the current piece: `[start, end)` in bytes of the text; 0 when they are not wanted. */
let spans: usize = 0;

/** Sets where spans are written. Called before each piece. */
export function placeSpans(at: usize): void {
  spans = at;
}

/** Writes the id at index `i` of `output`, which stands for the bytes `[from, to)`. */
@inline
export function put(output: usize, i: u32, id: u32, from: u32, to: u32): void {
  set(output, i, id);
  if (spans == 0) return;
  const at: usize = spans + ((<usize>i) << 3);
  store<u32>(at, from);
  store<u32>(at, to, 4);
}

/** Extends the span of the id at index `i` to `to`. */
@inline
export function extend(i: u32, to: u32): void {
  if (spans != 0) store<u32>(spans + ((<usize>i) << 3), to, 4);
}
