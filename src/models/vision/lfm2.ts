/**
 * LFM2-VL. An image keeps its shape; a large one is also stretched to the grid of tiles whose shape is nearest to its
 * own. SigLIP 2 encodes each of them (NaFlex: its position table is interpolated over the patches), squares of tokens
 * are concatenated, and two layers with GELU project them to the language model's width.
 */
import type { Backend, NormSpec, Tensor } from '../../backend/backend.ts';
import type { EncoderActivation } from '../../layers/encoder-block.ts';
import type { Held } from '../../layers/held.ts';
import { linear, type MaybeBiased } from '../../layers/linear.ts';
import type { Steps } from '../../layers/steps.ts';
import type { Rgba } from '../../vision/image.ts';
import { crop, resize } from '../../vision/resize.ts';
import { wrong } from '../facts.ts';
import { suffixed, type Take, type TensorName } from '../weights.ts';
import type { VisionContext, VisionFile, VisionPlan } from './architecture.ts';
import { takeBlocks, takeNormOf, takeSome } from './blocks.ts';
import { toNormalised, type Normalisation } from './normalise.ts';
import { patchRows, reordered, type PatchOrder } from './patches.ts';
import { planOf } from './plan.ts';
import { unitOrder } from './qwen-grid.ts';
import { siglipNames } from './siglip.ts';
import { checkRatio, nearestGrid, smartSize, type Size } from './sizes.ts';
import { tileSize } from './square.ts';
import {
  fact,
  HALVES,
  MOST,
  PROJECTOR_ROOTS,
  rootOf,
  shapeOf,
  TOWER_ROOTS,
  TowerFacts,
  type TowerShape,
} from './tower-facts.ts';
import { uniqueCells } from './unique.ts';
import { VisionTransformer, type VitWeights } from './vit.ts';
import {
  cellsOf,
  consecutive,
  type EncodedImage,
  type ExpandedPart,
  type ImageOptions,
  type ImageSettings,
  type ImageSpan,
  type PreparedImage,
  type SpanPositions,
  type VisionModel,
} from './vision-model.ts';

interface Lfm2VisionConfig {
  readonly placeholder: number;
  readonly shape: TowerShape;
  readonly activation: EncoderActivation;
  readonly normalisation: Normalisation;
  /** Hugging Face's patch embedding reads a patch pixel by pixel, GGUF's channel by channel. */
  readonly order: PatchOrder;
  /** The number of positions per side of the table. */
  readonly tableSide: number;
  /** This many patches per side become one token. */
  readonly shuffle: number;
  readonly tokens: { readonly least: number; readonly most: number };
  /** An image is cut into tiles if it exceeds the largest number of tokens by more than this factor. */
  readonly tolerance: number;
  readonly tile: number;
  readonly tiles: { readonly least: number; readonly most: number };
}

interface Lfm2VisionWeights {
  readonly tower: VitWeights;
  readonly table: Float32Array; // [side^2, width]
  readonly norm: NormSpec | undefined;
  readonly first: MaybeBiased; // (inner, shuffle^2 width)
  readonly second: MaybeBiased; // (hidden, inner)
}

/**
 * If the longer side exceeds this many times the shorter, a strip of the smallest height takes more tokens than a tile,
 * and upstream's processor fails.
 */
const MOST_RATIO = 256;
const SIGLIP2 = { width: 768, mlp: 3072, blocks: 12, heads: 12, size: 256, patch: 16, epsilon: 1e-6 } as const;

export function planLfm2Vision(file: VisionFile, context: VisionContext): VisionPlan {
  const root = rootOf(file, TOWER_ROOTS, 'embeddings.patch_embedding.weight');
  const projector = rootOf(file, PROJECTOR_ROOTS, 'linear_1.weight');
  const name = siglipNames(root);
  const config = lfm2Config(file, context, name('positions'));
  const merged = (gguf: string, huggingface: string): TensorName => ({ gguf, huggingface: projector + huggingface });
  const [first, second] = [merged('mm.1', 'linear_1'), merged('mm.2', 'linear_2')];
  const { shape, shuffle } = config;
  const { width, patch, epsilon } = shape;
  const folded = width * shuffle * shuffle;
  const inner = shapeOf(file, suffixed(first, 'weight'))?.[0] ?? folded;
  const take = (from: Take): Lfm2VisionWeights => {
    const norm = merged('mm.input_norm', 'layer_norm');
    return {
      tower: {
        patches: [
          {
            weight: from.weight(suffixed(name('patches'), 'weight'), [width, 3 * patch * patch], {
              alsoAs: [[width, 3, patch, patch]],
            }),
            bias: from.weight(suffixed(name('patches'), 'bias'), [width]),
          },
        ],
        blocks: takeBlocks(from, { ...shape, activation: config.activation }, name),
        norm: takeNormOf(from, name('norm'), width, epsilon, 'layer'),
      },
      table: from.table(suffixed(name('positions'), 'weight'), [config.tableSide ** 2, width]),
      norm: from.has(suffixed(norm, 'weight')) ? takeNormOf(from, norm, folded, 1e-5, 'layer') : undefined,
      first: takeSome(from, first, inner, folded),
      second: takeSome(from, second, context.hidden, inner),
    };
  };
  return planOf(file, context, {
    family: 'LFM2-VL',
    makes: shapeOf(file, suffixed(second, 'weight'))?.[0],
    take,
    create: (backend, weights) => new Lfm2Vision(backend, config, weights),
  });
}

/** Throws `ModelError('config')`. */
function lfm2Config(file: VisionFile, context: VisionContext, positions: TensorName): Lfm2VisionConfig {
  const facts = new TowerFacts(file);
  const rows = shapeOf(file, suffixed(positions, 'weight'))?.[0] ?? 1;
  const tableSide = Math.round(Math.sqrt(rows));
  if (tableSide * tableSide !== rows) throw wrong('the rows of the table of positions', rows, 'should be a square');
  const shape = facts.shape({ ...SIGLIP2, size: tableSide * SIGLIP2.patch });
  const shuffle = facts.vision.integer(fact('projector.scale_factor', 'downsample_factor'), {
    least: 1,
    most: MOST.shuffle,
    default: 2,
  });
  const unit = (shape.patch * shuffle) ** 2;
  const count = (gguf: string, name: string, most: number, fallback: number): number =>
    facts.preprocessing.integer(fact(gguf, name), { least: 1, most, default: fallback });
  const tokens = (gguf: string, name: string, fallback: number): number =>
    facts.gguf
      ? Math.max(1, Math.floor(count(gguf, name, 2 ** 40, fallback * unit) / unit))
      : count(gguf, name, MOST.tokens, fallback);
  const tile = count('preproc_image_size', 'tile_size', MOST.size, 512);
  if (tile % (shape.patch * shuffle) !== 0)
    throw wrong('the size of a tile', tile, `should be a multiple of ${shape.patch * shuffle}`);
  const splits = facts.preprocessing.flag(fact('', 'do_image_splitting'), true);
  return {
    placeholder: facts.placeholder(context, ['<image>'], ['image_token_id'], 396),
    shape,
    activation: facts.activation('geluTanh'),
    normalisation: facts.normalisation(HALVES),
    order: facts.gguf ? 'channels' : 'pixels',
    tableSide,
    shuffle,
    tokens: {
      least: tokens('image_min_pixels', 'min_image_tokens', 64),
      most: tokens('image_max_pixels', 'max_image_tokens', 256),
    },
    tolerance: facts.preprocessing.number(fact('', 'max_pixels_tolerance'), { least: 1, most: 1024, default: 2 }),
    tile,
    tiles: {
      least: count('preproc_min_tiles', 'min_tiles', MOST.tiles, 2),
      most: splits ? count('preproc_max_tiles', 'max_tiles', MOST.tiles, 10) : 1,
    },
  };
}

/** How an image is presented to the model: whole, and if it is large, in tiles before that. */
interface Layout {
  readonly whole: Size;
  readonly columns: number;
  readonly rows: number;
}

class Lfm2Vision implements VisionModel {
  readonly placeholder: number;
  readonly bidirectional = false;
  readonly #backend: Backend;
  readonly #config: Lfm2VisionConfig;
  readonly #weights: Lfm2VisionWeights;
  readonly #tower: VisionTransformer;
  /** The image whose tiles were cut most recently. */
  #last: { readonly image: Rgba; readonly stretched: Rgba } | undefined;

  constructor(backend: Backend, config: Lfm2VisionConfig, weights: Lfm2VisionWeights) {
    const { shape, activation, placeholder } = config;
    this.placeholder = placeholder;
    this.#backend = backend;
    this.#config = config;
    this.#weights = weights;
    this.#tower = new VisionTransformer(backend, { ...shape, activation }, weights.tower);
  }

  settings(options?: ImageOptions): ImageSettings {
    const { tile, tiles } = this.#config;
    return { size: tileSize(tile, tiles.most, options), ...(options?.unique === true && { unique: true }) };
  }

  prepare(image: Rgba, options?: ImageOptions): PreparedImage {
    const settings = this.settings(options);
    const { whole, columns, rows } = this.#layout(image, settings);
    const { tile } = this.#config;
    const own = this.#span(whole);
    const cut = this.#span({ width: tile, height: tile });
    // The tokens of the whole image are never thinned when there are tiles beside it.
    const spans =
      columns * rows === 1 ? [own] : [...Array.from({ length: columns * rows }, () => cut), { ...own, selectable: 0 }];
    if (settings.unique !== true) return { image, settings, spans };
    return { image, settings, spans: spans.map((span, i) => this.#unique({ image, settings, spans }, span, i)) };
  }

  expand({ image, settings, spans }: PreparedImage): readonly ExpandedPart[] {
    const whole = spans.at(-1);
    if (whole === undefined || spans.length === 1) return ['<|image_start|>', ...spans, '<|image_end|>'];
    const { columns } = this.#layout(image, settings);
    const tiles = spans.slice(0, -1).flatMap((span, i): ExpandedPart[] => {
      const [row, column] = [Math.floor(i / columns) + 1, (i % columns) + 1];
      return [`<|img_row_${row}_col_${column}|>`, span];
    });
    return ['<|image_start|>', ...tiles, '<|img_thumbnail|>', whole, '<|image_end|>'];
  }

  positions({ spans }: PreparedImage): readonly SpanPositions[] {
    return spans.map(consecutive);
  }

  tile({ image, settings, spans }: PreparedImage, index: number): Rgba {
    const { whole, columns, rows } = this.#layout(image, settings);
    if (index === spans.length - 1) return resize(image, whole.width, whole.height, 'bilinear');
    const { tile } = this.#config;
    const [width, height] = [columns * tile, rows * tile];
    if (this.#last?.image !== image || this.#last.stretched.width !== width || this.#last.stretched.height !== height)
      this.#last = { image, stretched: resize(image, width, height, 'bilinear') };
    return crop(this.#last.stretched, (index % columns) * tile, Math.floor(index / columns) * tile, tile, tile);
  }

  *encode(prepared: PreparedImage, held: Held): Steps<EncodedImage> {
    const parts: Tensor[] = [];
    for (const [index, span] of prepared.spans.entries())
      parts.push(yield* this.#encodeTile(this.tile(prepared, index), span, held));
    this.#last = undefined;
    return { embeddings: held.joined(parts) };
  }

  free(): void {
    this.#last = undefined;
    this.#tower.free();
  }

  /** Returns the span with tokens only for those cells that do not repeat another cell of the tile. */
  #unique(prepared: PreparedImage, span: ImageSpan, index: number): ImageSpan {
    const cells = uniqueCells(this.tile(prepared, index), this.#factor);
    return { ...span, cells, tokens: cells.length, selectable: span.selectable === 0 ? 0 : cells.length };
  }

  *#encodeTile(tile: Rgba, span: ImageSpan, held: Held): Steps<Tensor> {
    const backend = this.#backend;
    const { shape, normalisation, order, shuffle, tableSide } = this.#config;
    const { table, norm, first, second } = this.#weights;
    const { patch, width } = shape;
    const [rows, columns] = [tile.height / patch, tile.width / patch];
    const pixels = toNormalised(tile, normalisation);
    const grid = { rows: span.rows, columns: span.columns, merge: shuffle };
    const squares = unitOrder(grid, cellsOf(span));
    const stretched = reordered(smoothTable(table, tableSide, rows, columns), width, squares);
    const positions = held.step(() => backend.upload(stretched, [squares.length, width]));
    const raster = patchRows(pixels, { width: tile.width, height: tile.height, patch, order });
    const input = reordered(raster, 3 * patch * patch, squares);
    const seen = yield* this.#tower.forward({ rows: input, positions }, held);
    held.drop(positions);
    return held.next(seen, (x) => {
      const folded = backend.fold(x, shuffle * shuffle);
      const inner = linear(backend, folded, first, { activation: 'gelu', ...(norm && { norm }) });
      return linear(backend, inner, second);
    });
  }

  #span({ width, height }: Size): ImageSpan {
    const [rows, columns] = [height / this.#factor, width / this.#factor];
    return { tokens: rows * columns, rows, columns, selectable: rows * columns };
  }

  #layout(image: Size, { size }: ImageSettings): Layout {
    const { tokens, tile, tiles, tolerance, shape } = this.#config;
    const factor = this.#factor;
    checkRatio(image, MOST_RATIO);
    const area = tokens.most * factor * factor;
    const whole = smartSize(image, { factor, least: tokens.least * factor * factor, most: area, floor: factor });
    const near = smartSize(image, { factor, least: 0, most: Infinity, floor: shape.patch });
    const most = Math.min(tiles.most, (size / tile) ** 2);
    if (most < tiles.least || near.width * near.height <= area * tolerance) return { whole, columns: 1, rows: 1 };
    return { whole, ...nearestGrid(image, { tile, least: tiles.least, most }) };
  }

  get #factor(): number {
    return this.#config.shape.patch * this.#config.shuffle;
  }
}

/**
 * Resizes a square table [side^2, width] to rows x columns, bilinear and antialiased, aligned by the centres of its
 * cells.
 */
function smoothTable(table: Float32Array, side: number, rows: number, columns: number): Float32Array {
  const width = table.length / (side * side);
  const weights = (count: number): readonly Float64Array[] =>
    Array.from({ length: count }, (_, i) => {
      const scale = side / count;
      const centre = (i + 0.5) * scale - 0.5;
      const all = Float64Array.from({ length: side }, (__, j) =>
        Math.max(0, 1 - Math.abs(j - centre) / Math.max(1, scale)),
      );
      const sum = all.reduce((total, weight) => total + weight, 0);
      return all.map((weight) => weight / sum);
    });
  const [down, across] = [weights(rows), weights(columns)];
  const out = new Float32Array(rows * columns * width);
  for (const [y, vertical] of down.entries())
    for (const [x, horizontal] of across.entries()) {
      const to = (y * columns + x) * width;
      for (const [row, high] of vertical.entries()) {
        if (high === 0) continue;
        for (const [column, wide] of horizontal.entries()) {
          const weight = high * wide;
          if (weight === 0) continue;
          const from = (row * side + column) * width;
          for (let c = 0; c < width; c++) out[to + c] = (out[to + c] ?? 0) + weight * (table[from + c] ?? 0);
        }
      }
    }
  return out;
}
