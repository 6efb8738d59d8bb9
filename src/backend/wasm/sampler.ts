/** The state of one generation in WASM memory: the ids seen and the mask, with one bit for each id. */
import type { Sampler, SampleSpec, Tensor } from '../backend.ts';
import * as checks from '../checks.ts';
import type { Engine } from './engine.ts';
import { writeSample } from './layouts.ts';
import { tensorOf } from './residence.ts';

export class WasmSampler implements Sampler {
  readonly vocabulary: number;
  readonly #engine: Engine;
  readonly #freed: (sampler: WasmSampler) => void;
  #pointer: number;
  #masked = false;

  constructor(engine: Engine, vocabulary: number, freed: (sampler: WasmSampler) => void) {
    checks.sampler(vocabulary);
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
    checks.mask(this.vocabulary, bits);
    this.#masked = bits !== undefined;
    if (bits !== undefined) this.#bits(1).set(bits);
  }

  free(): void {
    if (this.#pointer === 0) return;
    this.#engine.free(this.#pointer);
    this.#pointer = 0;
    this.#freed(this);
  }

  #alive(): void {
    this.#engine.alive();
    if (this.#pointer === 0) throw checks.freed('sampler', 'the sampler');
  }
}

/** Draws an id from the logits into `ring[index]` (assembly/kernels/sample.ts). */
export function sample(
  engine: Engine,
  logits: Tensor,
  sampler: Sampler,
  spec: SampleSpec,
  ring: Tensor,
  index: number,
): void {
  const { vocabulary } = sampler;
  checks.sample(logits, vocabulary, ring, index);
  if (!(sampler instanceof WasmSampler)) throw checks.foreign('sample', 'the sampler');
  const input = tensorOf('sample', 'logits', logits);
  const ids = tensorOf('sample', 'ring', ring);
  const work = engine.room('sample', engine.wasm.exports.sampleWorkBytes(vocabulary));
  writeSample(engine.block(), {
    logits: input.pointer,
    vocabulary,
    seen: sampler.seen,
    mask: sampler.allowed,
    work,
    temperature: spec.temperature,
    topK: spec.topK,
    topP: spec.topP,
    minP: spec.minP,
    repetition: spec.repetitionPenalty,
    presence: spec.presencePenalty,
    seed: spec.seed,
    index,
    result: ids.pointer + 4 * index,
  });
  engine.run('sample', engine.wasm.exports.sample);
}
