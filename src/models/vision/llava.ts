/**
 * LLaVA 1.5. CLIP encodes a square, the layer before its last gives the tokens, and two layers with GELU project them
 * to the language model's width.
 */
import type { Backend } from '../../backend/backend.ts';
import type { Held } from '../../layers/held.ts';
import { linear, type Linear } from '../../layers/linear.ts';
import type { Steps } from '../../layers/steps.ts';
import type { Rgba } from '../../vision/image.ts';
import { resizePart, resizeStretches, type Stretch } from '../../vision/resize.ts';
import { wrong } from '../facts.ts';
import { suffixed, takeLinear, type Take, type TensorName } from '../weights.ts';
import type { VisionContext, VisionFile, VisionPlan } from './architecture.ts';
import { blockNames, takeBlocks, takeNormOf } from './blocks.ts';
import { ClassTokenTower, takeClassToken, type ClassTokenConfig, type ClassTokenWeights } from './class-token.ts';
import { planOf } from './plan.ts';
import { oneSize, squareSpans } from './square.ts';
import { CLIP, fact, MOST, PROJECTOR_ROOTS, rootOf, shapeOf, TOWER_ROOTS, TowerFacts } from './tower-facts.ts';
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

interface LlavaConfig {
  readonly placeholder: number;
  readonly tower: ClassTokenConfig;
  /**
   * How images that are not square are made square: cropped to the centre (as Hugging Face's processor does), or padded
   * with the mean colour (as the authors and llama.cpp do).
   */
  readonly fit: 'crop' | 'pad';
}

interface LlavaWeights {
  readonly tower: ClassTokenWeights;
  readonly first: Linear; // (hidden, width)
  readonly second: Linear; // (hidden, hidden)
}

const CLIP_LARGE = { width: 1024, mlp: 4096, blocks: 24, heads: 16, size: 336, patch: 14, epsilon: 1e-5 } as const;

export function planLlava(file: VisionFile, context: VisionContext): VisionPlan {
  const config = llavaConfig(file, context);
  const tower = rootOf(file, TOWER_ROOTS, 'embeddings.patch_embedding.weight');
  const projector = rootOf(file, PROJECTOR_ROOTS, 'linear_1.weight');
  // The two layers are numbered 0 and 2 by llama.cpp's first converters, 1 and 2 by the later one.
  const first: TensorName = {
    gguf: file.tensors.has('mm.0.weight') ? 'mm.0' : 'mm.1',
    huggingface: `${projector}linear_1`,
  };
  const second: TensorName = { gguf: 'mm.2', huggingface: `${projector}linear_2` };
  const name = (gguf: string, huggingface: string): TensorName => ({ gguf, huggingface: tower + huggingface });
  const blocks = blockNames(`${tower}encoder.layers.N.`, {
    norm1: 'layer_norm1',
    query: 'self_attn.q_proj',
    key: 'self_attn.k_proj',
    value: 'self_attn.v_proj',
    output: 'self_attn.out_proj',
    norm2: 'layer_norm2',
    up: 'mlp.fc1',
    down: 'mlp.fc2',
  });
  const { width, epsilon } = config.tower;
  const take = (from: Take): LlavaWeights => ({
    tower: {
      ...takeClassToken(from, config.tower, {
        patches: name('v.patch_embd', 'embeddings.patch_embedding'),
        classToken: name('v.class_embd', 'embeddings.class_embedding'),
        positions: name('v.position_embd.weight', 'embeddings.position_embedding.weight'),
      }),
      preNorm: takeNormOf(from, name('v.pre_ln', 'pre_layrnorm'), width, epsilon, 'layer'),
      blocks: takeBlocks(from, config.tower, blocks),
    },
    first: takeLinear(from, first, context.hidden, width),
    second: takeLinear(from, second, context.hidden, context.hidden),
  });
  return planOf(file, context, {
    family: 'LLaVA',
    makes: shapeOf(file, suffixed(second, 'weight'))?.[0],
    take,
    create: (backend, weights) => new Llava(backend, config, weights),
  });
}

/** Throws `ModelError('config')`. */
function llavaConfig(file: VisionFile, context: VisionContext): LlavaConfig {
  const facts = new TowerFacts(file);
  const shape = facts.shape(CLIP_LARGE);
  const cropped = facts.preprocessing.flag(fact('', 'do_center_crop'), true);
  return {
    // Vocabularies of GGUF files have no token for images.
    placeholder: facts.placeholder(context, ['<image>', '<unk>'], ['image_token_index', 'image_token_id'], 32000),
    tower: {
      ...shape,
      blocks: layersUsed(facts, shape.blocks),
      activation: facts.activation('quickGelu'),
      normalisation: facts.normalisation(CLIP),
    },
    fit: facts.gguf || !cropped || facts.preprocessing.flag(fact('', 'do_pad'), false) ? 'pad' : 'crop',
  };
}

/** GGUF files contain only the layers that are used, unless they name the layer that gives the tokens. */
function layersUsed(facts: TowerFacts, blocks: number): number {
  const names = fact('feature_layer', 'vision_feature_layer');
  const found = facts.vision.find(names);
  if (facts.gguf && found === undefined) return blocks;
  const least = -MOST.blocks;
  const [layer = -2] =
    typeof found?.value === 'object'
      ? facts.vision.numbers(names, { least, most: MOST.blocks }, { least: 1, most: 1 })
      : [facts.vision.integer(names, { least, most: MOST.blocks, default: -2 })];
  const used = layer < 0 ? blocks + 1 + layer : layer;
  if (!Number.isInteger(used) || used < 1 || used > blocks)
    throw wrong('the layer that gives the image tokens', layer, `should be one of the ${blocks} of the tower`);
  return used;
}

class Llava implements VisionModel {
  readonly placeholder: number;
  readonly bidirectional = false;
  readonly #backend: Backend;
  readonly #config: LlavaConfig;
  readonly #weights: LlavaWeights;
  readonly #tower: ClassTokenTower;

  constructor(backend: Backend, config: LlavaConfig, weights: LlavaWeights) {
    this.placeholder = config.placeholder;
    this.#backend = backend;
    this.#config = config;
    this.#weights = weights;
    this.#tower = new ClassTokenTower(backend, config.tower, weights.tower);
  }

  settings(options?: ImageOptions): ImageSettings {
    return oneSize(this.#config.tower.size, options);
  }

  prepare(image: Rgba, options?: ImageOptions): PreparedImage {
    const settings = this.settings(options);
    const { tower, fit } = this.#config;
    const square =
      fit === 'crop' ? cropped(image, settings.size) : padded(image, settings.size, tower.normalisation.mean);
    return { image: square, settings, spans: squareSpans(Math.floor(settings.size / tower.patch)) };
  }

  expand({ spans }: PreparedImage): readonly ExpandedPart[] {
    return spans;
  }

  positions({ spans }: PreparedImage): readonly SpanPositions[] {
    return spans.map(consecutive);
  }

  tile({ image }: PreparedImage): Rgba {
    return image;
  }

  *encode({ image }: PreparedImage, held: Held): Steps<EncodedImage> {
    const backend = this.#backend;
    const { first, second } = this.#weights;
    const seen = yield* this.#tower.forward(image, held);
    return {
      embeddings: held.next(seen, (x) => linear(backend, linear(backend, x, first, { activation: 'gelu' }), second)),
    };
  }

  free(): void {
    this.#tower.free();
  }
}

/** Resizes the shorter side to `size` and takes the centre of the longer side. */
function cropped(image: Rgba, size: number): Rgba {
  const { width, height } = image;
  if (width === size && height === size) return image;
  const short = Math.min(width, height);
  const long = Math.floor((size * Math.max(width, height)) / short);
  const full = width <= height ? { width: size, height: long } : { width: long, height: size };
  const part = {
    left: Math.floor((full.width - size) / 2),
    top: Math.floor((full.height - size) / 2),
    width: size,
    height: size,
  };
  return resizePart(image, full, part, 'bicubic');
}

/** Places the image in the middle of a square of its longer side, filled with the mean colour. */
function padded(image: Rgba, size: number, mean: readonly number[]): Rgba {
  const { width, height } = image;
  if (width === size && height === size) return image;
  const side = Math.max(width, height);
  const stretch = (real: number, fill: number): Stretch => ({
    offset: -((side - real) >> 1),
    length: side,
    real,
    fill,
  });
  const data = new Uint8ClampedArray(4 * size * size);
  // The background differs in the three channels, so each channel is taken from an image padded with its own grey.
  for (const [channel, value] of mean.entries()) {
    const fill = Math.trunc(255 * value);
    const whole = resizeStretches(image, stretch(width, fill), stretch(height, fill), size, size, 'bicubic');
    for (let i = channel; i < data.length; i += 4) data[i] = whole.data[i] ?? 0;
  }
  for (let i = 3; i < data.length; i += 4) data[i] = 255;
  return { data, width: size, height: size };
}
