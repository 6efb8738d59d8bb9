/** What a UniPic model sees of pixels that bytes hold only nearly, without sessions. */
import type { Tensor } from '../../src/backend/backend.ts';
import { Held } from '../../src/layers/held.ts';
import { atOnce, type Steps } from '../../src/layers/steps.ts';
import type { Model } from '../../src/models/model.ts';
import type { UniPicVision } from '../../src/models/unipic/vision.ts';

type Seeing = Pick<Model, 'language' | 'vision' | 'missing'>;

/** In steps; `held` owns the tensor. */
export function* seeing(
  { vision, missing }: Seeing,
  pixels: Float32Array,
  size: number,
  held: Held,
  route?: string,
): Steps<Tensor> {
  if (vision === undefined) throw new Error(missing.join('; '));
  const unipic = vision as UniPicVision;
  // The one that a picture of this size takes, whether the model has that size or not.
  const usual = unipic.settings({}, { data: new Uint8ClampedArray(), width: size, height: size }).route;
  return (yield* unipic.encodePixels(pixels, { route: route ?? usual, size }, held)).embeddings;
}

/** RGB [size * size * 3] in -1..1 -> embeddings, in the caller's scope. */
export function see(model: Seeing, pixels: Float32Array, size: number, route?: string): Tensor {
  const { backend } = model.language;
  const held = new Held(backend);
  try {
    const visual = atOnce(seeing(model, pixels, size, held, route));
    return backend.rows(visual, 0, visual.shape[0] ?? 0);
  } finally {
    held.free();
  }
}
