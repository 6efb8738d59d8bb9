/** Vectors of passages in int8: a 384-dimensional one takes 388 bytes, and scores differ from f32's in the third digit. */

export class Vectors {
  /** By passage. */
  readonly #rows = new Map<number, QuantisedVector>();

  set(id: number, vector: QuantisedVector): void {
    this.#rows.set(id, vector);
  }

  has(id: number): boolean {
    return this.#rows.has(id);
  }

  get(id: number): QuantisedVector | undefined {
    return this.#rows.get(id);
  }

  delete(id: number): void {
    this.#rows.delete(id);
  }

  get size(): number {
    return this.#rows.size;
  }

  /** The cosine of each passage's vector and the question's. */
  scores(question: Float32Array): Map<number, number> {
    const asked = quantise(question);
    return new Map([...this.#rows].map(([id, row]) => [id, cosine(asked, row)]));
  }
}

export interface QuantisedVector {
  readonly values: Int8Array;
  /** One unit of `values`, of the vector at length 1. */
  readonly scale: number;
}

/** At length 1. A vector of zeros stays one. */
export function quantise(vector: Float32Array): QuantisedVector {
  let squares = 0;
  let largest = 0;
  for (const value of vector) {
    squares += value * value;
    largest = Math.max(largest, Math.abs(value));
  }
  if (!(largest > 0) || !Number.isFinite(squares)) return { values: new Int8Array(vector.length), scale: 0 };
  return {
    values: Int8Array.from(vector, (value) => Math.round((127 * value) / largest)),
    scale: largest / 127 / Math.sqrt(squares),
  };
}

export function cosine(a: QuantisedVector, b: QuantisedVector): number {
  let sum = 0;
  for (let i = 0; i < Math.min(a.values.length, b.values.length); i++) sum += (a.values[i] ?? 0) * (b.values[i] ?? 0);
  return sum * a.scale * b.scale;
}
