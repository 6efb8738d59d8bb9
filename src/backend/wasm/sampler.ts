/** A generation's state in WASM memory: ids seen and the mask, one bit an id. */
import { InputError } from '../../errors.ts';
import type { Sampler } from '../backend.ts';
import type { Engine } from './engine.ts';

/** Far above any tokenizer's. */
const MAX_VOCABULARY = 2 ** 24;

export class WasmSampler implements Sampler {
  readonly vocabulary: number;
  readonly #engine: Engine;
  readonly #freed: (sampler: WasmSampler) => void;
  #pointer: number;
  #masked = false;

  constructor(engine: Engine, vocabulary: number, freed: (sampler: WasmSampler) => void) {
    if (!(Number.isInteger(vocabulary) && vocabulary > 0 && vocabulary <= MAX_VOCABULARY)) {
      throw new InputError('argument', `sampler: a vocabulary of ${vocabulary}; 1 to ${MAX_VOCABULARY} are possible`);
    }
    this.#engine = engine;
    this.vocabulary = vocabulary;
    this.#freed = freed;
    this.#pointer = engine.alloc(8 * this.#words);
    this.#bits(0).fill(0);
  }

  get #words(): number {
    return Math.ceil(this.vocabulary / 32);
  }
  #bits(which: 0 | 1): Uint32Array {
    return this.#engine.wasm.u32(this.#pointer + which * 4 * this.#words, this.#words);
  }

  /** Bits of the ids seen. */
  get seen(): number {
    this.#alive();
    return this.#pointer;
  }
  /** Bits of the ids allowed; 0 allows all. */
  get allowed(): number {
    return this.#masked ? this.#pointer + 4 * this.#words : 0;
  }

  reset(ids: Int32Array): void {
    this.#alive();
    const seen = this.#bits(0);
    seen.fill(0);
    for (const id of ids) {
      if (id >= 0 && id < this.vocabulary) seen[id >> 5] = (seen[id >> 5] ?? 0) | (1 << (id & 31));
    }
  }

  mask(bits: Uint32Array | undefined): void {
    this.#alive();
    this.#masked = bits !== undefined;
    if (bits === undefined) return;
    if (bits.length !== this.#words) {
      this.#masked = false;
      throw new InputError(
        'argument',
        `sampler.mask: ${bits.length} words for a vocabulary of ${this.vocabulary}, needs ${this.#words}`,
      );
    }
    this.#bits(1).set(bits);
  }

  free(): void {
    if (this.#pointer === 0) return;
    this.#engine.free(this.#pointer);
    this.#pointer = 0;
    this.#freed(this);
  }

  #alive(): void {
    this.#engine.alive();
    if (this.#pointer === 0) throw new InputError('destroyed', 'the sampler was freed');
  }
}
