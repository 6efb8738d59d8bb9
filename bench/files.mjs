// Generates GGUF files with random weights in the shapes of real models, so that every engine reads the same bytes and nothing is downloaded.
// The vocabulary is synthetic (bytes, then filler): one letter is one token, so a prompt of n letters is n tokens in every engine.
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, renameSync, statSync, writeSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';

/** Shapes by name; `rope` as llama.cpp writes it. */
export const SHAPES = {
  'qwen2.5-0.5b': {
    architecture: 'qwen2',
    hidden: 896,
    layers: 24,
    heads: 14,
    kvHeads: 2,
    headDim: 64,
    mlp: 4864,
    vocabulary: 151936,
    theta: 1e6,
    context: 32768,
  },
  'qwen2.5-1.5b': {
    architecture: 'qwen2',
    hidden: 1536,
    layers: 28,
    heads: 12,
    kvHeads: 2,
    headDim: 128,
    mlp: 8960,
    vocabulary: 151936,
    theta: 1e6,
    context: 32768,
  },
  'qwen3-0.6b': {
    architecture: 'qwen3',
    hidden: 1024,
    layers: 28,
    heads: 16,
    kvHeads: 8,
    headDim: 128,
    mlp: 3072,
    vocabulary: 151936,
    theta: 1e6,
    context: 32768,
  },
  'qwen3.5-0.8b': {
    architecture: 'qwen35',
    hidden: 1024,
    layers: 24,
    heads: 8,
    kvHeads: 2,
    headDim: 256,
    mlp: 3584,
    vocabulary: 248320,
    theta: 1e7,
    context: 32768,
    rotated: 64,
    interval: 4,
    delta: { keyHeads: 16, valueHeads: 16, dim: 128, taps: 4 },
  },
  'gemma3-270m': {
    architecture: 'gemma3',
    hidden: 640,
    layers: 18,
    heads: 4,
    kvHeads: 1,
    headDim: 256,
    mlp: 2048,
    vocabulary: 262144,
    theta: 1e6,
    context: 32768,
    window: 512,
  },
  'lfm2-350m': {
    architecture: 'lfm2',
    hidden: 1024,
    layers: 16,
    heads: 16,
    kvHeads: 8,
    headDim: 64,
    mlp: 4608,
    vocabulary: 65536,
    theta: 1e6,
    context: 32768,
    attention: [2, 5, 8, 10, 12, 14],
    taps: 3,
  },
  // The language model; its tower is in projector.mjs.
  'smolvlm-256m': {
    architecture: 'llama',
    hidden: 576,
    layers: 30,
    heads: 9,
    kvHeads: 3,
    headDim: 64,
    mlp: 1536,
    vocabulary: 49280,
    theta: 1e5,
    context: 8192,
    tokens: ['<image>'],
  },
  small: {
    architecture: 'qwen2',
    hidden: 512,
    layers: 8,
    heads: 8,
    kvHeads: 4,
    headDim: 64,
    mlp: 1536,
    vocabulary: 32000,
    theta: 1e4,
    context: 4096,
  },
};

/** ggml type, values a block, bytes a block, and the byte offsets of a block's f16 scales. */
export const TYPES = {
  F32: [0, 1, 4, []],
  F16: [1, 1, 2, []],
  Q4_0: [2, 32, 18, [0]],
  Q5_0: [6, 32, 22, [0]],
  Q8_0: [8, 32, 34, [0]],
  Q4_K: [12, 256, 144, [0, 2]],
  Q6_K: [14, 256, 210, [208]],
};

/**
 * Which type each matrix has. Q4_K_M follows llama.cpp's rule: K types need rows of a multiple of 256, otherwise Q4_K becomes Q5_0 and Q6_K becomes Q8_0;
 * half of the attn_v and ffn_down matrices (the first and last eighth and every third between) take the Q6_K slot.
 */
function typeOf(mix, role, layer, layers, columns) {
  if (mix !== 'Q4_K_M') return mix === 'Q4_0' && role === 'embedding' ? 'Q8_0' : mix;
  const more = layer < layers / 8 || layer >= (7 * layers) / 8 || (layer - Math.floor(layers / 8)) % 3 === 2;
  const wanted = role === 'embedding' || ((role === 'v' || role === 'down') && more) ? 'Q6_K' : 'Q4_K';
  if (columns % 256 === 0) return wanted;
  return wanted === 'Q6_K' ? 'Q8_0' : 'Q5_0';
}

/** xorshift32: fast seeded bytes. */
export function generator(seed) {
  let state = seed >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

const encoder = new TextEncoder();
export class Writer {
  parts = [];
  u32(v) {
    const b = Buffer.alloc(4);
    b.writeUInt32LE(v);
    this.parts.push(b);
    return this;
  }
  u64(v) {
    const b = Buffer.alloc(8);
    b.writeBigUInt64LE(BigInt(v));
    this.parts.push(b);
    return this;
  }
  f32(v) {
    const b = Buffer.alloc(4);
    b.writeFloatLE(v);
    this.parts.push(b);
    return this;
  }
  string(s) {
    const b = encoder.encode(s);
    this.u64(b.length);
    this.parts.push(b);
    return this;
  }
  key(k, type) {
    return this.string(k).u32(type);
  }
  bytes() {
    return Buffer.concat(this.parts);
  }
}

/** GPT-2's byte alphabet: a printable character for every byte. */
function byteAlphabet() {
  const direct = (b) => (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
  let extra = 0;
  return Array.from({ length: 256 }, (_, b) => String.fromCodePoint(direct(b) ? b : 256 + extra++));
}

function metadata(shape, mix) {
  const a = shape.architecture;
  const w = new Writer();
  let count = 0;
  const put = (k, type, write) => {
    w.key(k, type);
    write();
    count += 1;
  };
  const u32 = (k, v) => put(k, 4, () => w.u32(v));
  const f32 = (k, v) => put(k, 6, () => w.f32(v));
  const text = (k, v) => put(k, 8, () => w.string(v));
  text('general.architecture', a);
  text('general.name', `random ${mix}`);
  u32('general.alignment', 32);
  u32(`${a}.block_count`, shape.layers);
  u32(`${a}.context_length`, shape.context);
  u32(`${a}.embedding_length`, shape.hidden);
  u32(`${a}.feed_forward_length`, shape.mlp);
  u32(`${a}.attention.head_count`, shape.heads);
  if (shape.attention === undefined) u32(`${a}.attention.head_count_kv`, shape.kvHeads);
  else
    put(`${a}.attention.head_count_kv`, 9, () => {
      w.u32(5).u64(shape.layers);
      for (let l = 0; l < shape.layers; l += 1) w.u32(shape.attention.includes(l) ? shape.kvHeads : 0);
    });
  if (shape.window !== undefined) u32(`${a}.attention.sliding_window`, shape.window);
  if (shape.taps !== undefined) u32(`${a}.shortconv.l_cache`, shape.taps);
  if (a === 'lfm2') u32(`${a}.vocab_size`, shape.vocabulary);
  if (a === 'llama') u32(`${a}.rope.dimension_count`, shape.headDim);
  f32(`${a}.rope.freq_base`, shape.theta);
  if (a !== 'qwen2') {
    u32(`${a}.attention.key_length`, shape.headDim);
    u32(`${a}.attention.value_length`, shape.headDim);
  }
  if (shape.delta) {
    const { keyHeads, valueHeads, dim, taps } = shape.delta;
    u32(`${a}.rope.dimension_count`, shape.rotated);
    put(`${a}.rope.dimension_sections`, 9, () => {
      w.u32(4).u64(4);
      for (const pairs of [11, 11, 10, 0]) w.u32(pairs);
    });
    u32(`${a}.full_attention_interval`, shape.interval);
    u32(`${a}.ssm.conv_kernel`, taps);
    u32(`${a}.ssm.state_size`, dim);
    u32(`${a}.ssm.group_count`, keyHeads);
    u32(`${a}.ssm.time_step_rank`, valueHeads);
    u32(`${a}.ssm.inner_size`, valueHeads * dim);
  }
  f32(`${a}.attention.layer_norm_rms_epsilon`, 1e-6);
  text('tokenizer.ggml.model', 'gpt2');
  text('tokenizer.ggml.pre', 'qwen2');
  const tokens = [...byteAlphabet(), 'zq', ...(shape.tokens ?? [])];
  while (tokens.length < shape.vocabulary - 1) tokens.push(`[t${tokens.length}]`);
  tokens.push('<|endoftext|>');
  put('tokenizer.ggml.tokens', 9, () => {
    w.u32(8).u64(tokens.length);
    for (const t of tokens) w.string(t);
  });
  put('tokenizer.ggml.token_type', 9, () => {
    w.u32(5).u64(tokens.length);
    const b = Buffer.alloc(4 * tokens.length);
    tokens.forEach((_, i) => b.writeInt32LE(i === tokens.length - 1 ? 3 : 1, 4 * i));
    w.parts.push(b);
  });
  put('tokenizer.ggml.merges', 9, () => {
    w.u32(8).u64(1).string('z q');
  });
  u32('tokenizer.ggml.eos_token_id', tokens.length - 1);
  u32('tokenizer.ggml.bos_token_id', tokens.length - 1);
  put('tokenizer.ggml.add_bos_token', 7, () => w.parts.push(Buffer.from([0])));
  return { bytes: w.bytes(), count };
}

/** A language model's tensors: name, ggml's dimensions, type, and the value of a vector. */
export function tensors(shape, mix) {
  const { architecture, hidden, layers, heads, kvHeads, headDim, mlp, vocabulary, delta, interval } = shape;
  const list = [];
  const matrix = (name, rows, cols, role, layer) =>
    list.push({ name, shape: [cols, rows], type: typeOf(mix, role, layer, layers, cols) });
  const vector = (name, n, value) => list.push({ name, shape: [n], type: 'F32', value });
  matrix('token_embd.weight', vocabulary, hidden, 'embedding', 0);
  for (let l = 0; l < layers; l += 1) {
    const p = `blk.${l}.`;
    vector(`${p}attn_norm.weight`, hidden, 1);
    if (delta !== undefined && (l + 1) % interval !== 0) {
      const { keyHeads, valueHeads, dim, taps } = delta;
      const channels = (2 * keyHeads + valueHeads) * dim;
      matrix(`${p}attn_qkv.weight`, channels, hidden, 'q', l);
      matrix(`${p}attn_gate.weight`, valueHeads * dim, hidden, 'z', l);
      matrix(`${p}ssm_alpha.weight`, valueHeads, hidden, 'a', l);
      matrix(`${p}ssm_beta.weight`, valueHeads, hidden, 'b', l);
      list.push({ name: `${p}ssm_conv1d.weight`, shape: [taps, channels], type: 'F32', value: 1 / taps });
      vector(`${p}ssm_a`, valueHeads, -0.05);
      vector(`${p}ssm_dt.bias`, valueHeads, 0);
      vector(`${p}ssm_norm.weight`, dim, 1);
      matrix(`${p}ssm_out.weight`, hidden, valueHeads * dim, 'o', l);
    } else if (shape.attention?.includes(l) === false) {
      matrix(`${p}shortconv.in_proj.weight`, 3 * hidden, hidden, 'in', l);
      list.push({
        name: `${p}shortconv.conv.weight`,
        shape: [shape.taps, hidden],
        type: 'F32',
        value: 1 / shape.taps,
      });
      matrix(`${p}shortconv.out_proj.weight`, hidden, hidden, 'o', l);
    } else {
      for (const [n, rows] of [
        ['q', (delta === undefined ? 1 : 2) * heads * headDim],
        ['k', kvHeads * headDim],
        ['v', kvHeads * headDim],
      ]) {
        matrix(`${p}attn_${n}.weight`, rows, hidden, n, l);
        if (architecture === 'qwen2') vector(`${p}attn_${n}.bias`, rows, 0);
        else if (n !== 'v' && architecture !== 'llama') vector(`${p}attn_${n}_norm.weight`, headDim, 1);
      }
      matrix(`${p}attn_output.weight`, hidden, heads * headDim, 'o', l);
    }
    if (architecture === 'gemma3')
      for (const n of ['post_attention_norm', 'post_ffw_norm']) vector(`${p}${n}.weight`, hidden, 1);
    vector(`${p}${delta === undefined ? 'ffn_norm' : 'post_attention_norm'}.weight`, hidden, 1);
    matrix(`${p}ffn_gate.weight`, mlp, hidden, 'gate', l);
    matrix(`${p}ffn_up.weight`, mlp, hidden, 'up', l);
    matrix(`${p}ffn_down.weight`, hidden, mlp, 'down', l);
  }
  vector(architecture === 'lfm2' ? 'token_embd_norm.weight' : 'output_norm.weight', hidden, 1);
  return list;
}

const align = (n) => Math.ceil(n / 32) * 32;
/** f16 of 0.01: small enough that sums of thousands of products stay finite. */
const SCALE = 0x211f;

/** Random block bytes; scales are set to a fixed small f16, since random bits would be NaN or huge. */
function fill(buffer, type, next) {
  const [, , blockBytes, scales] = TYPES[type];
  const words = new Uint32Array(buffer.buffer, buffer.byteOffset, buffer.length >> 2);
  for (let i = 0; i < words.length; i += 1) words[i] = next();
  for (let at = 0; at + blockBytes <= buffer.length; at += blockBytes)
    for (const s of scales) buffer.writeUInt16LE(SCALE, at + s);
}

/** `metadata` of `count` keys and the tensors `list` as a GGUF file, which appears under `path` when it is whole; `fillTensor(buffer, tensor)` writes a tensor's bytes. */
export function writeGguf(path, { bytes: metadataBytes, count }, list, fillTensor) {
  const head = new Writer();
  head.parts.push(Buffer.from('GGUF'));
  head.u32(3).u64(list.length).u64(count);
  head.parts.push(metadataBytes);
  let offset = 0;
  for (const t of list) {
    const [id, block, bytes] = TYPES[t.type];
    t.bytes = (t.shape.reduce((a, b) => a * b, 1) / block) * bytes;
    head.string(t.name).u32(t.shape.length);
    for (const d of t.shape) head.u64(d);
    head.u32(id).u64(offset);
    offset += align(t.bytes);
  }
  const header = head.bytes();
  const partial = `${path}.part`;
  const fd = openSync(partial, 'w');
  writeSync(fd, header);
  writeSync(fd, Buffer.alloc(align(header.length) - header.length));
  for (const t of list) {
    const buffer = Buffer.alloc(align(t.bytes));
    fillTensor(buffer.subarray(0, t.bytes), t);
    for (let at = 0; at < buffer.length;) at += writeSync(fd, buffer, at);
  }
  closeSync(fd);
  renameSync(partial, path);
}

/** The path of the generated file, made now if it is not there yet. The same (shape, mix) gives the same bytes. */
function modelFile(directory, shapeName, mix) {
  const path = join(directory, `${shapeName}-${mix}.gguf`);
  if (existsSync(path)) return path;
  mkdirSync(directory, { recursive: true });
  const shape = SHAPES[shapeName];
  const next = generator(1);
  writeGguf(path, metadata(shape, mix), tensors(shape, mix), (buffer, { type, value }) => {
    if (type === 'F32') for (let at = 0; at < buffer.length; at += 4) buffer.writeFloatLE(value, at);
    else fill(buffer.subarray(0, buffer.length - (buffer.length % 4)), type, next);
  });
  return path;
}

/**
 * What a benchmark measures: the file that --model names, or a generated file for each of --files. `prompt(n)`: a text of n tokens in every
 * engine; of about n where the vocabulary is a real one.
 */
export function benchFiles({ model, files }, directory, shapeName, usual) {
  if (model !== undefined) return [{ name: basename(model), path: resolve(model), prompt: realPrompt }];
  return (files ?? usual)
    .split(',')
    .map((mix) => ({ name: mix, path: modelFile(directory, shapeName, mix), prompt: (n) => 'a'.repeat(n) }));
}

/** English has about four letters a token. */
function realPrompt(tokens) {
  const text = readFileSync(new URL('../models/nano/demo.txt', import.meta.url), 'utf8');
  return text.repeat(Math.ceil((4 * tokens) / text.length)).slice(0, 4 * tokens);
}

export const fileSize = (path) => statSync(path).size;
