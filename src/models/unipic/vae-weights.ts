/** Tensors of the image tokenizers: the KL autoencoder of latent diffusion (Rombach et al. 2022) and the small one that works patch by patch. */
import type { Weight } from '../../backend/backend.ts';
import type { Linear } from '../../layers/linear.ts';
import type { KlConfig, UniPicConfig } from './config.ts';
import { takeLinear, type Take } from '../weights.ts';

/** Scale and shift of a group norm, by channel. */
export interface Affine {
  readonly weight: Weight;
  readonly bias: Weight;
}

/** A convolution's weight is (out, kernel kernel in). */
export interface ResidualWeights {
  readonly norm1: Affine;
  readonly conv1: Linear;
  readonly norm2: Affine;
  readonly conv2: Linear;
  /** 1 x 1, where the number of channels changes. */
  readonly shortcut: Linear | undefined;
}

export interface AttentionWeights {
  readonly norm: Affine;
  readonly qkv: readonly Linear[];
  readonly output: Linear;
}

export interface LevelWeights {
  readonly blocks: readonly { readonly residual: ResidualWeights; readonly attention: AttentionWeights | undefined }[];
  /** Convolution that halves or doubles the sides; the last level has none. */
  readonly resample: Linear | undefined;
}

export interface MiddleWeights {
  readonly first: ResidualWeights;
  readonly attention: AttentionWeights;
  readonly second: ResidualWeights;
}

export interface KlEncoderWeights {
  readonly kind: 'kl';
  readonly input: Linear;
  readonly levels: readonly LevelWeights[];
  readonly middle: MiddleWeights;
  readonly norm: Affine;
  readonly output: Linear; // (2 C, 9 channels): mean, then log variance
  readonly quantise: Linear; // (2 C, 2 C)
}

export interface KlDecoderWeights {
  readonly kind: 'kl';
  readonly dequantise: Linear; // (C, C)
  readonly input: Linear;
  readonly middle: MiddleWeights;
  /** In the order in which they run. */
  readonly levels: readonly LevelWeights[];
  readonly norm: Affine;
  readonly output: Linear; // (3, 9 channels)
}

export interface PatchEncoderWeights {
  readonly kind: 'patch';
  readonly layers: readonly Linear[]; // (E, p p 3), (E, E), (C, E)
}

export interface PatchDecoderWeights {
  readonly kind: 'patch';
  readonly conv: Linear; // (E, 9 C)
  readonly layers: readonly Linear[]; // (E, E), (p p 3, E)
}

const RGB = 3;

function affine(take: Take, name: string, channels: number): Affine {
  return { weight: take.weight(`${name}.weight`, [channels]), bias: take.weight(`${name}.bias`, [channels]) };
}

function convolution(take: Take, name: string, from: number, to: number): Linear {
  return takeLinear(take, name, to, 9 * from);
}

function residual(take: Take, name: string, from: number, to: number): ResidualWeights {
  return {
    norm1: affine(take, `${name}.norm1`, from),
    conv1: convolution(take, `${name}.conv1`, from, to),
    norm2: affine(take, `${name}.norm2`, to),
    conv2: convolution(take, `${name}.conv2`, to, to),
    shortcut: from === to ? undefined : takeLinear(take, `${name}.nin_shortcut`, to, from),
  };
}

function attention(take: Take, name: string, channels: number): AttentionWeights {
  const one = (part: string): Linear => takeLinear(take, `${name}.${part}`, channels, channels);
  return { norm: affine(take, `${name}.norm`, channels), qkv: [one('q'), one('k'), one('v')], output: one('proj_out') };
}

function middle(take: Take, name: string, channels: number): MiddleWeights {
  return {
    first: residual(take, `${name}.block_1`, channels, channels),
    attention: attention(take, `${name}.attn_1`, channels),
    second: residual(take, `${name}.block_2`, channels, channels),
  };
}

export function klEncoderWeights(
  take: Take,
  { channels, multipliers, residualBlocks }: KlConfig,
  tokenChannels: number,
): KlEncoderWeights {
  const last = multipliers.length - 1;
  let from = channels;
  const input = convolution(take, 'vae.encoder.conv_in', RGB, channels);
  const levels = multipliers.map((multiplier, level): LevelWeights => {
    const name = `vae.encoder.down.${level}`;
    const width = channels * multiplier;
    const blocks = Array.from({ length: residualBlocks }, (_, i) => {
      const block = residual(take, `${name}.block.${i}`, i === 0 ? from : width, width);
      return { residual: block, attention: level === last ? attention(take, `${name}.attn.${i}`, width) : undefined };
    });
    from = width;
    return {
      blocks,
      resample: level === last ? undefined : convolution(take, `${name}.downsample.conv`, width, width),
    };
  });
  return {
    kind: 'kl',
    input,
    levels,
    middle: middle(take, 'vae.encoder.mid', from),
    norm: affine(take, 'vae.encoder.norm_out', from),
    output: convolution(take, 'vae.encoder.conv_out', from, 2 * tokenChannels),
    quantise: takeLinear(take, 'vae.quant_conv', 2 * tokenChannels, 2 * tokenChannels),
  };
}

export function klDecoderWeights(
  take: Take,
  { channels, multipliers, residualBlocks }: KlConfig,
  tokenChannels: number,
): KlDecoderWeights {
  const widest = channels * (multipliers.at(-1) ?? 1);
  let from = widest;
  const levels = multipliers.map((_, i): LevelWeights => {
    const level = multipliers.length - 1 - i;
    const name = `vae.decoder.up.${level}`;
    const width = channels * (multipliers[level] ?? 1);
    // One block more than the encoder has.
    const blocks = Array.from({ length: residualBlocks + 1 }, (_, j) => ({
      residual: residual(take, `${name}.block.${j}`, j === 0 ? from : width, width),
      attention: undefined,
    }));
    from = width;
    return { blocks, resample: level === 0 ? undefined : convolution(take, `${name}.upsample.conv`, width, width) };
  });
  return {
    kind: 'kl',
    dequantise: takeLinear(take, 'vae.post_quant_conv', tokenChannels, tokenChannels),
    input: convolution(take, 'vae.decoder.conv_in', tokenChannels, widest),
    middle: middle(take, 'vae.decoder.mid', widest),
    levels,
    norm: affine(take, 'vae.decoder.norm_out', from),
    output: convolution(take, 'vae.decoder.conv_out', from, RGB),
  };
}

export function patchEncoderWeights(take: Take, { patch, channels }: UniPicConfig): PatchEncoderWeights {
  const width = take.rows('vae.encoder.0.weight');
  return {
    kind: 'patch',
    layers: [
      takeLinear(take, 'vae.encoder.0', width, patch * patch * RGB),
      takeLinear(take, 'vae.encoder.2', width, width),
      takeLinear(take, 'vae.encoder.4', channels, width),
    ],
  };
}

export function patchDecoderWeights(take: Take, { patch, channels }: UniPicConfig): PatchDecoderWeights {
  const width = take.rows('vae.decoder.conv.weight');
  return {
    kind: 'patch',
    conv: convolution(take, 'vae.decoder.conv', channels, width),
    layers: [
      takeLinear(take, 'vae.decoder.0', width, width),
      takeLinear(take, 'vae.decoder.2', patch * patch * RGB, width),
    ],
  };
}
