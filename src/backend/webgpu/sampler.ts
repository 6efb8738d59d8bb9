/** Sampling state on the device: two bit sets over the vocabulary. */
import { sampleDraw, sampleParts, samplePrepare } from '../../../gpu/kernels/sample.ts';
import type { DeviceBuffer } from '../../../gpu/runtime/buffers.ts';
import type { Runner } from '../../../gpu/runtime/runner.ts';
import type { Sampler, SampleSpec, Tensor } from '../backend.ts';
import * as checks from '../checks.ts';
import { uniform } from '../random.ts';
import { matrix, ring as ringOf } from './tensors.ts';

export class GpuSampler implements Sampler {
  readonly vocabulary: number;
  readonly #runner: Runner;
  readonly #freed: () => void;
  #seen: DeviceBuffer | undefined;
  #mask: DeviceBuffer | undefined;
  #masked = false;

  constructor(runner: Runner, vocabulary: number, freed: () => void) {
    checks.sampler(vocabulary);
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
      if (id >= 0 && id < this.vocabulary) words[id >> 5] = (words[id >> 5] ?? 0) | (1 << (id & 31));
    }
    this.#runner.upload(this.buffers().seen, 0, words);
  }

  mask(bits: Uint32Array | undefined): void {
    this.buffers();
    checks.mask(this.vocabulary, bits);
    this.#masked = bits !== undefined;
    if (bits === undefined) return;
    this.#mask ??= this.#runner.buffers.create(4 * this.#words, 'runtime');
    this.#runner.upload(this.#mask, 0, bits);
  }

  /** `mask` is bound but not read when nothing is masked. */
  buffers(): { readonly seen: DeviceBuffer; readonly mask: DeviceBuffer; readonly masked: boolean } {
    if (this.#seen === undefined) throw checks.freed('sampler', 'the sampler');
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

/** Draws an id from the logits into `ring[index]`. */
export function sample(
  runner: Runner,
  logits: Tensor,
  sampler: Sampler,
  spec: SampleSpec,
  ring: Tensor,
  index: number,
): void {
  const { vocabulary } = sampler;
  checks.sample(logits, vocabulary, ring, index);
  if (!(sampler instanceof GpuSampler)) throw checks.foreign('sample', 'the sampler');
  const { buffers } = runner;
  const input = matrix('sample', 'logits', logits);
  const ids = ringOf('sample', ring);
  const state = sampler.buffers();
  const values = buffers.take(4 * vocabulary);
  const parts = buffers.take(16 * sampleParts(vocabulary));
  const inputs = {
    ...state,
    vocabulary,
    logits: input.buffer,
    spec,
    values,
    parts,
    ring: ids,
    index,
    uniform: uniform(spec.seed, index),
  };
  runner.run(samplePrepare, inputs);
  runner.run(sampleDraw, inputs);
  buffers.give(values);
  buffers.give(parts);
}
