/**
 * The contract of vision models. An image of any shape is prepared (resized, divided into tiles), expanded into the
 * text and the spans of embeddings that replace it in a prompt, and encoded. `prepare`, `expand`, `positions` and
 * `tile` are pure: they depend only on their arguments and the configuration, and use no device.
 */
import type { Tensor } from '../../backend/backend.ts';
import type { Held } from '../../layers/held.ts';
import type { Steps } from '../../layers/steps.ts';
import type { Rgba } from '../../vision/image.ts';

/** How images are shown to a model. */
export interface ImageOptions {
  /** Pixels a side, one of the model's sizes. A larger size shows more detail and takes more of the context. */
  readonly size?: number | undefined;
  /** The encoder, for models that have several. */
  readonly route?: string | undefined;
  /** Whether cells of an image whose pixels repeat those of an earlier cell are left out before it is encoded (PixelPrune, 2604.00886). Default false. */
  readonly unique?: boolean | undefined;
}

/** The same with the model's defaults filled in. */
export interface ImageSettings {
  readonly size: number;
  readonly route?: string | undefined;
  readonly unique?: true | undefined;
}

/** Consecutive embeddings of an image: those of one tile. */
export interface ImageSpan {
  readonly tokens: number;
  /** The first rows * columns tokens show the cells of a grid over the tile, in raster order. */
  readonly rows: number;
  readonly columns: number;
  /** The cells that have tokens, ascending, if not all of them have. */
  readonly cells?: Int32Array | undefined;
  /**
   * Only this many tokens from the start may be left out of the prompt: the others show no part of the image, or the
   * whole of it.
   */
  readonly selectable: number;
}

/** An image as it is shown to a model: plain data, equal for equal pixels and settings. */
export interface PreparedImage {
  /** What is kept and saved: the smallest image from which `prepare` makes the same result with the same settings. */
  readonly image: Rgba;
  readonly settings: ImageSettings;
  /** One for each tile, in the order of the embeddings. */
  readonly spans: readonly ImageSpan[];
}

/** A part of what replaces an image in a prompt: text, including special tokens, or the next span. */
export type ExpandedPart = string | ImageSpan;

/** The positions of a span's tokens for RoPE. */
export interface SpanPositions {
  /** [axes, tokens], counted from the span's first position. */
  readonly offsets: Int32Array;
  /** The number of positions that the span takes; the next token follows them. */
  readonly advance: number;
}

export interface EncodedImage {
  /** [tokens of all spans, hidden] */
  readonly embeddings: Tensor;
  /** Rows of the same shape that are added to the image's hidden states after decoder layer 0, 1, ... (deepstack). */
  readonly perLayer?: readonly Tensor[] | undefined;
}

export interface VisionModel {
  /** The placeholder id for each embedding in a prompt. */
  readonly placeholder: number;
  /**
   * Whether the tokens of a span attend to each other in both directions, so that a span must be prefilled in one call.
   */
  readonly bidirectional: boolean;
  /** Fills in defaults. Throws `InputError('argument')` for options that the model does not have. */
  settings(options?: ImageOptions): ImageSettings;
  /** Opaque pixels of any shape. Throws `InputError('argument')` for options that the model does not have. */
  prepare(image: Rgba, options?: ImageOptions): PreparedImage;
  expand(prepared: PreparedImage): readonly ExpandedPart[];
  /** One for each span. */
  positions(prepared: PreparedImage): readonly SpanPositions[];
  /** The pixels that span `index` shows. */
  tile(prepared: PreparedImage, index: number): Rgba;
  /** Runs in steps, between which an abort may end it; `held` owns the tensors. */
  encode(prepared: PreparedImage, held: Held): Steps<EncodedImage>;
}

/** Consecutive tokens on one axis, like text; cells that were left out leave gaps. */
export function consecutive({ tokens, rows, columns, cells }: ImageSpan): SpanPositions {
  if (cells !== undefined) return { offsets: cells, advance: rows * columns };
  return { offsets: Int32Array.from({ length: tokens }, (_, i) => i), advance: tokens };
}

/** The cell of each token. */
export function cellsOf({ rows, columns, cells }: ImageSpan): Int32Array {
  return cells ?? Int32Array.from({ length: rows * columns }, (_, i) => i);
}

/** Tokens of all spans. */
export function tokensOf({ spans }: PreparedImage): number {
  return spans.reduce((sum, { tokens }) => sum + tokens, 0);
}
