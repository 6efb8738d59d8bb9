/** DHSA's learned boundary predictor: the weights of a model's file, in WASM memory (assembly/select/boundary.ts). */
import { InputError } from '../../errors.ts';
import type { Wasm } from '../../wasm.ts';
import type { GapScorer } from './dhsa-boundaries.ts';
import { boundarySizes, type BoundaryWeights } from './dhsa-weights.ts';

const ORDER = [
  'query',
  'key',
  'value',
  'normWeight',
  'normBias',
  'hiddenWeight',
  'hiddenBias',
  'outputWeight',
] as const;
/** Words of the argument block. */
const WORDS = 16;

/** One object for all sequences of a model on one instance; its creator frees it. */
export class BoundaryPredictor implements GapScorer {
  readonly layer: number;
  readonly window: number;
  readonly threshold: number;
  readonly #wasm: Wasm;
  readonly #width: number;
  readonly #hidden: number;
  readonly #outputBias: number;
  /** Of all tensors, in ORDER. */
  #memory: number;
  readonly #pointers: readonly number[];

  constructor(wasm: Wasm, { layer, window, threshold, width, hidden, tensors }: BoundaryWeights) {
    const sizes = boundarySizes(width, hidden);
    for (const name of ORDER) {
      const { length } = tensors[name];
      if (length !== sizes[name])
        throw new InputError(
          'argument',
          `boundary predictor: ${name} has ${length} values, should have ${sizes[name]}`,
          { name, length },
        );
    }
    this.layer = layer;
    this.window = window;
    this.threshold = threshold;
    this.#wasm = wasm;
    this.#width = width;
    this.#hidden = hidden;
    this.#outputBias = tensors.outputBias[0] ?? 0;
    this.#memory = wasm.alloc(4 * ORDER.reduce((sum, name) => sum + sizes[name], 0));
    let at = this.#memory;
    this.#pointers = ORDER.map((name) => {
      const pointer = at;
      wasm.f32(pointer, sizes[name]).set(tensors[name]);
      at += 4 * sizes[name];
      return pointer;
    });
  }

  score(wasm: Wasm, out: number, keys: number, count: number, width: number): void {
    if (width !== this.#width)
      throw new InputError(
        'argument',
        `boundary predictor: keys of ${width} values, but it was trained on ${this.#width}`,
        { width },
      );
    const scratchBytes = wasm.exports.boundaryScratchBytes(count, width, this.window);
    const block = wasm.alloc(4 * WORDS + scratchBytes);
    try {
      const words = [out, keys, count, width, this.window, this.#hidden, ...this.#pointers];
      wasm.u32(block, WORDS).set(words);
      wasm.f32(block + 4 * words.length, 1)[0] = this.#outputBias;
      wasm.u32(block + 4 * words.length + 4, 1)[0] = block + 4 * WORDS;
      wasm.exports.boundaryScores(block);
    } finally {
      wasm.free(block);
    }
  }

  /** Further calls are ignored. */
  free(): void {
    this.#wasm.free(this.#memory);
    this.#memory = 0;
  }
}
