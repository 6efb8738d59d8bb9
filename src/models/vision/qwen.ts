/**
 * The vision part of Qwen2-VL, Qwen2.5-VL and Qwen3-VL. An image keeps its shape and is stretched to a whole number of
 * squares of 2 x 2 patches, each of which becomes one token. The tower rotates queries and keys by row and column. That
 * of 2.5 attends within windows in most layers; that of 3 has a position table that is interpolated over the image, and
 * it produces further rows that are added after the decoder's first layers (deepstack, Meng et al. 2024).
 */
import type { Backend, NormSpec, Tensor, Weight } from '../../backend/backend.ts';
import { InputError } from '../../errors.ts';
import type { Held } from '../../layers/held.ts';
import { linear, type Linear } from '../../layers/linear.ts';
import type { Steps } from '../../layers/steps.ts';
import type { Rgba } from '../../vision/image.ts';
import { resize } from '../../vision/resize.ts';
import type { MaybeBiased } from '../../layers/linear.ts';
import { suffixed, takeLinear, type Take, type TensorName } from '../weights.ts';
import type { VisionContext, VisionFile, VisionPlan } from './architecture.ts';
import { blockNames, takeBlocks, takeNormOf } from './blocks.ts';
import { toNormalised } from './normalise.ts';
import { patchRows, reordered, repeatedFrames } from './patches.ts';
import { planOf } from './plan.ts';
import { qwenConfig, type QwenVisionConfig } from './qwen-config.ts';
import { gridPlace, stretchedTable, unitOrder, windowOrder, type Grid } from './qwen-grid.ts';
import { checkRatio, smartSize, type Size } from './sizes.ts';
import { refuseRoute } from './square.ts';
import { uniqueCells } from './unique.ts';
import { rootOf, shapeOf } from './tower-facts.ts';
import { VisionTransformer, type VitWeights } from './vit.ts';
import {
  cellsOf,
  type EncodedImage,
  type ExpandedPart,
  type ImageOptions,
  type ImageSettings,
  type PreparedImage,
  type SpanPositions,
  type VisionModel,
} from './vision-model.ts';

/** Merges the tokens of a square: a norm, then two layers with GELU between them. */
interface Merger {
  readonly norm: NormSpec;
  readonly first: Linear; // (4 width, 4 width)
  readonly second: Linear; // (hidden, 4 width)
}

interface QwenVisionWeights {
  readonly tower: VitWeights;
  /** [side^2, width]; Qwen3-VL only. */
  readonly table: Float32Array | undefined;
  readonly merger: Merger;
  /** The mergers by layer of the tower. */
  readonly deep: ReadonlyMap<number, Merger>;
}

const ROOTS = ['model.visual.', 'visual.'] as const;
/** Upstream refuses an image whose sides differ by more than this factor. */
const MOST_RATIO = 200;
const NORM_EPSILON = 1e-6;

export function planQwenVision(file: VisionFile, context: VisionContext): VisionPlan {
  const config = qwenConfig(file, context);
  const root = rootOf(file, ROOTS, 'patch_embed.proj.weight');
  return planOf(file, context, {
    family: 'Qwen-VL',
    makes: shapeOf(file, suffixed(mergerName(config, root, 'second'), 'weight'))?.[0],
    take: (take) => takeQwenVision(take, config, context.hidden, root),
    create: (backend, weights) => new QwenVision(backend, config, weights),
  });
}

function mergerName({ kind }: QwenVisionConfig, root: string, part: 'norm' | 'first' | 'second'): TensorName {
  const names = {
    norm: ['v.post_ln', 'ln_q', 'norm'],
    first: ['mm.0', 'mlp.0', 'linear_fc1'],
    second: ['mm.2', 'mlp.2', 'linear_fc2'],
  } as const;
  const [gguf, two, three] = names[part];
  return { gguf, huggingface: `${root}merger.${kind === 'qwen3' ? three : two}` };
}

function takeQwenVision(take: Take, config: QwenVisionConfig, hidden: number, root: string): QwenVisionWeights {
  const { kind, shape, merge, gated, norms } = config;
  const { width, patch } = shape;
  const folded = width * merge * merge;
  const name = blockNames(`${root}blocks.N.`, {
    norm1: 'norm1',
    qkv: 'attn.qkv',
    query: 'attn.q',
    key: 'attn.k',
    value: 'attn.v',
    output: 'attn.proj',
    norm2: 'norm2',
    gate: 'mlp.gate_proj',
    up: kind === 'qwen3' ? 'mlp.linear_fc1' : gated ? 'mlp.up_proj' : 'mlp.fc1',
    down: kind === 'qwen3' ? 'mlp.linear_fc2' : gated ? 'mlp.down_proj' : 'mlp.fc2',
  });
  const merger = (
    { norm, first, second }: { readonly norm: TensorName; readonly first: TensorName; readonly second: TensorName },
    normed: number,
  ): Merger => ({
    norm: takeNormOf(take, norm, normed, NORM_EPSILON, norms),
    first: takeLinear(take, first, folded, folded),
    second: takeLinear(take, second, hidden, folded),
  });
  const deepName = (layer: number, i: number, gguf: string, huggingface: string): TensorName => ({
    gguf: `v.deepstack.${layer}.${gguf}`,
    huggingface: `${root}deepstack_merger_list.${i}.${huggingface}`,
  });
  const own = (part: 'norm' | 'first' | 'second'): TensorName => mergerName(config, root, part);
  const table: TensorName = { gguf: 'v.position_embd.weight', huggingface: `${root}pos_embed.weight` };
  return {
    tower: {
      patches: takePatches(take, root, width, patch),
      blocks: takeBlocks(take, { ...shape, activation: config.activation, norms, gated }, name),
    },
    table: kind === 'qwen3' ? take.table(table, [config.tableSide ** 2, width]) : undefined,
    merger: merger({ norm: own('norm'), first: own('first'), second: own('second') }, width),
    deep: new Map(
      config.deepstack.map((layer, i) => [
        layer,
        merger(
          {
            norm: deepName(layer, i, 'norm', 'norm'),
            first: deepName(layer, i, 'fc1', 'linear_fc1'),
            second: deepName(layer, i, 'fc2', 'linear_fc2'),
          },
          folded,
        ),
      ]),
    ),
  };
}

/** Hugging Face files have one matrix for both frames, GGUF files one for each. */
function takePatches(take: Take, root: string, width: number, patch: number): readonly MaybeBiased[] {
  const area = 3 * patch * patch;
  const name = (gguf: string): TensorName => ({ gguf, huggingface: `${root}patch_embed.proj.weight` });
  const bias = take.optional({ gguf: 'v.patch_embd.bias', huggingface: `${root}patch_embed.proj.bias` }, [width]);
  if (!take.has({ gguf: 'v.patch_embd.weight.1', huggingface: '' }))
    return [
      {
        weight: take.weight(name('v.patch_embd.weight'), [width, 2 * area], { alsoAs: [[width, 3, 2, patch, patch]] }),
        bias,
      },
    ];
  const frame = (gguf: string): Weight =>
    take.weight(name(gguf), [width, area], { alsoAs: [[width, 3, patch, patch]] });
  return [{ weight: frame('v.patch_embd.weight'), bias }, { weight: frame('v.patch_embd.weight.1') }];
}

class QwenVision implements VisionModel {
  readonly placeholder: number;
  readonly bidirectional = false;
  readonly #backend: Backend;
  readonly #config: QwenVisionConfig;
  readonly #weights: QwenVisionWeights;
  readonly #tower: VisionTransformer;

  constructor(backend: Backend, config: QwenVisionConfig, weights: QwenVisionWeights) {
    const { shape, activation } = config;
    this.placeholder = config.placeholder;
    this.#backend = backend;
    this.#config = config;
    this.#weights = weights;
    this.#tower = new VisionTransformer(backend, { ...shape, activation }, weights.tower);
  }

  /** `size`: the side of a square whose area is the largest that an image may have. */
  settings({ size, route, unique }: ImageOptions = {}): ImageSettings {
    refuseRoute(route);
    const { most } = this.#config.area;
    const largest = Math.floor(Math.sqrt(most));
    const smallest = Math.min(largest, this.#factor);
    const side = size ?? largest;
    if (side < smallest || side > largest)
      throw new InputError(
        'argument',
        `visual.size: ${side}; this model shows images with the area of a square of ${smallest} to ${largest} pixels a side`,
        { name: 'visual.size', size: side, least: smallest, most: largest },
      );
    return { size: side, ...(unique === true && { unique }) };
  }

  prepare(image: Rgba, options?: ImageOptions): PreparedImage {
    const settings = this.settings(options);
    const { width, height } = this.#size(image, settings);
    const [rows, columns] = [height / this.#factor, width / this.#factor];
    const shown = image.width * image.height <= width * height ? image : resize(image, width, height, 'bicubic');
    const cells = settings.unique && uniqueCells(this.tile({ image: shown, settings, spans: [] }), this.#factor);
    const tokens = cells?.length ?? rows * columns;
    return {
      image: shown,
      settings,
      spans: [{ tokens, rows, columns, selectable: tokens, ...(cells && { cells }) }],
    };
  }

  expand({ spans }: PreparedImage): readonly ExpandedPart[] {
    return ['<|vision_start|>', ...spans, '<|vision_end|>'];
  }

  positions({ spans }: PreparedImage): readonly SpanPositions[] {
    return spans.map((span) => {
      const { tokens, rows, columns } = span;
      const offsets = new Int32Array(3 * tokens);
      for (const [i, cell] of cellsOf(span).entries()) {
        offsets[tokens + i] = Math.floor(cell / columns);
        offsets[2 * tokens + i] = cell % columns;
      }
      return { offsets, advance: Math.max(rows, columns) };
    });
  }

  tile({ image, settings }: PreparedImage): Rgba {
    const { width, height } = this.#size(image, settings);
    return image.width === width && image.height === height ? image : resize(image, width, height, 'bicubic');
  }

  *encode(prepared: PreparedImage, held: Held): Steps<EncodedImage> {
    const backend = this.#backend;
    const { merge, windows, shape } = this.#config;
    const { table, merger, deep } = this.#weights;
    const [span = { tokens: 0, rows: 1, columns: 1, selectable: 0 }] = prepared.spans;
    const grid: Grid = { rows: span.rows, columns: span.columns, merge };
    const cells = cellsOf(span);
    const windowed = windows && windowOrder(grid, windows, cells);
    const units = windowed?.units ?? cells;
    const order = unitOrder(grid, units);
    const place = gridPlace(grid, order, shape.width / shape.heads);
    const within = windowed && { ...place, ranges: windowed.ranges };
    const perLayer: Tensor[] = [];
    const merged = (x: Tensor, parts: Merger, late: boolean): Tensor => {
      const { norm, first, second } = parts;
      const folded = backend.fold(late ? x : backend.norm(x, norm), merge * merge);
      const inner = linear(backend, folded, first, { activation: 'gelu', ...(late && { norm }) });
      return linear(backend, inner, second);
    };
    const positions =
      table &&
      held.step(() =>
        backend.upload(stretchedTable(table, this.#config.tableSide, grid, order), [order.length, shape.width]),
      );
    const seen = yield* this.#tower.forward(
      {
        rows: this.#rows(prepared, order),
        positions,
        place: (layer) => (windows?.full(layer) === false && within ? within : place),
        after: (layer, x) => {
          const parts = deep.get(layer);
          if (parts !== undefined) perLayer.push(held.step(() => merged(x, parts, true)));
        },
      },
      held,
    );
    const embeddings = held.next(seen, (x) => {
      const out = merged(x, merger, false);
      return windowed === undefined ? out : backend.take(out, windowed.back);
    });
    return perLayer.length === 0 ? { embeddings } : { embeddings, perLayer };
  }

  free(): void {
    this.#tower.free();
  }

  #rows(prepared: PreparedImage, order: Int32Array): Float32Array {
    const { patch } = this.#config.shape;
    const { width, height } = this.#size(prepared.image, prepared.settings);
    const pixels = toNormalised(this.tile(prepared), this.#config.normalisation);
    const area = patch * patch;
    const rows = reordered(patchRows(pixels, { width, height, patch, order: 'channels' }), 3 * area, order);
    // A still image is used as both frames of a video.
    return this.#weights.tower.patches.length > 1 ? rows : repeatedFrames(rows, area, 2);
  }

  #size(image: Size, { size }: ImageSettings): Size {
    checkRatio(image, MOST_RATIO);
    const { least, most } = this.#config.area;
    const limit = size === Math.floor(Math.sqrt(most)) ? most : size * size;
    return smartSize(image, { factor: this.#factor, least: Math.min(least, limit), most: limit });
  }

  get #factor(): number {
    return this.#config.shape.patch * this.#config.merge;
  }
}
