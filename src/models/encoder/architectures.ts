/** The file of each encoder architecture, by `general.architecture` and by `model_type`; registry.ts has the same names. */
import type { ModelFile } from '../../load/model-file.ts';
import { EncoderPlan } from './index.ts';
import type { EncoderArchitecture } from './spec.ts';

const bert = async (): Promise<EncoderArchitecture> => (await import('./bert.ts')).bert;
const nomic = async (): Promise<EncoderArchitecture> => (await import('./nomic-bert.ts')).nomicBert;
const modern = async (): Promise<EncoderArchitecture> => (await import('./modern-bert.ts')).modernBert;

const ARCHITECTURES: Readonly<Record<string, () => Promise<EncoderArchitecture>>> = {
  bert,
  roberta: bert,
  'xlm-roberta': bert,
  'nomic-bert': nomic,
  nomic_bert: nomic,
  'modern-bert': modern,
  modernbert: modern,
  mpnet: async () => (await import('./mpnet.ts')).mpnet,
  'gemma-embedding': async () => (await import('./gemma-embedding.ts')).gemmaEmbedding,
};

/** Undefined for a name that is not an encoder's. Throws `ModelError` for a file that cannot be one. */
export async function planEncoderFile(file: ModelFile, name: string): Promise<EncoderPlan | undefined> {
  const create = Object.hasOwn(ARCHITECTURES, name) ? await ARCHITECTURES[name]?.() : undefined;
  return create && new EncoderPlan(file, name, create);
}
