/**
 * The vision part of Gemma 3. An image is stretched to a square and encoded by SigLIP, squares of its tokens are
 * averaged, and a norm and one matrix project the means to the language model's width. The tokens of an image attend to
 * each other in both directions.
 */
import type { Backend, NormSpec, Tensor, Weight } from '../../backend/backend.ts';
import type { Held } from '../../layers/held.ts';
import type { Steps } from '../../layers/steps.ts';
import type { Rgba } from '../../vision/image.ts';
import { wrong } from '../facts.ts';
import type { Take } from '../weights.ts';
import type { VisionContext, VisionFile, VisionPlan } from './architecture.ts';
import { toNormalised, type Normalisation } from './normalise.ts';
import { inSquares } from './patches.ts';
import { planOf } from './plan.ts';
import { SiglipTower, siglipNames, siglipWeights, type SiglipConfig, type SiglipWeights } from './siglip.ts';
import { oneSize, squareSpans, stretched } from './square.ts';
import { fact, HALVES, MOST, PROJECTOR_ROOTS, rootOf, shapeOf, TOWER_ROOTS, TowerFacts } from './tower-facts.ts';
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

interface Gemma3Config {
  readonly placeholder: number;
  readonly tower: SiglipConfig;
  /** This many tokens per side become one token. */
  readonly pool: number;
  readonly normalisation: Normalisation;
}

interface Gemma3Weights {
  readonly tower: SiglipWeights;
  readonly norm: NormSpec;
  readonly projection: Weight; // (hidden, width)
}

const GEMMA3 = { width: 1152, mlp: 4304, blocks: 27, heads: 16, size: 224, patch: 16, epsilon: 1e-6 } as const;

export function planGemma3(file: VisionFile, context: VisionContext): VisionPlan {
  const config = gemma3Config(file, context);
  const tower = siglipNames(rootOf(file, TOWER_ROOTS, 'embeddings.patch_embedding.weight'));
  const projector = rootOf(file, PROJECTOR_ROOTS, 'mm_soft_emb_norm.weight');
  const projection = { gguf: 'mm.input_projection.weight', huggingface: `${projector}mm_input_projection_weight` };
  const take = (from: Take): Gemma3Weights => ({
    tower: siglipWeights(from, config.tower, tower),
    norm: {
      kind: 'rms',
      // Upstream multiplies by (1 + w); llama.cpp's converter stores that sum.
      weight: from.weight(
        { gguf: 'mm.soft_emb_norm.weight', huggingface: `${projector}mm_soft_emb_norm.weight` },
        [config.tower.width],
        file.metadata.kind === 'gguf' ? {} : { map: (value) => value + 1 },
      ),
      epsilon: config.tower.epsilon,
    },
    projection: from.weight(projection, [context.hidden, config.tower.width], { transposed: true }),
  });
  return planOf(file, context, {
    family: 'Gemma 3',
    makes: shapeOf(file, projection)?.[1],
    take,
    create: (backend, weights) => new Gemma3Vision(backend, config, weights),
  });
}

/** Throws `ModelError('config')`. */
function gemma3Config(file: VisionFile, context: VisionContext): Gemma3Config {
  const facts = new TowerFacts(file);
  const shape = facts.shape(GEMMA3);
  const grid = Math.floor(shape.size / shape.patch);
  const tokens = facts.vision.integer(fact('', 'mm_tokens_per_image'), { least: 1, most: MOST.tokens, default: 256 });
  const pool = facts.gguf
    ? facts.vision.integer(fact('projector.scale_factor'), { least: 1, most: MOST.shuffle, default: 4 })
    : Math.floor(grid / Math.sqrt(tokens));
  if (pool < 1 || grid % pool !== 0)
    throw wrong('the pooling of image tokens', pool, `should divide the ${grid} patches of a side`);
  return {
    // The vocabulary of a GGUF file may lack the token that stands for the tokens of an image.
    placeholder: facts.placeholder(
      context,
      ['<image_soft_token>', '<pad>'],
      ['image_token_index', 'image_token_id'],
      262144,
    ),
    pool,
    normalisation: facts.normalisation(HALVES),
    tower: { ...shape, activation: facts.activation('geluTanh'), order: 'channels' },
  };
}

class Gemma3Vision implements VisionModel {
  readonly placeholder: number;
  readonly bidirectional = true;
  readonly #backend: Backend;
  readonly #config: Gemma3Config;
  readonly #weights: Gemma3Weights;
  readonly #tower: SiglipTower;

  constructor(backend: Backend, config: Gemma3Config, weights: Gemma3Weights) {
    this.placeholder = config.placeholder;
    this.#backend = backend;
    this.#config = config;
    this.#weights = weights;
    this.#tower = new SiglipTower(backend, config.tower, weights.tower);
  }

  settings(options?: ImageOptions): ImageSettings {
    return oneSize(this.#config.tower.size, options);
  }

  prepare(image: Rgba, options?: ImageOptions): PreparedImage {
    const settings = this.settings(options);
    return { image: stretched(image, settings.size, 'bilinear'), settings, spans: squareSpans(this.#side) };
  }

  expand({ spans }: PreparedImage): readonly ExpandedPart[] {
    return ['\n\n<start_of_image>', ...spans, '<end_of_image>\n\n'];
  }

  positions({ spans }: PreparedImage): readonly SpanPositions[] {
    return spans.map(consecutive);
  }

  tile({ image }: PreparedImage): Rgba {
    return image;
  }

  *encode({ image }: PreparedImage, held: Held): Steps<EncodedImage> {
    const backend = this.#backend;
    const { pool, normalisation } = this.#config;
    const { norm, projection } = this.#weights;
    const seen = yield* this.#tower.forward(toNormalised(image, normalisation), held);
    const side = this.#side * pool;
    const spans = Uint32Array.from({ length: 2 * this.#side ** 2 }, (_, i) => Math.ceil(i / 2) * pool * pool);
    const pooled = (x: Tensor): Tensor => backend.rowMeans(backend.take(x, inSquares(side, side, pool)), spans);
    return { embeddings: held.next(seen, (x) => backend.linear(pooled(x), [projection], { norm })) };
  }

  free(): void {
    this.#tower.free();
  }

  get #side(): number {
    const { tower, pool } = this.#config;
    return Math.floor(tower.size / tower.patch) / pool;
  }
}
