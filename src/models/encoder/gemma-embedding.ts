/**
 * EmbeddingGemma (Schechter Vera et al. 2025): Gemma 3's layers, in which every token attends to the whole text, or to
 * half a window on each side.
 */
import type { AttentionMixer, LayerSpec } from '../../layers/layer-spec.ts';
import type { Facts } from '../facts.ts';
import type { DecoderSpec } from '../decoder-spec.ts';
import { tensorFacts } from '../decoder-weights.ts';
import { gemma3 } from '../gemma.ts';
import { named, rootOf, type EncoderArchitecture, type EncoderSpec } from './spec.ts';

const ROOTS = ['model.', '', 'model.language_model.'];
const WORD = 'embed_tokens.weight';

export const gemmaEmbedding: EncoderArchitecture = (facts, tensors) => {
  const decoder = gemma3(
    facts,
    { ...tensorFacts(tensors, facts.source), has: (name) => tensors.has(name), window: undefined },
    'gemma-embedding',
  );
  return fromDecoder(decoder, facts, rootOf(tensors, WORD, ROOTS));
};

function attentionOf({ mixer }: LayerSpec): AttentionMixer {
  if (mixer.kind !== 'attention') throw new Error(`Gemma has no layers of kind ${mixer.kind}`);
  return mixer;
}

function fromDecoder(
  { config, layers, names, embeddingScale }: DecoderSpec,
  { source }: Facts,
  root: string,
): EncoderSpec {
  return {
    config: { ...config, architecture: 'gemma-embedding', source },
    // There is no cache: the layers write the same pages one after the other.
    layers: layers.map((layer) => ({ ...layer, mixer: { ...attentionOf(layer), window: undefined, cache: 0 } })),
    reach: layers.map((layer) => {
      const { window } = attentionOf(layer);
      return window === undefined ? undefined : Math.floor(window / 2);
    }),
    names,
    prefix: (i) => ({ gguf: `blk.${i}.`, huggingface: `${root}layers.${i}.` }),
    word: named('token_embd.weight', root + WORD),
    embeddingScale,
    finalNorm: { name: named('output_norm', `${root}norm`), bias: false },
    pooling: 'mean',
  };
}
