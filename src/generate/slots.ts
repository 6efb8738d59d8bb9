/**
 * Where the tokens of a context stand for RoPE. Pictures of which some tokens were left out keep the positions of those that stay, and what
 * follows stands where it would with all of them (ToDRE, section 3.2): slots of the sequence follow each other, positions have gaps.
 */
import type { Placed } from '../chat/prompt.ts';

/** What of a sequence is set here. */
export interface Slots {
  readonly capacity: number;
  positions: Int32Array | undefined;
}

/** Sets the positions of a prompt's slots `[start, end)`; the pictures are those of the whole prompt, and those in these slots have been looked at. */
export function placePrompt(sequence: Slots, start: number, end: number, pictures: readonly Placed[]): void {
  if (sequence.positions === undefined) {
    if (pictures.every(({ picture }) => picture.thinned === undefined)) return;
    sequence.positions = Int32Array.from({ length: sequence.capacity }, (_, slot) => slot);
  }
  const { positions } = sequence;
  let slot = start;
  // Positions that the pictures so far left out.
  let gap = 0;
  const upTo = (until: number): void => {
    for (; slot < Math.min(until, end); slot++) positions[slot] = slot + gap;
  };
  for (const { at, picture } of pictures) {
    upTo(at);
    if (slot >= end) return;
    const { thinned, tokens } = picture;
    if (thinned === undefined) continue;
    for (; slot < Math.min(at + tokens, end); slot++)
      positions[slot] = at + gap + (thinned.kept?.[slot - at] ?? slot - at);
    gap += thinned.of - tokens;
  }
  upTo(end);
}

/** The next slot stands behind the one before. */
export function placeNext({ positions }: Slots, slot: number): void {
  if (positions !== undefined) positions[slot] = slot === 0 ? 0 : (positions[slot - 1] ?? slot - 1) + 1;
}
