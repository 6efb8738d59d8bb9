/**
 * Idefics3 and SmolVLM. An image is stretched to a whole number of tiles, SigLIP encodes each tile and the whole image
 * as one more tile, squares of s x s tokens are concatenated (pixel shuffle), and one matrix projects them to the
 * language model's width.
 */
import type { Backend, Tensor, Weight } from '../../backend/backend.ts';
import { InputError } from '../../errors.ts';
import type { Held } from '../../layers/held.ts';
import type { Steps } from '../../layers/steps.ts';
import type { Rgba } from '../../vision/image.ts';
import { crop, resize } from '../../vision/resize.ts';
import { wrong } from '../facts.ts';
import { suffixed, type Take, type TensorName } from '../weights.ts';
import type { VisionContext, VisionFile, VisionPlan } from './architecture.ts';
import { inSquares } from './patches.ts';
import { toNormalised, type Normalisation } from './normalise.ts';
import { planOf } from './plan.ts';
import { SiglipTower, siglipNames, siglipWeights, type SiglipConfig, type SiglipWeights } from './siglip.ts';
import { refuseRoute, refuseUnique } from './square.ts';
import { fact, HALVES, MOST, shapeOf, TowerFacts } from './tower-facts.ts';
import {
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

export interface Idefics3Config {
  readonly placeholder: number;
  readonly tower: SiglipConfig;
  /** The factor s: this many tokens per side become one token. */
  readonly shuffle: number;
  /** The longest side of an image after the first resizing, a multiple of the tile. */
  readonly longest: number;
  readonly normalisation: Normalisation;
}

const IMAGE = '<image>';

/** Throws `ModelError('config')`. Values that a Hugging Face configuration omits are the defaults of its class. */
export function idefics3Config(file: VisionFile, context: VisionContext): Idefics3Config {
  const facts = new TowerFacts(file);
  const shape = facts.shape({
    width: 1152,
    mlp: 3072,
    blocks: 12,
    heads: 16,
    size: 224,
    patch: 32,
    epsilon: 1e-6,
  });
  const { size, patch } = shape;
  const shuffle = facts.vision.integer(fact('projector.scale_factor', 'scale_factor'), {
    least: 1,
    most: MOST.shuffle,
    default: 2,
  });
  // SigLIP's patches need not fill the tile: the remainder at the right and at the bottom is not encoded.
  const grid = Math.floor(size / patch);
  if (grid % shuffle !== 0) throw wrong('the scale factor', shuffle, `should divide the ${grid} patches of a side`);
  const longest = facts.preprocessing.integer(fact('preproc_image_size', 'size.longest_edge'), {
    least: 1,
    most: MOST.size,
    default: 4 * size,
  });
  return {
    placeholder: facts.placeholder(context, [IMAGE], ['image_token_id'], 128257),
    shuffle,
    longest: Math.ceil(longest / size) * size,
    normalisation: facts.normalisation(HALVES),
    tower: { ...shape, activation: facts.activation('geluTanh'), order: 'channels' },
  };
}

interface Idefics3Weights {
  readonly tower: SiglipWeights;
  readonly projection: Weight; // (hidden, s s width)
}

function idefics3Weights(
  take: Take,
  { tower, shuffle }: Idefics3Config,
  hidden: number,
  root: string,
): Idefics3Weights {
  return {
    tower: siglipWeights(take, tower, siglipNames(`${root}vision_model.`)),
    projection: take.weight(suffixed(projectionName(root), 'weight'), [hidden, shuffle * shuffle * tower.width]),
  };
}

function projectionName(root: string): TensorName {
  return { gguf: 'mm.model.fc', huggingface: `${root}connector.modality_projection.proj` };
}

/** Throws `ModelError` before anything is read. */
export function planIdefics3(file: VisionFile, context: VisionContext): VisionPlan {
  const config = idefics3Config(file, context);
  const root = 'model.';
  return planOf(file, context, {
    family: 'Idefics3 or SmolVLM',
    makes: shapeOf(file, suffixed(projectionName(root), 'weight'))?.[0],
    take: (take) => idefics3Weights(take, config, context.hidden, root),
    create: (backend, weights) => new Idefics3(backend, config, weights),
  });
}

export class Idefics3 implements VisionModel {
  readonly placeholder: number;
  readonly bidirectional = false;
  readonly #backend: Backend;
  readonly #config: Idefics3Config;
  readonly #tower: SiglipTower;
  readonly #projection: Weight;
  /** The image that was cut into tiles most recently, as it was cut: up to 16 MB. */
  #last: { readonly image: Rgba; readonly size: number; readonly stretched: Rgba } | undefined;

  constructor(backend: Backend, config: Idefics3Config, { tower, projection }: Idefics3Weights) {
    this.placeholder = config.placeholder;
    this.#backend = backend;
    this.#config = config;
    this.#tower = new SiglipTower(backend, config.tower, tower);
    this.#projection = projection;
  }

  settings({ size = this.#config.longest, route, unique }: ImageOptions = {}): ImageSettings {
    const { tower, longest } = this.#config;
    refuseRoute(route);
    refuseUnique(unique);
    const sizes = Array.from({ length: longest / tower.size }, (_, i) => (i + 1) * tower.size);
    if (!sizes.includes(size))
      throw new InputError('argument', `visual.size: ${size} is not a size of this model; use ${sizes.join(', ')}`, {
        name: 'visual.size',
        size,
        sizes,
      });
    return { size };
  }

  prepare(image: Rgba, options?: ImageOptions): PreparedImage {
    const settings = this.settings(options);
    const { size: tile, patch } = this.#config.tower;
    const plan = stretchPlan(image, settings.size, tile);
    const { width, height } = plan;
    const side = Math.floor(tile / patch) / this.#config.shuffle;
    const tokens = side * side;
    const span: ImageSpan = { tokens, rows: side, columns: side, selectable: tokens };
    const tiles = (width / tile) * (height / tile);
    // The tokens of the whole image are never thinned when there are tiles beside it.
    const spans = tiles === 1 ? [span] : [...Array.from({ length: tiles }, () => span), { ...span, selectable: 0 }];
    if (image.width * image.height <= width * height) return { image, settings, spans };
    return { image: stretch(image, plan), settings, spans };
  }

  expand(prepared: PreparedImage): readonly ExpandedPart[] {
    const { spans, image, settings } = prepared;
    const around = '<fake_token_around_image>';
    const whole = spans.at(-1);
    if (whole === undefined || spans.length === 1) return [`${around}<global-img>`, ...spans, around];
    const tile = this.#config.tower.size;
    const { width } = stretchPlan(image, settings.size, tile);
    const columns = width / tile;
    const tiles = spans.slice(0, -1).flatMap((span, i): ExpandedPart[] => {
      const [row, column] = [Math.floor(i / columns), i % columns];
      return [`${around}<row_${row + 1}_col_${column + 1}>`, span, ...(column === columns - 1 ? ['\n'] : [])];
    });
    return [...tiles, `\n${around}<global-img>`, whole, around];
  }

  positions({ spans }: PreparedImage): readonly SpanPositions[] {
    return spans.map(consecutive);
  }

  tile(prepared: PreparedImage, index: number): Rgba {
    const { size } = this.#config.tower;
    const whole = this.#stretch(prepared);
    const columns = whole.width / size;
    if (index === prepared.spans.length - 1)
      return prepared.spans.length === 1 ? whole : resize(whole, size, size, 'lanczos');
    return crop(whole, (index % columns) * size, Math.floor(index / columns) * size, size, size);
  }

  *encode(prepared: PreparedImage, held: Held): Steps<EncodedImage> {
    const backend = this.#backend;
    const { normalisation, shuffle } = this.#config;
    const parts: Tensor[] = [];
    for (const index of prepared.spans.keys()) {
      const pixels = toNormalised(this.tile(prepared, index), normalisation);
      const seen = yield* this.#tower.forward(pixels, held);
      const [count = 0] = seen.shape;
      parts.push(
        held.next(seen, (x) =>
          backend.linear(
            backend.fold(backend.take(x, inSquares(Math.sqrt(count), Math.sqrt(count), shuffle)), shuffle * shuffle),
            [this.#projection],
          ),
        ),
      );
      yield;
    }
    return { embeddings: held.joined(parts) };
  }

  free(): void {
    this.#last = undefined;
    this.#tower.free();
  }

  #stretch({ image, settings: { size } }: PreparedImage): Rgba {
    if (this.#last?.image !== image || this.#last.size !== size)
      this.#last = { image, size, stretched: stretch(image, stretchPlan(image, size, this.#config.tower.size)) };
    return this.#last.stretched;
  }
}

/** The sides after the first resizing and after the second, which makes them multiples of the tile. */
interface StretchPlan {
  readonly first: { readonly width: number; readonly height: number };
  readonly width: number;
  readonly height: number;
}

/**
 * Follows Idefics3ImageProcessor of transformers: the longest side becomes `longest`, then both sides grow to multiples
 * of `tile`.
 */
export function stretchPlan(
  { width, height }: Pick<Rgba, 'width' | 'height'>,
  longest: number,
  tile: number,
): StretchPlan {
  const up = (side: number): number => Math.ceil(side / tile) * tile;
  const even = (side: number): number => Math.max(1, Math.trunc(side) + (Math.trunc(side) % 2));
  const ratio = width / height;
  const first =
    width >= height
      ? { width: longest, height: even(longest / ratio) }
      : { width: even(longest * ratio), height: longest };
  const second = first.width / first.height;
  if (first.width >= first.height) {
    const wide = up(first.width);
    return { first, width: wide, height: up(Math.trunc(wide / second)) };
  }
  const high = up(first.height);
  return { first, width: up(Math.trunc(high * second)), height: high };
}

function stretch(image: Rgba, { first, width, height }: StretchPlan): Rgba {
  return resize(resize(image, first.width, first.height, 'lanczos'), width, height, 'lanczos');
}
