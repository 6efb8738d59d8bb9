/** Tables of cos and sin for a call's positions, made in f64. All layers of a step ask for the same one. */
import type { RopeSpec } from '../backend.ts';
import type { Engine } from './engine.ts';

/** Specs with a table at once: models use one or two (local and global layers). */
const TABLES = 4;

interface Table {
  readonly spec: RopeSpec;
  position: number;
  count: number;
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

  /** Address of [count][cos: pairs, sin: pairs] for positions [position, position + count), times the spec's magnitude. */
  pointer(spec: RopeSpec, position: number, count: number): number {
    let table = this.#tables.find((one) => one.spec === spec);
    if (table !== undefined && position >= table.position && position + count <= table.position + table.count) {
      return table.pointer + (position - table.position) * spec.inverseFrequency.length * 8;
    }
    const pairs = spec.inverseFrequency.length;
    const bytes = count * pairs * 8;
    if (table === undefined) {
      if (this.#tables.length === TABLES) this.#engine.free(this.#tables.shift()?.pointer ?? 0);
      table = { spec, position, count: 0, bytes: 0, pointer: 0 };
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
    table.count = count;
    const values = this.#engine.wasm.f32(table.pointer, count * pairs * 2);
    for (let t = 0; t < count; t++) {
      for (let i = 0; i < pairs; i++) {
        const angle = (position + t) * (spec.inverseFrequency[i] ?? 0);
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
