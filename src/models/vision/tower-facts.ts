/** The facts of vision towers that all families have, under the names that each kind of file uses. */
import type { EncoderActivation } from '../../layers/encoder-block.ts';
import { ModelError } from '../../errors.ts';
import { Facts, wrong, type Bounds, type FactNames } from '../facts.ts';
import type { TensorName } from '../weights.ts';
import type { VisionContext, VisionFile } from './architecture.ts';
import type { Normalisation } from './normalise.ts';

/** Several times the largest models of these families; a file with larger numbers is damaged or hostile. */
export const MOST = {
  width: 1 << 14,
  mlp: 1 << 16,
  blocks: 256,
  heads: 256,
  size: 4096,
  shuffle: 16,
  tiles: 64,
  tokens: 1 << 16,
} as const;

/** The normalisation of images with which the towers were trained. */
export const HALVES: Normalisation = { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] };
export const CLIP: Normalisation = {
  mean: [0.48145466, 0.4578275, 0.40821073],
  std: [0.26862954, 0.26130258, 0.27577711],
};
export const IMAGENET: Normalisation = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };

export const fact = (gguf: string | readonly string[], ...huggingface: readonly string[]): FactNames => ({
  gguf,
  huggingface,
});
/** The same for facts that config.json keeps in `vision_config`. */
const inTower = (gguf: string, names: readonly string[]): FactNames =>
  fact(gguf, ...names.map((name) => `vision_config.${name}`));

export interface TowerShape {
  readonly width: number;
  readonly mlp: number;
  readonly blocks: number;
  readonly heads: number;
  readonly size: number;
  readonly patch: number;
  readonly epsilon: number;
}

export class TowerFacts {
  readonly gguf: boolean;
  /** `clip.vision.*`, or config.json. */
  readonly vision: Facts;
  /** `clip.*`. */
  readonly clip: Facts;
  /** `clip.vision.*`, or preprocessor_config.json. */
  readonly preprocessing: Facts;
  readonly #tensors: VisionFile['tensors'];

  constructor({ metadata, tensors }: VisionFile) {
    this.#tensors = tensors;
    this.gguf = metadata.kind === 'gguf';
    this.vision = new Facts(metadata, 'clip.vision');
    this.clip = new Facts(metadata, 'clip');
    this.preprocessing = new Facts(
      metadata.kind === 'gguf' ? metadata : { ...metadata, config: metadata.preprocessor ?? {} },
      'clip.vision',
    );
  }

  /**
   * `fallback`: the default of a Hugging Face model's class. GGUF files contain the facts, except those that may be
   * missing (`unsaid`).
   */
  integer(gguf: string, names: readonly string[], most: number, fallback?: number, unsaid = !this.gguf): number {
    return this.vision.integer(inTower(gguf, names), { least: 1, most, default: unsaid ? fallback : undefined });
  }

  /** Throws `ModelError('config')`. */
  shape(fallback: TowerShape): TowerShape {
    const width = this.integer('embedding_length', ['embed_dim', 'hidden_size'], MOST.width, fallback.width);
    const heads = this.integer(
      'attention.head_count',
      ['num_attention_heads', 'num_heads'],
      MOST.heads,
      fallback.heads,
    );
    if (width % heads !== 0) throw wrong('the number of heads of the vision tower', heads, `should divide ${width}`);
    return {
      width,
      heads,
      mlp: this.#mlp(width, fallback.mlp),
      blocks: this.integer('block_count', ['num_hidden_layers', 'depth'], MOST.blocks, fallback.blocks),
      size: this.side('image_size', 'image_size', fallback.size),
      patch: this.side('patch_size', 'patch_size', fallback.patch),
      epsilon: this.vision.number(inTower('attention.layer_norm_epsilon', ['layer_norm_eps', 'rms_norm_eps']), {
        least: 0,
        most: 1,
        default: fallback.epsilon,
      }),
    };
  }

  /**
   * Converters for Qwen2-VL wrote 0, and its configuration has a ratio instead; in both cases the width is read from
   * the tensors.
   */
  #mlp(width: number, fallback: number): number {
    const names = inTower('feed_forward_length', ['intermediate_size']);
    const ratio = this.vision.number(fact('', 'vision_config.mlp_ratio'), { least: 0, most: 64, default: 0 });
    const given = this.vision.integer(names, {
      least: 0,
      most: MOST.mlp,
      default: this.gguf ? 0 : ratio > 0 ? Math.round(ratio * width) : fallback,
    });
    if (given > 0) return given;
    const rows = ['up', 'down'].map((part) => this.#tensors.get(`v.blk.0.ffn_${part}.weight`)?.shape[0] ?? 0);
    return Math.max(1, ...rows);
  }

  /** A side in pixels: one number, or two equal ones. */
  side(gguf: string, name: string, fallback: number): number {
    const names = inTower(gguf, [name]);
    if (!Array.isArray(this.vision.find(names)?.value)) return this.integer(gguf, [name], MOST.size, fallback);
    const [height = 0, width] = this.vision.numbers(names, { least: 1, most: MOST.size }, { least: 2, most: 2 });
    if (height !== width || !Number.isInteger(height)) throw wrong(name, [height, width], 'should be one whole side');
    return height;
  }

  normalisation(fallback: Normalisation): Normalisation {
    const numbers = (name: 'image_mean' | 'image_std', least: number, other: readonly number[]): readonly number[] =>
      this.preprocessing.find(fact(name, name)) === undefined
        ? other
        : this.preprocessing.numbers(fact(name, name), { least, most: 10 }, { least: 3, most: 3 });
    return {
      mean: numbers('image_mean', -10, fallback.mean),
      std: numbers('image_std', 1e-6, fallback.std),
    };
  }

  /** llama.cpp's GELU uses the tanh approximation; if its files name no activation, the quick GELU is meant. */
  activation(fallback: EncoderActivation): EncoderActivation {
    if (this.gguf) {
      if (this.clip.flag(fact('use_silu'), false)) return 'silu';
      return this.clip.flag(fact('use_gelu'), false) ? 'geluTanh' : 'quickGelu';
    }
    return activationNamed(this.vision.text(inTower('', ['hidden_act']), fallback));
  }

  /**
   * The id of the token that stands for an image's tokens: config.json names it, and vocabularies contain one of
   * `tokens`.
   */
  placeholder({ idOf }: VisionContext, tokens: readonly string[], names: readonly string[], fallback?: number): number {
    const bounds: Bounds = { least: 0, most: 1 << 22, default: fallback };
    if (!this.gguf) return this.vision.integer(fact('', ...names), bounds);
    const found = tokens.map(idOf).find((id) => id !== undefined);
    if (found !== undefined) return found;
    throw wrong(
      `the token ${tokens.join(' or ')}`,
      undefined,
      "should be in the language model's vocabulary; give the vision part (mmproj) of this very model",
    );
  }
}

/**
 * Returns the first of `roots` below which the Hugging Face file has `tensor`; for GGUF files, whose names have no
 * root, the first of all.
 */
export function rootOf({ tensors }: VisionFile, roots: readonly string[], tensor: string): string {
  return roots.find((root) => tensors.has(root + tensor)) ?? roots[0] ?? '';
}

/** The roots below which the tower of a composite model may lie; they differ between versions of transformers. */
export const TOWER_ROOTS = [
  'vision_tower.vision_model.',
  'model.vision_tower.vision_model.',
  'vision_tower.',
  'model.vision_tower.',
] as const;
export const PROJECTOR_ROOTS = ['multi_modal_projector.', 'model.multi_modal_projector.'] as const;

/** The shape of a tensor of the file. */
export function shapeOf({ metadata, tensors }: VisionFile, name: TensorName): readonly number[] | undefined {
  return tensors.get(typeof name === 'string' ? name : name[metadata.kind])?.shape;
}

/**
 * `makes`: the width of a projector's embeddings. Throws `ModelError('config')` if the language model has another
 * width.
 */
export function checkFits(makes: number | undefined, { hidden }: VisionContext): void {
  if (makes === undefined || makes === hidden) return;
  throw new ModelError(
    'config',
    `the vision part makes embeddings of ${makes} numbers, the language model reads ${hidden}; give the vision part (mmproj) that belongs to this very model`,
    { makes, hidden },
  );
}

const ACTIVATIONS: Readonly<Record<string, EncoderActivation>> = {
  gelu_pytorch_tanh: 'geluTanh',
  gelu: 'gelu',
  geluTanh: 'geluTanh',
  silu: 'silu',
  quick_gelu: 'quickGelu',
  quickGelu: 'quickGelu',
};

function activationNamed(name: string): EncoderActivation {
  const found = Object.hasOwn(ACTIVATIONS, name) ? ACTIVATIONS[name] : undefined;
  if (found === undefined)
    throw wrong('vision_config.hidden_act', name, 'should be gelu_pytorch_tanh, gelu, quick_gelu or silu');
  return found;
}
