/** Where token ids go, and beside them, where it is asked for, the bytes of the text that each stands for. */
import { set } from './arrays';

/** u32[2] for each id of the current piece: `[start, end)` in bytes of the text; 0 where nobody asks. */
let spans: usize = 0;

/** Called before each piece. */
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

/** The id at index `i` stands for what is up to `to`, too. */
@inline
export function extend(i: u32, to: u32): void {
  if (spans != 0) store<u32>(spans + ((<usize>i) << 3), to, 4);
}
