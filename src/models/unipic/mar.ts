/**
 * The masked autoregressive encoder and decoder: transformers with bidirectional attention. The encoder runs over the buffers and the known image tokens only;
 * the decoder over the buffers and all image tokens. Rows: B buffers, then K known tokens, or all N of a grid, in the order of their positions.
 */
import type { Backend, Tensor } from '../../backend/backend.ts';
import { encoderBlock } from '../../layers/encoder-block.ts';
import type { FullAttention } from '../../layers/full-attention.ts';
import type { Held } from '../../layers/held.ts';
import { linear } from '../../layers/linear.ts';
import type { Steps } from '../../layers/steps.ts';
import type { MarConfig } from './config.ts';
import type { MarDecoderWeights, MarEncoderWeights } from './mar-weights.ts';
import { Positions } from './positions.ts';

export class MarEncoder {
  readonly #backend: Backend;
  readonly #config: MarConfig;
  readonly #weights: MarEncoderWeights;
  readonly #attention: FullAttention;
  readonly #positions: Positions;

  constructor(backend: Backend, config: MarConfig, weights: MarEncoderWeights, attention: FullAttention) {
    const { buffers: fixed, grid, width } = config;
    this.#backend = backend;
    this.#config = config;
    this.#weights = weights;
    this.#attention = attention;
    this.#positions = new Positions(backend, weights.positions, { fixed, grid, width });
  }

  /** tokens [K, C] at `known` positions of the grid, ascending; undefined where none is known -> [B + K, W], owned by `held`. */
  *forward(tokens: Tensor | undefined, known: Int32Array, grid: number, held: Held): Steps<Tensor> {
    const backend = this.#backend;
    const { blocks, norm, inputNorm } = this.#weights;
    let x = held.step(() => backend.norm(this.#input(tokens, known, grid), inputNorm));
    for (const block of blocks) {
      yield;
      x = held.next(x, (before) => encoderBlock(backend, before, block, this.#attention, 'gelu'));
    }
    return held.next(x, (before) => backend.norm(before, norm));
  }

  free(): void {
    this.#positions.free();
  }

  #input(tokens: Tensor | undefined, known: Int32Array, grid: number): Tensor {
    const backend = this.#backend;
    const { buffers, width } = this.#config;
    const positions = this.#positions.of(grid);
    const buffer = backend.add(
      backend.rows(positions, 0, buffers),
      backend.upload(this.#weights.bufferToken, [1, width]),
    );
    if (tokens === undefined) return buffer;
    const residual = backend.take(
      positions,
      known.map((position) => buffers + position),
    );
    return backend.stack([buffer, linear(backend, tokens, this.#weights.tokenInput, { residual })]);
  }
}

/** The input of the decoder beside the encoder's rows. */
export interface Scene {
  readonly grid: number;
  /** Positions whose rows follow the buffers' in x, ascending. */
  readonly known: Int32Array;
  /** Positions whose conditions are wanted. */
  readonly wanted: Int32Array;
  /** [B + N, W] of `embed`: what stands where a token is unknown; without it, the mask token. */
  readonly beneath?: Tensor | undefined;
}

export class MarDecoder {
  readonly #backend: Backend;
  readonly #config: MarConfig;
  readonly #weights: MarDecoderWeights;
  readonly #attention: FullAttention;
  readonly #positions: Positions;
  readonly #headPositions: Positions;

  constructor(backend: Backend, config: MarConfig, weights: MarDecoderWeights, attention: FullAttention) {
    const { buffers: fixed, grid, width } = config;
    this.#backend = backend;
    this.#config = config;
    this.#weights = weights;
    this.#attention = attention;
    this.#positions = new Positions(backend, weights.positions, { fixed, grid, width });
    this.#headPositions = new Positions(backend, weights.headPositions, { fixed: 0, grid, width });
  }

  /** x [T, W] of the encoder -> [T, W]. */
  embed(x: Tensor): Tensor {
    return linear(this.#backend, x, this.#weights.input);
  }

  /** x [B + K, W] -> what conditions the diffusion head: [wanted, W], owned by `held`. */
  *forward(x: Tensor, scene: Scene, held: Held): Steps<Tensor> {
    const backend = this.#backend;
    const { blocks, norm } = this.#weights;
    const { grid, wanted } = scene;
    let y = held.step(() => backend.add(this.#scatter(x, scene), this.#positions.of(grid)));
    for (const block of blocks) {
      yield;
      y = held.next(y, (before) => encoderBlock(backend, before, block, this.#attention, 'gelu'));
    }
    const rows = wanted.map((position) => this.#config.buffers + position);
    return held.next(y, (before) =>
      backend.add(backend.norm(backend.take(before, rows), norm), backend.take(this.#headPositions.of(grid), wanted)),
    );
  }

  free(): void {
    this.#positions.free();
    this.#headPositions.free();
  }

  /** [B + N, W]: the embedded rows at their positions, and the mask token (or `beneath`) at the unknown ones. */
  #scatter(x: Tensor, { grid, known, beneath }: Scene): Tensor {
    const backend = this.#backend;
    const { buffers, width } = this.#config;
    const first = buffers + known.length;
    const filling = beneath ?? backend.upload(this.#weights.maskToken, [1, width]);
    const rows = Int32Array.from({ length: buffers + grid * grid }, (_, i) =>
      i < buffers ? i : first + (beneath === undefined ? 0 : i),
    );
    known.forEach((position, i) => {
      rows[buffers + position] = buffers + i;
    });
    return backend.take(backend.stack([this.embed(x), filling]), rows);
  }
}
