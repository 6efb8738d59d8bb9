/**
 * BERT (Devlin et al. 2019) and RoBERTa: MiniLM, BGE, E5, and cross-encoders. They have a norm after each branch,
 * biases everywhere, and learned positions. RoBERTa's positions begin at 2 (in GGUF files, converters have removed the
 * rows before).
 */
import type { LayerSpec } from '../../layers/layer-spec.ts';
import type { LayerNames } from '../decoder-spec.ts';
import { both } from '../config.ts';
import { wrong, type Facts } from '../facts.ts';
import {
  activationOf,
  encoderConfig,
  named,
  rootOf,
  table,
  type EncoderArchitecture,
  type EncoderConfig,
  type EncoderSpec,
  type ScoreSpec,
} from './spec.ts';

export const BERT_NAMES: LayerNames = {
  query: ['attn_q.weight', 'attention.self.query.weight'],
  key: ['attn_k.weight', 'attention.self.key.weight'],
  value: ['attn_v.weight', 'attention.self.value.weight'],
  queryBias: ['attn_q.bias', 'attention.self.query.bias'],
  keyBias: ['attn_k.bias', 'attention.self.key.bias'],
  valueBias: ['attn_v.bias', 'attention.self.value.bias'],
  output: ['attn_output.weight', 'attention.output.dense.weight'],
  outputBias: ['attn_output.bias', 'attention.output.dense.bias'],
  attentionNorm: ['attn_output_norm.weight', 'attention.output.LayerNorm.weight'],
  attentionNormBias: ['attn_output_norm.bias', 'attention.output.LayerNorm.bias'],
  up: ['ffn_up.weight', 'intermediate.dense.weight'],
  upBias: ['ffn_up.bias', 'intermediate.dense.bias'],
  down: ['ffn_down.weight', 'output.dense.weight'],
  downBias: ['ffn_down.bias', 'output.dense.bias'],
  mlpNorm: ['layer_output_norm.weight', 'output.LayerNorm.weight'],
  mlpNormBias: ['layer_output_norm.bias', 'output.LayerNorm.bias'],
};

const WORD = 'embeddings.word_embeddings';
/** RoBERTa's first position; the rows before it belong to padding. */
const FIRST_POSITION = 2;

export const bert: EncoderArchitecture = (facts, tensors) => {
  const roberta = /roberta/.test(facts.text(both([], 'model_type'), ''));
  const root = rootOf(tensors, `${WORD}.weight`, ['', 'bert.', 'roberta.']);
  const { has, rows } = table(facts, tensors);
  const kind = facts.text(both([], 'position_embedding_type'), 'absolute');
  if (kind !== 'absolute') throw wrong('position_embedding_type', kind, 'should be absolute; others are not supported');
  const word = named('token_embd.weight', `${root}${WORD}.weight`);
  const positions = named('position_embd.weight', `${root}embeddings.position_embeddings.weight`);
  const segments = named('token_types.weight', `${root}embeddings.token_type_embeddings.weight`);
  const placed = { rows: rows(positions), first: roberta ? FIRST_POSITION : 0 };
  const config = encoderConfig(facts, { architecture: 'bert', vocabulary: rows(word), positions: placed });
  return {
    ...postNormLayers(facts, config),
    names: BERT_NAMES,
    prefix: (layer) => ({ gguf: `blk.${layer}.`, huggingface: `${root}encoder.layer.${layer}.` }),
    word,
    positions: { name: positions, ...placed },
    segments: has(segments) ? { name: segments, rows: rows(segments) } : undefined,
    embeddingNorm: { name: named('token_embd_norm', `${root}embeddings.LayerNorm`), bias: true },
    score: scoreOf(has, root, roberta),
    pooling: 'mean',
  };
};

/** Returns the configuration and the layers of BERT and of MPNet. */
export function postNormLayers(facts: Facts, config: EncoderConfig): Pick<EncoderSpec, 'config' | 'layers' | 'reach'> {
  const { heads, headDim, epsilon, mlp } = config;
  const layer: LayerSpec = {
    mixer: {
      kind: 'attention',
      heads,
      kvHeads: heads,
      headDim,
      scale: 1 / Math.sqrt(headDim),
      rope: undefined,
      normed: false,
      bias: 'required',
      fused: false,
      cache: 0,
    },
    norms: { kind: 'layer', epsilon, place: 'post', offset: 0 },
    mlp: {
      width: mlp,
      activation: activationOf(facts, ['hidden_act'], 'gelu'),
      gated: false,
      fused: false,
      bias: true,
    },
  };
  return {
    config,
    layers: Array.from({ length: config.layers }, () => layer),
    reach: Array.from({ length: config.layers }, () => undefined),
  };
}

/** BERT's head is a pooler over the first token and a classifier; RoBERTa's head consists of two layers of its own. */
function scoreOf(
  has: (name: ReturnType<typeof named>) => boolean,
  root: string,
  roberta: boolean,
): ScoreSpec | undefined {
  const dense = named('cls', roberta ? 'classifier.dense' : `${root}pooler.dense`);
  const output = named('cls.output', roberta ? 'classifier.out_proj' : 'classifier');
  const weight = (name: ReturnType<typeof named>): ReturnType<typeof named> =>
    typeof name === 'string' ? name : named(`${name.gguf}.weight`, `${name.huggingface}.weight`);
  if (!has(weight(output))) return undefined;
  const first = has(weight(dense)) ? [{ name: dense, bias: true, activation: 'tanh' as const }] : [];
  return { pooling: 'cls', layers: [...first, { name: output, bias: true }] };
}
