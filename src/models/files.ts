/** The files that make one model: a file of a language model, which may hold more, and a vision part (mmproj) beside it. */
import { ModelError } from '../errors.ts';
import type { ModelFile, ModelMetadata } from '../load/model-file.ts';
import { Facts } from './facts.ts';

export interface ModelFiles {
  readonly language: ModelFile;
  /** GGUF of `general.architecture = clip`: a vision tower, and the projector into the language model. */
  readonly vision?: ModelFile | undefined;
}

const CLIP = 'clip';

/**
 * Distinguishes the files by their headers. Throws `ModelError('config')` when there is no language model, or two files
 * of a kind.
 */
export function sortFiles(files: readonly ModelFile[]): ModelFiles {
  const [language, ...others] = files.filter(({ metadata }) => !isVision(metadata));
  const [vision, ...more] = files.filter(({ metadata }) => isVision(metadata));
  const names = (list: readonly ModelFile[]): string => list.map(({ name }) => name).join(', ');
  if (language === undefined)
    throw new ModelError(
      'config',
      vision === undefined
        ? 'no model file was given'
        : `${vision.name} is the vision part of a model (mmproj); give its language model beside it`,
      { files: names(files) },
    );
  const surplus = [...others, ...more];
  if (surplus.length > 0)
    throw new ModelError(
      'config',
      `${names(surplus)}: a model has one file of a language model and at most one vision part (mmproj); load others separately`,
      { files: names(files) },
    );
  return { language, vision };
}

/**
 * Returns the name of the projector of a vision part, which decides how images become embeddings; for a Hugging Face
 * folder, the composite model's type.
 */
export function projectorName(metadata: ModelMetadata): string {
  if (metadata.kind === 'huggingface') return String(metadata.config['model_type']);
  const names = { gguf: ['projector_type', 'vision.projector_type'], huggingface: [] };
  return new Facts(metadata, CLIP).text(names, '');
}

function isVision(metadata: ModelMetadata): boolean {
  return metadata.kind === 'gguf' && metadata.values.get('general.architecture') === CLIP;
}
