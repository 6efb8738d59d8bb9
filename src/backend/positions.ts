/**
 * The positions of slots for RoPE (`KvView.positions`), and which axis of a position rotates which pair of channels
 * (`RopeSpec.sections`).
 */
import type { RopeSections, RopeSpec, SlotPositions } from './backend.ts';

/** Returns the position of a slot on an axis. */
export function positionAt(positions: SlotPositions | undefined, slot: number, axis = 0): number {
  if (positions === undefined) return slot;
  const { axes, values } = positions;
  return values[(values.length / axes) * Math.min(axis, axes - 1) + slot] ?? slot;
}

/** Returns the axis that rotates pair `pair`. */
export function axisOfPair({ sections }: RopeSpec, pair: number): number {
  if (sections === undefined) return 0;
  const [time, height, width] = sections.pairs;
  if (sections.order === 'consecutive') return pair < time ? 0 : pair < time + height ? 1 : 2;
  const axis = pair % 3;
  return pair < 3 * (axis === 1 ? height : axis === 2 ? width : 0) ? axis : 0;
}

/**
 * Returns the positions of slots `[slot, slot + count)` for RoPE: only the first if they are consecutive on every axis
 * that rotates a pair, as in text, otherwise all of them, [axes, count].
 */
export function ropePositions(
  { sections }: { readonly sections?: RopeSections | undefined },
  positions: SlotPositions | undefined,
  slot: number,
  count: number,
): { readonly first: number; readonly rows: Int32Array | undefined; readonly end: number } {
  const first = positionAt(positions, slot);
  if (positions === undefined) return { first, rows: undefined, end: first + count };
  const axes = sections === undefined ? 1 : positions.axes;
  let follows = true;
  let end = 0;
  const rows = new Int32Array(axes * count);
  for (let axis = 0; axis < axes; axis++) {
    for (let i = 0; i < count; i++) {
      const position = positionAt(positions, slot + i, axis);
      rows[axis * count + i] = position;
      end = Math.max(end, position + 1);
      if (position !== first + i) follows = false;
    }
  }
  return { first, rows: follows ? undefined : rows, end };
}
