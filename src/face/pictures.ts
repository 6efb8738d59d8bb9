/**
 * Converts images to pixels on the page, where elements, canvases and URLs can be read, and moves them to the engine
 * without a copy.
 */
import { cannotSee } from '../see/images.ts';
import type { ContentPart, Message, PromptInput } from '../chat/messages.ts';
import type { Rgba } from '../vision/image.ts';
import type { ImageInput } from '../vision/read.ts';

/** Decodes an image. The caller owns the pixels. */
export type ReadPicture = (input: ImageInput, signal?: AbortSignal) => Promise<Rgba>;

/** How a page decodes images, and whether the model takes them. */
export interface PictureInput {
  readonly read: ReadPicture;
  readonly see: boolean;
  readonly missing: readonly string[];
}

/** `ReadPicture` refuses values that are not images. */
interface ImagePart extends ContentPart {
  readonly type: 'image';
  readonly value: ImageInput;
}
interface WithImages extends Message {
  readonly content: readonly ContentPart[];
}

function isImage(part: ContentPart): part is ImagePart {
  return part?.type === 'image';
}

function hasImages(message: Message): message is WithImages {
  return Array.isArray(message?.content) && message.content.some(isImage);
}

/** Moves to the engine without a copy, unless the memory is shared. */
export function transferPixels({ data }: Rgba, transfer: Transferable[]): void {
  if (data.buffer instanceof ArrayBuffer) transfer.push(data.buffer);
}

/**
 * Returns the messages with pixels in place of images, and adds their buffers to `transfer`. Invalid messages are left
 * for the engine to report. Throws `InputError('argument')` when the model takes no images; rejects as `readImage`
 * does.
 */
export async function messagesWithPixels(
  messages: readonly Message[],
  pictures: PictureInput,
  transfer: Transferable[],
  signal?: AbortSignal,
): Promise<readonly Message[]> {
  const readPart = async (part: ContentPart): Promise<ContentPart> => {
    if (!isImage(part)) return part;
    if (!pictures.see) throw cannotSee('image', pictures.missing);
    const { data, width, height } = await pictures.read(part.value, signal);
    transferPixels({ data, width, height }, transfer);
    return { type: 'image', value: { data, width, height } };
  };
  return Promise.all(
    messages.map(async (message) =>
      hasImages(message) ? { ...message, content: await Promise.all(message.content.map(readPart)) } : message,
    ),
  );
}

/** Returns the input itself at once if it has no images, otherwise a promise of the messages with pixels. */
export function withPixels(
  input: PromptInput,
  pictures: PictureInput,
  transfer: Transferable[],
  signal?: AbortSignal,
): PromptInput | Promise<PromptInput> {
  return Array.isArray(input) && input.some(hasImages) ? messagesWithPixels(input, pictures, transfer, signal) : input;
}
