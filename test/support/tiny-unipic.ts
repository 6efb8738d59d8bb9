/** Tiny UniPic models with random weights as GGUFs in memory: every part of the graph, in either kind of image tokenizer, with or without SigLIP. */
import { byteLetters } from './byte-letters.ts';
import { f32Tensor, writeGguf, type GgufInput, type GgufWriterTensor } from './gguf-writer.ts';
import { random } from './random.ts';

export const UNIPIC_SPECIALS = ['<|endoftext|>', '<|im_start|>', '<|im_end|>', '<image>'] as const;
export const UNIPIC_VOCABULARY = 256 + UNIPIC_SPECIALS.length;

export interface TinyUniPicOptions {
  readonly seed?: number;
  readonly tokenizer?: 'kl' | 'patch';
  readonly siglip?: boolean;
  /** Default `v`, whose pictures stay within bounds whatever the weights. */
  readonly prediction?: 'eps' | 'v';
  /** Names of tensors that are left out. */
  readonly without?: RegExp;
  readonly metadata?: Readonly<Record<string, GgufInput>>;
  /** Changes a tensor's values before they are written. */
  readonly damage?: (name: string, values: Float32Array) => void;
}

/** Language model. */
const D = 64;
const HEADS = 2;
const HEAD_DIM = 32;
const KV_HEADS = 1;
const LAYERS = 2;
const MLP = 96;
/** Picture parts. */
export const TINY = {
  width: 32,
  mlp: 64,
  blocks: 2,
  heads: 2,
  buffers: 3,
  grid: 4,
  channels: 4,
  head: 32,
  headBlocks: 2,
  sizes: [16, 32],
  siglipSize: 16,
} as const;
/** Pixels a token side: three levels of the KL autoencoder. */
export const TINY_PATCH = 4;
const VAE = { channels: 8, multipliers: [1, 2, 2], residual: 1, groups: 4 } as const;
const SIGLIP = { width: 32, mlp: 48, blocks: 2, heads: 4, patch: 8 } as const;

export function tinyUniPic(options: TinyUniPicOptions = {}): Uint8Array<ArrayBuffer> {
  const { seed = 1, tokenizer = 'patch', siglip = false, prediction = 'v', without } = options;
  const numbers = random(seed);
  const tensors: GgufWriterTensor[] = [];
  const add = (name: string, shape: readonly number[], values: Float32Array): void => {
    options.damage?.(name, values);
    if (without?.test(name) !== true) tensors.push(f32Tensor(name, shape, values));
  };
  const matrix = (name: string, rows: number, cols: number, scale = 1): void =>
    add(name, [rows, cols], numbers.normals(rows * cols, scale / Math.sqrt(cols)));
  const vector = (name: string, length: number, around: number): void =>
    add(
      name,
      [length],
      numbers.normals(length, 0.1).map((value) => value + around),
    );
  const linear = (name: string, rows: number, cols: number, scale = 1): void => {
    matrix(`${name}.weight`, rows, cols, scale);
    vector(`${name}.bias`, rows, 0);
  };
  const norm = (name: string, width: number): void => {
    vector(`${name}.weight`, width, 1);
    vector(`${name}.bias`, width, 0);
  };
  const mlp = (name: string, from: number, middle: number, to: number): void => {
    linear(`${name}.0`, middle, from);
    linear(`${name}.2`, to, middle);
  };

  matrix('token_embd.weight', UNIPIC_VOCABULARY, D, 8);
  for (let layer = 0; layer < LAYERS; layer++) {
    const block = `blk.${layer}`;
    vector(`${block}.attn_norm.weight`, D, 1);
    linear(`${block}.attn_q`, HEADS * HEAD_DIM, D);
    linear(`${block}.attn_k`, KV_HEADS * HEAD_DIM, D);
    linear(`${block}.attn_v`, KV_HEADS * HEAD_DIM, D);
    matrix(`${block}.attn_output.weight`, D, HEADS * HEAD_DIM);
    vector(`${block}.ffn_norm.weight`, D, 1);
    matrix(`${block}.ffn_gate.weight`, MLP, D);
    matrix(`${block}.ffn_up.weight`, MLP, D);
    matrix(`${block}.ffn_down.weight`, D, MLP);
  }
  vector('output_norm.weight', D, 1);

  const { width, buffers, grid, channels, head } = TINY;
  const transformer = (name: string, w: number, hidden: number): void => {
    norm(`${name}.norm1`, w);
    linear(`${name}.attn.qkv`, 3 * w, w);
    linear(`${name}.attn.proj`, w, w);
    norm(`${name}.norm2`, w);
    linear(`${name}.mlp.fc1`, hidden, w);
    linear(`${name}.mlp.fc2`, w, hidden);
  };
  add('mar.fake_latent', [1, width], numbers.normals(width));
  add('mar.mask_token', [1, width], numbers.normals(width));
  for (const [name, rows] of [
    ['encoder', buffers + grid * grid],
    ['decoder', buffers + grid * grid],
    ['diffusion', grid * grid],
  ] as const) {
    add(`mar.${name}_pos_embed_learned`, [rows, width], numbers.normals(rows * width));
  }
  linear('mar.z_proj', width, channels);
  norm('mar.z_proj_ln', width);
  norm('mar.encoder_norm', width);
  linear('mar.decoder_embed', width, width);
  norm('mar.decoder_norm', width);
  for (const part of ['encoder', 'decoder'])
    for (let i = 0; i < TINY.blocks; i++) transformer(`mar.${part}_blocks.${i}`, width, TINY.mlp);
  const net = 'mar.diffloss.net';
  mlp(`${net}.time_embed.mlp`, 256, head, head);
  linear(`${net}.cond_embed`, head, width);
  linear(`${net}.input_proj`, head, channels);
  for (let i = 0; i < TINY.headBlocks; i++) {
    norm(`${net}.res_blocks.${i}.in_ln`, head);
    mlp(`${net}.res_blocks.${i}.mlp`, head, head, head);
    linear(`${net}.res_blocks.${i}.adaLN_modulation.1`, 3 * head, head, 0.5);
  }
  linear(`${net}.final_layer.adaLN_modulation.1`, 2 * head, head, 0.5);
  linear(`${net}.final_layer.linear`, 2 * channels, head);
  mlp('proj_in', width, D, D);
  mlp('proj_out', D, D, width);
  if (tokenizer === 'patch') patchTensors();
  else klTensors();
  if (siglip) siglipTensors();

  function patchTensors(): void {
    const pixels = TINY_PATCH * TINY_PATCH * 3;
    mlp('vae.encoder', pixels, 32, 32);
    linear('vae.encoder.4', channels, 32);
    linear('vae.decoder.conv', 32, 9 * channels);
    mlp('vae.decoder', 32, 32, pixels);
  }

  function klTensors(): void {
    const residual = (name: string, from: number, to: number): void => {
      norm(`${name}.norm1`, from);
      linear(`${name}.conv1`, to, 9 * from);
      norm(`${name}.norm2`, to);
      linear(`${name}.conv2`, to, 9 * to);
      if (from !== to) linear(`${name}.nin_shortcut`, to, from);
    };
    const attention = (name: string, w: number): void => {
      norm(`${name}.norm`, w);
      for (const part of ['q', 'k', 'v', 'proj_out']) linear(`${name}.${part}`, w, w);
    };
    const middle = (name: string, w: number): void => {
      residual(`${name}.block_1`, w, w);
      attention(`${name}.attn_1`, w);
      residual(`${name}.block_2`, w, w);
    };
    const widths = VAE.multipliers.map((multiplier) => multiplier * VAE.channels);
    const last = widths.length - 1;
    linear('vae.encoder.conv_in', VAE.channels, 27);
    widths.forEach((w, level) => {
      for (let i = 0; i < VAE.residual; i++) {
        residual(`vae.encoder.down.${level}.block.${i}`, i > 0 ? w : (widths[level - 1] ?? VAE.channels), w);
        if (level === last) attention(`vae.encoder.down.${level}.attn.${i}`, w);
      }
      if (level < last) linear(`vae.encoder.down.${level}.downsample.conv`, w, 9 * w);
      for (let i = 0; i <= VAE.residual; i++)
        residual(`vae.decoder.up.${level}.block.${i}`, i > 0 ? w : (widths[level + 1] ?? widths[last]!), w);
      if (level > 0) linear(`vae.decoder.up.${level}.upsample.conv`, w, 9 * w);
    });
    middle('vae.encoder.mid', widths[last]!);
    middle('vae.decoder.mid', widths[last]!);
    norm('vae.encoder.norm_out', widths[last]!);
    norm('vae.decoder.norm_out', VAE.channels);
    linear('vae.encoder.conv_out', 2 * channels, 9 * widths[last]!);
    linear('vae.decoder.conv_in', widths[last]!, 9 * channels);
    linear('vae.decoder.conv_out', 3, 9 * VAE.channels);
    linear('vae.quant_conv', 2 * channels, 2 * channels);
    linear('vae.post_quant_conv', channels, channels);
  }

  function siglipTensors(): void {
    const { width: w, mlp: hidden, blocks, patch } = SIGLIP;
    linear('siglip2.embeddings.patch_embedding', w, patch * patch * 3);
    matrix('siglip2.embeddings.position_embedding.weight', (TINY.siglipSize / patch) ** 2, w);
    for (let i = 0; i < blocks; i++) {
      const name = `siglip2.encoder.layers.${i}`;
      norm(`${name}.layer_norm1`, w);
      for (const part of ['q', 'k', 'v', 'out']) linear(`${name}.self_attn.${part}_proj`, w, w);
      norm(`${name}.layer_norm2`, w);
      linear(`${name}.mlp.fc1`, hidden, w);
      linear(`${name}.mlp.fc2`, w, hidden);
    }
    norm('siglip2.post_layernorm', w);
    mlp('siglip2_proj', w, D, D);
  }

  return writeGguf({ ...language(), ...pictures(tokenizer, siglip, prediction), ...options.metadata }, tensors);
}

function language(): Record<string, GgufInput> {
  return {
    'general.architecture': 'unipic',
    'general.name': 'tiny unipic',
    'unipic.language_model': 'qwen2',
    'qwen2.block_count': LAYERS,
    'qwen2.context_length': 512,
    'qwen2.embedding_length': D,
    'qwen2.feed_forward_length': MLP,
    'qwen2.attention.head_count': HEADS,
    'qwen2.attention.head_count_kv': KV_HEADS,
    'qwen2.attention.layer_norm_rms_epsilon': { type: 'f32', value: 1e-6 },
    'qwen2.rope.freq_base': { type: 'f32', value: 10000 },
    'tokenizer.ggml.model': 'gpt2',
    'tokenizer.ggml.pre': 'gpt-2',
    'tokenizer.ggml.tokens': [...byteLetters(), ...UNIPIC_SPECIALS],
    'tokenizer.ggml.token_type': {
      type: 'i32',
      value: [...Array.from({ length: 256 }, () => 1), ...UNIPIC_SPECIALS.map(() => 3)],
    },
    'tokenizer.ggml.merges': { type: 'string', value: [] },
    'tokenizer.ggml.eos_token_id': 258,
    'tokenizer.chat_template':
      "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>' + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
  };
}

function pictures(tokenizer: 'kl' | 'patch', siglip: boolean, prediction: 'eps' | 'v'): Record<string, GgufInput> {
  const f32 = (value: number): GgufInput => ({ type: 'f32', value });
  const { channels } = TINY;
  return {
    'unipic.image_token_id': 256 + UNIPIC_SPECIALS.indexOf('<image>'),
    'unipic.image_sizes': Uint32Array.from(TINY.sizes),
    'unipic.default_size': TINY.sizes[0],
    'unipic.patch_size': TINY_PATCH,
    'unipic.token_channels': channels,
    'unipic.mar.embedding_length': TINY.width,
    'unipic.mar.feed_forward_length': TINY.mlp,
    'unipic.mar.encoder_block_count': TINY.blocks,
    'unipic.mar.decoder_block_count': TINY.blocks,
    'unipic.mar.head_count': TINY.heads,
    'unipic.mar.buffer_count': TINY.buffers,
    'unipic.mar.grid': TINY.grid,
    'unipic.mar.layer_norm_epsilon': f32(1e-6),
    'unipic.diffusion.width': TINY.head,
    'unipic.diffusion.block_count': TINY.headBlocks,
    'unipic.diffusion.train_steps': 1000,
    'unipic.diffusion.max_beta': f32(0.2),
    'unipic.diffusion.prediction': prediction,
    'unipic.vae.kind': tokenizer,
    ...(tokenizer === 'kl' && {
      'unipic.vae.channels': VAE.channels,
      'unipic.vae.multipliers': Uint32Array.from(VAE.multipliers),
      'unipic.vae.residual_blocks': VAE.residual,
      'unipic.vae.groups': VAE.groups,
      'unipic.vae.epsilon': f32(1e-6),
    }),
    'unipic.vae.latent_mean': Float32Array.from({ length: channels }, (_, i) => 0.1 * i),
    'unipic.vae.latent_std': Float32Array.from({ length: channels }, (_, i) => 0.5 + 0.25 * i),
    ...(siglip && {
      'unipic.siglip.embedding_length': SIGLIP.width,
      'unipic.siglip.feed_forward_length': SIGLIP.mlp,
      'unipic.siglip.block_count': SIGLIP.blocks,
      'unipic.siglip.head_count': SIGLIP.heads,
      'unipic.siglip.image_size': TINY.siglipSize,
      'unipic.siglip.patch_size': SIGLIP.patch,
      'unipic.siglip.layer_norm_epsilon': f32(1e-6),
    }),
    'unipic.understanding': 'mar',
    'unipic.paint.iterations': 4,
    'unipic.paint.diffusion_steps': 5,
    'unipic.paint.guidance': f32(3),
  };
}
