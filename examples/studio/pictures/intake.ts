/** How pictures come in besides file choosers: pasted, dropped, or shared by another application. */
import { say } from '../texts.ts';
import { toast } from '../../common/toasts.ts';
import { takePhoto, type Photo } from './raster.ts';

export interface Intake {
  /** What to do with a picture, by what is open. */
  take(photo: Photo): void;
  /** A picture, or words, that another application shared. */
  shared(photo: Photo | undefined, words: string): void;
}

const CACHE = 'octavo-studio-shared';

/** Tells of a file that is no picture, and resolves with undefined. */
export async function photoFrom(file: Blob | null | undefined): Promise<Photo | undefined> {
  if (file === null || file === undefined) return undefined;
  try {
    return await takePhoto(file);
  } catch {
    toast(say('noPicture'), { kind: 'error' });
    return undefined;
  }
}

function pictureIn(data: DataTransfer | null): File | undefined {
  const files = [...(data?.files ?? [])];
  return files.find(({ type }) => type.startsWith('image/')) ?? files[0];
}

export function listen({ take, shared }: Intake): void {
  const takeFrom = async (event: Event, data: DataTransfer | null): Promise<void> => {
    const file = pictureIn(data);
    if (file === undefined) return;
    event.preventDefault();
    const photo = await photoFrom(file);
    if (photo !== undefined) take(photo);
  };
  document.addEventListener('paste', (event) => void takeFrom(event, event.clipboardData));
  const over = (on: boolean): void => void document.body.toggleAttribute('data-dropping', on);
  document.addEventListener('dragover', (event) => {
    if (![...(event.dataTransfer?.types ?? [])].includes('Files')) return;
    event.preventDefault();
    over(true);
  });
  document.addEventListener('dragleave', (event) => {
    if (event.relatedTarget === null) over(false);
  });
  document.addEventListener('drop', (event) => {
    over(false);
    void takeFrom(event, event.dataTransfer);
  });
  if (location.hash === '#shared') void takeShared(shared);
}

/** What the service worker kept of a share (public/share-target.js). */
async function takeShared(shared: Intake['shared']): Promise<void> {
  history.replaceState(null, '', './#ask');
  const cache = await caches.open(CACHE).catch(() => undefined);
  if (cache === undefined) return;
  const [picture, words] = await Promise.all([cache.match('./shared-picture'), cache.match('./shared-words')]);
  await caches.delete(CACHE);
  const photo = picture === undefined ? undefined : await photoFrom(await picture.blob());
  const text = (await words?.text()) ?? '';
  if (photo !== undefined || text !== '') shared(photo, text);
}
