/** What vectors a model that generates can give. */
import type { ModelFile } from '../load/model-file.ts';
import type { LanguageModel } from '../models/model.ts';
import { architectureName } from '../models/registry.ts';
import type { EmbeddingInfo } from '../worker/api.ts';

/** Most tokens of a text that a causal model embeds: as many as embedding models of this kind were trained with. */
const MOST_TOKENS = 8192;

/**
 * Whether a model that generates was trained to rank passages, as its file says by a classifier, a pooling type, or its name. (The Hugging Face files of
 * Qwen3-Reranker have only the name.)
 */
export function ranks(
  { name, metadata }: ModelFile,
  { classes, config }: Pick<LanguageModel, 'classes' | 'config'>,
): boolean {
  if (classes > 0) return true;
  const own = metadata.kind === 'gguf' ? metadata.values.get('general.name') : metadata.config['_name_or_path'];
  return config.architecture === 'qwen3' && /rerank/i.test(`${name} ${typeof own === 'string' ? own : ''}`);
}

/** `window`: of the model's contexts. Undefined for a file that wants layers behind the pooling, which models that generate do not have here. */
export async function embeddingOf(
  file: ModelFile,
  { config }: Pick<LanguageModel, 'config'>,
  window: number,
): Promise<EmbeddingInfo | undefined> {
  const { metadata } = file;
  const untrained: EmbeddingInfo = {
    dimensions: config.hidden,
    window: Math.min(window, MOST_TOKENS),
    pooling: 'mean',
    prefixes: { query: '', document: '' },
    trained: false,
    vocabulary: config.vocabulary,
  };
  const name = architectureName(metadata);
  const says = metadata.kind === 'gguf' ? metadata.values.has(`${name}.pooling_type`) : metadata.sentence !== undefined;
  if (!says) return untrained;
  const { sentenceFacts } = await import('../models/encoder/sentence.ts');
  const { pooling, prefixes, window: limit = Infinity, dense } = sentenceFacts(file, name);
  if (dense.length > 0) return undefined;
  if (pooling === undefined) return untrained;
  return { ...untrained, window: Math.min(untrained.window, limit), pooling, prefixes, trained: true };
}
