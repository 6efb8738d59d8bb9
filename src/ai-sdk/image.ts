/** The AI SDK's image model: `generateImage` paints, and edits the picture that it is given. */
import type { ImageModelV4, ImageModelV4CallOptions, SharedV4Warning } from '@ai-sdk/provider';
import { InputError } from '../errors.ts';
import { seed32 } from '../generate/seed.ts';
import type { ModelInput, OctavoModel, PaintOptions } from '../public.ts';
import { ModelSource } from './source.ts';
import type { OctavoProviderSettings } from './settings.ts';

/** What the provider needs of a model that paints: an `OctavoModel`, or anything shaped like one. */
export type ImageModel = Pick<OctavoModel, 'paint' | 'edit' | 'name'>;

/** `providerOptions.octavo` holds further options of `model.paint`, such as `steps` and `guidance`. */
export function imageModel(
  given: ImageModel | ModelInput,
  { load }: Pick<OctavoProviderSettings, 'load'> = {},
): ImageModelV4 {
  const source = new ModelSource<ImageModel>(given, 'paint', load);
  return {
    specificationVersion: 'v4',
    provider: 'octavo',
    modelId: source.id,
    maxImagesPerCall: undefined,
    supportsFileInputs: true,
    supportsMaskInputs: false,
    doGenerate: async (call) => {
      const model = await source.open();
      const warnings: SharedV4Warning[] = [];
      const options = readCall(call, warnings);
      const prompt = call.prompt ?? '';
      const [image, ...others] = call.files ?? [];
      if (others.length > 0)
        warnings.push({ type: 'unsupported', feature: 'files', details: 'the first picture is edited' });
      const pictures =
        image === undefined
          ? await model.paint({ ...options, prompt })
          : await model.edit({ ...options, instruction: prompt, image: sourceOf(image) });
      return {
        images: await Promise.all(pictures.map((picture) => picture.toPng())),
        warnings,
        response: { timestamp: new Date(), modelId: model.name, headers: undefined },
      };
    },
  };
}

type Settings = Omit<PaintOptions, 'prompt'> & { readonly count: number };

function readCall(
  { n, size, aspectRatio, seed, mask, abortSignal, providerOptions }: ImageModelV4CallOptions,
  warnings: SharedV4Warning[],
): Settings {
  if (mask !== undefined)
    throw new InputError('argument', 'mask: models here edit by instruction only; leave it out', { name: 'mask' });
  const [width, height] = size?.split('x').map(Number) ?? [];
  if (width !== height)
    throw new InputError('argument', `size: ${size}; pictures are squares, such as 256x256`, { name: 'size' });
  if (aspectRatio !== undefined && aspectRatio !== '1:1')
    warnings.push({ type: 'unsupported', feature: 'aspectRatio', details: 'pictures are squares' });
  return {
    ...providerOptions['octavo'],
    count: n,
    ...(width === undefined ? {} : { size: width }),
    ...(seed === undefined ? {} : { seed: seed32(seed) }),
    ...(abortSignal === undefined ? {} : { signal: abortSignal }),
  };
}

function sourceOf(file: NonNullable<ImageModelV4CallOptions['files']>[number]): string | Uint8Array {
  if (file.type === 'url') return file.url;
  const { data, mediaType } = file;
  return typeof data === 'string' && !data.startsWith('data:') ? `data:${mediaType};base64,${data}` : data;
}
