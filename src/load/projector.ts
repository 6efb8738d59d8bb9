/** A GGUF model and its projector file ("mmproj"), which holds the vision part, as one model file. */
import { InputError } from '../errors.ts';
import { sha256 } from '../hash.ts';
import { openModel } from './index.ts';
import type { ModelInput, ResolvedInput } from './inputs.ts';
import type { ModelFile } from './model-file.ts';
import type { OpenOptions } from './options.ts';

/**
 * `found`: whether the projector was only found beside the model. Closing the result closes both. `read` reads the
 * language model; the projector is read separately.
 */
export async function withProjector(model: ModelFile, projector: ModelFile, found = false): Promise<ModelFile> {
  return {
    name: model.name,
    metadata: model.metadata,
    tensors: model.tensors,
    projector,
    projectorFound: found,
    bytes: model.bytes + projector.bytes,
    fingerprint: await sha256(model.fingerprint + projector.fingerprint),
    read: (writer, options) => model.read(writer, options),
    close: async () => {
      await Promise.all([model.close(), projector.close()]);
    },
  };
}

/**
 * Takes the URLs of a model and its projector in either order, or a model and the `mmproj` of the options. Throws
 * `InputError`.
 */
export async function openBoth(resolved: ResolvedInput, options: OpenOptions): Promise<ModelFile> {
  const { mmproj, ...own } = options;
  const alone: OpenOptions = { ...own, mmproj: false };
  const given = [resolved].flat();
  const [first, second, third] = mmproj === undefined || mmproj === false ? given : [...given, mmproj];
  if (first === undefined || third !== undefined)
    throw new InputError(
      'argument',
      'more than two addresses were given; a model has one file (of a split one, name the first part) and at most one projector (mmproj)',
    );
  if (second === undefined) return openModel(asInput(first), options);
  if (typeof options.sha256 === 'string')
    throw new InputError(
      'argument',
      "sha256: one hash was given for a model and its projector; give an object: { 'model.gguf': '...', 'mmproj.gguf': '...' }",
      { option: 'sha256' },
    );
  const model = await openModel(asInput(first), alone);
  try {
    const beside = typeof second === 'string' && typeof first === 'string' ? besideOf(first, second) : second;
    const other = await openModel(asInput(beside), alone);
    return isVisionPart(model) ? await withProjector(other, model) : await withProjector(model, other);
  } catch (error) {
    await model.close();
    throw error;
  }
}

function asInput(input: ResolvedInput | ModelInput): ModelInput {
  return input instanceof Map ? (Object.fromEntries(input) as ModelInput) : (input as ModelInput);
}

function isVisionPart({ metadata }: ModelFile): boolean {
  return metadata.kind === 'gguf' && metadata.values.get('general.architecture') === 'clip';
}

/** A bare name refers to a file beside a model that has a URL; everything else is a URL of its own. */
function besideOf(model: string, name: string): string {
  if (/[/\\:]/.test(name)) return name;
  if (/^https?:/i.test(model)) {
    const at = new URL(encodeURIComponent(name), model);
    at.search = new URL(model).search;
    return at.href;
  }
  return /^hf:/i.test(model) ? `${model.replace(/(^hf:[^/]+\/[^/]+)$|\/[^/]*\.gguf$/i, '$1')}/${name}` : name;
}
