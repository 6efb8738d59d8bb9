// The official models that painting is timed with, as their public configurations have them (training/convert/models.py says the same to PyTorch).
const QWEN_0_5B = { hidden: 896, layers: 24, heads: 14, kvHeads: 2, headDim: 64, mlp: 4864, vocabulary: 151936 };
const QWEN_1_5B = { hidden: 1536, layers: 28, heads: 12, kvHeads: 2, headDim: 128, mlp: 8960, vocabulary: 151936 };
const VAE = { channels: 128, multipliers: [1, 1, 2, 2, 4], residualBlocks: 2, groups: 32 };
const COMMON = { patch: 16, channels: 16, iterations: 32, diffusionSteps: 100, guidance: 3, vae: VAE };

export const SHAPES = {
  'harmon-0.5b': {
    ...COMMON,
    language: QWEN_0_5B,
    sizes: [256, 512],
    mar: { width: 768, mlp: 3072, encoderBlocks: 12, decoderBlocks: 12, heads: 12, buffers: 64, grid: 16 },
    diffusion: { width: 1024, blocks: 6, maxBeta: 0.999 },
  },
  'unipic-1.5b': {
    ...COMMON,
    language: QWEN_1_5B,
    sizes: [256, 512, 1024],
    mar: { width: 1280, mlp: 5120, encoderBlocks: 20, decoderBlocks: 20, heads: 16, buffers: 64, grid: 32 },
    diffusion: { width: 1536, blocks: 12, maxBeta: 0.2 },
  },
};

/** Metadata of docs/unipic-format.md: [key, type, value]. */
export function metadataOf(shape) {
  const { language: l, mar, diffusion, vae } = shape;
  return [
    ['general.architecture', 'string', 'unipic'],
    ['unipic.language_model', 'string', 'qwen2'],
    ['qwen2.block_count', 'u32', l.layers],
    ['qwen2.context_length', 'u32', 32768],
    ['qwen2.embedding_length', 'u32', l.hidden],
    ['qwen2.feed_forward_length', 'u32', l.mlp],
    ['qwen2.attention.head_count', 'u32', l.heads],
    ['qwen2.attention.head_count_kv', 'u32', l.kvHeads],
    ['qwen2.attention.layer_norm_rms_epsilon', 'f32', 1e-6],
    ['qwen2.rope.freq_base', 'f32', 1e6],
    ['unipic.image_token_id', 'u32', 151665],
    ['unipic.image_sizes', 'u32[]', shape.sizes],
    ['unipic.default_size', 'u32', shape.sizes[0]],
    ['unipic.patch_size', 'u32', shape.patch],
    ['unipic.token_channels', 'u32', shape.channels],
    ['unipic.mar.embedding_length', 'u32', mar.width],
    ['unipic.mar.feed_forward_length', 'u32', mar.mlp],
    ['unipic.mar.encoder_block_count', 'u32', mar.encoderBlocks],
    ['unipic.mar.decoder_block_count', 'u32', mar.decoderBlocks],
    ['unipic.mar.head_count', 'u32', mar.heads],
    ['unipic.mar.buffer_count', 'u32', mar.buffers],
    ['unipic.mar.grid', 'u32', mar.grid],
    ['unipic.mar.layer_norm_epsilon', 'f32', 1e-6],
    ['unipic.diffusion.width', 'u32', diffusion.width],
    ['unipic.diffusion.block_count', 'u32', diffusion.blocks],
    ['unipic.diffusion.train_steps', 'u32', 1000],
    ['unipic.diffusion.max_beta', 'f32', diffusion.maxBeta],
    ['unipic.vae.kind', 'string', 'kl'],
    ['unipic.vae.channels', 'u32', vae.channels],
    ['unipic.vae.multipliers', 'u32[]', vae.multipliers],
    ['unipic.vae.residual_blocks', 'u32', vae.residualBlocks],
    ['unipic.vae.groups', 'u32', vae.groups],
    ['unipic.vae.latent_mean', 'f32[]', Array.from({ length: shape.channels }, () => 0)],
    ['unipic.vae.latent_std', 'f32[]', Array.from({ length: shape.channels }, () => 1 / 0.2325)],
    ['unipic.paint.iterations', 'u32', shape.iterations],
    ['unipic.paint.diffusion_steps', 'u32', shape.diffusionSteps],
    ['unipic.paint.guidance', 'f32', shape.guidance],
  ];
}
