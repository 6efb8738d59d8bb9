/** Sampling state on the device: two bit sets over the vocabulary. */
import type { DeviceBuffer } from '../../../gpu/runtime/buffers.ts';
import type { Runner } from '../../../gpu/runtime/runner.ts';
import { InputError } from '../../errors.ts';
import type { Sampler } from '../backend.ts';

export class GpuSampler implements Sampler {
  readonly vocabulary: number;
  readonly #runner: Runner;
  readonly #freed: () => void;
  #seen: DeviceBuffer | undefined;
  #mask: DeviceBuffer | undefined;
  #masked = false;

  constructor(runner: Runner, vocabulary: number, freed: () => void) {
    if (!Number.isInteger(vocabulary) || vocabulary < 1)
      throw new InputError('argument', `sampler: a vocabulary of ${vocabulary}`);
    this.vocabulary = vocabulary;
    this.#runner = runner;
    this.#freed = freed;
    // New buffers are zero: nothing is seen.
    this.#seen = runner.buffers.create(4 * this.#words, 'runtime');
  }

  get #words(): number {
    return Math.ceil(this.vocabulary / 32);
  }

  reset(ids: Int32Array): void {
    const words = new Uint32Array(this.#words);
    for (const id of ids) {
      if (id < 0 || id >= this.vocabulary)
        throw new InputError('argument', `sampler.reset: id ${id} is outside the vocabulary of ${this.vocabulary}`);
      words[id >> 5] = (words[id >> 5] ?? 0) | (1 << (id & 31));
    }
    this.#runner.upload(this.buffers().seen, 0, words);
  }

  mask(bits: Uint32Array | undefined): void {
    this.buffers();
    this.#masked = bits !== undefined;
    if (bits === undefined) return;
    if (bits.length !== this.#words) {
      throw new InputError(
        'argument',
        `sampler.mask: ${bits.length} words for a vocabulary of ${this.vocabulary}, needs ${this.#words}`,
      );
    }
    this.#mask ??= this.#runner.buffers.create(4 * this.#words, 'runtime');
    this.#runner.upload(this.#mask, 0, bits);
  }

  /** `mask` is bound, but not read, where nothing is masked. */
  buffers(): { readonly seen: DeviceBuffer; readonly mask: DeviceBuffer; readonly masked: boolean } {
    if (this.#seen === undefined) throw new InputError('destroyed', 'the sampler was freed');
    return { seen: this.#seen, mask: this.#mask ?? this.#seen, masked: this.#masked };
  }

  free(): void {
    if (this.#seen === undefined) return;
    this.#runner.destroy(this.#seen, ...(this.#mask === undefined ? [] : [this.#mask]));
    this.#seen = undefined;
    this.#mask = undefined;
    this.#freed();
  }
}
