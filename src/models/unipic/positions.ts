/** Learned positions of image tokens, for grids of other sides interpolated bilinearly (align_corners false), each once. */
import type { Backend, Tensor } from '../../backend/backend.ts';

/** table [from * from, width] -> [to * to, width]: a value at pixel centres, borders repeated. */
export function interpolateGrid(table: Float32Array, from: number, to: number, width: number): Float32Array {
  if (from === to) return table;
  const out = new Float32Array(to * to * width);
  const lines = Array.from({ length: to }, (_, i) => {
    const at = Math.max(0, ((i + 0.5) * from) / to - 0.5);
    const low = Math.min(from - 1, Math.floor(at));
    return { low, high: Math.min(from - 1, low + 1), part: at - low };
  });
  lines.forEach((row, y) => {
    lines.forEach((column, x) => {
      const corner = (line: number, place: number): number => (line * from + place) * width;
      const [a, b, c, d] = [
        corner(row.low, column.low),
        corner(row.low, column.high),
        corner(row.high, column.low),
        corner(row.high, column.high),
      ];
      for (let i = 0; i < width; i++) {
        const upper = (table[a + i] ?? 0) * (1 - column.part) + (table[b + i] ?? 0) * column.part;
        const lower = (table[c + i] ?? 0) * (1 - column.part) + (table[d + i] ?? 0) * column.part;
        out[(y * to + x) * width + i] = upper * (1 - row.part) + lower * row.part;
      }
    });
  });
  return out;
}

/** A table on the device by grid; the first `fixed` rows are none of the grid's and stay as they are. Its owner frees it. */
export class Positions {
  readonly #backend: Backend;
  readonly #table: Float32Array;
  readonly #shape: { readonly fixed: number; readonly grid: number; readonly width: number };
  readonly #kept = new Map<number, Tensor>();

  /** table [fixed + grid * grid, width] */
  constructor(
    backend: Backend,
    table: Float32Array,
    shape: { readonly fixed: number; readonly grid: number; readonly width: number },
  ) {
    this.#backend = backend;
    this.#table = table;
    this.#shape = shape;
  }

  /** [fixed + grid * grid, width] */
  of(grid: number): Tensor {
    const known = this.#kept.get(grid);
    if (known !== undefined) return known;
    const { fixed, grid: native, width } = this.#shape;
    const values = new Float32Array((fixed + grid * grid) * width);
    values.set(this.#table.subarray(0, fixed * width));
    values.set(interpolateGrid(this.#table.subarray(fixed * width), native, grid, width), fixed * width);
    const tensor = this.#backend.keep(this.#backend.upload(values, [fixed + grid * grid, width]));
    this.#kept.set(grid, tensor);
    return tensor;
  }

  free(): void {
    for (const tensor of this.#kept.values()) this.#backend.free(tensor);
    this.#kept.clear();
  }
}
