/**
 * Where the tokens of a context stand for RoPE. An image's tokens stand where its model says, those of which some were left out keep the positions of
 * the others, and what follows stands where it would with all of them (ToDRE, section 3.2): slots of the sequence follow each other, while
 * positions have gaps.
 */
import type { PlacedSpan } from '../chat/prompt.ts';

/** What of a sequence is set here. */
export interface Slots {
  readonly capacity: number;
  positions: Int32Array | undefined;
}

/** Sets the positions of a prompt's slots `[start, end)`; `spans` are those of the whole prompt, and those in these slots are encoded. */
export function placePrompt(sequence: Slots, start: number, end: number, spans: readonly PlacedSpan[]): void {
  if (sequence.positions === undefined) {
    if (spans.every(followsItsSlots)) return;
    sequence.positions = Int32Array.from({ length: sequence.capacity }, (_, slot) => slot);
  }
  const { positions } = sequence;
  let slot = start;
  // Positions that the spans so far left out.
  let gap = 0;
  const upTo = (until: number): void => {
    for (; slot < Math.min(until, end); slot++) positions[slot] = slot + gap;
  };
  for (const { at, tokens, image, span, row } of spans) {
    upTo(at);
    if (slot >= end) return;
    const { offsets, advance } = image.positions[span] ?? { offsets: new Int32Array(0), advance: tokens };
    const kept = image.selection?.kept;
    const first = image.prepared.spans.slice(0, span).reduce((sum, before) => sum + before.tokens, 0);
    for (; slot < Math.min(at + tokens, end); slot++) {
      const token = kept === undefined ? slot - at : (kept[row + slot - at] ?? first) - first;
      positions[slot] = at + gap + (offsets[token] ?? token);
    }
    gap += advance - tokens;
  }
  upTo(end);
}

/** Whether all tokens are there, one position after the other. */
function followsItsSlots({ image, span }: PlacedSpan): boolean {
  const { offsets, advance } = image.positions[span] ?? {};
  return (
    image.selection === undefined && advance === offsets?.length && offsets?.every((offset, i) => offset === i) === true
  );
}

/** The next slot stands behind the one before. */
export function placeNext({ positions }: Slots, slot: number): void {
  if (positions !== undefined) positions[slot] = slot === 0 ? 0 : (positions[slot - 1] ?? slot - 1) + 1;
}
