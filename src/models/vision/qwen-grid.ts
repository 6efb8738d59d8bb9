/**
 * The layout of the patches of a Qwen-VL image: their order, their windows, their positions for RoPE, and the position
 * table interpolated over them.
 */
import type { Ranges, RopeSpec, SlotPositions } from '../../backend/backend.ts';
import { ListWriter } from '../../kv/runs.ts';
import type { AttentionPlace } from '../../layers/full-attention.ts';

/** `rows` x `columns` units of `merge` x `merge` patches. */
export interface Grid {
  readonly rows: number;
  readonly columns: number;
  readonly merge: number;
}

const ROPE_BASE = 10000;

/** Returns the patches' indices in raster order, unit by unit in the order of `units`. */
export function unitOrder({ columns, merge }: Grid, units: Int32Array): Int32Array {
  const area = merge * merge;
  return Int32Array.from({ length: units.length * area }, (_, i) => {
    const unit = units[Math.floor(i / area)] ?? 0;
    const [row, column] = [Math.floor(unit / columns), unit % columns];
    const [y, x] = [Math.floor((i % area) / merge), i % merge];
    return (row * merge + y) * columns * merge + column * merge + x;
  });
}

export interface WindowOrder {
  /** The units, window by window. */
  readonly units: Int32Array;
  /** Where each of the given units is among them. */
  readonly back: Int32Array;
  /** Patches see those of their window. */
  readonly ranges: Ranges;
}

/**
 * Divides the grid into windows of `side` x `side` units, which are smaller at the right and at the bottom. Only the
 * `given` units are included, which ascend.
 */
export function windowOrder(
  { rows, columns, merge }: Grid,
  { side }: { readonly side: number },
  given: Int32Array,
): WindowOrder {
  const units: number[] = [];
  const there = new Set(given);
  const lists = new ListWriter();
  for (let top = 0; top < rows; top += side)
    for (let left = 0; left < columns; left += side) {
      const start = units.length;
      for (let y = top; y < Math.min(rows, top + side); y++)
        for (let x = left; x < Math.min(columns, left + side); x++)
          if (there.has(y * columns + x)) units.push(y * columns + x);
      const area = merge * merge;
      for (let unit = start; unit < units.length; unit++) {
        lists.push(start * area, units.length * area);
        lists.next();
      }
    }
  const places = new Map(units.map((unit, at) => [unit, at]));
  return {
    units: Int32Array.from(units),
    back: given.map((unit) => places.get(unit) ?? 0),
    ranges: lists.build({ queryBlock: merge * merge, shared: true, causal: false }),
  };
}

/** Half of a head's pairs are rotated by the patch's row, the other half by its column. */
export function gridPlace({ columns, merge }: Grid, order: Int32Array, headDim: number): AttentionPlace {
  const half = Math.floor(headDim / 4);
  const frequencies = Float64Array.from({ length: 2 * half }, (_, i) => ROPE_BASE ** ((-4 * (i % half)) / headDim));
  const rope: RopeSpec = {
    inverseFrequency: frequencies,
    magnitude: 1,
    style: 'half',
    sections: { order: 'consecutive', pairs: [0, half, half] },
  };
  const across = columns * merge;
  const values = new Int32Array(3 * order.length);
  for (const [i, patch] of order.entries()) {
    values[order.length + i] = Math.floor(patch / across);
    values[2 * order.length + i] = patch % across;
  }
  const positions: SlotPositions = { axes: 3, values };
  return { rope, positions };
}

/**
 * Interpolates a square table [side^2, width] over the grid, bilinear with aligned corners: [patches, width] in the
 * given order.
 */
export function stretchedTable(
  table: Float32Array,
  side: number,
  { rows, columns, merge }: Grid,
  order: Int32Array,
): Float32Array {
  const width = table.length / (side * side);
  const out = new Float32Array(order.length * width);
  const [high, wide] = [rows * merge, columns * merge];
  const at = (i: number, count: number): number => (count === 1 ? 0 : (i * (side - 1)) / (count - 1));
  for (const [i, patch] of order.entries()) {
    const y = at(Math.floor(patch / wide), high);
    const x = at(patch % wide, wide);
    const [top, left] = [Math.floor(y), Math.floor(x)];
    const taps = [
      [top, left, (1 - y + top) * (1 - x + left)],
      [top, left + 1, (1 - y + top) * (x - left)],
      [top + 1, left, (y - top) * (1 - x + left)],
      [top + 1, left + 1, (y - top) * (x - left)],
    ] as const;
    for (const [row, column, weight] of taps) {
      if (weight === 0) continue;
      const from = (row * side + column) * width;
      for (let c = 0; c < width; c++) out[i * width + c] = (out[i * width + c] ?? 0) + weight * (table[from + c] ?? 0);
    }
  }
  return out;
}
