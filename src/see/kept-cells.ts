/** Which parts of an image a selection of visual tokens keeps, for pages that show it. */
import { cellsOf, tokensOf, type ImageOptions, type VisionModel } from '../models/vision/vision-model.ts';
import type { VisualMethod, VisualSelection } from '../select/visual/index.ts';
import type { Rgba } from '../vision/image.ts';
import { spanTokens, type ImageProcessor } from './images.ts';

/** A tile of an image as the model sees it: resized, cropped or padded. */
export interface KeptTile {
  /** Its pixels. */
  readonly picture: Rgba;
  /** The grid of cells over the tile; each is shown by one token. */
  readonly rows: number;
  /** Columns of the grid. */
  readonly columns: number;
  /** The cells whose tokens are read, ascending, in raster order. */
  readonly kept: Int32Array<ArrayBuffer>;
}

/** Which tokens of an image are read, tile by tile. */
export interface KeptTokens {
  /** In the order in which the model reads them. */
  readonly tiles: readonly KeptTile[];
  /** All tokens of the image, those that show none of its parts included. */
  readonly tokens: number;
  /** How many of them are read. */
  readonly kept: number;
}

export interface KeptTokensSettings {
  /** As `context.visual` of a session. */
  readonly selection: VisualMethod | VisualSelection;
  /** The question, for methods that depend on it. */
  readonly question?: string | undefined;
  /** How the image is shown to the model. */
  readonly visual?: ImageOptions | undefined;
}

/** Encodes the image where that was not done before. Precondition: the caller is inside the model's gate. */
export async function keptTokens(
  { images, vision }: { readonly images: ImageProcessor; readonly vision: VisionModel },
  image: Rgba,
  { selection: choice, question, visual }: KeptTokensSettings,
  signal?: AbortSignal,
): Promise<KeptTokens> {
  const shown = images.register(image, 'image', visual, { choice, question });
  const { prepared, selection } = shown;
  if (selection !== undefined) await images.encode(shown, signal);
  let next = 0;
  const tiles = prepared.spans.map((span, index): KeptTile => {
    const first = next;
    next += span.tokens;
    const cells = cellsOf(span);
    const kept = selection?.kept?.map((token) => token - first).filter((token) => token >= 0 && token < cells.length);
    const { rows, columns } = span;
    return {
      picture: vision.tile(prepared, index),
      rows,
      columns,
      kept: Int32Array.from(kept?.map((token) => cells[token] ?? 0) ?? cells),
    };
  });
  return { tiles, tokens: tokensOf(prepared), kept: spanTokens(shown).reduce((sum, count) => sum + count, 0) };
}
