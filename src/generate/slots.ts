/**
 * The positions of a context's tokens for RoPE. The tokens of an image have the positions that its model gives. If some
 * were left out, the others keep their positions, and what follows has the position that it would have with all of them
 * (ToDRE, section 3.2). So the slots of the sequence are consecutive, while positions have gaps.
 */
import type { SlotPositions } from '../backend/backend.ts';
import { positionAt } from '../backend/positions.ts';
import type { PlacedSpan } from '../chat/prompt.ts';
import { placedSlots, type Slots } from '../kv/positions.ts';
import type { PromptImage } from '../see/images.ts';

/**
 * Sets the positions of a prompt's slots `[start, end)`. `spans` are those of the whole prompt; the ones in these slots
 * are encoded.
 */
export function placePrompt(sequence: Slots, start: number, end: number, spans: readonly PlacedSpan[]): void {
  if (sequence.positions === undefined && spans.every(followsItsSlots)) return;
  const { axes, values } = placedSlots(
    sequence,
    Math.max(1, ...spans.map(({ image, span }) => offsetsOf(image, span)?.axes ?? 1)),
  );
  const { capacity } = sequence;
  let slot = start;
  // The number of positions that the spans so far left out.
  let gap = 0;
  const upTo = (until: number): void => {
    for (; slot < Math.min(until, end); slot++)
      for (let axis = 0; axis < axes; axis++) values[axis * capacity + slot] = slot + gap;
  };
  for (const { at, tokens, image, span, row } of spans) {
    upTo(at);
    if (slot >= end) return;
    const offsets = offsetsOf(image, span);
    const kept = image.selection?.kept;
    const first = image.prepared.spans.slice(0, span).reduce((sum, before) => sum + before.tokens, 0);
    for (; slot < Math.min(at + tokens, end); slot++) {
      const token = kept === undefined ? slot - at : (kept[row + slot - at] ?? first) - first;
      for (let axis = 0; axis < axes; axis++)
        values[axis * capacity + slot] = at + gap + positionAt(offsets, token, axis);
    }
    gap += (image.positions[span]?.advance ?? tokens) - tokens;
  }
  upTo(end);
}

/** Returns the positions of all tokens of an image's span, relative to its first; undefined if they are consecutive. */
function offsetsOf({ positions, prepared }: PromptImage, span: number): SlotPositions | undefined {
  const { offsets } = positions[span] ?? {};
  const tokens = prepared.spans[span]?.tokens ?? 0;
  return offsets === undefined || tokens === 0 ? undefined : { axes: offsets.length / tokens, values: offsets };
}

/** Tells whether all tokens are present, at consecutive positions. */
function followsItsSlots({ image, span }: PlacedSpan): boolean {
  const { offsets, advance } = image.positions[span] ?? {};
  return (
    image.selection === undefined && advance === offsets?.length && offsets?.every((offset, i) => offset === i) === true
  );
}

/** The positions of slots `[start, end)`: each after the largest position before it, on all axes. */
export function placeNext({ positions, capacity }: Slots, start: number, end: number): void {
  if (positions === undefined) return;
  const { axes, values } = positions;
  let last = -1;
  for (let axis = 0; axis < axes && start > 0; axis++) last = Math.max(last, positionAt(positions, start - 1, axis));
  for (let slot = start; slot < end; slot++)
    for (let axis = 0; axis < axes; axis++) values[axis * capacity + slot] = last + 1 + slot - start;
}
