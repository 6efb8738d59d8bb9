/** Tensors of the masked autoregressive encoder and decoder (MAR, Li et al. 2024) and of the projections around the language model. */
import type { NormSpec } from '../../backend/backend.ts';
import type { EncoderBlockWeights } from '../../layers/encoder-block.ts';
import type { Linear } from '../../layers/linear.ts';
import type { MarConfig, UniPicConfig } from './config.ts';
import { takeLinear, takeNorm, type Take } from '../weights.ts';

export interface MarEncoderWeights {
  readonly bufferToken: Float32Array; // (width): every buffer's input
  readonly positions: Float32Array; // (buffers + grid grid, width)
  readonly tokenInput: Linear; // (width, channels)
  readonly inputNorm: NormSpec;
  readonly blocks: readonly EncoderBlockWeights[];
  readonly norm: NormSpec;
}

export interface MarDecoderWeights {
  readonly maskToken: Float32Array; // (width): stands where a token is unknown
  readonly positions: Float32Array; // (buffers + grid grid, width)
  readonly headPositions: Float32Array; // (grid grid, width): added to what conditions the diffusion head
  readonly input: Linear; // (width, width)
  readonly blocks: readonly EncoderBlockWeights[];
  readonly norm: NormSpec;
}

export function encoderWeights(take: Take, { mar, channels }: UniPicConfig): MarEncoderWeights {
  const { width, buffers, grid, epsilon } = mar;
  return {
    bufferToken: take.table('mar.fake_latent', [1, width]),
    positions: take.table('mar.encoder_pos_embed_learned', [buffers + grid * grid, width]),
    tokenInput: takeLinear(take, 'mar.z_proj', width, channels),
    inputNorm: takeNorm(take, 'mar.z_proj_ln', width, epsilon),
    blocks: Array.from({ length: mar.encoderBlocks }, (_, i) => block(take, `mar.encoder_blocks.${i}`, mar)),
    norm: takeNorm(take, 'mar.encoder_norm', width, epsilon),
  };
}

export function decoderWeights(take: Take, { mar }: UniPicConfig): MarDecoderWeights {
  const { width, buffers, grid, epsilon } = mar;
  return {
    maskToken: take.table('mar.mask_token', [1, width]),
    positions: take.table('mar.decoder_pos_embed_learned', [buffers + grid * grid, width]),
    headPositions: take.table('mar.diffusion_pos_embed_learned', [grid * grid, width]),
    input: takeLinear(take, 'mar.decoder_embed', width, width),
    blocks: Array.from({ length: mar.decoderBlocks }, (_, i) => block(take, `mar.decoder_blocks.${i}`, mar)),
    norm: takeNorm(take, 'mar.decoder_norm', width, epsilon),
  };
}

function block(take: Take, name: string, { width, mlp, epsilon }: MarConfig): EncoderBlockWeights {
  return {
    norm1: takeNorm(take, `${name}.norm1`, width, epsilon),
    qkv: [takeLinear(take, `${name}.attn.qkv`, 3 * width, width)],
    output: takeLinear(take, `${name}.attn.proj`, width, width),
    norm2: takeNorm(take, `${name}.norm2`, width, epsilon),
    up: takeLinear(take, `${name}.mlp.fc1`, mlp, width),
    down: takeLinear(take, `${name}.mlp.fc2`, width, mlp),
  };
}

/** Linear, SiLU, Linear: layers 0 and 2 of a sequence. */
export function projector(
  take: Take,
  name: string,
  [from, middle, to]: readonly [from: number, middle: number, to: number],
): readonly Linear[] {
  return [takeLinear(take, `${name}.0`, middle, from), takeLinear(take, `${name}.2`, to, middle)];
}
