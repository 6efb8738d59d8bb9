/**
 * InternVL. An image is stretched to the grid of tiles whose shape is nearest to its own. InternViT encodes each tile
 * and, if there are several, the whole image as one more; squares of tokens are concatenated, and a norm and two layers
 * with GELU project them to the language model's width.
 */
import type { Backend, NormSpec, Tensor } from '../../backend/backend.ts';
import type { Held } from '../../layers/held.ts';
import { linear, type Linear } from '../../layers/linear.ts';
import type { Steps } from '../../layers/steps.ts';
import type { Rgba } from '../../vision/image.ts';
import { crop, resize } from '../../vision/resize.ts';
import { wrong } from '../facts.ts';
import { suffixed, takeLinear, type Take, type TensorName } from '../weights.ts';
import type { VisionContext, VisionFile, VisionPlan } from './architecture.ts';
import { blockNames, takeBlocks, takeNormOf } from './blocks.ts';
import { ClassTokenTower, takeClassToken, type ClassTokenConfig, type ClassTokenWeights } from './class-token.ts';
import { inSquares } from './patches.ts';
import { planOf } from './plan.ts';
import { nearestGrid } from './sizes.ts';
import { refuseUnique, tileSize } from './square.ts';
import { fact, IMAGENET, MOST, PROJECTOR_ROOTS, rootOf, shapeOf, TOWER_ROOTS, TowerFacts } from './tower-facts.ts';
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

interface InternVlConfig {
  readonly placeholder: number;
  readonly tower: ClassTokenConfig;
  readonly norms: NormSpec['kind'];
  /** This many tokens per side become one token. */
  readonly shuffle: number;
  readonly tiles: number;
}

interface InternVlWeights {
  readonly tower: ClassTokenWeights;
  readonly norm: NormSpec;
  readonly first: Linear; // (hidden, shuffle^2 width)
  readonly second: Linear; // (hidden, hidden)
}

const VIT = { width: 1024, mlp: 4096, blocks: 24, heads: 16, size: 448, patch: 14, epsilon: 1e-6 } as const;

export function planInternVl(file: VisionFile, context: VisionContext): VisionPlan {
  const config = internVlConfig(file, context);
  const { tower: shape, norms, shuffle } = config;
  const { width } = shape;
  const root = rootOf(file, TOWER_ROOTS, 'embeddings.cls_token');
  const projector = rootOf(file, PROJECTOR_ROOTS, 'linear_1.weight');
  const name = (gguf: string, huggingface: string): TensorName => ({ gguf, huggingface: root + huggingface });
  const merged = (gguf: number, huggingface: string): TensorName => ({
    gguf: `mm.model.mlp.${gguf}`,
    huggingface: projector + huggingface,
  });
  const blocks = blockNames(`${root}encoder.layer.N.`, {
    norm1: 'layernorm_before',
    query: 'attention.q_proj',
    key: 'attention.k_proj',
    value: 'attention.v_proj',
    output: 'attention.projection_layer',
    norm2: 'layernorm_after',
    up: 'mlp.fc1',
    down: 'mlp.fc2',
    scale1: 'lambda_1',
    scale2: 'lambda_2',
  });
  const folded = width * shuffle * shuffle;
  const take = (from: Take): InternVlWeights => ({
    tower: {
      ...takeClassToken(from, shape, {
        patches: name('v.patch_embd', 'embeddings.patch_embeddings.projection'),
        classToken: name('v.class_embd', 'embeddings.cls_token'),
        positions: name('v.position_embd.weight', 'embeddings.position_embeddings'),
      }),
      blocks: takeBlocks(from, { ...shape, norms, scaled: true }, blocks),
    },
    norm: takeNormOf(from, merged(0, 'layer_norm'), folded, 1e-5, 'layer'),
    first: takeLinear(from, merged(1, 'linear_1'), context.hidden, folded),
    second: takeLinear(from, merged(3, 'linear_2'), context.hidden, context.hidden),
  });
  return planOf(file, context, {
    family: 'InternVL',
    makes: shapeOf(file, suffixed(merged(3, 'linear_2'), 'weight'))?.[0],
    take,
    create: (backend, weights) => new InternVl(backend, config, weights),
  });
}

/** Throws `ModelError('config')`. */
function internVlConfig(file: VisionFile, context: VisionContext): InternVlConfig {
  const facts = new TowerFacts(file);
  const shape = facts.shape(VIT);
  const ratio = facts.vision.number(fact('', 'downsample_ratio'), { least: 1 / MOST.shuffle, most: 1, default: 0.5 });
  const shuffle = facts.vision.integer(fact('projector.scale_factor'), {
    least: 1,
    most: MOST.shuffle,
    default: Math.round(1 / ratio),
  });
  const grid = Math.floor(shape.size / shape.patch);
  if (grid % shuffle !== 0) throw wrong('the scale factor', shuffle, `should divide the ${grid} patches of a side`);
  if (facts.vision.flag(fact('', 'vision_config.use_qk_norm'), false))
    throw wrong('vision_config.use_qk_norm', true, 'should be false: the tower of 6 billion weights is not supported');
  return {
    placeholder: facts.placeholder(context, ['<IMG_CONTEXT>'], ['image_token_id'], 151667),
    shuffle,
    norms: facts.vision.text(fact('', 'vision_config.norm_type'), 'layer_norm') === 'rms_norm' ? 'rms' : 'layer',
    tiles: facts.preprocessing.integer(fact('preproc_max_tiles', 'max_patches'), {
      least: 1,
      most: MOST.tiles,
      default: 12,
    }),
    tower: { ...shape, activation: facts.activation('gelu'), normalisation: facts.normalisation(IMAGENET) },
  };
}

class InternVl implements VisionModel {
  readonly placeholder: number;
  readonly bidirectional = false;
  readonly #backend: Backend;
  readonly #config: InternVlConfig;
  readonly #weights: InternVlWeights;
  readonly #tower: ClassTokenTower;
  /** The image whose tiles were cut most recently. */
  #last: { readonly image: Rgba; readonly stretched: Rgba } | undefined;

  constructor(backend: Backend, config: InternVlConfig, weights: InternVlWeights) {
    this.placeholder = config.placeholder;
    this.#backend = backend;
    this.#config = config;
    this.#weights = weights;
    this.#tower = new ClassTokenTower(backend, config.tower, weights.tower);
  }

  settings(options?: ImageOptions): ImageSettings {
    refuseUnique(options?.unique);
    return { size: tileSize(this.#config.tower.size, this.#config.tiles, options) };
  }

  prepare(image: Rgba, options?: ImageOptions): PreparedImage {
    const settings = this.settings(options);
    const { tower, shuffle } = this.#config;
    const side = Math.floor(tower.size / tower.patch) / shuffle;
    const { columns, rows } = this.#grid(image, settings);
    const tokens = side * side;
    const span: ImageSpan = { tokens, rows: side, columns: side, selectable: tokens };
    const tiles = Array.from({ length: columns * rows }, () => span);
    // The tokens of the whole image are never thinned when there are tiles beside it.
    return { image, settings, spans: tiles.length === 1 ? tiles : [...tiles, { ...span, selectable: 0 }] };
  }

  expand({ spans }: PreparedImage): readonly ExpandedPart[] {
    return ['<img>', ...spans, '</img>'];
  }

  positions({ spans }: PreparedImage): readonly SpanPositions[] {
    return spans.map(consecutive);
  }

  tile({ image, settings, spans }: PreparedImage, index: number): Rgba {
    const { size } = this.#config.tower;
    if (spans.length === 1 || index === spans.length - 1) return resize(image, size, size, 'bicubic');
    const { columns, rows } = this.#grid(image, settings);
    const whole = this.#stretched(image, columns * size, rows * size);
    return crop(whole, (index % columns) * size, Math.floor(index / columns) * size, size, size);
  }

  *encode(prepared: PreparedImage, held: Held): Steps<EncodedImage> {
    const backend = this.#backend;
    const { shuffle, tower } = this.#config;
    const { norm, first, second } = this.#weights;
    const grid = Math.floor(tower.size / tower.patch);
    const parts: Tensor[] = [];
    for (const index of prepared.spans.keys()) {
      const seen = yield* this.#tower.forward(this.tile(prepared, index), held);
      parts.push(
        held.next(seen, (x) => {
          const squares = backend.fold(backend.take(x, inSquares(grid, grid, shuffle)), shuffle * shuffle);
          return linear(backend, linear(backend, squares, first, { norm, activation: 'gelu' }), second);
        }),
      );
      yield;
    }
    this.#last = undefined;
    return { embeddings: held.joined(parts) };
  }

  free(): void {
    this.#last = undefined;
    this.#tower.free();
  }

  #stretched(image: Rgba, width: number, height: number): Rgba {
    const last = this.#last;
    if (last?.image === image && last.stretched.width === width && last.stretched.height === height)
      return last.stretched;
    const stretched = resize(image, width, height, 'bicubic');
    this.#last = { image, stretched };
    return stretched;
  }

  #grid(image: Rgba, { size }: ImageSettings): { readonly columns: number; readonly rows: number } {
    const { tower, tiles } = this.#config;
    const most = Math.min(tiles, (size / tower.size) ** 2);
    return most === 1 ? { columns: 1, rows: 1 } : nearestGrid(image, { tile: tower.size, least: 1, most });
  }
}
