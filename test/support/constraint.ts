/** Toy constraints: a set of ids for each place of an answer. */
import type { Constraint } from '../../src/constrain/constraint.ts';

/** One bit an id. */
export function bitsOf(vocabulary: number, ids: Iterable<number>): Uint32Array {
  const bits = new Uint32Array(Math.ceil(vocabulary / 32));
  for (const id of ids) bits[id >> 5]! |= 1 << (id & 31);
  return bits;
}

export class PlacesConstraint implements Constraint {
  /** What was asked and told, in order. */
  readonly log: string[] = [];
  readonly #places: (place: number) => Uint32Array;
  readonly #length: number;
  #place = 0;

  /** `length`: of the whole answer. */
  constructor(places: (place: number) => Uint32Array, length = Infinity) {
    this.#places = places;
    this.#length = length;
  }

  get done(): boolean {
    return this.#place >= this.#length;
  }

  mask(): Uint32Array {
    this.log.push(`mask ${this.#place}`);
    return this.#places(this.#place);
  }

  accept(id: number): boolean {
    this.log.push(`accept ${id}`);
    const bits = this.#places(this.#place);
    if (((bits[id >> 5] ?? 0) & (1 << (id & 31))) === 0) return false;
    this.#place++;
    return true;
  }
}

/** The same ids everywhere. */
export const always = (bits: Uint32Array): Constraint => new PlacesConstraint(() => bits);
