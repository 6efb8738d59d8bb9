/**
 * A tower over the patches of a square, preceded by a class token whose row is dropped at the end (CLIP, InternViT).
 */
import type { Backend, NormSpec, Tensor } from '../../backend/backend.ts';
import type { EncoderActivation, EncoderBlockWeights } from '../../layers/encoder-block.ts';
import type { Held } from '../../layers/held.ts';
import type { MaybeBiased } from '../../layers/linear.ts';
import type { Steps } from '../../layers/steps.ts';
import type { Rgba } from '../../vision/image.ts';
import { suffixed, type Take, type TensorName } from '../weights.ts';
import { toNormalised, type Normalisation } from './normalise.ts';
import { patchRows } from './patches.ts';
import type { TowerShape } from './tower-facts.ts';
import { VisionTransformer } from './vit.ts';

export interface ClassTokenConfig extends TowerShape {
  readonly activation: EncoderActivation;
  readonly normalisation: Normalisation;
}

export interface ClassTokenWeights {
  readonly patches: readonly MaybeBiased[];
  readonly classToken: Float32Array; // [width]
  readonly positions: Float32Array; // [1 + patches, width]
  readonly preNorm?: NormSpec | undefined;
  readonly blocks: readonly EncoderBlockWeights[];
}

/** `classToken` and `positions` are complete names; the name of the patches lacks its suffix. */
export function takeClassToken(
  take: Take,
  { width, size, patch }: TowerShape,
  names: { readonly patches: TensorName; readonly classToken: TensorName; readonly positions: TensorName },
): Pick<ClassTokenWeights, 'patches' | 'classToken' | 'positions'> {
  const rows = Math.floor(size / patch) ** 2 + 1;
  return {
    patches: [
      {
        weight: take.weight(suffixed(names.patches, 'weight'), [width, 3 * patch * patch], {
          alsoAs: [[width, 3, patch, patch]],
        }),
        bias: take.optional(suffixed(names.patches, 'bias'), [width]),
      },
    ],
    classToken: take.table(names.classToken, [width], [[1, 1, width]]),
    positions: take.table(names.positions, [rows, width], [[1, rows, width]]),
  };
}

export class ClassTokenTower {
  readonly #backend: Backend;
  readonly #config: ClassTokenConfig;
  readonly #weights: ClassTokenWeights;
  readonly #transformer: VisionTransformer;
  /** Set when the first image is encoded. */
  #kept: { readonly positions: Tensor; readonly classRow: Tensor } | undefined;

  constructor(backend: Backend, config: ClassTokenConfig, weights: ClassTokenWeights) {
    this.#backend = backend;
    this.#config = config;
    this.#weights = weights;
    this.#transformer = new VisionTransformer(backend, config, weights);
  }

  /** A square of the tower's size -> [patches, width]; `held` owns it. */
  *forward(square: Rgba, held: Held): Steps<Tensor> {
    const { size, patch, normalisation } = this.#config;
    const pixels = toNormalised(square, normalisation);
    const rows = patchRows(pixels, { width: size, height: size, patch, order: 'channels' });
    const x = yield* this.#transformer.forward({ rows, ...this.#tables() }, held);
    const [count = 1] = x.shape;
    return held.next(x, (all) => this.#backend.rows(all, 1, count - 1));
  }

  free(): void {
    this.#transformer.free();
    for (const tensor of Object.values(this.#kept ?? {})) this.#backend.free(tensor);
    this.#kept = undefined;
  }

  #tables(): { readonly positions: Tensor; readonly classRow: Tensor } {
    const { width } = this.#config;
    const { classToken, positions } = this.#weights;
    const keep = (values: Float32Array): Tensor =>
      this.#backend.keep(this.#backend.upload(values, [values.length / width, width]));
    this.#kept ??= {
      positions: keep(positions.subarray(width)),
      classRow: keep(classToken.map((value, i) => value + (positions[i] ?? 0))),
    };
    return this.#kept;
  }
}
