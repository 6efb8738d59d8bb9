/** The positions of a sequence's slots for RoPE, where they differ from the slot numbers: see `KvView.positions`. */
import type { SlotPositions } from '../backend/backend.ts';
import { positionAt } from '../backend/positions.ts';

/** The part of a sequence that is modified here. */
export interface Slots {
  readonly capacity: number;
  positions: SlotPositions | undefined;
}

/**
 * Returns the positions of the sequence with at least this many axes. Slots without a position have their own number on
 * all axes.
 */
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

/** Sets the positions of slots `[start, end)` to the first ones of `from`; undefined sets them to the slot numbers. */
export function setPositions(sequence: Slots, start: number, end: number, from: SlotPositions | undefined): void {
  const { axes, values } = placedSlots(sequence, from?.axes ?? 1);
  for (let axis = 0; axis < axes; axis++)
    for (let slot = start; slot < end; slot++)
      values[axis * sequence.capacity + slot] = from === undefined ? slot : positionAt(from, slot - start, axis);
}
