/** Pictures on their way to the engine: whatever a page has becomes pixels here, where elements, canvases and addresses can be read, and moves over without a copy. */
import { cannotSee } from '../see/pictures.ts';
import type { ContentPart, Message, PromptInput } from '../chat/messages.ts';
import type { Rgba } from '../vision/image.ts';
import type { ImageInput } from '../vision/read.ts';

/** Decodes a picture; the pixels are the caller's own. */
export type ReadPicture = (input: ImageInput, signal?: AbortSignal) => Promise<Rgba>;

/** What a page can do for the pictures of a model. */
export interface Eyes {
  readonly read: ReadPicture;
  readonly see: boolean;
  readonly missing: readonly string[];
}

function isPicture(part: ContentPart): boolean {
  return typeof part === 'object' && part !== null && part.type === 'image';
}

function hasPictures(message: Message): message is Message & { readonly content: readonly ContentPart[] } {
  return (
    typeof message === 'object' &&
    message !== null &&
    Array.isArray(message.content) &&
    (message.content as readonly ContentPart[]).some(isPicture)
  );
}

/**
 * The input with pixels for pictures, whose buffers are added to `transfer`; the input itself, at once, where it has none. What is wrong with
 * the messages is left for the engine to say. Throws `InputError('argument')` where the model does not see; rejects as `readImage` does.
 */
export function withPixels(
  input: PromptInput,
  eyes: Eyes,
  transfer: Transferable[],
  signal?: AbortSignal,
): PromptInput | Promise<PromptInput> {
  if (!Array.isArray(input) || !(input as readonly Message[]).some(hasPictures)) return input;
  if (!eyes.see) throw cannotSee('image', eyes.missing);
  const readPart = async (part: ContentPart): Promise<ContentPart> => {
    if (!isPicture(part)) return part;
    const { data, width, height } = await eyes.read(part.value as ImageInput, signal);
    transfer.push(data.buffer as ArrayBuffer);
    return { type: 'image', value: { data, width, height } };
  };
  return Promise.all(
    (input as readonly Message[]).map(async (message) =>
      hasPictures(message) ? { ...message, content: await Promise.all(message.content.map(readPart)) } : message,
    ),
  );
}
