/** Sharing and saving pictures. */
import { toast } from '../../common/toasts.ts';
import { say } from '../texts.ts';
import type { Picture } from './pictures.ts';

function fileOf({ blob, words, seed }: Picture): File {
  const name = words
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, '-')
    .replace(/^-|-$/g, '')
    .slice(0, 48);
  const ending = blob.type === 'image/jpeg' ? 'jpg' : 'png';
  return new File([blob], `${name === '' ? 'octavo' : name}${seed === undefined ? '' : `-${seed}`}.${ending}`, {
    type: blob.type,
  });
}

/** By the system's own sheet where there is one, otherwise into the clipboard, otherwise as a file. */
export async function sharePicture(picture: Picture): Promise<void> {
  const file = fileOf(picture);
  // Not every browser has it.
  if ('canShare' in navigator && navigator.canShare({ files: [file] })) {
    try {
      await navigator.share({ files: [file], title: picture.words });
      return;
    } catch (error) {
      if (error instanceof DOMException && error.name === 'AbortError') return;
    }
  }
  try {
    await navigator.clipboard.write([new ClipboardItem({ [file.type]: file })]);
    toast(say('copiedPicture'));
  } catch {
    savePicture(picture);
  }
}

export function savePicture(picture: Picture): void {
  const file = fileOf(picture);
  const link = Object.assign(document.createElement('a'), { href: URL.createObjectURL(file), download: file.name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
