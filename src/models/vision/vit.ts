/** A vision transformer over the rows of one image: patches, a class token if there is one, positions, and blocks. */
import type { Backend, NormSpec, Tensor, Weight } from '../../backend/backend.ts';
import { encoderBlock, type EncoderActivation, type EncoderBlockWeights } from '../../layers/encoder-block.ts';
import { FullAttention, type AttentionPlace } from '../../layers/full-attention.ts';
import type { Held } from '../../layers/held.ts';
import { linear, type MaybeBiased } from '../../layers/linear.ts';
import type { Steps } from '../../layers/steps.ts';

export interface VitConfig {
  readonly width: number;
  readonly heads: number;
  readonly activation: EncoderActivation;
}

export interface VitWeights {
  /**
   * The embedding is the sum of these matrices' products with the same rows. There are several if a video's frames have
   * matrices of their own.
   */
  readonly patches: readonly MaybeBiased[]; // (width, values)
  readonly preNorm?: NormSpec | undefined;
  readonly blocks: readonly EncoderBlockWeights[];
  readonly norm?: NormSpec | undefined;
}

/** One image's rows. */
export interface VitCall {
  /** [patches, values] */
  readonly rows: Float32Array;
  /** [patches, width], added to the embedded patches; owned by the caller. */
  readonly positions?: Tensor | undefined;
  /** [1, width]: the class token with its position, placed before the first patch; owned by the caller. */
  readonly classRow?: Tensor | undefined;
  /** The attention of each layer. By default every row attends to every row, without rotation. */
  readonly place?: ((layer: number) => AttentionPlace) | undefined;
  /** Called with the output rows of each block, which are freed afterwards. */
  readonly after?: ((layer: number, x: Tensor) => void) | undefined;
}

export class VisionTransformer {
  readonly #backend: Backend;
  readonly #config: VitConfig;
  readonly #weights: VitWeights;
  readonly #attention: FullAttention;

  constructor(backend: Backend, config: VitConfig, weights: VitWeights) {
    this.#backend = backend;
    this.#config = config;
    this.#weights = weights;
    this.#attention = new FullAttention(backend, config.heads, config.width / config.heads);
  }

  /** -> [patches (and class token), width], after the last norm; `held` owns it. */
  *forward({ rows, positions, classRow, place, after }: VitCall, held: Held): Steps<Tensor> {
    const backend = this.#backend;
    const { blocks, preNorm, norm } = this.#weights;
    let x = held.step(() => {
      const embedded = this.#embed(rows, positions);
      const all = classRow === undefined ? embedded : backend.stack([classRow, embedded]);
      return preNorm === undefined ? all : backend.norm(all, preNorm);
    });
    for (const [layer, block] of blocks.entries()) {
      yield;
      x = held.next(x, (before) =>
        encoderBlock(backend, before, block, this.#attention, this.#config.activation, place?.(layer)),
      );
      after?.(layer, x);
    }
    return norm === undefined ? x : held.next(x, (before) => backend.norm(before, norm));
  }

  free(): void {
    this.#attention.free();
  }

  #embed(rows: Float32Array, positions: Tensor | undefined): Tensor {
    const backend = this.#backend;
    const [first, ...others] = this.#weights.patches;
    const values = first?.weight.shape[1] ?? 1;
    const input = backend.upload(rows, [rows.length / values, values]);
    let residual = positions;
    for (const layer of [first, ...others]) {
      if (layer === undefined) continue;
      residual = linear(backend, input, layer, residual === undefined ? {} : { residual });
    }
    return residual ?? input;
  }
}

/** Returns the rows of a table on the device, in order: [rows, cols], outside all scopes. */
export function tableRows(backend: Backend, table: Weight): Tensor {
  const [count = 0] = table.shape;
  const ring = backend.ids(count);
  try {
    backend.writeIds(
      ring,
      0,
      Int32Array.from({ length: count }, (_, i) => i),
    );
    return backend.keep(backend.scope(() => backend.embed(table, ring, 0, count)));
  } finally {
    backend.free(ring);
  }
}
