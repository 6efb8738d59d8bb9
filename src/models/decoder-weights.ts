/** The tensors of a decoder, by the names that GGUF and Hugging Face files have for them. */
import type { Weight } from '../backend/backend.ts';
import { ModelError } from '../errors.ts';
import type { LayerWeights } from '../layers/decoder-block.ts';
import type { AttentionMixer, LayerRole, LayerSpec } from '../layers/layer-spec.ts';
import type { TensorInfo } from '../load/model-file.ts';
import type { DecoderSpec, LayerName, LayerNames } from './decoder-spec.ts';
import type { StateLayers } from './state-layers.ts';
import { TensorPlan, type Stored, type Take, type TensorName } from './weights.ts';

export interface DecoderWeights {
  readonly embedding: Weight; // (vocabulary, hidden)
  readonly layers: readonly LayerWeights[];
  readonly norm: Weight; // (hidden)
  /** The embedding table, if the head is tied to it. */
  readonly head: Weight; // (vocabulary, hidden)
  /** For re-rankers: the head's rows for yes and no, or one row for their difference. */
  readonly classes: Weight | undefined; // (1 or 2, hidden)
  /** Divisors of the frequencies of the model's own RoPE, one for each pair. */
  readonly ropeDivisors: Float32Array | undefined;
  /** Of the layers' own inputs. */
  readonly inputs: InputWeights | undefined;
  /** The factors of the layers' outputs. */
  readonly outputScales: readonly number[];
}

/** The layers' own inputs (Gemma 4) are the sum of a row that is looked up by id and of a product of the embedding. */
export interface InputWeights {
  readonly table: Weight; // (ids, columns)
  readonly projection: Weight; // (columns, hidden)
  /** Of each layer's part of the product, divided by sqrt(2). */
  readonly norm: Weight; // (input width)
}

/** Llama's. */
const LAYER: LayerNames = {
  attentionNorm: ['attn_norm.weight', 'input_layernorm.weight'],
  attentionNormBias: ['attn_norm.bias', 'input_layernorm.bias'],
  attentionPostNorm: ['post_attention_norm.weight', 'post_attention_layernorm.weight'],
  qkv: ['attn_qkv.weight', 'self_attn.qkv_proj.weight'],
  query: ['attn_q.weight', 'self_attn.q_proj.weight'],
  key: ['attn_k.weight', 'self_attn.k_proj.weight'],
  value: ['attn_v.weight', 'self_attn.v_proj.weight'],
  queryBias: ['attn_q.bias', 'self_attn.q_proj.bias'],
  keyBias: ['attn_k.bias', 'self_attn.k_proj.bias'],
  valueBias: ['attn_v.bias', 'self_attn.v_proj.bias'],
  queryNorm: ['attn_q_norm.weight', 'self_attn.q_norm.weight'],
  keyNorm: ['attn_k_norm.weight', 'self_attn.k_norm.weight'],
  output: ['attn_output.weight', 'self_attn.o_proj.weight'],
  outputBias: ['attn_output.bias', 'self_attn.o_proj.bias'],
  mlpNorm: ['ffn_norm.weight', 'post_attention_layernorm.weight'],
  mlpNormBias: ['ffn_norm.bias', 'post_attention_layernorm.bias'],
  mlpPostNorm: ['post_ffw_norm.weight', 'post_feedforward_layernorm.weight'],
  gate: ['ffn_gate.weight', 'mlp.gate_proj.weight'],
  up: ['ffn_up.weight', 'mlp.up_proj.weight'],
  upBias: ['ffn_up.bias', 'mlp.up_proj.bias'],
  down: ['ffn_down.weight', 'mlp.down_proj.weight'],
  downBias: ['ffn_down.bias', 'mlp.down_proj.bias'],
};

const EMBEDDING = 'embed_tokens.weight';
/** Where Hugging Face files have the language model: alone, without its head, or inside a composite model. */
const ROOTS = ['model.', '', 'model.language_model.', 'language_model.model.', 'model.text_model.'] as const;

/** Names around the layers. */
function names(
  tensors: ReadonlyMap<string, unknown>,
  [ggufNorm, ownNorm]: readonly [string, string] = ['output_norm.weight', 'norm.weight'],
): {
  readonly root: string;
  readonly embedding: TensorName;
  readonly norm: TensorName;
  readonly head: TensorName;
} {
  const root = ROOTS.find((prefix) => tensors.has(prefix + EMBEDDING)) ?? ROOTS[0];
  return {
    root,
    embedding: { gguf: 'token_embd.weight', huggingface: root + EMBEDDING },
    norm: { gguf: ggufNorm, huggingface: root + ownNorm },
    head: {
      gguf: 'output.weight',
      huggingface: root === 'language_model.model.' ? 'language_model.lm_head.weight' : 'lm_head.weight',
    },
  };
}

const INPUTS = {
  table: ['per_layer_token_embd.weight', 'embed_tokens_per_layer.weight'],
  projection: ['per_layer_model_proj.weight', 'per_layer_model_projection.weight'],
  norm: ['per_layer_proj_norm.weight', 'per_layer_projection_norm.weight'],
} as const;
const OUTPUT_SCALE = ['layer_output_scale.weight', 'layer_scalar'] as const;

const CLASSES: TensorName = { gguf: 'cls.output.weight', huggingface: 'score.weight' };

/** What the tensors of the file say that the metadata may not. */
export function tensorFacts(
  tensors: ReadonlyMap<string, TensorInfo>,
  file: 'gguf' | 'huggingface',
): { readonly vocabulary: number | undefined; readonly head: boolean } {
  const { take } = new TensorPlan(tensors, { file, missing: '' });
  const { embedding, head } = names(tensors);
  return { vocabulary: take.has(embedding) ? take.rows(embedding) : undefined, head: take.has(head) };
}

/** Tensors of the language model, as opposed to those of, say, a vision tower in the same file. */
const OWN = { gguf: /^(blk\.|token_embd|output)/, huggingface: /^((layers|embed_tokens|norm)\.|lm_head\.)/ };
/**
 * Tensors that are computed from the configuration but stored by old converters, and a head that a tied model does not
 * need.
 */
const IGNORED = {
  gguf: /\.rot_embd$|\.attn_rot_embd|^output\.weight$/,
  huggingface: /rotary_emb\.inv_freq$|^lm_head\.weight$/,
};

/**
 * The first run over a file. Throws `ModelError` naming the first tensor that is missing, misshapen, of an unsuitable
 * format or unknown to the architecture.
 */
export function planDecoder(tensors: ReadonlyMap<string, TensorInfo>, spec: DecoderSpec): TensorPlan {
  const { architecture, layers, source } = spec.config;
  const plan = new TensorPlan(tensors, {
    file: source,
    missing: `which every ${architecture} model of ${layers} layers has; it may be incomplete: give all of its parts`,
  });
  takeDecoder(plan.take, spec, tensors);
  const { root } = names(tensors);
  plan.rejectUnknown((name) => {
    const own = source === 'huggingface' && name.startsWith(root) ? name.slice(root.length) : name;
    const layer = Number(/^blk\.(\d+)\./.exec(own)?.[1] ?? -1);
    const spare = layer >= layers && layer < layers + spec.spare;
    return OWN[source].test(own) && !IGNORED[source].test(own) && !spare && !unread(own, spec);
  }, `${architecture} models of ${layers} layers`);
  return plan;
}

/** Keys and values of a layer that reads those of another. */
const OWN_KEYS = /^(?:blk|layers)\.(\d+)\.(?:attn_[kv]|self_attn\.[kv])_?(?:proj|norm)?\.weight$/;

function unread(name: string, { layers }: DecoderSpec): boolean {
  const mixer = layers[Number(OWN_KEYS.exec(name)?.[1] ?? -1)]?.mixer;
  return mixer?.kind === 'attention' && mixer.reads === true;
}

/** `tensors` is the table of the file, from which the beginning of its names is found. */
export function takeDecoder(take: Take, spec: DecoderSpec, tensors: ReadonlyMap<string, TensorInfo>): DecoderWeights {
  const { vocabulary, hidden, tied, rope } = spec.config;
  const divisorsName = { gguf: spec.ropeDivisors, huggingface: '' };
  const name = names(tensors, spec.finalNorm);
  const embedding = take.weight(name.embedding, [vocabulary, hidden]);
  const prefix = (i: number): Prefix => ({ gguf: `blk.${i}.`, huggingface: `${name.root}layers.${i}.` });
  return {
    embedding,
    layers: spec.layers.map((layer, i) =>
      takeLayer(take, layer, {
        hidden,
        names: layer.mixer.kind === 'attention' ? spec.names : { ...spec.names, ...spec.stateNames },
        states: spec.states,
        prefix: prefix(i),
      }),
    ),
    inputs: spec.inputWidth === 0 ? undefined : takeInputs(take, spec, name.root),
    outputScales: spec.layers.map(({ scaled }, i) =>
      scaled === true ? (take.table(named(prefix(i), OUTPUT_SCALE), [1])[0] ?? 1) : 1,
    ),
    norm: take.weight(name.norm, [hidden], offset(spec.normOffset)),
    head: tied ? embedding : take.weight(name.head, [vocabulary, hidden]),
    classes:
      take.rows(CLASSES) === 1 || take.rows(CLASSES) === 2
        ? take.weight(CLASSES, [take.rows(CLASSES), hidden])
        : undefined,
    ropeDivisors: take.has(divisorsName) ? divisors(take, divisorsName, rope.dimension / 2) : undefined,
  };
}

interface Prefix {
  readonly gguf: string;
  readonly huggingface: string;
}

function named(prefix: Prefix, [gguf, huggingface]: LayerName): TensorName {
  return { gguf: prefix.gguf + gguf, huggingface: prefix.huggingface + huggingface };
}

function takeInputs(take: Take, { config: { hidden }, inputWidth, layers }: DecoderSpec, root: string): InputWeights {
  const name = (own: LayerName): TensorName => named({ gguf: '', huggingface: root }, own);
  const table = name(INPUTS.table);
  return {
    table: take.weight(table, [take.rows(table), inputWidth], { rowsOnly: true }),
    projection: take.weight(name(INPUTS.projection), [inputWidth, hidden]),
    norm: take.weight(name(INPUTS.norm), [inputWidth / layers.length], { map: (value) => value * Math.SQRT1_2 }),
  };
}

/**
 * Takes the weights that a layer of this spec has. `prefix` is the beginning of its tensors' names; `names` are used in
 * addition to and instead of Llama's.
 */
export function takeLayer(
  take: Take,
  { mixer, norms, mlp, input }: LayerSpec,
  at: {
    readonly hidden: number;
    readonly names: LayerNames;
    /** For models that have layers with a state. */
    readonly states?: StateLayers | undefined;
    readonly prefix: Prefix;
  },
): LayerWeights {
  const { hidden } = at;
  const weights: Partial<Record<LayerRole, Weight | undefined>> = {};
  const nameOf = (role: LayerRole): TensorName => {
    const own = at.names[role] ?? LAYER[role];
    if (own === undefined) throw new Error(`no name of the tensor for ${role}`);
    return named(at.prefix, own);
  };
  const need = (role: LayerRole, shape: readonly number[], stored?: Stored): void => {
    weights[role] = take.weight(nameOf(role), shape, stored);
  };
  const may = (role: LayerRole, shape: readonly number[]): void => {
    weights[role] = take.optional(nameOf(role), shape);
  };

  const shifted = offset(norms.offset);
  const takeAttention = (own: AttentionMixer): void => {
    const [q, kv] = [own.heads * own.headDim, own.kvHeads * own.headDim];
    if (own.fused) {
      need('qkv', [q + 2 * kv, hidden]);
    } else {
      if (own.gated === true) {
        const parts = [own.headDim, own.headDim];
        [weights.query, weights.queryGate] = take.split(nameOf('query'), parts, hidden, own.heads);
      } else need('query', [q, hidden]);
      if (own.reads !== true) need('key', [kv, hidden]);
      if (own.reads !== true && own.keysAreValues !== true) need('value', [kv, hidden]);
      if (own.bias !== 'none') {
        const bias = own.bias === 'required' ? need : may;
        bias('queryBias', [q]);
        bias('keyBias', [kv]);
        bias('valueBias', [kv]);
      }
    }
    if (own.normed) {
      need('queryNorm', [own.headDim], shifted);
      if (own.reads !== true) need('keyNorm', [own.headDim], shifted);
    }
    need('output', [hidden, q]);
    if (own.bias !== 'none') may('outputBias', [hidden]);
  };
  const normBias = norms.kind === 'layer' && norms.bias !== false;
  if (norms.beforeAttention !== false) {
    need('attentionNorm', [hidden], shifted);
    if (normBias) need('attentionNormBias', [hidden]);
  }
  if (mixer.kind === 'attention') takeAttention(mixer);
  else at.states?.take(mixer, hidden, need);
  need('mlpNorm', [hidden], shifted);
  if (normBias) need('mlpNormBias', [hidden]);
  if (norms.place === 'sandwich') {
    need('attentionPostNorm', [hidden], shifted);
    need('mlpPostNorm', [hidden], shifted);
  }
  if (mlp.gated && mlp.fused) {
    [weights.gate, weights.up] = take.split(nameOf('up'), [mlp.width, mlp.width], hidden);
  } else {
    if (mlp.gated) need('gate', [mlp.width, hidden]);
    need('up', [mlp.width, hidden]);
  }
  need('down', [hidden, mlp.width]);
  if (mlp.bias) {
    need('upBias', [mlp.width]);
    need('downBias', [hidden]);
  }
  if (input !== undefined) {
    need('inputGate', [input.width, hidden]);
    need('inputProjection', [hidden, input.width]);
    need('inputNorm', [hidden], shifted);
  }
  return weights;
}

function offset(by: number): Stored {
  return by === 0 ? {} : { map: (value) => value + by };
}

function divisors(
  take: Take,
  name: { readonly gguf: string; readonly huggingface: string },
  pairs: number,
): Float32Array {
  const values = take.table(name, [pairs]);
  if (values.some((value) => !(value > 0 && value < Infinity)))
    throw new ModelError('config', `${name.gguf} holds a value that is not positive`, { tensor: name.gguf });
  return values;
}
