/**
 * The tensors of a vision tower's blocks, under the names used in GGUF projector files and in each family's Hugging
 * Face files.
 */
import type { NormSpec } from '../../backend/backend.ts';
import { QUICK, type EncoderActivation, type EncoderBlockWeights } from '../../layers/encoder-block.ts';
import type { MaybeBiased } from '../../layers/linear.ts';
import { suffixed, type Stored, type Take, type TensorName } from '../weights.ts';

/** The GGUF name of each part, below `v.blk.N.`. */
const GGUF = {
  norm1: 'ln1',
  qkv: 'attn_qkv',
  query: 'attn_q',
  key: 'attn_k',
  value: 'attn_v',
  output: 'attn_out',
  norm2: 'ln2',
  gate: 'ffn_gate',
  up: 'ffn_up',
  down: 'ffn_down',
  scale1: 'ls1',
  scale2: 'ls2',
} as const;
export type BlockPart = keyof typeof GGUF;

/** `huggingface`: the name of each part that the family has, below `layers`, where `N` is the block. */
export function blockNames(
  layers: string,
  huggingface: Partial<Readonly<Record<BlockPart, string>>>,
): (part: BlockPart, block: number) => TensorName {
  return (part, block) => ({
    gguf: `v.blk.${block}.${GGUF[part]}`,
    huggingface: `${layers.replace('N', String(block))}${huggingface[part] ?? part}`,
  });
}

export interface BlocksConfig {
  readonly width: number;
  readonly mlp: number;
  readonly blocks: number;
  readonly epsilon: number;
  readonly activation: EncoderActivation;
  readonly norms?: NormSpec['kind'];
  readonly gated?: boolean;
  /** Layer scale, each (width). `suffix`: what follows the name in Hugging Face files. */
  readonly scaled?: boolean;
}

export function takeBlocks(
  take: Take,
  config: BlocksConfig,
  name: (part: BlockPart, block: number) => TensorName,
): readonly EncoderBlockWeights[] {
  const { width, mlp, blocks, epsilon, activation, norms = 'layer', gated = false, scaled = false } = config;
  // Older projector files swap the names of the two MLP matrices.
  const swapped = mlp !== width && take.rows(suffixed(name('down', 0), 'weight')) === mlp;
  const [up, down] = swapped ? (['down', 'up'] as const) : (['up', 'down'] as const);
  const quick: Stored = activation === 'quickGelu' ? { map: (value) => QUICK * value } : {};
  return Array.from({ length: blocks }, (_, i): EncoderBlockWeights => {
    const fused = take.has(suffixed(name('qkv', i), 'weight'));
    return {
      norm1: takeNormOf(take, name('norm1', i), width, epsilon, norms),
      qkv: fused
        ? [takeSome(take, name('qkv', i), 3 * width, width)]
        : (['query', 'key', 'value'] as const).map((part) => takeSome(take, name(part, i), width, width)),
      output: takeSome(take, name('output', i), width, width),
      norm2: takeNormOf(take, name('norm2', i), width, epsilon, norms, quick),
      ...(gated && { gate: takeSome(take, name('gate', i), mlp, width) }),
      up: takeSome(take, name(up, i), mlp, width, quick),
      down: takeSome(take, name(down, i), width, mlp),
      ...(scaled && { scales: [takeScale(take, name('scale1', i), width), takeScale(take, name('scale2', i), width)] }),
    };
  });
}

/** Takes `name.weight` (rows, cols), and `name.bias` (rows) if the file has it; `stored`: of the bias. */
export function takeSome(take: Take, name: TensorName, rows: number, cols: number, stored?: Stored): MaybeBiased {
  return {
    weight: take.weight(suffixed(name, 'weight'), [rows, cols]),
    bias: take.optional(suffixed(name, 'bias'), [rows], stored),
  };
}

export function takeNormOf(
  take: Take,
  name: TensorName,
  width: number,
  epsilon: number,
  kind: NormSpec['kind'],
  stored?: Stored,
): NormSpec {
  const weight = take.weight(suffixed(name, 'weight'), [width], stored);
  if (kind === 'rms') return { kind, weight, epsilon };
  return { kind, weight, bias: take.weight(suffixed(name, 'bias'), [width], stored), epsilon };
}

/** GGUF files call it `name.weight`; Hugging Face files use the name alone. */
function takeScale(take: Take, name: TensorName, width: number): Float32Array {
  const { gguf, huggingface } = typeof name === 'string' ? { gguf: name, huggingface: name } : name;
  return take.table({ gguf: `${gguf}.weight`, huggingface }, [width]);
}
