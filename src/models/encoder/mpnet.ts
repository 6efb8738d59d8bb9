/**
 * MPNet (Song et al. 2020; all-mpnet-base-v2): BERT's block without segments. Positions begin at 2, and all layers
 * share T5's relative biases.
 */
import { both, MOST } from '../config.ts';
import { BERT_NAMES, postNormLayers } from './bert.ts';
import { encoderConfig, named, rootOf, table, type EncoderArchitecture } from './spec.ts';

const WORD = 'embeddings.word_embeddings.weight';
const FIRST_POSITION = 2;

export const mpnet: EncoderArchitecture = (facts, tensors) => {
  const root = rootOf(tensors, WORD, ['', 'mpnet.']);
  const { rows } = table(facts, tensors);
  const only = (name: string): ReturnType<typeof named> => named(name, name);
  const word = only(root + WORD);
  const positions = only(`${root}embeddings.position_embeddings.weight`);
  const placed = { rows: rows(positions), first: FIRST_POSITION };
  const config = encoderConfig(facts, { architecture: 'mpnet', vocabulary: rows(word), positions: placed });
  const attention = (part: string): readonly [string, string] => [part, `attention.attn.${part}`];
  return {
    ...postNormLayers(facts, config),
    names: {
      ...BERT_NAMES,
      query: attention('q.weight'),
      key: attention('k.weight'),
      value: attention('v.weight'),
      queryBias: attention('q.bias'),
      keyBias: attention('k.bias'),
      valueBias: attention('v.bias'),
      output: attention('o.weight'),
      outputBias: attention('o.bias'),
      attentionNorm: ['', 'attention.LayerNorm.weight'],
      attentionNormBias: ['', 'attention.LayerNorm.bias'],
    },
    prefix: (layer) => ({ gguf: '', huggingface: `${root}encoder.layer.${layer}.` }),
    word,
    positions: { name: positions, ...placed },
    embeddingNorm: { name: only(`${root}embeddings.LayerNorm`), bias: true },
    relative: {
      name: only(`${root}encoder.relative_attention_bias.weight`),
      buckets: facts.integer(both([], 'relative_attention_num_buckets'), { least: 2, most: MOST.width, default: 32 }),
    },
    pooling: 'mean',
  };
};
