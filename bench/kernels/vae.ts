/** The decoder of KL-16, UniPic's autoencoder, with random weights: 16 x 16 latents of 16 channels to 256 x 256 pixels, in the operations of the contract. */
import type { Backend, Conv2dOptions, GroupNormSpec, Tensor, Weight } from '../../src/backend/backend.ts';
import { PAGE_TOKENS } from '../../src/backend/backend.ts';
import { bidirectional } from '../../src/kv/ranges.ts';
import type { RandomWeights } from './weights.ts';

const CHANNELS = 128;
const MULTIPLIERS = [1, 1, 2, 2, 4] as const;
const BLOCKS = 3;
const LATENT = 16;
const GROUPS = 32;
const EPSILON = 1e-6;
const AROUND = [1, 1, 1, 1] as const;

interface Norm {
  readonly weight: Weight;
  readonly bias: Weight;
}
interface Conv {
  readonly weight: Weight;
  readonly bias: Weight;
  readonly kernel: 1 | 3;
}
interface Block {
  readonly first: Norm;
  readonly conv1: Conv;
  readonly second: Norm;
  readonly conv2: Conv;
  readonly shortcut: Conv | undefined;
}
interface Picture {
  readonly x: Tensor;
  readonly side: number;
}

export interface Decoder {
  /** [256, 16] to [65536, 3]. */
  run(latents: Tensor): Tensor;
  /** Multiplications and additions of one run. */
  readonly flops: number;
}

export async function vaeDecoder(backend: Backend, random: RandomWeights): Promise<Decoder> {
  const operations = await backend.pictureOperations();
  const norm = async (channels: number): Promise<Norm> => ({
    weight: await random.vector(channels, 1),
    bias: await random.vector(channels, 0),
  });
  const conv = async (channels: number, rows: number, kernel: 1 | 3): Promise<Conv> => ({
    weight: await random.matrix(rows, kernel * kernel * channels),
    bias: await random.vector(rows, 0),
    kernel,
  });
  const block = async (channels: number, rows: number): Promise<Block> => ({
    first: await norm(channels),
    conv1: await conv(channels, rows, 3),
    second: await norm(rows),
    conv2: await conv(rows, rows, 3),
    shortcut: channels === rows ? undefined : await conv(channels, rows, 1),
  });
  const widest = CHANNELS * MULTIPLIERS[4];
  const input = [await conv(LATENT, LATENT, 1), await conv(LATENT, widest, 3)] as const;
  const middle = [await block(widest, widest), await block(widest, widest)] as const;
  const attention = {
    norm: await norm(widest),
    qkv: await conv(widest, 3 * widest, 1),
    out: await conv(widest, widest, 1),
  };
  const levels: { blocks: Block[]; up: Conv | undefined }[] = [];
  let channels: number = widest;
  for (const [i, multiplier] of [...MULTIPLIERS.entries()].reverse()) {
    const blocks: Block[] = [];
    for (let b = 0; b < BLOCKS; b++) {
      blocks.push(await block(channels, CHANNELS * multiplier));
      channels = CHANNELS * multiplier;
    }
    levels.push({ blocks, up: i > 0 ? await conv(channels, channels, 3) : undefined });
  }
  const last = { norm: await norm(channels), conv: await conv(channels, 3, 3) };
  const pool = backend.kvPool({ layers: 1, kvHeads: 1, headDim: widest, format: 'f32' });
  const pages = (LATENT * LATENT) / PAGE_TOKENS;
  pool.reserve(pages);
  const view = { pool, blocks: pages, table: Int32Array.from({ length: pages }, (_, i) => i), version: 1 };

  let flops = 0;
  const convolve = (
    { x, side }: Picture,
    { weight, bias, kernel }: Conv,
    options: Partial<Conv2dOptions> = {},
  ): Picture => {
    const after = options.upsample === true ? 2 * side : side;
    flops += 2 * after * after * (weight.shape[0] ?? 0) * (weight.shape[1] ?? 0);
    return {
      x: operations.conv2d(x, weight, {
        height: side,
        width: side,
        kernel,
        padding: kernel === 3 ? AROUND : [0, 0, 0, 0],
        bias,
        ...options,
      }),
      side: after,
    };
  };
  const groupNorm = (x: Tensor, { weight, bias }: Norm, activation = true): GroupNormSpec => ({
    moments: operations.moments([x], GROUPS, EPSILON),
    weight,
    bias,
    ...(activation ? { activation: 'silu' } : {}),
  });
  /** Each block's intermediates go at its end. */
  const within = (picture: Picture, body: (picture: Picture) => Picture): Picture => {
    let side = picture.side;
    const x = backend.scope(() => {
      const result = body(picture);
      side = result.side;
      return result.x;
    });
    backend.free(picture.x);
    return { x, side };
  };
  const residual = (picture: Picture, it: Block): Picture =>
    within(picture, (p) => {
      const shortcut = it.shortcut ? convolve(p, it.shortcut).x : p.x;
      const mid = convolve(p, it.conv1, { norm: groupNorm(p.x, it.first) });
      return convolve(mid, it.conv2, { norm: groupNorm(mid.x, it.second), residual: shortcut });
    });
  const attend = (picture: Picture): Picture =>
    within(picture, (p) => {
      const count = p.side * p.side;
      const qkv = convolve(p, attention.qkv, { norm: groupNorm(p.x, attention.norm, false) });
      const q = backend.ropeAppend(qkv.x, view, 0, 0, { heads: 1 });
      flops += 4 * count * count * widest;
      const seen = backend.attention(q, view, 0, 0, bidirectional(count, count), { heads: 1, scale: widest ** -0.5 });
      return convolve({ x: seen, side: p.side }, attention.out, { residual: p.x });
    });
  const decode = (latents: Tensor): Tensor => {
    let picture: Picture = { x: backend.rows(latents, 0, LATENT * LATENT), side: LATENT };
    for (const it of input) picture = within(picture, (p) => convolve(p, it));
    picture = residual(attend(residual(picture, middle[0])), middle[1]);
    for (const { blocks, up } of levels) {
      for (const it of blocks) picture = residual(picture, it);
      if (up) picture = within(picture, (p) => convolve(p, up, { upsample: true }));
    }
    return within(picture, (p) => convolve(p, last.conv, { norm: groupNorm(p.x, last.norm) })).x;
  };
  const decoder = {
    flops: 0,
    run: (latents: Tensor): Tensor => {
      flops = 0;
      const out = decode(latents);
      decoder.flops = flops;
      return out;
    },
  };
  return decoder;
}
