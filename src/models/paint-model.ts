/** The contract of models that paint pictures from words and edit them, by masked autoregression with a diffusion head (src/paint runs it). */
import type { Backend, PictureOperations, Tensor } from '../backend/backend.ts';
import { InputError } from '../errors.ts';
import type { Held } from '../layers/held.ts';
import type { Steps } from '../layers/steps.ts';
import type { UniPicConfig } from './unipic/config.ts';
import type { DiffusionHead } from './unipic/head.ts';
import type { MarDecoder, MarEncoder } from './unipic/mar.ts';
import type { PictureDecoder } from './unipic/tokenizer.ts';

/** Sizes, grid, schedules and templates, against which requests are checked. */
export type PaintConfig = Omit<UniPicConfig, 'siglip' | 'understanding'>;

/** The encoded source of an edit, owned by the `Held` with which it was made. */
export interface SourceEmbeddings {
  /** The encoder's output, [B + N, W], buffers first. */
  readonly encoded: Tensor;
  /** [N + B, hidden] for the prompt, image tokens first. */
  readonly visual: Tensor;
}

export interface PaintModel {
  readonly backend: Backend;
  readonly operations: PictureOperations;
  readonly config: PaintConfig;
  readonly encoder: MarEncoder;
  readonly decoder: MarDecoder;
  readonly head: DiffusionHead;
  readonly pictures: PictureDecoder;
  /** The encoder's [B + K, W] -> rows for the language model [K + B, hidden], image tokens first. */
  toLanguage(x: Tensor): Tensor;
  /**
   * x [B + K, W] plus the output of the language model for it: its hidden states [K + B, hidden], before the final
   * norm.
   */
  fromLanguage(x: Tensor, hidden: Tensor): Tensor;
  /**
   * Encodes the picture of an edit, RGB [size * size * 3] in -1..1; undefined if the model only paints. Throws
   * `InputError('argument')`.
   */
  readonly source: ((pixels: Float32Array, size: number, held: Held) => Steps<SourceEmbeddings>) | undefined;
}

export function cannotPaint(editing: boolean, missing: readonly string[]): InputError {
  const verb = editing ? 'edit' : 'paint';
  return new InputError(
    'argument',
    `${verb}: this model does not ${verb} pictures (${missing.join('; ')}); load one that does`,
    { name: verb, missing },
  );
}
