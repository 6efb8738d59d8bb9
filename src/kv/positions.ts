/** The positions that a sequence's slots stand at for RoPE, where they are not the slots' own: see `KvView.positions`. */
import type { SlotPositions } from '../backend/backend.ts';
import { positionAt } from '../backend/positions.ts';

/** What of a sequence is set here. */
export interface Slots {
  readonly capacity: number;
  positions: SlotPositions | undefined;
}

/** The sequence's positions with at least so many axes; slots that were not placed stand at their own number on all of them. */
export function placedSlots(sequence: Slots, axes: number): SlotPositions {
  const { positions: old, capacity } = sequence;
  if (old !== undefined && old.axes >= axes) return old;
  const values = Int32Array.from({ length: axes * capacity }, (_, i) =>
    positionAt(old, i % capacity, Math.floor(i / capacity)),
  );
  return (sequence.positions = { axes, values });
}

/** The positions of slots `[start, end)`. */
export function positionsOf(positions: SlotPositions, start: number, end: number): SlotPositions {
  const { axes } = positions;
  const count = end - start;
  const values = Int32Array.from({ length: axes * count }, (_, i) =>
    positionAt(positions, start + (i % count), Math.floor(i / count)),
  );
  return { axes, values };
}

/** Sets the positions of slots `[start, end)` to the first ones of `from`; undefined: to their own numbers. */
export function setPositions(sequence: Slots, start: number, end: number, from: SlotPositions | undefined): void {
  const { axes, values } = placedSlots(sequence, from?.axes ?? 1);
  for (let axis = 0; axis < axes; axis++)
    for (let slot = start; slot < end; slot++)
      values[axis * sequence.capacity + slot] = from === undefined ? slot : positionAt(from, slot - start, axis);
}
