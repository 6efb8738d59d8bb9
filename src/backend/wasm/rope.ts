/** Tables of cosines and sines for a call's positions, computed in f64. All layers of a step use the same one. */
import type { RopeSpec, SlotPositions } from '../backend.ts';
import { axisOfPair, ropePositions } from '../positions.ts';
import type { Engine } from './engine.ts';

/** The number of specs that have a table at the same time: models use one or two (local and global layers). */
const TABLES = 4;

interface Table {
  readonly spec: RopeSpec;
  /** Positions `[position, position + count)`, unless `rows` [axes, count] gives them. */
  position: number;
  count: number;
  rows: Int32Array | undefined;
  bytes: number;
  pointer: number;
}

export class RopeTables {
  readonly #engine: Engine;
  /** Least recently used first. */
  #tables: Table[] = [];

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  get count(): number {
    return this.#tables.length;
  }

  /**
   * Returns the address of [count][cos: pairs, sin: pairs] for slots [slot, slot + count), times the spec's magnitude.
   * Slots at consecutive positions share a table with those of other calls.
   */
  pointer(spec: RopeSpec, slot: number, count: number, positions?: SlotPositions): number {
    const { first: position, rows } = ropePositions(spec, positions, slot, count);
    let table = this.#tables.find((one) => one.spec === spec);
    if (
      table !== undefined &&
      rows === undefined &&
      position >= table.position &&
      position + count <= table.position + table.count
    ) {
      return table.pointer + (position - table.position) * spec.inverseFrequency.length * 8;
    }
    // All layers of a step use the same rows.
    if (table?.rows !== undefined && rows !== undefined && same(table.rows, rows)) return table.pointer;
    const pairs = spec.inverseFrequency.length;
    const bytes = count * pairs * 8;
    if (table === undefined) {
      if (this.#tables.length === TABLES) this.#engine.free(this.#tables.shift()?.pointer ?? 0);
      table = { spec, position, count: 0, rows: undefined, bytes: 0, pointer: 0 };
      this.#tables.push(table);
    }
    if (table.bytes < bytes) {
      this.#engine.free(table.pointer);
      table.pointer = 0;
      table.bytes = 0;
      table.count = 0;
      table.pointer = this.#engine.alloc(bytes);
      table.bytes = bytes;
    }
    table.position = position;
    table.count = rows === undefined ? count : 0;
    table.rows = rows;
    const values = this.#engine.wasm.f32(table.pointer, count * pairs * 2);
    // With one axis, it rotates all pairs.
    const last = rows === undefined ? 0 : rows.length / count - 1;
    const axes = Uint8Array.from({ length: pairs }, (_, i) => Math.min(last, axisOfPair(spec, i)));
    for (let t = 0; t < count; t++) {
      for (let i = 0; i < pairs; i++) {
        const angle = (rows?.[(axes[i] ?? 0) * count + t] ?? position + t) * (spec.inverseFrequency[i] ?? 0);
        values[t * pairs * 2 + i] = Math.cos(angle) * spec.magnitude;
        values[t * pairs * 2 + pairs + i] = Math.sin(angle) * spec.magnitude;
      }
    }
    return table.pointer;
  }

  destroy(): void {
    for (const table of this.#tables) this.#engine.free(table.pointer);
    this.#tables = [];
  }
}

function same(a: Int32Array, b: Int32Array): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}
