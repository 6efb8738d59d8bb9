/**
 * Pixtral, the vision part of Mistral Small 3.1 and later and of Ministral 3. An image keeps its shape: one that is
 * too large is shrunk, and its sides are stretched to whole squares of patches. The tower rotates queries and keys by
 * row and column. A matrix merges each square of tokens into one; in the prompt a token follows each row.
 */
import type { Backend, NormSpec, RopeSpec } from '../../backend/backend.ts';
import { InputError } from '../../errors.ts';
import type { AttentionPlace } from '../../layers/full-attention.ts';
import type { Held } from '../../layers/held.ts';
import { linear, type MaybeBiased } from '../../layers/linear.ts';
import type { Steps } from '../../layers/steps.ts';
import type { Rgba } from '../../vision/image.ts';
import { crop, resize } from '../../vision/resize.ts';
import { wrong } from '../facts.ts';
import { suffixed, type Take, type TensorName } from '../weights.ts';
import type { VisionContext, VisionFile, VisionPlan } from './architecture.ts';
import { blockNames, takeBlocks, takeNormOf, takeSome } from './blocks.ts';
import { toNormalised, type Normalisation } from './normalise.ts';
import { inSquares, patchRows } from './patches.ts';
import { planOf } from './plan.ts';
import { checkRatio, type Size } from './sizes.ts';
import { refuseRoute, refuseUnique } from './square.ts';
import {
  CLIP,
  fact,
  MOST,
  PROJECTOR_ROOTS,
  rootOf,
  shapeOf,
  TOWER_ROOTS,
  TowerFacts,
  type TowerShape,
} from './tower-facts.ts';
import { VisionTransformer, type VitWeights } from './vit.ts';
import {
  consecutive,
  type EncodedImage,
  type ExpandedPart,
  type ImageOptions,
  type ImageSettings,
  type PreparedImage,
  type SpanPositions,
  type VisionModel,
} from './vision-model.ts';

interface PixtralConfig {
  readonly placeholder: number;
  readonly shape: TowerShape;
  readonly activation: ReturnType<TowerFacts['activation']>;
  readonly normalisation: Normalisation;
  readonly rope: RopeSpec;
  /** The longest side of an image. */
  readonly longest: number;
  /** This many patches per side become one token. */
  readonly merge: number;
  /** Of the projector's norm. */
  readonly epsilon: number;
}

interface PixtralWeights {
  readonly tower: VitWeights;
  /** Undefined for the first model, whose tokens are the patches. */
  readonly merger: { readonly norm: NormSpec; readonly layer: MaybeBiased } | undefined; // (width, merge^2 width)
  readonly first: MaybeBiased; // (hidden, width)
  readonly second: MaybeBiased; // (hidden, hidden)
}

const VIT = { width: 1024, mlp: 4096, blocks: 24, heads: 16, size: 1540, patch: 14, epsilon: 1e-5 } as const;

export function planPixtral(file: VisionFile, context: VisionContext): VisionPlan {
  const config = pixtralConfig(file, context);
  const projector = rootOf(file, PROJECTOR_ROOTS, 'linear_1.weight');
  const name = (gguf: string, huggingface: string): TensorName => ({ gguf, huggingface: projector + huggingface });
  const second = name('mm.2', 'linear_2');
  const take = (from: Take): PixtralWeights => ({
    tower: takeTower(from, config, rootOf(file, TOWER_ROOTS, 'patch_conv.weight')),
    merger: config.merge === 1 ? undefined : takeMerger(from, config, name),
    first: takeSome(from, name('mm.1', 'linear_1'), context.hidden, config.shape.width),
    second: takeSome(from, second, context.hidden, context.hidden),
  });
  return planOf(file, context, {
    family: 'Pixtral',
    makes: shapeOf(file, suffixed(second, 'weight'))?.[0],
    take,
    create: (backend, weights) => new Pixtral(backend, config, weights),
  });
}

function takeTower(take: Take, { shape, activation }: PixtralConfig, root: string): VitWeights {
  const { width, patch } = shape;
  const name = (gguf: string, huggingface: string): TensorName => ({ gguf, huggingface: root + huggingface });
  const blocks = blockNames(`${root}transformer.layers.N.`, {
    norm1: 'attention_norm',
    query: 'attention.q_proj',
    key: 'attention.k_proj',
    value: 'attention.v_proj',
    output: 'attention.o_proj',
    norm2: 'ffn_norm',
    gate: 'feed_forward.gate_proj',
    up: 'feed_forward.up_proj',
    down: 'feed_forward.down_proj',
  });
  return {
    patches: [
      {
        weight: take.weight(name('v.patch_embd.weight', 'patch_conv.weight'), [width, 3 * patch * patch], {
          alsoAs: [[width, 3, patch, patch]],
        }),
      },
    ],
    preNorm: takeNormOf(take, name('v.pre_ln', 'ln_pre'), width, shape.epsilon, 'rms'),
    blocks: takeBlocks(take, { ...shape, activation, norms: 'rms', gated: true }, blocks),
  };
}

/** Upstream's columns are those of one channel after the other. */
function takeMerger(
  take: Take,
  { shape: { width }, merge, epsilon }: PixtralConfig,
  name: (gguf: string, huggingface: string) => TensorName,
): PixtralWeights['merger'] {
  const area = merge * merge;
  const columns = Uint32Array.from({ length: area * width }, (_, i) => (i % width) * area + Math.floor(i / width));
  const matrix = name('mm.patch_merger.weight', 'patch_merger.merging_layer.weight');
  return {
    norm: takeNormOf(take, name('mm.input_norm', 'norm'), width, epsilon, 'rms'),
    layer: { weight: take.weight(matrix, [width, area * width], { columns }) },
  };
}

/** Throws `ModelError('config')`. */
function pixtralConfig(file: VisionFile, context: VisionContext): PixtralConfig {
  const facts = new TowerFacts(file);
  const shape = facts.shape(VIT);
  const dim = shape.width / shape.heads;
  if (dim % 4 !== 0) throw wrong('the size of a head of the vision tower', dim, 'should be a multiple of 4');
  const merge = facts.vision.integer(fact('spatial_merge_size', 'spatial_merge_size'), {
    least: 1,
    most: MOST.shuffle,
    default: facts.gguf ? 1 : 2,
  });
  const layer = facts.vision.integer(fact('', 'vision_feature_layer'), { least: -256, most: 256, default: -1 });
  if (layer !== -1) throw wrong('vision_feature_layer', layer, 'should be -1, the last');
  return {
    placeholder: facts.placeholder(context, ['[IMG]'], ['image_token_id', 'image_token_index'], 10),
    shape,
    activation: facts.activation('gelu'),
    normalisation: facts.normalisation(CLIP),
    rope: gridRope(
      dim,
      facts.vision.number(fact('', 'vision_config.rope_parameters.rope_theta', 'vision_config.rope_theta'), {
        least: 1.001,
        most: 1e12,
        default: 10000,
      }),
      facts.gguf,
    ),
    longest: facts.preprocessing.integer(fact('image_size', 'size.longest_edge'), {
      least: 1,
      most: MOST.size,
      default: shape.size,
    }),
    merge,
    epsilon: facts.vision.number(fact('attention.layer_norm_epsilon', 'text_config.rms_norm_eps'), {
      least: 0,
      most: 1,
      default: 1e-6,
    }),
  };
}

/** The frequencies of a head in turn: every other one turns by the row, those between them by the column. */
function gridRope(dim: number, base: number, permuted: boolean): RopeSpec {
  const half = dim / 4;
  return {
    inverseFrequency: Float64Array.from(
      { length: 2 * half },
      (_, pair) => base ** ((-2 * (2 * (pair % half) + (pair < half ? 0 : 1))) / dim),
    ),
    magnitude: 1,
    // llama.cpp's converter orders the rows of q and k for pairs of neighbours.
    style: permuted ? 'interleaved' : 'half',
    sections: { order: 'consecutive', pairs: [0, half, half] },
  };
}

class Pixtral implements VisionModel {
  readonly placeholder: number;
  readonly bidirectional = false;
  readonly #backend: Backend;
  readonly #config: PixtralConfig;
  readonly #weights: PixtralWeights;
  readonly #tower: VisionTransformer;
  /** The image that was stretched most recently. */
  #last: { readonly image: Rgba; readonly stretched: Rgba } | undefined;

  constructor(backend: Backend, config: PixtralConfig, weights: PixtralWeights) {
    this.placeholder = config.placeholder;
    this.#backend = backend;
    this.#config = config;
    this.#weights = weights;
    this.#tower = new VisionTransformer(backend, { ...config.shape, activation: config.activation }, weights.tower);
  }

  /** `size`: the longest side of an image. */
  settings({ size, route, unique }: ImageOptions = {}): ImageSettings {
    refuseRoute(route);
    refuseUnique(unique);
    const { longest } = this.#config;
    const side = size ?? longest;
    const least = Math.min(longest, this.#factor);
    if (side < least || side > longest)
      throw new InputError(
        'argument',
        `visual.size: ${side}; the longest side of this model's images has ${least} to ${longest} pixels`,
        { name: 'visual.size', size: side, least, most: longest },
      );
    return { size: side };
  }

  prepare(image: Rgba, options?: ImageOptions): PreparedImage {
    const settings = this.settings(options);
    const target = this.#size(image, settings);
    const [rows, columns] = [target.height / this.#factor, target.width / this.#factor];
    const again = target.width * target.height < image.width * image.height && this.#size(target, settings);
    const kept = again && again.width === target.width && again.height === target.height;
    return {
      image: kept ? this.#stretched(image, target) : image,
      settings,
      spans: Array.from({ length: rows }, () => ({ tokens: columns, rows: 1, columns, selectable: columns })),
    };
  }

  expand({ spans }: PreparedImage): readonly ExpandedPart[] {
    return spans.flatMap((span, i) => [span, i === spans.length - 1 ? '[IMG_END]' : '[IMG_BREAK]']);
  }

  positions({ spans }: PreparedImage): readonly SpanPositions[] {
    return spans.map(consecutive);
  }

  tile({ image, settings }: PreparedImage, index: number): Rgba {
    const target = this.#size(image, settings);
    return crop(this.#stretched(image, target), 0, index * this.#factor, target.width, this.#factor);
  }

  *encode({ image, settings }: PreparedImage, held: Held): Steps<EncodedImage> {
    const backend = this.#backend;
    const { merge, normalisation, rope, shape } = this.#config;
    const { merger, first, second } = this.#weights;
    const size = this.#size(image, settings);
    const [rows, columns] = [size.height / shape.patch, size.width / shape.patch];
    const pixels = toNormalised(this.#stretched(image, size), normalisation);
    const count = rows * columns;
    const values = new Int32Array(3 * count);
    for (let i = 0; i < count; i++) {
      values[count + i] = Math.floor(i / columns);
      values[2 * count + i] = i % columns;
    }
    const place: AttentionPlace = { rope, positions: { axes: 3, values } };
    this.#last = undefined;
    const seen = yield* this.#tower.forward(
      { rows: patchRows(pixels, { ...size, patch: shape.patch, order: 'channels' }), place: () => place },
      held,
    );
    const embeddings = held.next(seen, (x) => {
      const squares =
        merger &&
        backend.fold(backend.take(backend.norm(x, merger.norm), inSquares(rows, columns, merge)), merge * merge);
      const merged = merger && squares ? linear(backend, squares, merger.layer) : x;
      return linear(backend, linear(backend, merged, first, { activation: 'gelu' }), second);
    });
    return { embeddings };
  }

  free(): void {
    this.#last = undefined;
    this.#tower.free();
  }

  #stretched(image: Rgba, { width, height }: Size): Rgba {
    if (image.width === width && image.height === height) return image;
    const last = this.#last;
    if (last?.image === image && last.stretched.width === width && last.stretched.height === height)
      return last.stretched;
    const stretched = resize(image, width, height, 'bicubic');
    this.#last = { image, stretched };
    return stretched;
  }

  /** Shrunk so that no side is longer than `size`, both sides up to whole squares of patches. */
  #size({ width, height }: Size, { size }: ImageSettings): Size {
    const ratio = Math.max(height / size, width / size);
    if (ratio > 1) checkRatio({ width, height }, size);
    const side = (own: number): number =>
      Math.ceil((ratio > 1 ? Math.floor(own / ratio) : own) / this.#factor) * this.#factor;
    return { width: side(width), height: side(height) };
  }

  get #factor(): number {
    return this.#config.shape.patch * this.#config.merge;
  }
}
