/**
 * A tiny llama with random weights and a byte-level vocabulary, as a GGUF in memory: for stories about sessions, not about language.
 * Its head never prefers what is not printable ASCII, so that greedy answers are text.
 */
import { byteLetters } from './byte-letters.ts';
import { f32Tensor, writeGguf, type GgufInput, type GgufWriterTensor } from './gguf-writer.ts';
import { random } from './random.ts';

export const SPECIALS = ['<|endoftext|>', '<|im_start|>', '<|im_end|>', '<|bos|>'] as const;

/** ChatML, with nothing added. */
export const CHATML =
  "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>' + '\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

export interface TinyOptions {
  /** Layers with a state in place of attention, in all but every second layer. */
  readonly states?: 'conv' | 'delta';
  /**
   * Gemma 4 in place of Llama: heads twice as large in every second layer, half of the layers that read the keys of the
   * first half, and inputs of the layers' own.
   */
  readonly readers?: boolean;
  readonly seed?: number;
  readonly window?: number;
  readonly layers?: number;
  /** Default 2 query heads of 32 values on 1 KV head. */
  readonly heads?: number;
  readonly kvHeads?: number;
  /** Default 64, and 96 of the MLP. */
  readonly hidden?: number;
  readonly mlp?: number;
  /** Ids that end an answer; default <|im_end|>. */
  readonly eos?: number;
  readonly template?: string | undefined;
  /** Rows of the embedding and the head beyond the vocabulary, with the likeliest logits. */
  readonly padding?: number;
  readonly metadata?: Readonly<Record<string, GgufInput>>;
  /** Changes a tensor's values before they are written. */
  readonly damage?: (name: string, values: Float32Array) => void;
}

const HEAD_DIM = 32;
/** Width of the layers' own inputs. */
const INPUT = 32;
const ARCHITECTURE = { conv: 'lfm2', delta: 'qwen35' } as const;
const DELTA = { keyHeads: 1, valueHeads: 2, keyDim: 16, valueDim: 24 } as const;
export const TINY_VOCABULARY = 256 + SPECIALS.length;
export const IM_END = 256 + SPECIALS.indexOf('<|im_end|>');

export function tinyModel(options: TinyOptions = {}): Uint8Array<ArrayBuffer> {
  const { seed = 1, window = 512, layers = 2, eos = IM_END, template = CHATML, padding = 0 } = options;
  const { heads = 2, kvHeads = 1, hidden = 64, mlp = 96, states, readers = false } = options;
  const architecture = readers ? 'gemma4' : states === undefined ? 'llama' : ARCHITECTURE[states];
  const attends = (layer: number): boolean => states === undefined || layer % 2 === 1;
  const rows = TINY_VOCABULARY + padding;
  const numbers = random(seed);
  const tensors: GgufWriterTensor[] = [];
  const add = (name: string, shape: readonly number[], values: Float32Array): void => {
    options.damage?.(name, values);
    tensors.push(f32Tensor(name, shape, values));
  };
  const matrix = (name: string, rows: number, cols: number): void =>
    add(name, [rows, cols], numbers.normals(rows * cols, 1.4 / Math.sqrt(cols)));
  const ones = (name: string): void => add(name, [hidden], new Float32Array(hidden).fill(1));
  add('token_embd.weight', [rows, hidden], numbers.normals(rows * hidden));
  for (let layer = 0; layer < layers; layer++) {
    const name = (part: string): string => `blk.${layer}.${part}.weight`;
    ones(name('attn_norm'));
    if (readers) {
      const [dim, own] = [layer % 2 === 0 ? HEAD_DIM : 2 * HEAD_DIM, layer < layers / 2];
      matrix(name('attn_q'), heads * dim, hidden);
      if (own) matrix(name('attn_k'), kvHeads * dim, hidden);
      if (own) matrix(name('attn_v'), kvHeads * dim, hidden);
      matrix(name('attn_output'), hidden, heads * dim);
      for (const part of own ? ['attn_q_norm', 'attn_k_norm'] : ['attn_q_norm'])
        add(name(part), [dim], new Float32Array(dim).fill(0.6));
      for (const part of ['post_attention_norm', 'post_ffw_norm', 'post_norm']) ones(name(part));
      matrix(name('inp_gate'), INPUT, hidden);
      matrix(name('proj'), hidden, INPUT);
      add(name('layer_output_scale'), [1], Float32Array.of(0.9));
    } else if (attends(layer)) {
      matrix(name('attn_q'), (states === 'delta' ? 2 : 1) * heads * HEAD_DIM, hidden);
      matrix(name('attn_k'), kvHeads * HEAD_DIM, hidden);
      matrix(name('attn_v'), kvHeads * HEAD_DIM, hidden);
      matrix(name('attn_output'), hidden, heads * HEAD_DIM);
      for (const part of states === undefined ? [] : ['attn_q_norm', 'attn_k_norm'])
        add(name(part), [HEAD_DIM], new Float32Array(HEAD_DIM).fill(1));
    } else if (states === 'conv') {
      matrix(name('shortconv.in_proj'), 3 * hidden, hidden);
      add(name('shortconv.conv'), [hidden, 3], numbers.normals(3 * hidden, 0.7));
      matrix(name('shortconv.out_proj'), hidden, hidden);
    } else {
      const { keyHeads, valueHeads, keyDim, valueDim } = DELTA;
      const channels = 2 * keyHeads * keyDim + valueHeads * valueDim;
      matrix(name('attn_qkv'), channels, hidden);
      add(name('ssm_conv1d'), [channels, 4], numbers.normals(4 * channels, 0.6));
      matrix(name('attn_gate'), valueHeads * valueDim, hidden);
      matrix(name('ssm_beta'), valueHeads, hidden);
      matrix(name('ssm_alpha'), valueHeads, hidden);
      const decays = numbers.normals(valueHeads, 0.5);
      add(
        `blk.${layer}.ssm_a`,
        [valueHeads],
        decays.map((value) => -Math.exp(value - 2)),
      );
      add(`blk.${layer}.ssm_dt.bias`, [valueHeads], numbers.normals(valueHeads));
      add(name('ssm_norm'), [valueDim], new Float32Array(valueDim).fill(1));
      matrix(name('ssm_out'), hidden, valueHeads * valueDim);
    }
    ones(name(states === 'delta' ? 'post_attention_norm' : 'ffn_norm'));
    matrix(name('ffn_gate'), mlp, hidden);
    matrix(name('ffn_up'), mlp, hidden);
    matrix(name('ffn_down'), hidden, mlp);
  }
  if (readers) {
    add('per_layer_token_embd.weight', [rows, layers * INPUT], numbers.normals(rows * layers * INPUT, 0.3));
    matrix('per_layer_model_proj.weight', layers * INPUT, hidden);
    add('per_layer_proj_norm.weight', [INPUT], new Float32Array(INPUT).fill(1));
    add(
      'rope_freqs.weight',
      [HEAD_DIM],
      Float32Array.from({ length: HEAD_DIM }, (_, i) => (i < HEAD_DIM / 4 ? 1 : 1e30)),
    );
  }
  ones(states === 'conv' ? 'token_embd_norm.weight' : 'output_norm.weight');
  const largest = (readers ? 2 : 1) * HEAD_DIM;
  const head = numbers.normals(rows * hidden, 0.4);
  for (let id = 0; id < TINY_VOCABULARY; id++) if (id < 32 || id > 126) head.fill(0, id * hidden, (id + 1) * hidden);
  add('output.weight', [rows, hidden], head);
  return writeGguf(
    {
      'general.architecture': architecture,
      'general.name': 'tiny',
      [`${architecture}.block_count`]: layers,
      [`${architecture}.context_length`]: window,
      [`${architecture}.embedding_length`]: hidden,
      [`${architecture}.feed_forward_length`]: mlp,
      [`${architecture}.attention.head_count`]: heads,
      [`${architecture}.attention.head_count_kv`]:
        states === 'conv' ? Array.from({ length: layers }, (_, layer) => (attends(layer) ? kvHeads : 0)) : kvHeads,
      [`${architecture}.attention.layer_norm_rms_epsilon`]: { type: 'f32', value: 1e-5 },
      [`${architecture}.attention.key_length`]: largest,
      [`${architecture}.attention.value_length`]: largest,
      [`${architecture}.rope.dimension_count`]: largest,
      [`${architecture}.rope.freq_base`]: { type: 'f32', value: 10000 },
      [`${architecture}.vocab_size`]: rows,
      ...(readers && {
        'gemma4.attention.key_length_swa': HEAD_DIM,
        'gemma4.rope.freq_base_swa': { type: 'f32', value: 10000 },
        'gemma4.attention.sliding_window': 48,
        'gemma4.attention.sliding_window_pattern': Array.from({ length: layers }, (_, layer) => layer % 2 === 0),
        'gemma4.attention.shared_kv_layers': layers / 2,
        'gemma4.embedding_length_per_layer_input': INPUT,
        'gemma4.final_logit_softcapping': { type: 'f32', value: 30 },
      }),
      ...(states === 'conv' && { 'lfm2.shortconv.l_cache': 3 }),
      ...(states === 'delta' && {
        'qwen35.full_attention_interval': 2,
        'qwen35.ssm.conv_kernel': 4,
        'qwen35.ssm.state_size': DELTA.keyDim,
        'qwen35.ssm.group_count': DELTA.keyHeads,
        'qwen35.ssm.time_step_rank': DELTA.valueHeads,
        'qwen35.ssm.inner_size': DELTA.valueHeads * DELTA.valueDim,
        'qwen35.rope.dimension_sections': [6, 5, 5, 0],
      }),
      'tokenizer.ggml.model': 'gpt2',
      'tokenizer.ggml.pre': 'gpt-2',
      'tokenizer.ggml.tokens': [...byteLetters(), ...SPECIALS],
      'tokenizer.ggml.token_type': {
        type: 'i32',
        value: [...Array.from({ length: 256 }, () => 1), ...SPECIALS.map(() => 3)],
      },
      'tokenizer.ggml.merges': { type: 'string', value: [] },
      'tokenizer.ggml.eos_token_id': eos,
      'tokenizer.ggml.bos_token_id': 256 + SPECIALS.indexOf('<|bos|>'),
      ...(template === '' ? {} : { 'tokenizer.chat_template': template }),
      ...options.metadata,
    },
    tensors,
  );
}
