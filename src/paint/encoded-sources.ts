/** The source image of an edit, which is encoded once and kept for the next instruction. */
import type { Tensor } from '../backend/backend.ts';
import { pcgHash } from '../backend/random.ts';
import { Held } from '../layers/held.ts';
import { paced } from '../layers/steps.ts';
import { cannotPaint, type PaintModel } from '../models/paint-model.ts';

export interface EncodedSource {
  readonly key: string;
  /** [N + B, D], for the prompt. */
  readonly visual: Tensor;
  /** [B + N, W], the decoder's input where a token is unknown. */
  readonly beneath: Tensor;
}

/** Returns the content key of an image's pixels: two hashes of 32 bits and the size. */
export function pixelsKey({ pixels, size }: { readonly pixels: Float32Array; readonly size: number }): string {
  const words = new Uint32Array(pixels.buffer, pixels.byteOffset, pixels.length);
  let [a, b] = [1, 2];
  for (const word of words) {
    a = pcgHash((a ^ word) >>> 0);
    b = pcgHash((b + word) >>> 0);
  }
  return `${size}:${a.toString(16)}:${b.toString(16)}`;
}

export class EncodedSources {
  readonly #model: PaintModel;
  #kept: { readonly source: EncodedSource; readonly held: Held } | undefined;

  /** Precondition: `model` can edit. */
  constructor(model: PaintModel) {
    this.#model = model;
  }

  /** The result is valid until the next call. */
  async encode(
    picture: { readonly pixels: Float32Array; readonly size: number },
    key: string,
    pause: () => Promise<void>,
  ): Promise<EncodedSource> {
    if (this.#kept?.source.key === key) return this.#kept.source;
    this.free();
    const { backend, source: encode, decoder } = this.#model;
    if (encode === undefined) throw cannotPaint(true, []);
    const held = new Held(backend);
    try {
      const { encoded, visual } = await paced(encode(picture.pixels, picture.size, held), pause);
      const source = { key, visual, beneath: held.next(encoded, (x) => decoder.embed(x)) };
      this.#kept = { source, held };
      return source;
    } catch (error) {
      held.free();
      throw error;
    }
  }

  free(): void {
    this.#kept?.held.free();
    this.#kept = undefined;
  }
}
