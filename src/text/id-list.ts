/** Token ids in order and, if requested, for each the units of the text that it stands for. */
export class IdList {
  #ids = new Int32Array(256);
  #length = 0;
  /** Start and end alternately. */
  readonly offsets: number[] = [];

  /** `start` and `end` are units of the whole text; kept only if offsets are requested. */
  push(id: number, start?: number, end?: number): void {
    this.#reserve(1);
    this.#ids[this.#length++] = id;
    if (start !== undefined && end !== undefined) this.offsets.push(start, end);
  }
  append(ids: Int32Array): void {
    this.#reserve(ids.length);
    this.#ids.set(ids, this.#length);
    this.#length += ids.length;
  }
  get length(): number {
    return this.#length;
  }
  take(): Int32Array {
    return this.#ids.slice(0, this.#length);
  }
  #reserve(more: number): void {
    const need = this.#length + more;
    if (need <= this.#ids.length) return;
    const grown = new Int32Array(Math.max(need, 2 * this.#ids.length));
    grown.set(this.#ids.subarray(0, this.#length));
    this.#ids = grown;
  }
}
