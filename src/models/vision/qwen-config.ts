/** The facts that the files of Qwen2-VL, Qwen2.5-VL and Qwen3-VL contain about their towers. */
import type { NormSpec } from '../../backend/backend.ts';
import { ModelError } from '../../errors.ts';
import type { EncoderActivation } from '../../layers/encoder-block.ts';
import { wrong } from '../facts.ts';
import { projectorName } from '../files.ts';
import type { VisionContext, VisionFile } from './architecture.ts';
import type { Normalisation } from './normalise.ts';
import { CLIP, fact, HALVES, MOST, rootOf, TowerFacts, type TowerShape } from './tower-facts.ts';

export interface QwenVisionConfig {
  readonly kind: 'qwen2' | 'qwen2.5' | 'qwen3';
  readonly placeholder: number;
  readonly shape: TowerShape;
  readonly activation: EncoderActivation;
  readonly gated: boolean;
  readonly norms: NormSpec['kind'];
  /** This many patches per side become one token. */
  readonly merge: number;
  /** The area of an image in pixels. */
  readonly area: { readonly least: number; readonly most: number };
  readonly normalisation: Normalisation;
  /** The windows' side in units of merged patches; `full` layers attend over the whole image. */
  readonly windows: { readonly side: number; readonly full: (layer: number) => boolean } | undefined;
  /** The layers of the tower whose output rows are passed to the decoder. */
  readonly deepstack: readonly number[];
  /** The number of positions per side of the table. */
  readonly tableSide: number;
}

const KINDS: Readonly<Record<string, QwenVisionConfig['kind']>> = {
  qwen2vl_merger: 'qwen2',
  qwen2_vl: 'qwen2',
  'qwen2.5vl_merger': 'qwen2.5',
  qwen2_5_vl: 'qwen2.5',
  qwen3vl_merger: 'qwen3',
  qwen3_vl: 'qwen3',
  qwen3_5: 'qwen3',
};
/** Language models that read positions on three axes as this family assigns them. */
const LANGUAGES = { qwen2: ['qwen2vl'], 'qwen2.5': ['qwen2vl'], qwen3: ['qwen3vl', 'qwen35'] } as const;

const SHAPES: Readonly<Record<QwenVisionConfig['kind'], TowerShape>> = {
  qwen2: { width: 1280, mlp: 5120, blocks: 32, heads: 16, size: 560, patch: 14, epsilon: 1e-6 },
  'qwen2.5': { width: 3584, mlp: 3420, blocks: 32, heads: 16, size: 560, patch: 14, epsilon: 1e-6 },
  qwen3: { width: 1152, mlp: 4304, blocks: 27, heads: 16, size: 768, patch: 16, epsilon: 1e-6 },
};

/**
 * The defaults if the file does not state them: a window's side in pixels, and the interval of layers that attend over
 * the whole image.
 */
const WINDOW = 112;
const WINDOW_PERIOD = 8;
/**
 * The default for the smallest and largest number of tokens of an image. `most` is also the limit of what a file may
 * state: without it, a photograph of 48 megapixels would take 60,000 tokens.
 */
const TOKENS = { least: 8, most: 4096 } as const;

/** Throws `ModelError`. */
export function qwenConfig(file: VisionFile, context: VisionContext): QwenVisionConfig {
  const facts = new TowerFacts(file);
  const kind = KINDS[projectorName(file.metadata)] ?? 'qwen2';
  if (!LANGUAGES[kind].some((name) => name === context.language))
    throw new ModelError(
      'config',
      `the vision part is ${kind}-vl's, and the language model is of the architecture ${context.language}; give the ${LANGUAGES[kind].join(' or ')} model that it belongs to`,
      { vision: kind, language: context.language },
    );
  const shape = facts.shape(SHAPES[kind]);
  if ((shape.width / shape.heads) % 4 !== 0)
    throw wrong("the width of the vision tower's heads", shape.width / shape.heads, 'should be a multiple of 4');
  const merge = facts.integer('spatial_merge_size', ['spatial_merge_size'], MOST.shuffle, 2, true);
  const unit = (shape.patch * merge) ** 2;
  const limit = (names: readonly string[], gguf: string, fallback: number): number =>
    facts.preprocessing.integer(fact(gguf, ...names), { least: 1, most: 2 ** 40, default: fallback });
  const least = limit(['size.shortest_edge', 'min_pixels'], 'image_min_pixels', TOKENS.least * unit);
  const most = Math.min(
    TOKENS.most * unit,
    limit(['size.longest_edge', 'max_pixels'], 'image_max_pixels', TOKENS.most * unit),
  );
  return {
    kind,
    placeholder: facts.placeholder(
      context,
      ['<|image_pad|>'],
      ['image_token_id'],
      kind === 'qwen3' ? 151655 : undefined,
    ),
    shape,
    activation: facts.activation(({ qwen2: 'quickGelu', 'qwen2.5': 'silu', qwen3: 'geluTanh' } as const)[kind]),
    gated: kind === 'qwen2.5',
    norms: kind === 'qwen2.5' ? 'rms' : 'layer',
    merge,
    area: { least: Math.min(least, most), most },
    normalisation: facts.normalisation(kind === 'qwen3' ? HALVES : CLIP),
    windows: kind === 'qwen2.5' ? windowsOf(facts, shape, merge) : undefined,
    deepstack: kind === 'qwen3' ? deepLayers(facts, projectorName(file.metadata), shape.blocks) : [],
    tableSide: kind === 'qwen3' ? tableSide(file) : 0,
  };
}

function windowsOf(facts: TowerFacts, { patch, blocks }: TowerShape, merge: number): QwenVisionConfig['windows'] {
  const pixels = facts.integer('window_size', ['window_size'], MOST.size, WINDOW, true);
  const side = Math.floor(pixels / (patch * merge));
  if (side < 1) throw wrong('the window of the vision tower', pixels, `should be at least ${patch * merge} pixels`);
  const names = fact('', 'vision_config.fullatt_block_indexes');
  if (facts.vision.find(names) !== undefined) {
    const list = facts.vision.numbers(names, { least: 0, most: MOST.blocks }, { least: 0, most: blocks });
    return { side, full: (layer) => list.includes(layer) };
  }
  const period = facts.vision.integer(fact('n_wa_pattern'), { least: 0, most: MOST.blocks, default: WINDOW_PERIOD });
  return { side, full: (layer) => period === 0 || (layer + 1) % period === 0 };
}

function deepLayers(facts: TowerFacts, name: string, blocks: number): readonly number[] {
  if (facts.gguf) {
    const flags = facts.vision.flags(fact('is_deepstack_layers'), blocks) ?? [];
    return flags.flatMap((deep, layer) => (deep ? [layer] : []));
  }
  const names = fact('', 'vision_config.deepstack_visual_indexes');
  // Qwen3.5 has none.
  const unsaid = name === 'qwen3_vl' ? [8, 16, 24] : [];
  const layers =
    facts.vision.find(names) === undefined
      ? unsaid
      : facts.vision.numbers(names, { least: 0, most: blocks - 1 }, { least: 0, most: blocks });
  if (layers.some((layer, i) => !Number.isInteger(layer) || layer <= (layers[i - 1] ?? -1)))
    throw wrong('vision_config.deepstack_visual_indexes', [...layers], 'should be ascending whole numbers');
  return layers;
}

/** The table is a square. */
function tableSide(file: VisionFile): number {
  const name =
    file.metadata.kind === 'gguf'
      ? 'v.position_embd.weight'
      : `${rootOf(file, ['model.visual.', 'visual.'], 'pos_embed.weight')}pos_embed.weight`;
  const rows = file.tensors.get(name)?.shape[0] ?? 0;
  const side = Math.round(Math.sqrt(rows));
  if (side < 1 || side * side !== rows) throw wrong(`the rows of ${name}`, rows, 'should be the square of a number');
  return side;
}
