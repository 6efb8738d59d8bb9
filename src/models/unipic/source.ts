/** Encodes an image for seeing by the MAR route and for editing: the image tokenizer, then the MAR encoder with no token masked. */
import type { Tensor } from '../../backend/backend.ts';
import { InputError } from '../../errors.ts';
import type { Held } from '../../layers/held.ts';
import type { Steps } from '../../layers/steps.ts';
import type { SourceEmbeddings } from '../paint-model.ts';
import type { UniPicConfig } from './config.ts';
import type { MarEncoder } from './mar.ts';
import type { PictureEncoder } from './tokenizer.ts';

export class SourceEncoder {
  readonly #config: UniPicConfig;
  readonly #pictures: PictureEncoder;
  readonly #encoder: MarEncoder;
  readonly #toLanguage: (x: Tensor) => Tensor;

  constructor(config: UniPicConfig, pictures: PictureEncoder, encoder: MarEncoder, toLanguage: (x: Tensor) => Tensor) {
    this.#config = config;
    this.#pictures = pictures;
    this.#encoder = encoder;
    this.#toLanguage = toLanguage;
  }

  /** pixels: RGB [size * size * 3] in -1..1 -> embeddings owned by `held`. */
  *encode(pixels: Float32Array, size: number, held: Held): Steps<SourceEmbeddings> {
    const { sizes, patch } = this.#config;
    if (!sizes.includes(size) || pixels.length !== size * size * 3)
      throw new InputError(
        'argument',
        `pixels: ${pixels.length} values of ${size} pixels a side; this model reads squares of ${sizes.join(', ')} pixels, three values each`,
        { values: pixels.length, size, known: sizes },
      );
    if (!pixels.every((value) => value >= -1.0001 && value <= 1.0001))
      throw new InputError('argument', 'pixels: some are not numbers from -1 to 1; give 2 x / 255 - 1 of each byte');
    const grid = size / patch;
    const tokens = yield* this.#pictures.encode(pixels, size, held);
    const all = Int32Array.from({ length: grid * grid }, (_, i) => i);
    const encoded = yield* this.#encoder.forward(tokens, all, grid, held);
    held.drop(tokens);
    yield;
    return { encoded, visual: held.step(() => this.#toLanguage(encoded)) };
  }
}
