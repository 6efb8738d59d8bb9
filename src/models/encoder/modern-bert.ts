/**
 * ModernBERT (Warner et al. 2024): norms before the branches, no biases, RoPE, and a gated MLP. In every third layer a
 * token attends to the whole text, in the others to a fixed number of tokens on each side.
 */
import type { LayerSpec } from '../../layers/layer-spec.ts';
import type { LayerNames } from '../decoder-spec.ts';
import { both, MOST } from '../config.ts';
import { wrong } from '../facts.ts';
import { activationOf, encoderConfig, named, rootOf, table, type EncoderArchitecture, type Pooling } from './spec.ts';

const WORD = 'embeddings.tok_embeddings.weight';
const NAMES: LayerNames = {
  attentionNorm: ['attn_norm.weight', 'attn_norm.weight'],
  qkv: ['attn_qkv.weight', 'attn.Wqkv.weight'],
  output: ['attn_output.weight', 'attn.Wo.weight'],
  mlpNorm: ['ffn_norm.weight', 'mlp_norm.weight'],
  up: ['ffn_up.weight', 'mlp.Wi.weight'],
  down: ['ffn_down.weight', 'mlp.Wo.weight'],
};
const BASES = { global: 160_000, local: 10_000 } as const;

export const modernBert: EncoderArchitecture = (facts, tensors) => {
  const root = rootOf(tensors, WORD, ['', 'model.']);
  const { has, rows } = table(facts, tensors);
  for (const name of ['norm_bias', 'attention_bias', 'mlp_bias'])
    if (facts.flag(both([], name), false)) throw wrong(name, true, 'should be false; biases are not supported here');
  const word = named('token_embd.weight', root + WORD);
  const config = encoderConfig(facts, { architecture: 'modern-bert', vocabulary: rows(word) });
  const { heads, headDim, mlp: width, layers } = config;
  const epsilon =
    facts.source === 'gguf' ? config.epsilon : facts.number(both([], 'norm_eps'), { least: 0, most: 1, default: 1e-5 });
  const period = facts.integer(both([], 'global_attn_every_n_layers'), { least: 1, most: MOST.layers, default: 3 });
  const types = facts.find(both([], 'layer_types'))?.value;
  const local =
    facts.flags(both('attention.sliding_window_pattern', []), layers) ??
    Array.from({ length: layers }, (_, i) =>
      Array.isArray(types) ? types[i] === 'sliding_attention' : i % period !== 0,
    );
  const window = facts.integer(both('attention.sliding_window', 'local_attention'), {
    least: 0,
    most: MOST.context,
    default: 128,
  });
  const base = (kind: 'global' | 'local', gguf: string, type: string): number =>
    facts.number(both(gguf, [`rope_parameters.${type}.rope_theta`, `${kind}_rope_theta`]), {
      least: 1.001,
      most: MOST.base,
      default: BASES[kind],
    });
  const bases = {
    global: base('global', 'rope.freq_base', 'full_attention'),
    local: base('local', 'rope.freq_base_swa', 'sliding_attention'),
  };
  const activation = activationOf(facts, ['hidden_activation'], 'gelu');
  const classifier = named('cls.output', 'classifier');
  // Classifiers in GGUF files take the mean, as llama.cpp reads them.
  const fallback = facts.source === 'gguf' ? 'mean' : 'cls';
  const pooling: Pooling = facts.text(both([], 'classifier_pooling'), fallback) === 'mean' ? 'mean' : 'cls';
  return {
    config: { ...config, epsilon },
    layers: local.map((limited, i): LayerSpec => {
      const rope = { dimension: headDim, base: limited ? bases.local : bases.global, style: 'half' } as const;
      return {
        mixer: {
          kind: 'attention',
          heads,
          kvHeads: heads,
          headDim,
          scale: 1 / Math.sqrt(headDim),
          rope: { ...rope, scaling: { kind: 'none' } },
          normed: false,
          bias: 'none',
          fused: true,
          cache: 0,
        },
        norms: { kind: 'layer', epsilon, place: 'pre', offset: 0, bias: false, beforeAttention: i > 0 },
        mlp: { width, activation, gated: true, fused: true, bias: false },
      };
    }),
    reach: local.map((limited) => (limited ? Math.floor(window / 2) : undefined)),
    names: NAMES,
    prefix: (i) => ({ gguf: `blk.${i}.`, huggingface: `${root}layers.${i}.` }),
    word,
    embeddingNorm: { name: named('token_embd_norm', `${root}embeddings.norm`), bias: false },
    finalNorm: { name: named('output_norm', `${root}final_norm`), bias: false },
    score: has(named('cls.output.weight', 'classifier.weight'))
      ? {
          pooling,
          layers: [
            {
              name: named('cls', 'head.dense'),
              bias: has(named('cls.bias', 'head.dense.bias')),
              activation: activationOf(facts, ['classifier_activation'], 'gelu'),
              norm: { name: named('cls.norm', 'head.norm'), bias: false },
            },
            { name: classifier, bias: true },
          ],
        }
      : undefined,
    pooling: 'mean',
  };
};
