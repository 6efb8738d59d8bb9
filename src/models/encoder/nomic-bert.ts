/**
 * nomic-bert (Nussbaum et al. 2024; nomic-embed-text): BERT's order of norms with no biases in the products, RoPE in
 * place of learned positions, and a gated MLP.
 */
import type { LayerSpec } from '../../layers/layer-spec.ts';
import type { LayerNames } from '../decoder-spec.ts';
import { both, MOST } from '../config.ts';
import { activationOf, encoderConfig, named, rootOf, table, type EncoderArchitecture } from './spec.ts';

const WORD = 'embeddings.word_embeddings.weight';
const NAMES: LayerNames = {
  qkv: ['attn_qkv.weight', 'attn.Wqkv.weight'],
  output: ['attn_output.weight', 'attn.out_proj.weight'],
  attentionNorm: ['attn_output_norm.weight', 'norm1.weight'],
  attentionNormBias: ['attn_output_norm.bias', 'norm1.bias'],
  // Of the two matrices of the inner layer, fc12 is the one with the activation.
  gate: ['ffn_gate.weight', 'mlp.fc12.weight'],
  up: ['ffn_up.weight', 'mlp.fc11.weight'],
  down: ['ffn_down.weight', 'mlp.fc2.weight'],
  mlpNorm: ['layer_output_norm.weight', 'norm2.weight'],
  mlpNormBias: ['layer_output_norm.bias', 'norm2.bias'],
};

export const nomicBert: EncoderArchitecture = (facts, tensors) => {
  const root = rootOf(tensors, WORD, ['', 'nomic_bert.', 'bert.']);
  const { has, rows } = table(facts, tensors);
  const word = named('token_embd.weight', root + WORD);
  const segments = named('token_types.weight', `${root}embeddings.token_type_embeddings.weight`);
  const config = encoderConfig(facts, { architecture: 'nomic-bert', vocabulary: rows(word) });
  const { heads, headDim, epsilon, mlp: width } = config;
  const base = facts.number(both('rope.freq_base', ['rope_parameters.rope_theta', 'rotary_emb_base', 'rope_theta']), {
    least: 1.001,
    most: MOST.base,
    default: 1000,
  });
  const layer: LayerSpec = {
    mixer: {
      kind: 'attention',
      heads,
      kvHeads: heads,
      headDim,
      scale: 1 / Math.sqrt(headDim),
      rope: { dimension: headDim, base, style: 'half', scaling: { kind: 'none' } },
      normed: false,
      bias: 'none',
      fused: true,
      cache: 0,
    },
    norms: { kind: 'layer', epsilon, place: 'post', offset: 0 },
    mlp: { width, activation: activationOf(facts, ['hidden_act'], 'silu'), gated: true, fused: false, bias: false },
  };
  return {
    config,
    layers: Array.from({ length: config.layers }, () => layer),
    reach: Array.from({ length: config.layers }, () => undefined),
    names: NAMES,
    prefix: (i) => ({ gguf: `blk.${i}.`, huggingface: `${root}encoder.layers.${i}.` }),
    word,
    segments: has(segments) ? { name: segments, rows: rows(segments) } : undefined,
    embeddingNorm: { name: named('token_embd_norm', `${root}emb_ln`), bias: true },
    pooling: 'mean',
  };
};
