/**
 * The facts of a file with `general.architecture = unipic` about its parts for images (docs/unipic-format.md): every
 * number bounded, every combination checked.
 */
import type { SiglipConfig } from '../vision/siglip.ts';
import { wrong, type Bounds, type FactNames, type Facts } from '../facts.ts';

export interface UniPicConfig {
  /** The `<image>` placeholder. */
  readonly imageToken: number;
  /** The sizes of the model in pixels a side, ascending. */
  readonly sizes: readonly number[];
  readonly defaultSize: number;
  /** Pixels a token side. */
  readonly patch: number;
  /** The number of values of an image token. */
  readonly channels: number;
  readonly mar: MarConfig;
  readonly diffusion: DiffusionConfig;
  readonly tokenizer: PictureTokenizerConfig;
  readonly siglip: SiglipConfig | undefined;
  /** The default route. */
  readonly understanding: Understanding;
  readonly paint: { readonly iterations: number; readonly diffusionSteps: number; readonly guidance: number };
  readonly templates: {
    readonly paint: string;
    readonly paintUnconditional: string;
    readonly edit: string;
    readonly editUnconditional: string;
  };
}

export type Route = 'mar' | 'siglip';

/** The default encoder of images. `size`: MAR for images that need not be made smaller for it, the tower for larger ones. */
export type Understanding = Route | 'size';

export interface MarConfig {
  readonly width: number;
  readonly mlp: number;
  readonly encoderBlocks: number;
  readonly decoderBlocks: number;
  readonly heads: number;
  readonly buffers: number;
  /** Side of the position tables. */
  readonly grid: number;
  readonly epsilon: number;
}

export interface DiffusionConfig {
  readonly width: number;
  readonly blocks: number;
  readonly trainSteps: number;
  /** Of the cosine schedule. */
  readonly maxBeta: number;
  readonly prediction: 'eps' | 'v';
}

/** token = (the encoder's mean - mean) / std, by channel. */
interface Latents {
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

export interface KlConfig extends Latents {
  readonly kind: 'kl';
  readonly channels: number;
  readonly multipliers: readonly number[];
  readonly residualBlocks: number;
  readonly groups: number;
  readonly epsilon: number;
}

export interface PatchConfig extends Latents {
  readonly kind: 'patch';
}

export type PictureTokenizerConfig = KlConfig | PatchConfig;

/**
 * Several times the largest models of this family; a file with larger numbers is damaged or hostile. `headBlocks`:
 * their modulations are one product, of at most 128 weights on WASM.
 */
const MOST = {
  width: 1 << 14,
  mlp: 1 << 16,
  blocks: 256,
  heads: 256,
  buffers: 4096,
  headBlocks: 100,
  grid: 256,
  size: 4096,
  sizes: 16,
  channels: 256,
  steps: 100_000,
  vocabulary: 1 << 22,
  levels: 8,
  template: 4096,
} as const;

const fact = (name: string): FactNames => ({ gguf: name, huggingface: [] });
const upTo = (most: number, least = 1): Bounds => ({ least, most });

export const OFFICIAL_TEMPLATES = {
  paint: '<|im_start|>user\nGenerate an image: {prompt}<|im_end|>\n<|im_start|>assistant\n',
  paint_unconditional: '<|im_start|>user\nGenerate an image.<|im_end|>\n<|im_start|>assistant\n',
  edit: '<|im_start|>user\n{image}\n{instruction}<|im_end|>\n<|im_start|>assistant\n',
  edit_unconditional: '<|im_start|>user\n{image}\nRepeat this image.<|im_end|>\n<|im_start|>assistant\n',
} as const;

/** `vocabulary` is that of the language model. Throws `ModelError('config')`. */
export function uniPicConfig(facts: Facts, vocabulary: number): UniPicConfig {
  const integer = (name: string, most: number, fallback?: number): number =>
    facts.integer(fact(name), { least: 1, most, default: fallback });
  const patch = integer('patch_size', 256);
  const channels = integer('token_channels', MOST.channels);
  const sizes = facts.numbers(fact('image_sizes'), upTo(MOST.size), upTo(MOST.sizes));
  sizes.forEach((size, i) => {
    if (size % patch !== 0 || size / patch > MOST.grid)
      throw wrong(
        'unipic.image_sizes',
        size,
        `should be a multiple of the patch size, ${patch}, and at most ${MOST.grid} patches`,
      );
    if (i > 0 && size <= (sizes[i - 1] ?? 0)) throw wrong('unipic.image_sizes', [...sizes], 'should ascend');
  });
  const defaultSize = integer('default_size', MOST.size);
  if (!sizes.includes(defaultSize))
    throw wrong('unipic.default_size', defaultSize, `should be one of ${sizes.join(', ')}`);
  const imageToken = facts.integer(fact('image_token_id'), { least: 0, most: MOST.vocabulary });
  if (imageToken >= vocabulary)
    throw wrong('unipic.image_token_id', imageToken, `should be below the ${vocabulary} ids of the vocabulary`);
  const diffusion = diffusionConfig(facts);
  const siglip = siglipConfig(facts);
  return {
    imageToken,
    sizes,
    defaultSize,
    patch,
    channels,
    mar: marConfig(facts),
    diffusion,
    tokenizer: tokenizerConfig(facts, channels, patch),
    siglip,
    understanding: oneOf(facts, 'understanding', ['mar', 'siglip', 'size'], 'mar'),
    paint: {
      iterations: integer('paint.iterations', MOST.grid * MOST.grid, 32),
      diffusionSteps: integer('paint.diffusion_steps', diffusion.trainSteps, Math.min(100, diffusion.trainSteps)),
      guidance: facts.number(fact('paint.guidance'), { least: 0, most: 100, default: 3 }),
    },
    templates: {
      paint: template(facts, 'paint', ['{prompt}']),
      paintUnconditional: template(facts, 'paint_unconditional', []),
      edit: template(facts, 'edit', ['{image}', '{instruction}']),
      editUnconditional: template(facts, 'edit_unconditional', ['{image}']),
    },
  };
}

function marConfig(facts: Facts): MarConfig {
  const integer = (name: string, most: number): number => facts.integer(fact(`mar.${name}`), { least: 1, most });
  const width = integer('embedding_length', MOST.width);
  const heads = integer('head_count', MOST.heads);
  if (width % heads !== 0) throw wrong('unipic.mar.head_count', heads, `should divide the width, ${width}`);
  return {
    width,
    heads,
    mlp: integer('feed_forward_length', MOST.mlp),
    encoderBlocks: integer('encoder_block_count', MOST.blocks),
    decoderBlocks: integer('decoder_block_count', MOST.blocks),
    buffers: integer('buffer_count', MOST.buffers),
    grid: integer('grid', MOST.grid),
    epsilon: epsilon(facts, 'mar.layer_norm_epsilon'),
  };
}

function diffusionConfig(facts: Facts): DiffusionConfig {
  const integer = (name: string, most: number): number => facts.integer(fact(`diffusion.${name}`), { least: 1, most });
  return {
    width: integer('width', MOST.width),
    blocks: integer('block_count', MOST.headBlocks),
    trainSteps: facts.integer(fact('diffusion.train_steps'), { least: 2, most: MOST.steps }),
    maxBeta: facts.number(fact('diffusion.max_beta'), { least: 1e-6, most: 1 - 1e-6 }),
    prediction: oneOf(facts, 'diffusion.prediction', ['eps', 'v'], 'eps'),
  };
}

function tokenizerConfig(facts: Facts, channels: number, patch: number): PictureTokenizerConfig {
  const exactly: Bounds = { least: channels, most: channels };
  const mean = facts.numbers(fact('vae.latent_mean'), { least: -1e4, most: 1e4 }, exactly);
  const std = facts.numbers(fact('vae.latent_std'), { least: 1e-6, most: 1e6 }, exactly);
  if (oneOf(facts, 'vae.kind', ['kl', 'patch'], 'kl') === 'patch') return { kind: 'patch', mean, std };
  const width = facts.integer(fact('vae.channels'), upTo(MOST.width));
  const groups = facts.integer(fact('vae.groups'), upTo(width));
  const multipliers = facts.numbers(fact('vae.multipliers'), upTo(64), upTo(MOST.levels));
  for (const multiplier of multipliers) {
    if (!Number.isInteger(multiplier) || (width * multiplier) % groups !== 0)
      throw wrong(
        'unipic.vae.multipliers',
        multiplier,
        `should be whole and make of ${width} channels a multiple of the ${groups} groups`,
      );
  }
  if (2 ** (multipliers.length - 1) !== patch)
    throw wrong(
      'unipic.patch_size',
      patch,
      `should be ${2 ** (multipliers.length - 1)}, for ${multipliers.length} levels of the VAE`,
    );
  return {
    kind: 'kl',
    mean,
    std,
    channels: width,
    multipliers,
    residualBlocks: facts.integer(fact('vae.residual_blocks'), upTo(16)),
    groups,
    epsilon: epsilon(facts, 'vae.epsilon'),
  };
}

function siglipConfig(facts: Facts): SiglipConfig | undefined {
  if (facts.find(fact('siglip.embedding_length')) === undefined) return undefined;
  const integer = (name: string, most: number): number => facts.integer(fact(`siglip.${name}`), { least: 1, most });
  const width = integer('embedding_length', MOST.width);
  const heads = integer('head_count', MOST.heads);
  if (width % heads !== 0) throw wrong('unipic.siglip.head_count', heads, `should divide the width, ${width}`);
  const size = integer('image_size', MOST.size);
  const patch = integer('patch_size', MOST.grid);
  if (size % patch !== 0 || size / patch > MOST.grid)
    throw wrong(
      'unipic.siglip.image_size',
      size,
      `should be a multiple of the patch size, ${patch}, and at most ${MOST.grid} patches`,
    );
  return {
    width,
    heads,
    size,
    patch,
    mlp: integer('feed_forward_length', MOST.mlp),
    blocks: integer('block_count', MOST.blocks),
    epsilon: epsilon(facts, 'siglip.layer_norm_epsilon'),
    activation: 'geluTanh',
    order: 'pixels',
  };
}

function epsilon(facts: Facts, name: string): number {
  return facts.number(fact(name), { least: 0, most: 1, default: 1e-6 });
}

function oneOf<T extends string>(facts: Facts, name: string, known: readonly T[], fallback: T): T {
  const value = facts.text(fact(name), fallback);
  const found = known.find((candidate) => candidate === value);
  if (found === undefined) throw wrong(`unipic.${name}`, value, `should be ${known.join(' or ')}`);
  return found;
}

/** A template must contain each of its placeholders once. */
function template(facts: Facts, name: keyof typeof OFFICIAL_TEMPLATES, places: readonly string[]): string {
  const value = facts.text(fact(`template.${name}`), OFFICIAL_TEMPLATES[name]);
  if (value.length > MOST.template)
    throw wrong(`unipic.template.${name}`, `${value.length} characters`, `should have at most ${MOST.template}`);
  for (const place of places) {
    if (value.split(place).length !== 2) throw wrong(`unipic.template.${name}`, value, `should hold ${place} once`);
  }
  return value;
}
