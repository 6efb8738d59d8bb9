/** Tensors of the diffusion head: a perceptron with adaptive layer norms. */
import type { NormSpec, Weight } from '../../backend/backend.ts';
import type { Linear } from '../../layers/linear.ts';
import type { UniPicConfig } from './config.ts';
import { projector } from './mar-weights.ts';
import { takeLinear, takeNorm, type Take } from '../weights.ts';

/** Sinusoids of a time step. */
export const TIME_WIDTH = 256;

export interface HeadWeights {
  readonly time: readonly Linear[]; // (width, 256), (width, width)
  readonly condition: Linear; // (width, MAR width)
  readonly input: Linear; // (width, channels)
  readonly blocks: readonly HeadBlockWeights[];
  /** Shift, scale and gate of each block, then shift and scale of the final norm: (3 width, width) each, (2 width, width) the last. */
  readonly modulation: readonly Linear[];
  readonly output: Linear; // (2 channels, width)
}

export interface HeadBlockWeights {
  readonly norm: NormSpec & { readonly bias: Weight };
  readonly mlp: readonly Linear[]; // (width, width), (width, width)
}

export function headWeights(take: Take, { mar, diffusion, channels }: UniPicConfig): HeadWeights {
  const { width, blocks } = diffusion;
  const net = 'mar.diffloss.net';
  const block = (i: number): string => `${net}.res_blocks.${i}`;
  const each = <T>(body: (i: number) => T): T[] => Array.from({ length: blocks }, (_, i) => body(i));
  return {
    time: projector(take, `${net}.time_embed.mlp`, [TIME_WIDTH, width, width]),
    condition: takeLinear(take, `${net}.cond_embed`, width, mar.width),
    input: takeLinear(take, `${net}.input_proj`, width, channels),
    blocks: each((i) => ({
      norm: takeNorm(take, `${block(i)}.in_ln`, width, mar.epsilon),
      mlp: projector(take, `${block(i)}.mlp`, [width, width, width]),
    })),
    modulation: [
      ...each((i) => takeLinear(take, `${block(i)}.adaLN_modulation.1`, 3 * width, width)),
      takeLinear(take, `${net}.final_layer.adaLN_modulation.1`, 2 * width, width),
    ],
    output: takeLinear(take, `${net}.final_layer.linear`, 2 * channels, width),
  };
}
